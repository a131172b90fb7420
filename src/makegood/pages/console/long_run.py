"""A work that takes long, begun from a page: one of its kind at a time in a server, in a thread of its own, with its
progress and how the last one ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from consumers.part import reason_of
from ledger.values import instant_to_text
from makegood.house.clock import system_clock

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ended(Generic[R]):
    """A run that ended: of what it was, its result, or why it could not be done."""

    at: str
    by: str
    of: str
    result: R | None
    failed: str | None = None


class LongRun(Generic[R]):
    """The run of a kind in this process, and the last one that ended.

    `explained` are the errors whose own words say what to do; of any other `otherwise` says it, with its `{reason}`.
    """

    def __init__(
        self,
        name: str,
        explained: tuple[type[Exception], ...],
        otherwise: str,
        on_end: Callable[[Ended[R]], None] = lambda ended: None,
    ) -> None:
        self._name = name
        self._explained = explained
        self._otherwise = otherwise
        self._on_end = on_end
        self._turn = threading.Lock()
        self.running = False
        self.of = ""
        self.step = ""
        self.done = 0
        self.out_of: int | None = None
        self.last: Ended[R] | None = None

    def begin(self, by: str, work: Callable[[], R], *, step: str, of: str = "") -> bool:
        """Begin one, unless one runs already."""
        with self._turn:
            if self.running:
                return False
            self.running, self.of = True, of
            self.at(step)
        threading.Thread(target=self._run, args=(by, work), name=self._name, daemon=True).start()
        return True

    def at(self, step: str) -> None:
        """The run has come to its next step."""
        self.step, self.done, self.out_of = step, 0, None

    def moved(self, done: int, of: int) -> None:
        """So much of the step is done."""
        self.done, self.out_of = done, of

    def _run(self, by: str, work: Callable[[], R]) -> None:
        result, failed = None, None
        try:
            result = work()
        except self._explained as error:
            failed = str(error)
        except Exception as error:
            failed = self._otherwise.format(reason=reason_of(error))
        ended = Ended(instant_to_text(system_clock()), by, self.of, result, failed)
        self._on_end(ended)
        self.last = ended
        self.running = False
