"""The part that records who looked, behind the API's answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from ledger.store.database import StoreError
from makegood.house.looking import record_looks
from makegood.house.opening import House

SECONDS = 5.0
"""So long after an answer it is recorded at the latest who looked, while the store can be written to. The looks of
this time are all that is lost with a process that is killed."""

log = structlog.get_logger("makegood.looks")


class RecordingLooks:
    """Records looks until it is told to stop. What is answered after that, `last_looks_recorded` records."""

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


@contextmanager
def last_looks_recorded(house: House) -> Iterator[None]:
    """Record what was looked at last, once the parts within have stopped and nothing is answered any more.

    Where the store cannot be written to then, the log says how many looks are lost.
    """
    try:
        yield
    finally:
        try:
            record_looks(house)
        except StoreError as error:
            with suppress(OSError, ValueError):  # a log that cannot be written to hides no failure
                log.error("looks_lost", looks=house.looks.times, reason=str(error))  # noqa: TRY400
