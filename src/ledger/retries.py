"""Attempts at what fails for a moment, with pauses between them, by `stamina`.

Parts that run for long wait in their own way (`consumers/part.py`): they must hear when they are told to stop.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType
from typing import TypeAlias

Passing: TypeAlias = type[Exception] | Callable[[Exception], bool]
"""Which errors pass: those of a class, or those of which a function says so."""


def attempts(
    passing: Passing,
    *,
    most: int | None = None,
    within: timedelta | None = None,
    pause: timedelta,
    pause_max: timedelta,
    jitter: timedelta,
) -> Iterator[AbstractContextManager[object]]:
    """Attempts for `for` and `with`: so many at most, or for so long; then the last one's error is raised.

    An error that does not pass is raised at once. The pause is twice as long each time, up to
    `pause_max`, and with up to `jitter` more never the same for two who met.
    """
    first = _First(passing)
    yield first
    if not first.failed:
        return
    time.sleep((pause + random.random() * jitter).total_seconds())
    import stamina  # takes as long to load as a small command takes in all

    # The library's hooks log every attempt, to standard output where no log is configured.
    stamina.instrumentation.set_on_retry_hooks(())
    yield from stamina.retry_context(
        passing,
        attempts=most - 1 if most is not None else None,
        timeout=within,
        wait_initial=2 * pause,
        wait_max=pause_max,
        wait_jitter=jitter,
    )


class _First(AbstractContextManager[None]):
    """The first attempt, and mostly the only one. What the library makes for one refers to itself: the collector of
    garbage takes 0.4 ms to free it, and may do so at any moment."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing
        self.failed = False

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            passing = self._passing
            self.failed = isinstance(error, passing) if isinstance(passing, type) else passing(error)
        return self.failed
