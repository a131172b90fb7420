"""The part that waits for shards that could not be reached when the process began."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import structlog

from ledger.store.database import StoreError
from makegood.house.away import AwayHouse, open_or_away
from makegood.house.opening import House

SECONDS = 5.0
"""Between two looks whether a shard can be reached."""

log = structlog.get_logger("makegood.awaiting")


class Awaiting:
    """Ends the round of all parts once a shard can be opened that could not be: the next one begins with it."""

    name = "awaiting"

    def __init__(self, first: House, away: Sequence[int], seconds: float = SECONDS) -> None:
        self._first = first
        self._away = away
        self._seconds = seconds

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Look every few seconds. What is there and must not be opened is told, and the others go on without it."""
        ready()
        while not stop.wait(self._seconds):
            try:
                with ExitStack() as opened:
                    houses = open_or_away(self._first, self._away, opened, migrate=True)
            except StoreError as error:
                log.warning("shard_away", reason=str(error))
                continue
            back = [n for n, house in zip(self._away, houses, strict=True) if not isinstance(house, AwayHouse)]
            if back:
                log.info("shards_are_back", shards=back)
                stop.set()
                return
