"""What a topic has that the ledger has not: so it stands after the ledger was restored from a backup.

It is looked for where it costs little: among the last records of each partition, before anything is sent there or
taken from there. What is found is refused, and `makegood restored` begins a new generation (design rule 15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from consumers.kafka.records import Record, RecordsAtEnd, TopicMissing
from consumers.places import Place, is_of, place_of
from ledger.store.database import Database, Transaction
from ledger.store.positions import dead_letter_sequence, event_sequence
from ledger.store.reading.events import StoredEnvelope, event_at
from ledger.store.reading.generations import FIRST, AheadOfLedger, Generations, generations_of
from ledger.store.reading.shards import place_in_store, sequence_end
from ledger.store.reading.store import store_id

LOOKED_AT = 1_001
"""So many of its last records of each partition are looked at: a relay that was cut off sends a batch again."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a topic carries, and which sequence of a shard its positions count."""

    topic: str
    sequence: Callable[[int], str]
    divided: bool
    """Whether each shard of several has a partition for itself, or its records are among those of the others."""
    stands_for: Callable[[Record, StoredEnvelope], bool] | None = None
    """Whether a record is what an event at its place is published as, where that can be told."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The furthest record of a topic that the ledger does not have."""

    topic: str
    partition: int
    place: Place
    end: int
    """The last position of the ledger in that sequence."""

    def __str__(self) -> str:
        generation, at = self.place.generation, self.place.at
        of = f" of generation {generation}" if generation > FIRST else ""
        if self.place.position > self.end:
            return f"{self.topic} has position {at}{of}, and the ledger ends at {at.shard}:{self.end}"
        return f"{self.topic} has another event at position {at}{of} than the ledger has"


def events_carried(topic: str) -> Carried:
    """The topic of the ledger's events."""
    return Carried(
        topic, event_sequence, divided=True, stands_for=lambda record, stored: record.value == stored.envelope
    )


def instructions_carried(topic: str) -> Carried:
    """The topic of instructions, which have the positions of the events that they follow from."""
    return Carried(topic, event_sequence, divided=True)


def dead_letters_carried(topic: str) -> Carried:
    """The topic of dead letters, which are counted by themselves."""
    return Carried(topic, dead_letter_sequence, divided=False)


def ahead_of_ledger(database: Database, cluster: RecordsAtEnd, carried: Iterable[Carried]) -> list[Ahead]:
    """What the ends of topics have that the ledger has not; a topic that is missing has nothing.

    However much other shards, or strangers, wrote since, a topic is read back to what this one wrote last. The topics
    are read first: what is on them then was recorded before, if it is the ledger's. Raises BrokerUnavailable.
    """
    with database.reading() as transaction:
        shard, shards = place_in_store(transaction)
        ours = partial(is_of, store_id(transaction).encode())
    records = []
    for each in carried:
        partition = shard if each.divided and shards > 1 else None
        with suppress(TopicMissing):
            last = cluster.last_records(each.topic, LOOKED_AT, only=ours, partition=partition)
            records.append((each, last))
    with database.reading() as transaction:
        return [found for each, last in records for found in ahead_among(transaction, each, last)]


def check_topic(database: Database, cluster: RecordsAtEnd, carried: Carried) -> None:
    """Raises AheadOfLedger where a topic has what the ledger has not, and BrokerUnavailable."""
    check_none_ahead(ahead_of_ledger(database, cluster, [carried]))


def check_none_ahead(found: Sequence[Ahead], shard: int | None = None) -> None:
    """Raises AheadOfLedger where something was found, of a shard of several where it is told which."""
    if found:
        raise AheadOfLedger.of(found, shard)


def ahead_among(transaction: Transaction, carried: Carried, records: Sequence[Record]) -> list[Ahead]:
    """For each partition the furthest of some records, where the ledger does not have it."""
    store = store_id(transaction).encode()
    furthest: dict[int, tuple[Place, Record]] = {}
    for record in records:
        place = place_of(record, store)
        if place is not None and place >= furthest.get(record.partition.number, (place,))[0]:
            furthest[record.partition.number] = place, record
    found = []
    for partition, (place, record) in furthest.items():
        sequence = carried.sequence(place.shard)
        generations = generations_of(transaction, sequence)
        if generations.gave_up(place.generation, place.position):
            continue
        if not has_record(transaction, carried, generations, place, record):
            found.append(Ahead(carried.topic, partition, place, sequence_end(transaction, sequence)))
    return found


def has_record(
    transaction: Transaction, carried: Carried, generations: Generations, place: Place, record: Record
) -> bool:
    """Whether what a record carries is the ledger's, as far as its place and its bytes tell."""
    if place.generation != generations.of(place.position):
        return False
    if place.position > sequence_end(transaction, carried.sequence(place.shard)):
        return False
    if carried.stands_for is None:
        return True
    stored = event_at(transaction, place.at)
    return stored is not None and carried.stands_for(record, stored)
