"""The part that records who looked, behind the API's answers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from ledger.store.database import StoreError
from makegood.house.looking import record_looks
from makegood.house.opening import House

SECONDS = 5.0
"""So long after an answer it is recorded at the latest who looked, while the store can be written to."""

log = structlog.get_logger("makegood.looks")


class RecordingLooks:
    """Records looks until it is told to stop. What is answered after that, `run_until_stopped` records."""

    name = "looks"

    def __init__(self, house: House, recorded: Callable[[], None]) -> None:
        self._house = house
        self._recorded = recorded

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Record every few seconds; a store that cannot be written to is waited for."""
        ready()
        while not stop.wait(SECONDS):
            try:
                if record_looks(self._house):
                    self._recorded()
            except StoreError as error:
                log.warning("looks_not_recorded", reason=str(error))
