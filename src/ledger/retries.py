"""Attempts at what fails for a moment, with pauses between them, by `stamina`.

Parts that run for long wait in their own way (`consumers/part.py`): they must hear when they are told to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import stamina


def attempts(
    passing: type[Exception] | Callable[[Exception], bool],
    *,
    most: int | None = None,
    within: timedelta | None = None,
    pause: timedelta,
    pause_max: timedelta,
    jitter: timedelta,
) -> Iterator[stamina.Attempt]:
    """Attempts for `for` and `with`: so many at most, or for so long; then the last one's error is raised.

    An error that does not pass is raised at once. The pause is twice as long each time, up to
    `pause_max`, and with up to `jitter` more never the same for two who met.
    """
    import stamina  # takes as long to load as a small command takes in all

    # The library's hooks log every attempt, to standard output where no log is configured.
    stamina.instrumentation.set_on_retry_hooks(())
    return iter(
        stamina.retry_context(
            passing, attempts=most, timeout=within, wait_initial=pause, wait_max=pause_max, wait_jitter=jitter
        )
    )
