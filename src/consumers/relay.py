"""Relay: what the ledger recorded, and what follows from it for others to do, onto Kafka, in order (contract §1a).

A lane follows one sequence of the store onto one topic. Its position moves only after the broker has confirmed what
was sent, so that a crash sends again and never leaves out; readers skip what they have seen (design rule 7).
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pydantic_core import to_json

from consumers.ahead import (
    Carried,
    check_topic,
    dead_letters_carried,
    events_carried,
    instructions_carried,
)
from consumers.carrying import STANDS_BY_SECONDS, Batch, Carrier, Lane
from consumers.kafka.records import Headers, Outgoing, RecordsAtEnd, Sender, TopicIdentity
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS, Topic
from consumers.places import place_headers
from ledger.instructions import INSTRUCTING, Instruction, instructions_of
from ledger.store.database import Database, Transaction
from ledger.store.positions import Position, numbered
from ledger.store.reading.events import ended_on_before, read_shard
from ledger.store.reading.generations import Generations, generations_of
from ledger.store.reading.kept_messages import kept_messages
from ledger.store.reading.page import Page
from ledger.store.reading.readers import reader_position
from ledger.store.reading.store import store_id
from ledger.values import instant_to_text

BATCH_MAX = 1_000
"""So many records are under way at most."""
CONFIRMED_WITHIN = 5.0
"""Seconds in which the broker must confirm a batch, else it is sent again."""


class RelayCluster(RecordsAtEnd, Protocol):
    """What the relay needs of a Kafka cluster."""

    def sender(self, purpose: str) -> Sender:
        """A new sender."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""


class TopicLane(Lane[Outgoing]):
    """One sequence of a shard that is sent to one topic."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self.name

    @abstractmethod
    def reader(self, identity: TopicIdentity) -> str:
        """Under what name its position is stored; a topic that was made anew is another, and starts empty."""

    @property
    @abstractmethod
    def carried(self) -> Carried:
        """What its topic carries."""

    def _places(self, transaction: Transaction) -> tuple[bytes, Generations]:
        """What the headers of its records say besides a position: of which store it is, and the generations."""
        generations = generations_of(transaction, self.carried.sequence(self.shard))
        return store_id(transaction).encode(), generations


class FollowingLane(TopicLane):
    """What comes out of one shard's events, in their order."""

    def reader(self, identity: TopicIdentity) -> str:
        return reader_of_events(identity, self.shard)


class EventLane(FollowingLane):
    """The events of one shard: the stored bytes as they are, partition = shard, key = account."""

    @property
    def carried(self) -> Carried:
        return events_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[Outgoing]:
        found = read_shard(transaction, self.shard, position, limit)
        store, generations = self._places(transaction)
        records = [
            Outgoing(
                self.topic,
                e.account.encode(),
                e.envelope,
                (
                    *place_headers(store, e.at, generations.of(e.position)),
                    ("type", e.type.encode()),
                    ("account-version", str(e.account_version).encode()),
                ),
                partition=self.shard,
            )
            for e in found
        ]
        return Batch(records, found[-1].position if found else position)


class InstructionLane(FollowingLane):
    """What billing and provisioning must carry out, out of the events of one shard: a CloudEvent for each, with the
    shard as partition and the account as key."""

    rests = 0.25

    @property
    def carried(self) -> Carried:
        return instructions_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[Outgoing]:
        found = read_shard(transaction, self.shard, position, limit)
        store, generations = self._places(transaction)
        records = [
            self._record(instruction, place_headers(store, envelope.at, generations.of(envelope.position)))
            for envelope in found
            if envelope.type in _INSTRUCTING
            for event in (envelope.event(),)
            for instruction in instructions_of(event, ended_on_before(transaction, event))
        ]
        return Batch(records, found[-1].position if found else position)

    def _record(self, instruction: Instruction, place: Headers) -> Outgoing:
        cloud_event = {
            "specversion": "1.0",
            "id": instruction.instruction_id,
            "source": "/makegood",
            "type": f"makegood.{instruction.kind}.v1",
            "subject": instruction.account,
            "time": instant_to_text(instruction.issued_at),
            "datacontenttype": "application/json",
            "data": instruction.data,
        }
        headers = (("content-type", b"application/cloudevents+json"), *place)
        return Outgoing(self.topic, instruction.account.encode(), to_json(cloud_event), headers, partition=self.shard)


_INSTRUCTING = frozenset(event.stored_as for event in INSTRUCTING)


class DeadLetterLane(TopicLane):
    """A shard's refused messages, without their bodies: these may hold personal data and stay in the vault."""

    def reader(self, identity: TopicIdentity) -> str:
        return numbered(f"relay/{identity}", self.shard, between="/")

    @property
    def carried(self) -> Carried:
        return dead_letters_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch[Outgoing]:
        found = kept_messages(transaction, "dead-letter", {}, page=Page(limit, (position,)))
        store, generations = self._places(transaction)
        records = []
        for refused in found:
            letter = {
                "dead_letter_id": refused.kept_id,
                "id": refused.message_id,
                "reason": refused.reason,
                "field": refused.field,
                "origin": refused.origin,
                "source": refused.source,
                "account": refused.account,
                "refused_at": instant_to_text(refused.kept_at),
            }
            key = refused.account.encode() if refused.account is not None else None
            at = Position(self.shard, refused.position)
            headers = (
                ("content-type", b"application/json"),
                *place_headers(store, at, generations.of(refused.position)),
            )
            records.append(Outgoing(self.topic, key, to_json(letter), headers))
        return Batch(records, found[-1].position if found else position)


class Relay(Carrier[TopicLane, Outgoing]):
    """The part that publishes. What was sent and not confirmed is sent again."""

    name = "relay"

    def __init__(
        self,
        database: Database,
        cluster: RelayCluster,
        *,
        events: Topic = EVENTS,
        instructions: Topic = INSTRUCTIONS,
        dead_letters: Topic = DEAD_LETTERS,
        batch: int = BATCH_MAX,
        stands_by: float = STANDS_BY_SECONDS,
        watch_seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(database, batch=batch, stands_by=stands_by, watch_seconds=watch_seconds, monotonic=monotonic)
        self._cluster = cluster
        self._events, self._instructions, self._dead_letters = events, instructions, dead_letters
        self._sender: Sender | None = None

    def _lanes_of(self, shard: int) -> Sequence[TopicLane]:
        return (
            EventLane(self._events.name, shard),
            InstructionLane(self._instructions.name, shard),
            DeadLetterLane(self._dead_letters.name, shard),
        )

    def _readers(self, lanes: Sequence[TopicLane]) -> Mapping[TopicLane, str]:
        """By which topics these are now: one that was made anew is sent everything."""
        identities = {lane.topic: self._cluster.identity(lane.topic) for lane in lanes}
        return {lane: lane.reader(identities[lane.topic]) for lane in lanes}

    def _check(self, lane: TopicLane) -> None:
        check_topic(self._database, self._cluster, lane.carried)

    def _hand_over(self, records: Sequence[Outgoing]) -> None:
        if self._sender is None:
            self._sender = self._cluster.sender("relay")
        self._sender.send(records, time.monotonic() + CONFIRMED_WITHIN)

    def _let_go(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()


def reader_of_events(identity: TopicIdentity, shard: int) -> str:
    """Under what name the position up to which a shard's events were sent to a topic is stored."""
    return f"relay/{identity}/{shard}"


def relayed_to(database: Database, identity: TopicIdentity, shard: int) -> int:
    """The position up to which a shard's events are on a topic for certain."""
    with database.reading() as transaction:
        return reader_position(transaction, reader_of_events(identity, shard))
