"""How far each part was behind in the last hours: samples of the status, which a server keeps while it runs."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from makegood.answers.status import Status
from makegood.house.clock import system_clock

EVERY = timedelta(minutes=1)
KEPT = timedelta(hours=24)
HOURS = (1, 6, 24)
"""Over so many hours the samples are shown."""
POINTS = 30
"""So many points one of these spans has, each the worst of its samples."""


@dataclass(frozen=True, slots=True)
class PartLag:
    """How far a part is behind: in what it counts, and in seconds since the oldest of it; the most of any of its
    sequences."""

    behind: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Sample:
    """How far all parts were behind at one time."""

    at: datetime
    parts: Mapping[str, PartLag]


@dataclass(frozen=True, slots=True)
class Point:
    """The worst that a part was behind in a piece of time, from its first sample on."""

    at: datetime
    behind: int
    seconds: int


def lags_by_part(status: Status) -> dict[str, PartLag]:
    """How far each part is behind now."""
    found: dict[str, PartLag] = {}
    for lag in status.lags:
        before = found.get(lag.part, PartLag(0, 0))
        found[lag.part] = PartLag(max(before.behind, lag.behind), max(before.seconds, status.age_of(lag) or 0))
    if status.due is not None:
        found["timers"] = PartLag(status.due.count, status.overdue())
    return found


class LagHistory:
    """The samples of one server. Threads may share it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=KEPT // EVERY)
        self.since = system_clock()
        """Since when it watches."""

    def add(self, status: Status) -> None:
        """Keep a sample, unless the last one is younger than a minute; none of a store that was not reached."""
        with self._turn:
            last = self._samples[-1].at if self._samples else None
            if status.store_reachable and (last is None or status.system_now - last >= EVERY - timedelta(seconds=1)):
                self._samples.append(Sample(status.system_now, lags_by_part(status)))

    def points(self, part: str, hours: int, now: datetime) -> list[Point]:
        """How far a part was behind in the last hours, the oldest first; nothing of when nobody looked."""
        length = timedelta(hours=hours) / POINTS
        pieces: dict[int, list[tuple[datetime, PartLag]]] = defaultdict(list)
        for at, lag in self._of(part, now - timedelta(hours=hours)):
            pieces[(now - at) // length].append((at, lag))
        return [
            Point(found[0][0], max(lag.behind for _, lag in found), max(lag.seconds for _, lag in found))
            for _, found in sorted(pieces.items(), reverse=True)
        ]

    def _of(self, part: str, since: datetime) -> Iterator[tuple[datetime, PartLag]]:
        with self._turn:
            samples = list(self._samples)
        return ((each.at, each.parts[part]) for each in samples if each.at > since and part in each.parts)
