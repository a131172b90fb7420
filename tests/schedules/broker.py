"""A twin of Kafka in memory: topics with ids, groups that rebalance, and senders that promise no more than Kafka's.

It keeps to what a client can observe of Apache Kafka 4: a topic that is made anew has another id and starts empty,
while a reader's place in it stays the number it was; a member hears of a rebalance only when it polls; a member whose
session ran out learns that its partitions are lost when it comes back; what a sender could not confirm may be there,
in part, or arrive later.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from consumers.kafka.records import (
    BrokerUnavailable,
    Claimant,
    Only,
    Outgoing,
    Partition,
    Record,
    TopicIdentity,
    TopicMissing,
    Undelivered,
)
from consumers.kafka.topics import Topic

SESSION_SECONDS = 10.0
UNREPORTED_MAX = {"intake": 4, "projector": 2}
"""How many batches of a partition a reader may have in hand (`read_ahead` of its PartitionWork)."""

log = structlog.get_logger(who="broker")


class LawBroken(BaseException):
    """Something happened that may never happen. No part may catch it, so it is no Exception."""


Fate = Callable[[str], str | None]
"""What happens to a process at a point on its way; raises where the process ends there."""


@dataclass
class Log:
    """One partition of a topic, as long as the topic is that one; what retention took stays to be looked at here."""

    records: list[Record] = field(default_factory=list)
    low: int = 0

    @property
    def high(self) -> int:
        return len(self.records)

    def has(self, offset: int) -> bool:
        """Whether a reader may stand at an offset."""
        return self.low <= offset <= self.high

    def read(self, offset: int, limit: int) -> list[Record]:
        """Records from an offset on; where that is out of range, from the first that is there."""
        start = offset if self.has(offset) else self.low
        return self.records[start : start + limit]


@dataclass
class KeptTopic:
    """A topic under one id."""

    identity: TopicIdentity
    logs: list[Log]


class Broker:
    """One cluster."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self.topics: dict[str, KeptTopic] = {}
        self.deleted: list[KeptTopic] = []
        self.groups: dict[str, Group] = {}
        self.late: list[list[Outgoing]] = []
        """Batches that are on their way though their sender has given up on them."""
        self._ids = itertools.count(1)

    def create(self, topic: Topic) -> None:
        identity = TopicIdentity("cluster", topic.name, f"id-{next(self._ids):03}")
        self.topics[topic.name] = KeptTopic(identity, [Log() for _ in range(topic.partitions)])
        log.info("topic_created", topic=topic.name, id=identity.topic_id)

    def delete(self, name: str) -> KeptTopic:
        kept = self.topics.pop(name)
        self.deleted.append(kept)
        for group in self.groups.values():
            group.committed = {p: offset for p, offset in group.committed.items() if p.topic != name}
        log.info("topic_deleted", topic=name, id=kept.identity.topic_id)
        return kept

    def is_gone(self, reader: str) -> bool:
        """Whether a reader is one of a topic that was deleted."""
        return any(str(kept.identity) in reader for kept in self.deleted)

    def log_of(self, partition: Partition) -> Log:
        if partition.topic not in self.topics:
            raise TopicMissing(f"there is no topic {partition.topic}")
        return self.topics[partition.topic].logs[partition.number]

    def append(self, record: Outgoing) -> Record:
        partition = Partition(record.topic, record.partition or 0)
        records = self.log_of(partition).records
        records.append(Record(partition, len(records), record.key, record.value, record.headers))
        return records[-1]

    def cut(self, partition: Partition, offset: int) -> None:
        """Retention takes what is before an offset."""
        kept = self.log_of(partition)
        kept.low = max(kept.low, min(offset, kept.high))
        log.info("retention", partition=str(partition), first_offset_left=kept.low)

    def land(self, index: int) -> None:
        """A batch arrives long after its sender gave up on it."""
        batch = [record for record in self.late.pop(index) if record.topic in self.topics]
        for record in batch:
            self.append(record)
        if batch:
            log.info("batch_arrives_late", topic=batch[0].topic, records=len(batch))

    def tick(self) -> None:
        """Members that live are heard of, those that were not for too long are put out of their groups."""
        for group in self.groups.values():
            for member in list(group.members):
                if member.alive():
                    member.heard_at = self.monotonic()
                elif self.monotonic() - member.heard_at >= SESSION_SECONDS:
                    group.members.remove(member)
                    log.info("session_ran_out", member=member.name, lost=[str(p) for p in sorted(member.owned)])


class Group:
    """A consumer group under the cooperative-sticky protocol."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.members: list[Member] = []
        self.committed: dict[Partition, int] = {}

    def target(self) -> dict[int, set[Partition]]:
        """Who should have what: everybody as much as the others, and what he has already where that can be."""
        partitions = {
            Partition(name, number)
            for name in sorted({topic for member in self.members for topic in member.topics})
            if name in self.broker.topics
            for number in range(len(self.broker.topics[name].logs))
        }
        each, more = divmod(len(partitions), len(self.members))
        ranked = sorted(self.members, key=lambda member: -len(member.owned & partitions))
        share = {id(member): each + (rank < more) for rank, member in enumerate(ranked)}
        target = {id(m): set(sorted(m.owned & partitions)[: share[id(m)]]) for m in self.members}
        free = sorted(partitions - set().union(*target.values()))
        for member in self.members:
            while free and len(target[id(member)]) < share[id(member)]:
                target[id(member)].add(free.pop(0))
        return target


class Member:
    """A member of a group, as its process holds it."""

    def __init__(
        self,
        broker: Broker,
        purpose: str,
        topics: Sequence[Topic],
        fate: Fate,
        alive: Callable[[], bool],
        share: Callable[[int], int],
        name: str,
        batch: int,
    ) -> None:
        self.name = name
        self.topics = [topic.name for topic in topics]
        self.owned: set[Partition] = set()
        self.alive = alive
        self.heard_at = broker.monotonic()
        self._broker = broker
        self._group = broker.groups.setdefault(purpose, Group(broker))
        self._fate = fate
        self._share = share
        self._claimant: Claimant | None = None
        self._told = False
        self._positions: dict[Partition, int] = {}
        self._in_hand: dict[Partition, list[int]] = {}
        """The offsets that were handed out and not yet reported."""
        self._paused: set[Partition] = set()
        self._stopped: set[Partition] = set()
        self._unreported_max = UNREPORTED_MAX[purpose] * batch

    def join(self, claimant: Claimant) -> None:
        self._claimant = claimant
        self._group.members.append(self)
        log.info("member_joins", member=self.name)

    def poll(self, limit: int, timeout: float) -> list[Record]:
        if self._fate("poll") == "unreachable":
            return []
        self._rebalance()
        found: list[Record] = []
        for partition in sorted(self.owned - self._paused - self._stopped):
            if partition.topic in self._broker.topics:
                if not self._broker.log_of(partition).has(self._positions[partition]):
                    self._stop(partition)
                    continue
                found += self._fetch(partition, min(limit - len(found), self._share(limit)))
        return found

    def _stop(self, partition: Partition) -> None:
        assert self._claimant is not None
        self._stopped.add(partition)
        log.info("offset_out_of_range", member=self.name, partition=str(partition))
        self._claimant.stopped(partition, damaged=False)

    def _fetch(self, partition: Partition, count: int) -> list[Record]:
        records = self._broker.log_of(partition).read(self._positions[partition], count)
        if records:
            self._positions[partition] = records[-1].offset + 1
            in_hand = self._in_hand[partition]
            in_hand += [record.offset for record in records]
            if len(in_hand) > self._unreported_max:
                raise LawBroken(f"{self.name} reads on in {partition} with {len(in_hand)} records of it in hand")
        return records

    def begin(self, partition: Partition, offset: int) -> bool:
        if partition not in self.owned or self._fate("seek") == "unreachable":
            return False
        self._seek(partition, offset)
        self._paused.discard(partition)
        self._stopped.discard(partition)
        return True

    def pause(self, partition: Partition) -> None:
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        self._paused.discard(partition)

    def report(self, partition: Partition, offset: int) -> None:
        self._in_hand[partition] = [handed for handed in self._in_hand.get(partition, ()) if handed >= offset]
        if self in self._group.members and partition in self.owned:
            self._group.committed[partition] = offset

    def leave(self) -> None:
        if self in self._group.members:
            self._group.members.remove(self)
            log.info("member_leaves", member=self.name)
        self.owned.clear()

    def _seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset
        self._in_hand[partition] = []

    def _rebalance(self) -> None:
        """Hear what has become of the partitions since the last poll."""
        assert self._claimant is not None
        if self not in self._group.members:
            self._claimant.unassigned(self._give_up(self.owned), lost=True)
            self._group.members.append(self)
            log.info("member_comes_back", member=self.name)
        target = self._group.target()[id(self)]
        if gone := self._give_up(self.owned - target):
            log.info("partitions_revoked", member=self.name, partitions=[str(p) for p in gone])
            self._claimant.unassigned(gone, lost=False)
        taken = set().union(*(member.owned for member in self._group.members))
        new = sorted(target - taken)
        if new or not self._told:
            self._told = True
            self.owned.update(new)
            log.info("partitions_assigned", member=self.name, partitions=[str(p) for p in new])
            offsets = self._claimant.assigned(new)
            for partition in new:
                self._seek(partition, offsets.get(partition, 0))
                (self._paused.discard if partition in offsets else self._paused.add)(partition)

    def _give_up(self, partitions: set[Partition]) -> list[Partition]:
        gone = sorted(partitions)
        self._stopped.difference_update(gone)
        self.owned.difference_update(gone)
        return gone


@dataclass
class ClusterSeen:
    """The cluster as one process sees it."""

    broker: Broker
    process: str
    fate: Fate
    alive: Callable[[], bool]
    share: Callable[[int], int]
    """How many records of a partition a fetch brings, at most so many."""
    batch: int

    def member(self, purpose: str, topics: Sequence[Topic]) -> Member:
        name = f"{self.process} {purpose}"
        return Member(self.broker, purpose, topics, self.fate, self.alive, self.share, name, self.batch)

    def identity(self, topic: str) -> TopicIdentity:
        if self.fate("identity") == "unreachable":
            raise BrokerUnavailable("the broker cannot be reached")
        if topic not in self.broker.topics:
            raise TopicMissing(f"there is no topic {topic}")
        return self.broker.topics[topic].identity

    def watch(self, topic: str) -> Watch:
        return Watch(self.broker, topic)

    def sender(self, purpose: str) -> SenderSeen:
        return SenderSeen(self.broker, self.fate, self.share)

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        if topic not in self.broker.topics:
            raise TopicMissing(f"there is no topic {topic}")
        logs = enumerate(self.broker.topics[topic].logs)
        ends = [kept.records[kept.low :] for number, kept in logs if partition in (None, number)]
        return [record for end in ends for record in list(filter(only, end))[-limit:]]

    def probe(self, partition: Partition) -> Probe:
        if self.fate("probe") == "unreachable":
            raise BrokerUnavailable("the broker cannot be reached")
        return Probe(self.broker.log_of(partition))


@dataclass
class Watch:
    """Answers with what was true when it was asked the last time."""

    broker: Broker
    topic: str
    answer: TopicIdentity | None = None

    def look(self) -> TopicIdentity | None:
        kept = self.broker.topics.get(self.topic)
        answer, self.answer = self.answer, kept.identity if kept is not None else None
        return answer


@dataclass
class Probe:
    """Looks at single records."""

    kept: Log

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def bounds(self) -> tuple[int, int]:
        return self.kept.low, self.kept.high

    def first_from(self, offset: int) -> Record | None:
        return next(iter(self.kept.read(offset, 1)), None)

    def after_damage(self, offset: int) -> int:
        return offset


@dataclass
class SenderSeen:
    """A producer that says it was sent only where all of it was, and otherwise knows nothing."""

    broker: Broker
    fate: Fate
    share: Callable[[int], int]

    def send(self, records: Iterable[Outgoing], deadline: float) -> None:
        batch = list(records)
        fate = self.fate("send")
        if any(record.topic not in self.broker.topics for record in batch):
            raise TopicMissing("there is no such topic")
        landed = {"nothing": 0, "late": 0, "in part": self.share(len(batch))}.get(fate or "", len(batch))
        for record in batch[:landed]:
            self.broker.append(record)
        if fate == "late":
            self.broker.late.append(batch)
        if fate is not None:
            raise Undelivered(f"the broker did not confirm ({landed} of {len(batch)} are there)")
        self.fate("sent")

    def close(self) -> None:
        pass
