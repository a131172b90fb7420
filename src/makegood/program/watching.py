"""The part that samples the status, so that pages can show how far each part was behind in the last hours."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from consumers.part import reason_of
from makegood.answers.lag_history import EVERY, LagHistory
from makegood.answers.status import look_around
from makegood.house.opening import House

log = structlog.get_logger("makegood.watching")


class Watching:
    """Looks at the status once a minute until it is told to stop. What cannot be read then has no sample."""

    name = "watching"

    def __init__(self, house: House, history: LagHistory) -> None:
        self._house = house
        self._history = history

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Sample until told to stop."""
        ready()
        while True:
            try:
                self._history.add(look_around(self._house))
            except Exception as error:  # a look that fails stops nobody's work
                log.warning("status_not_sampled", reason=reason_of(error))
            if stop.wait(EVERY.total_seconds()):
                return
