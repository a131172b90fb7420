"""Work that is shared out among processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar

from makegood.house.stop import Stop

AHEAD = 4
"""So many pieces of work for each process are given out before the first result is taken: more would wait in memory
where results are taken slower than they come."""

T = TypeVar("T")
R = TypeVar("R")


class Processes:
    """Other processes, which work for this one. A context manager, at whose end they are ended."""

    def __init__(self, count: int) -> None:
        self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
        self._ahead = AHEAD * count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def each(self, what: Callable[[T], R], of: Iterable[T]) -> Iterator[R]:
        """The results of `what` for each piece, in order.

        Raises what `what` raises, for the first piece for which it does, and Stop where a process was ended.
        """
        given: deque[Future[R]] = deque()
        try:
            for piece in of:
                given.append(self._pool.submit(what, piece))
                if len(given) == self._ahead:
                    yield given.popleft().result()
            while given:
                yield given.popleft().result()
        except BrokenProcessPool:
            raise Stop(
                "one of the processes was ended from outside, most often for want of memory, and not all was "
                "checked: try again with more memory free"
            ) from None
        finally:
            for future in given:
                future.cancel()
