"""Looks at records that are not recorded yet, counted up: who looked at what, of which account, and how often."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from ledger.events import LookedAt


class Looker(NamedTuple):
    """Who looks, and by which way they came in."""

    actor: str
    channel: str


class Seen(NamedTuple):
    """What is counted as one; `by` is None for whoever runs the command."""

    by: Looker | None
    kind: LookedAt
    account_id: str | None


@dataclass(slots=True)
class Count:
    """How often it was looked at, and how many records that were."""

    times: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What was looked at since a reading of the monotonic clock."""

    seen: dict[Seen, Count]
    since: float

    @property
    def age(self) -> timedelta:
        """How long ago the first of it was."""
        return timedelta(seconds=time.monotonic() - self.since)


class Looks:
    """What was looked at since it was last recorded. Threads may share it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._seen: dict[Seen, Count] = {}
        self._since = 0.0

    def __bool__(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._seen)

    @property
    def times(self) -> int:
        """How many looks are to be recorded."""
        with self._turn:
            return sum(count.times for count in self._seen.values())

    def add(self, seen: Seen, records: int) -> None:
        """Somebody looked."""
        with self._turn:
            self._add(seen, Count(1, records), time.monotonic())

    def taken(self) -> Batch | None:
        """All that was looked at, which is then counted anew; None where it is nothing."""
        with self._turn:
            batch = Batch(self._seen, self._since) if self._seen else None
            self._seen = {}
        return batch

    def put_back(self, batch: Batch) -> None:
        """What could not be recorded."""
        with self._turn:
            for seen, count in batch.seen.items():
                self._add(seen, count, batch.since)

    def _add(self, seen: Seen, more: Count, since: float) -> None:
        self._since = min(self._since, since) if self._seen else since
        count = self._seen.setdefault(seen, Count())
        count.times += more.times
        count.records += more.records
