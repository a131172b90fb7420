"""How far intake, relay and payouts are behind, as the store and the topics tell it, and who else reads along."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consumers.kafka.records import BrokerUnavailable, Extent, Partition, Record, TopicIdentity
from consumers.kafka.topics import CHECKPOINTS, DEAD_LETTERS, EVENTS, INSTRUCTIONS, REFUND_REQUESTS, UPSTREAM
from consumers.lag import Lag, next_recorded_at
from consumers.payouts.asking import reader_of
from consumers.relay import DeadLetterLane, EventLane, InstructionLane
from consumers.taking import stored_positions
from ledger.store.database import Database, Transaction
from ledger.store.positions import Position
from ledger.store.reading.kept_messages import refused_after
from ledger.store.reading.readers import reader_position
from ledger.store.reading.shards import shard_ends, shards_of


class PartitionProbe(Protocol):
    """Looks at one partition."""

    def __enter__(self) -> PartitionProbe:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def first_from(self, offset: int) -> Record | None:
        """The first record at an offset or after it."""

    def written_at(self, offset: int) -> datetime | None:
        """When the first record at an offset or after it was written."""


class ProbedCluster(Protocol):
    """What is asked of a Kafka cluster."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""

    def extents(self, topic: str) -> dict[int, Extent]:
        """What there is of each partition of a topic."""

    def probe(self, partition: Partition, *, undecided: bool = False) -> PartitionProbe:
        """A look at a partition, on request also at what open transactions have written."""

    def strangers(self, purpose: str) -> list[str]:
        """Who is in a group and does not work for our store."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics that the parts work on."""

    upstream: str = UPSTREAM.name
    events: str = EVENTS.name
    instructions: str = INSTRUCTIONS.name
    refund_requests: str = REFUND_REQUESTS.name
    dead_letters: str = DEAD_LETTERS.name
    checkpoints: str = CHECKPOINTS.name


def carrier_lags(database: Database, cluster: ProbedCluster, topics: TopicNames | None = None) -> list[Lag]:
    """How far intake, relay and payouts are behind.

    Raises BrokerUnavailable, or BrokerError where a topic is missing.
    """
    names = topics or TopicNames()
    lags = intake_lags(database, cluster, cluster.identity(names.upstream))
    relayed = [cluster.identity(name) for name in (names.events, names.instructions, names.dead_letters)]
    with database.reading() as transaction:
        lags += relay_lags(transaction, *relayed)
        return lags + payouts_lags(transaction, names.refund_requests)


def relay_lags(
    transaction: Transaction, events: TopicIdentity, instructions: TopicIdentity, dead_letters: TopicIdentity
) -> list[Lag]:
    """How far the topics are behind the store. Raises PositionMissing where the store has a hole there."""
    lags = []
    ends = shard_ends(transaction)
    for lane, topic in ((EventLane, events), (InstructionLane, instructions)):
        for shard, end in ends.items():
            position = reader_position(transaction, lane(topic.topic, shard).reader(topic))
            oldest_at = next_recorded_at(transaction, Position(shard, position))
            lags.append(Lag("relay", topic.topic, shard, position, max(0, end - position), oldest_at))
    for shard in shards_of(transaction):
        position = reader_position(transaction, DeadLetterLane(dead_letters.topic, shard).reader(dead_letters))
        refused = refused_after(transaction, position)
        lags.append(Lag("relay", dead_letters.topic, shard, position, refused.count, refused.since))
    return lags


def payouts_lags(transaction: Transaction, processor: str) -> list[Lag]:
    """How far payouts are behind the store. Raises PositionMissing where the store has a hole there."""
    lags = []
    ends = shard_ends(transaction)
    for shard in shards_of(transaction):
        position = reader_position(transaction, reader_of(shard))
        oldest_at = next_recorded_at(transaction, Position(shard, position))
        lags.append(Lag("payouts", processor, shard, position, max(0, ends.get(shard, 0) - position), oldest_at))
    return lags


def intake_lags(database: Database, cluster: ProbedCluster, upstream: TopicIdentity) -> list[Lag]:
    """How far intake is behind the producers, in each partition.

    What a transaction leaves behind where it ended is nothing to take. What one that is open has written is, and so
    is what lies behind that: a reader comes to both when it ends.
    """
    stored = stored_positions(database, upstream)
    lags = []
    for number, extent in cluster.extents(upstream.topic).items():
        position = stored.get(number, extent.first)
        next_offset = max(extent.first, position)
        oldest_at = None
        if next_offset < extent.written:
            next_offset, oldest_at = _next_to_take(cluster, Partition(upstream.topic, number), next_offset, extent)
        behind = max(0, extent.written - next_offset)
        lost = max(0, extent.first - position)
        lags.append(Lag("intake", upstream.topic, number, next_offset, behind, oldest_at, lost))
    return lags


def _next_to_take(
    cluster: ProbedCluster, partition: Partition, offset: int, extent: Extent
) -> tuple[int, datetime | None]:
    """Where the next message is from an offset on, and when it was written; the end where there is none."""
    if offset < extent.decided:
        with cluster.probe(partition) as probe:
            if (record := probe.first_from(offset)) is not None:
                return record.offset, probe.written_at(record.offset)
    if extent.decided < extent.written:
        offset = max(offset, extent.decided)
        with cluster.probe(partition, undecided=True) as probe:
            return offset, probe.written_at(offset)
    return extent.written, None


STRANGERS_IN = ("intake", "projector")
"""The groups that nobody but the parts of one store should be in."""


def strangers(cluster: ProbedCluster) -> dict[str, list[str]]:
    """By group, who is in it and does not work for our store.

    A broker that has had no group yet takes a while to say so: then nobody is in any.
    """
    found = {}
    for purpose in STRANGERS_IN:
        with suppress(BrokerUnavailable):
            found[purpose] = cluster.strangers(purpose)
    return {purpose: members for purpose, members in found.items() if members}
