"""What stands in the store in an order is carried to somewhere else, in that order, by one of several processes.

A lane follows one sequence of the store. Its position moves only after what was handed over is confirmed, so that a
crash hands over again and never leaves out. Whoever takes a lane over gets a new epoch, and the one before moves
nothing any more.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import structlog

from consumers.kafka.records import BrokerUnavailable
from consumers.part import BackOff
from ledger.store.database import Conflict, Database, Transaction, Unavailable
from ledger.store.reading.readers import reader_stands
from ledger.store.reading.shards import shard_end, shards_of
from ledger.store.writing import ReaderFenced, ReaderMove, move_reader, take_over_reader

IDLE_FIRST, IDLE_MOST = 0.05, 0.5
STANDS_BY_SECONDS = 10.0
"""How long another process may leave a lane unmoved, with something to carry, before this one takes it over."""
LEASE_SECONDS = 2.0
"""How long a look at the epoch counts, where nothing may be handed over twice."""

T = TypeVar("T")
L = TypeVar("L", bound="Lane[Any]")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What is to be handed over next, and the position that it ends at."""

    records: Sequence[T]
    last: int
    """The same as before where nothing comes after; further on also where nothing of it is to be handed over."""


class Lane(ABC, Generic[T]):
    """One sequence of a shard that is carried to one place, which is called by the lane's name."""

    rests: ClassVar[float] = 0.0
    """Seconds that it waits for more after a batch that was not full: each costs a commit, and where nobody waits for
    what is carried, few large ones do."""

    def __init__(self, name: str, shard: int) -> None:
        self.name = name
        self.shard = shard

    @abstractmethod
    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[T]:
        """What comes after a position."""


@dataclass(slots=True)
class _Standing(Generic[L]):
    """What a process knows of a lane: the epoch it holds it under, or since when another holds it.

    Up to the position `in_doubt_to` it may be that what is after the lane's position was handed over already, or is
    on its way, by whoever had the lane before or by this process, which did not learn whether it arrived. After
    `settled_at` nothing is on its way any more.
    """

    lane: L
    reader: str
    position: int = 0
    epoch: int | None = None
    seen: tuple[int, int] = (-1, -1)
    unmoved_since: float = 0.0
    in_doubt_to: int = 0
    settled_at: float = 0.0
    rests_until: float = 0.0


class Carrier(ABC, Generic[L, T]):
    """A part that carries. Of several processes one works on a lane and the others stand by.

    `settles` is for what may not be handed over twice: so many seconds after a process was stopped or cut off while
    it handed something over, nothing of that is still on its way. Before anything is handed over that may have been
    before, that time has passed, and `_missing` was asked. Without it, it is handed over again.
    """

    name: ClassVar[str]
    passing: ClassVar[tuple[type[Exception], ...]] = (Unavailable, BrokerUnavailable, Conflict)
    """What is waited out and tried again."""

    def __init__(
        self,
        database: Database,
        *,
        batch: int,
        stands_by: float = STANDS_BY_SECONDS,
        settles: float | None = None,
        watch_seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._batch = batch
        self._stands_by = stands_by
        self._settles = settles
        self._watch_seconds = watch_seconds
        self._monotonic = monotonic
        self._log = structlog.get_logger(f"makegood.{self.name}")
        self._woken = threading.Event()
        self._running = False
        self._lanes: Sequence[L] = []
        self._standings: list[_Standing[L]] = []
        self._identified_at = 0.0

    # --- what is carried, and where to -----------------------------------------------------------------------------

    @abstractmethod
    def _lanes_of(self, shard: int) -> Sequence[L]:
        """The lanes of a shard."""

    @abstractmethod
    def _readers(self, lanes: Sequence[L]) -> Mapping[L, str]:
        """Under what names the positions of lanes are stored now. Raises BrokerUnavailable."""

    @abstractmethod
    def _check(self, lane: L) -> None:
        """Raises AheadOfLedger where there is more than the ledger knows of where a lane leads."""

    @abstractmethod
    def _hand_over(self, records: Sequence[T]) -> None:
        """Hand something over; it has arrived when this returns. Raises what is passing."""

    def _missing(self, records: Sequence[T]) -> Sequence[T]:
        """Those of some records that did not arrive before."""
        return records

    def _write(self, transaction: Transaction, lane: L, position: int, batch: Batch[T]) -> None:
        """Write what must stand in the store exactly where a lane's position moves on from another one."""

    def _let_go(self) -> None:
        """Let go of connections."""

    # --- the part --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something to carry: do not wait until it is noticed."""
        self._woken.set()

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        idle = IDLE_FIRST
        working = False
        self._running = True
        try:
            while not stop.is_set():
                try:
                    went_on = self.step()
                except self.passing as error:
                    wait = back_off.next()
                    self._log.warning(
                        f"{self.name}_waits", reason=str(error), seconds=round(wait, 3), failures=back_off.failures
                    )
                    self.forget()
                    stop.wait(wait)
                    continue
                back_off.reset()
                if not working:
                    working = True
                    ready()
                if went_on:
                    idle = IDLE_FIRST
                    continue
                idle = IDLE_FIRST if self._woken.wait(idle) else min(IDLE_MOST, idle * 1.5)
                self._woken.clear()
        finally:
            self._running = False
            self.forget()

    def step(self) -> int:
        """Carry at most a batch of every lane; how many positions that one went on that went furthest.

        A lane rests only while the part runs: whoever goes step by step waits for nothing.
        """
        self._identify()
        now = self._monotonic()
        working = [each for each in self._standings if not self._running or now >= each.rests_until]
        return max(map(self._carry, working), default=0)

    def forget(self) -> None:
        """Let go of where lanes lead; positions and epochs are found in the store again."""
        self._let_go()
        self._identified_at = 0.0

    @property
    def holds_all(self) -> bool:
        """Whether this is the process that works on every lane."""
        return all(standing.epoch is not None for standing in self._standings)

    def _identify(self) -> None:
        """Find out by which positions to go, and take over the lanes whose position has a new name."""
        now = self._monotonic()
        if self._identified_at and now < self._identified_at + self._watch_seconds:
            return
        if not self._lanes:
            with self._database.reading() as transaction:
                shards = shards_of(transaction)
            self._lanes = [lane for shard in shards for lane in self._lanes_of(shard)]
        readers = self._readers(self._lanes)
        known = {standing.reader: standing for standing in self._standings}
        standings = []
        for lane in self._lanes:
            standing = known.get(readers[lane])
            if standing is None:
                standing = _Standing(lane, readers[lane])
                self._take_over(standing)
            standings.append(standing)
        self._standings = standings
        self._identified_at = now or 1e-9

    def _take_over(self, standing: _Standing[L]) -> None:
        self._check(standing.lane)
        with self._database.writing() as transaction:
            taken = take_over_reader(transaction, standing.reader)
            end = self._end(transaction, standing.lane)
        standing.position, standing.epoch = taken  # not before it is committed
        self._doubt(standing, end)
        self._log.info(
            "lane_taken_over",
            to=standing.lane.name,
            reader=standing.reader,
            position=standing.position,
            epoch=standing.epoch,
        )

    def _carry(self, standing: _Standing[L]) -> int:
        lane = standing.lane
        began = self._monotonic()
        with self._database.reading() as transaction:
            position, epoch = reader_stands(transaction, standing.reader) or (0, 0)
            if epoch != standing.epoch:
                behind = lane.after(transaction, position, 1).last > position
                batch: Batch[T] = Batch([], position)
            else:
                behind = False
                batch = lane.after(transaction, position, self._batch)
            end = self._end(transaction, lane) if position != standing.position else 0
        if standing.epoch is not None and epoch < standing.epoch:
            # Epochs only grow: the store was restored while the part ran.
            self._check(lane)
        if epoch != standing.epoch:
            self._stand_by(standing, (position, epoch), behind)
            return 0
        if position != standing.position:
            # Not as this process left it: a commit whose answer was lost, or the store was restored while it ran.
            self._check(lane)
            standing.position = position
            self._doubt(standing, end)
        if batch.last == position:
            return 0
        handed_over = self._handed_over(standing, batch)
        if handed_over is None:
            return 0
        try:
            with self._database.writing() as transaction:
                move_reader(transaction, ReaderMove(standing.reader, epoch, position, batch.last))
                self._write(transaction, lane, position, batch)
        except ReaderFenced:
            return 0  # another process has it, and hands over what this one did not
        standing.position = batch.last
        if batch.last - position < self._batch:
            standing.rests_until = began + lane.rests
        if batch.records:
            self._log.info(
                "records_sent",
                to=lane.name,
                first=position + 1,
                last=batch.last,
                records=handed_over,
                seconds=round(self._monotonic() - began, 4),
            )
        return batch.last - position

    def _handed_over(self, standing: _Standing[L], batch: Batch[T]) -> int | None:
        """Hand over a batch, and how much of it that was; None where it cannot be now."""
        records = batch.records
        if self._settles is None or not records:
            if records:
                self._hand_over(records)
            return len(records)
        if standing.position < standing.in_doubt_to:
            if self._monotonic() < standing.settled_at:
                return None
            records = self._missing(records)
            if len(records) < len(batch.records):
                self._log.info(
                    "records_had_arrived", to=standing.lane.name, records=len(batch.records) - len(records)
                )
        if not records:
            return 0
        looked_at = self._monotonic()
        with self._database.reading() as transaction:
            stands = reader_stands(transaction, standing.reader)
        if stands != (standing.position, standing.epoch) or self._monotonic() > looked_at + LEASE_SECONDS:
            return None
        standing.in_doubt_to = max(standing.in_doubt_to, batch.last)
        try:
            self._hand_over(records)
        except BaseException:
            standing.settled_at = self._monotonic() + self._settles
            raise
        return len(records)

    def _end(self, transaction: Transaction, lane: L) -> int:
        """Where a lane's shard ends, where that has to be known."""
        return shard_end(transaction, lane.shard) if self._settles is not None else 0

    def _doubt(self, standing: _Standing[L], end: int) -> None:
        """Somebody else may have handed over what comes after the position and up to another, or is just doing so."""
        standing.in_doubt_to = end
        standing.settled_at = self._monotonic() + LEASE_SECONDS + (self._settles or 0.0)

    def _stand_by(self, standing: _Standing[L], seen: tuple[int, int], behind: bool) -> None:
        """Another process has the lane: leave it to that one as long as it moves or has nothing to do."""
        now = self._monotonic()
        if standing.epoch is not None:
            standing.epoch = None
            self._log.warning("lane_taken_by_another", to=standing.lane.name, reader=standing.reader)
        if seen != standing.seen or not behind:
            standing.seen, standing.unmoved_since = seen, now
        elif now - standing.unmoved_since >= self._stands_by:
            self._take_over(standing)
