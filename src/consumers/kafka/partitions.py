"""Working off partitions: what to do when records come, when a cause passes, and when a partition changes hands.

Everything a part that reads Kafka has to get right whatever it does with the records, in one place and without a
clock, a client or a thread of its own, so that a test can drive it step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from consumers.kafka.records import BrokerUnavailable, GroupMember, Partition, Record, TopicIdentity, TopicWatch
from consumers.part import BackOff, Explained, reason_of
from ledger.store.database import Conflict, Unavailable

FAILURES_MAX = 3
"""A record that fails so often alone, with growing waits between, is given up."""

log = structlog.get_logger("makegood.partitions")


class BeginAnew(Explained):
    """What was read of this partition must be dropped, and read again from where it is stored to stand."""


class RecordFails(Explained):
    """One record cannot be worked off, and not for a passing cause."""

    def __init__(self, record: Record, cause: BaseException, besides: str = "") -> None:
        super().__init__(
            f"the record at {record.partition}/{record.offset} cannot be processed, so its "
            f"partition stopped there: {reason_of(cause)}{besides}"
        )
        self.record = record


class Worker(Protocol):
    """What a part does with its partitions. Unavailable and BrokerUnavailable mean: later, as it is."""

    def begin(self, partition: Partition, *, damaged: bool = False) -> int:
        """Become the one who works off a partition; the offset to begin at. What comes next there may be gone, or,
        where it is known to be `damaged`, has to be passed over. Raises BeginAnew (later)."""

    def work(self, partition: Partition, records: Sequence[Record]) -> None:
        """Work off records, all or none. Raises Conflict (again, perhaps fewer) or BeginAnew."""

    def give_up(self, partition: Partition, record: Record, cause: Exception) -> None:
        """A record keeps failing, and not for a passing cause: keep it and go past it, or raise RecordFails."""

    def end(self, partition: Partition) -> None:
        """The partition is somebody else's: drop what is kept of it and write nothing."""


Together = Callable[[Mapping[Partition, Sequence[Record]]], None]
"""Works off records of several partitions, all or none; whatever it raises, each is then worked off by itself."""


@dataclass(slots=True)
class _Held:
    """A partition that is ours, with what was read of it and not yet worked off."""

    begun: bool = False
    paused: bool = True
    stopped: bool = False
    damaged: bool = False
    """Whether nothing more comes of it, and whether that is for damage."""
    pending: deque[Record] = field(default_factory=deque)
    limit: int = 0
    failures: int = 0
    """How often the next record failed alone, and not for a passing cause."""
    not_before: float = 0.0
    back_off: BackOff = field(default_factory=BackOff)


class PartitionWork:
    """Carries records from a group's member to a worker, partition by partition.

    While one cannot be worked off it is paused and tried again after a while, and the polling that keeps the
    membership alive goes on. What is in memory is bounded by `batch` times `read_ahead`: no partition is read further
    while it has something pending.
    """

    def __init__(
        self,
        member: GroupMember,
        worker: Worker,
        monotonic: Callable[[], float],
        *,
        batch: int,
        read_ahead: int = 4,
        back_off: Callable[[], BackOff] = BackOff,
        stopping: Callable[[], bool] = lambda: False,
        together: Together | None = None,
    ) -> None:
        """With `together` what is read of several partitions is worked off at once, while nothing is wrong."""
        self._member = member
        self._worker = worker
        self._monotonic = monotonic
        self._batch = batch
        self._read_ahead = read_ahead
        self._back_off = back_off
        self._stopping = stopping
        self._together = together
        self._held: dict[Partition, _Held] = {}
        self.joined = False
        """Whether the group has answered: with partitions, or with none to give."""

    @property
    def held(self) -> frozenset[Partition]:
        """The partitions that are ours."""
        return frozenset(self._held)

    @property
    def pending(self) -> int:
        """How many records are in memory."""
        return sum(len(held.pending) for held in self._held.values())

    def join(self) -> None:
        """Ask for partitions."""
        self._member.join(self)

    def step(self, timeout: float) -> int:
        """Work off what is due, then what comes within `timeout`; how many records were worked off."""
        done = self._work_off()
        if self._stopping():
            return done
        for record in self._member.poll(self._batch * self._read_ahead, self._wait(timeout)):
            held = self._held.get(record.partition)
            if held is not None and held.begun:  # else it came before its partition left us
                held.pending.append(record)
        return done + self._work_off()

    def join_anew(self) -> None:
        """Drop everything that was read, and ask for partitions as if for the first time."""
        self.leave()
        self.join()

    def leave(self) -> None:
        """Give up all partitions; what is in memory was not worked off and is read again by whoever comes next."""
        self._member.leave()
        self.unassigned(list(self._held), lost=False)

    # --- told by the group's member ------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Take up partitions where they are stored to stand; those whose store cannot be reached stay paused."""
        self.joined = True
        offsets: dict[Partition, int] = {}
        out_of_reach = False
        for partition in partitions:
            held = self._held[partition] = _Held(limit=self._batch, back_off=self._back_off())
            # All stand in one store: where it cannot be reached for one, the others need not wait for it too.
            offset = None if out_of_reach else self._offset(partition, held)
            if offset is None:
                out_of_reach = True
            else:
                offsets[partition] = offset
                held.begun, held.paused = True, False
        return offsets

    def unassigned(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Forget partitions with what was read of them."""
        for partition in partitions:
            held = self._held.pop(partition, None)
            if held is not None:
                self._worker.end(partition)
                log.info("partition_given_up", partition=str(partition), lost=lost, dropped=len(held.pending))

    def stopped(self, partition: Partition, *, damaged: bool) -> None:
        """Begin a partition anew as soon as what was read of it is worked off."""
        held = self._held.get(partition)
        if held is not None and held.begun:
            held.stopped, held.damaged = True, damaged
            held.not_before = max(held.not_before, self._monotonic() + held.back_off.first)
            log.warning("partition_stopped", partition=str(partition), damaged=damaged, pending=len(held.pending))

    # --- working off ---------------------------------------------------------------------------------------------

    def _wait(self, timeout: float) -> float:
        """How long to poll: no longer than until the next partition may be tried again."""
        now = self._monotonic()
        dues = [h.not_before - now for h in self._held.values() if h.pending or h.stopped or not h.begun]
        return max(0.0, min([timeout, *dues]))

    def _work_off(self) -> int:
        done = self._work_together(self._together) if self._together is not None else 0
        for partition, held in list(self._held.items()):
            if self._monotonic() < held.not_before:
                continue
            if held.stopped and not held.pending:
                held.begun = False
            if not held.begun:
                self._begin(partition, held)
            while held.pending and self._monotonic() >= held.not_before and not self._stopping():
                done += self._work(partition, held)
            if held.pending or not held.begun:
                break  # the others' store is the same one, and the membership must be kept alive first
        for partition, held in self._held.items():
            if held.begun and not held.stopped and held.paused != bool(held.pending):
                (self._member.pause if held.pending else self._member.resume)(partition)
                held.paused = not held.paused
        return done

    def _work_together(self, together: Together) -> int:
        """One attempt at the next records of all partitions of which nothing failed before; no more than a batch."""
        now, room = self._monotonic(), self._batch
        records: dict[Partition, Sequence[Record]] = {}
        for partition, held in self._held.items():
            nothing_failed = not held.failures and held.limit == self._batch and now >= held.not_before
            if held.begun and held.pending and nothing_failed and room:
                records[partition] = [held.pending[i] for i in range(min(room, len(held.pending)))]
                room -= len(records[partition])
        if len(records) <= 1 or self._stopping():
            return 0
        try:
            together(records)
        except Exception as error:
            log.info("partitions_apart", partitions=len(records), reason=reason_of(error))
            return 0
        for partition, done in records.items():
            self._worked_off(partition, self._held[partition], done)
        return self._batch - room

    def _begin(self, partition: Partition, held: _Held) -> None:
        offset = self._offset(partition, held)
        if offset is None:
            return
        if self._member.begin(partition, offset):
            held.begun, held.paused = True, False
            held.stopped = held.damaged = False
        else:
            held.not_before = self._monotonic() + held.back_off.first

    def _offset(self, partition: Partition, held: _Held) -> int | None:
        try:
            offset = self._worker.begin(partition, damaged=held.damaged)
        except (Unavailable, BrokerUnavailable, Conflict, BeginAnew) as error:
            self._later(partition, held, error)
            return None
        held.back_off.reset()
        return offset

    def _work(self, partition: Partition, held: _Held) -> int:
        """One attempt at the next records of a partition."""
        records = [held.pending[i] for i in range(min(held.limit, len(held.pending)))]
        try:
            self._attempt(partition, held, records)
        except BeginAnew as error:
            # Not at once: if another member has the partition, the next poll says so.
            self._drop(partition, held, wait=held.back_off.next())
            log.warning("partition_begun_anew", partition=str(partition), reason=str(error))
            return 0
        except (Unavailable, BrokerUnavailable) as error:
            self._later(partition, held, error)
            return 0
        except Conflict as error:
            held.limit = max(1, len(records) // 2)
            self._later(partition, held, error)
            return 0
        except RecordFails:
            raise
        except Exception as error:
            # The batch is split until the record that fails is alone: what comes before it is taken.
            held.limit = max(1, len(records) // 2)
            if len(records) == 1:
                held.failures += 1
                self._later(partition, held, error)
            return 0
        self._worked_off(partition, held, records)
        return len(records)

    def _worked_off(self, partition: Partition, held: _Held, records: Sequence[Record]) -> None:
        for _ in records:
            held.pending.popleft()
        held.failures = 0
        held.limit = min(self._batch, held.limit * 2)
        held.back_off.reset()
        self._member.report(partition, records[-1].offset + 1)

    def _attempt(self, partition: Partition, held: _Held, records: Sequence[Record]) -> None:
        try:
            self._worker.work(partition, records)
        except (BeginAnew, Unavailable, BrokerUnavailable, Conflict):
            raise
        except Exception as error:
            if len(records) > 1 or held.failures + 1 < FAILURES_MAX:
                raise
            self._worker.give_up(partition, records[0], error)

    def _later(self, partition: Partition, held: _Held, error: Exception) -> None:
        wait = held.back_off.next()
        held.not_before = self._monotonic() + wait
        log.warning(
            "partition_waits",
            partition=str(partition),
            reason=reason_of(error),
            seconds=round(wait, 3),
            failures=held.back_off.failures,
            pending=len(held.pending),
        )

    def _drop(self, partition: Partition, held: _Held, wait: float) -> None:
        held.pending.clear()
        held.failures = 0
        held.begun = held.stopped = held.damaged = False
        held.not_before = self._monotonic() + wait
        if not held.paused:
            self._member.pause(partition)
            held.paused = True


class KnownTopic:
    """The topic that a client knows. Where it was made anew, the client may never fetch from it.

    The client is taken to know what the topic was before it joined: it may have been made anew since, before a
    partition came.
    """

    def __init__(self, watch: TopicWatch) -> None:
        """Made before a member joins."""
        self._watch = watch
        self._known = watch.look()

    def was_made_anew(self) -> tuple[TopicIdentity, TopicIdentity] | None:
        """Which topic it was and which it is, where it is another now: then a new client has to join."""
        known, now = self._known, self._watch.look()
        if now is None or now == known:
            return None
        self._known = now
        return (known, now) if known is not None else None
