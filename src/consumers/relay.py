"""Relay: what the ledger recorded, and what follows from it for others to do, onto Kafka, in order (contract §1a).

A lane follows one sequence of the store onto one topic. Its position moves only after the broker has confirmed what
was sent, so that a crash sends again and never leaves out; readers skip what they have seen (design rule 7).
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from pydantic_core import to_json

from consumers.ahead import (
    Carried,
    RecordsAtEnd,
    check_topic,
    dead_letters_carried,
    events_carried,
    instructions_carried,
)
from consumers.kafka.records import BrokerUnavailable, Headers, Outgoing, Sender, TopicIdentity
from consumers.kafka.topics import DEAD_LETTERS, EVENTS, INSTRUCTIONS, Topic
from consumers.part import BackOff
from consumers.places import place_headers
from ledger.instructions import INSTRUCTING, Instruction, instructions_of
from ledger.store.database import Conflict, Database, Transaction, Unavailable
from ledger.store.positions import Position, numbered
from ledger.store.reading.events import ended_on_before, read_shard
from ledger.store.reading.generations import Generations, generations_of
from ledger.store.reading.kept_messages import kept_messages
from ledger.store.reading.page import Page
from ledger.store.reading.readers import reader_position, reader_stands
from ledger.store.reading.shards import shards_of
from ledger.store.reading.store import store_id
from ledger.store.writing import ReaderFenced, ReaderMove, move_reader, take_over_reader
from ledger.values import instant_to_text

BATCH_MAX = 1_000
"""So many records are under way at most."""
CONFIRMED_WITHIN = 5.0
"""Seconds in which the broker must confirm a batch, else it is sent again."""
IDLE_FIRST, IDLE_MOST = 0.05, 0.5
STANDS_BY_SECONDS = 10.0
"""How long another relay may leave a lane unmoved, with something to send, before this one takes it over."""

log = structlog.get_logger("makegood.relay")


class RelayCluster(RecordsAtEnd, Protocol):
    """What the relay needs of a Kafka cluster."""

    def sender(self, purpose: str) -> Sender:
        """A new sender."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be sent next, and the position that it ends at."""

    records: list[Outgoing]
    last: int
    """The same as before where nothing comes after; further on also where nothing of it is to be sent."""


class Lane(ABC):
    """One sequence of a shard that is sent to one topic."""

    def __init__(self, topic: str, shard: int) -> None:
        self.topic = topic
        self._shard = shard

    @abstractmethod
    def reader(self, identity: TopicIdentity) -> str:
        """Under what name its position is stored; a topic that was made anew is another, and starts empty."""

    @abstractmethod
    def after(self, transaction: Transaction, position: int, limit: int) -> Batch:
        """What comes after a position."""

    @property
    @abstractmethod
    def carried(self) -> Carried:
        """What its topic carries."""

    def _places(self, transaction: Transaction) -> tuple[bytes, Generations]:
        """What the headers of its records say besides a position: of which store it is, and the generations."""
        generations = generations_of(transaction, self.carried.sequence(self._shard))
        return store_id(transaction).encode(), generations


class FollowingLane(Lane):
    """What comes out of one shard's events, in their order."""

    def reader(self, identity: TopicIdentity) -> str:
        return reader_of_events(identity, self._shard)


class EventLane(FollowingLane):
    """The events of one shard: the stored bytes as they are, partition = shard, key = account."""

    @property
    def carried(self) -> Carried:
        return events_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch:
        found = read_shard(transaction, self._shard, position, limit)
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
                partition=self._shard,
            )
            for e in found
        ]
        return Batch(records, found[-1].position if found else position)


class InstructionLane(FollowingLane):
    """What billing and provisioning must carry out, out of the events of one shard: a CloudEvent for each."""

    @property
    def carried(self) -> Carried:
        return instructions_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch:
        found = read_shard(transaction, self._shard, position, limit)
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
        return Outgoing(self.topic, instruction.account.encode(), to_json(cloud_event), headers)


_INSTRUCTING = frozenset(event.stored_as for event in INSTRUCTING)


class DeadLetterLane(Lane):
    """A shard's refused messages, without their bodies: these may hold personal data and stay in the vault."""

    def reader(self, identity: TopicIdentity) -> str:
        return numbered(f"relay/{identity}", self._shard, between="/")

    @property
    def carried(self) -> Carried:
        return dead_letters_carried(self.topic)

    def after(self, transaction: Transaction, position: int, limit: int) -> Batch:
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
            at = Position(self._shard, refused.position)
            headers = (
                ("content-type", b"application/json"),
                *place_headers(store, at, generations.of(refused.position)),
            )
            records.append(Outgoing(self.topic, key, to_json(letter), headers))
        return Batch(records, found[-1].position if found else position)


@dataclass(slots=True)
class _Standing:
    """What a relay knows of a lane: the epoch it holds it under, or since when another holds it."""

    lane: Lane
    reader: str
    position: int = 0
    epoch: int | None = None
    seen: tuple[int, int] = (-1, -1)
    unmoved_since: float = 0.0


class Relay:
    """The part that publishes. Of several relays one works on a lane and the others stand by."""

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
        self._database = database
        self._cluster = cluster
        self._events, self._instructions, self._dead_letters = events, instructions, dead_letters
        self._lanes: list[Lane] = []
        self._batch = batch
        self._stands_by = stands_by
        self._watch_seconds = watch_seconds
        self._monotonic = monotonic
        self._woken = threading.Event()
        self._standings: list[_Standing] = []
        self._identified_at = 0.0
        self._sender: Sender | None = None

    def wake(self) -> None:
        """There is something to send: do not wait until it is noticed."""
        self._woken.set()

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        idle = IDLE_FIRST
        working = False
        try:
            while not stop.is_set():
                try:
                    went_on = self.step()
                except (Unavailable, BrokerUnavailable, Conflict) as error:
                    wait = back_off.next()
                    log.warning("relay_waits", reason=str(error), seconds=round(wait, 3), failures=back_off.failures)
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
            self.forget()

    def step(self) -> int:
        """Carry at most a batch of every lane; how many positions that one went on that went furthest."""
        self._identify()
        if self._sender is None:
            self._sender = self._cluster.sender("relay")
        return max(self._carry(standing, self._sender) for standing in self._standings)

    def forget(self) -> None:
        """Let go of the broker; positions and epochs are found in the store again."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
        self._identified_at = 0.0

    def _identify(self) -> None:
        """Which topics these are: one that was made anew is sent everything."""
        now = self._monotonic()
        if self._identified_at and now < self._identified_at + self._watch_seconds:
            return
        if not self._lanes:
            with self._database.reading() as transaction:
                shards = shards_of(transaction)
            self._lanes = [
                *(EventLane(self._events.name, shard) for shard in shards),
                *(InstructionLane(self._instructions.name, shard) for shard in shards),
                *(DeadLetterLane(self._dead_letters.name, shard) for shard in shards),
            ]
        identities = {lane.topic: self._cluster.identity(lane.topic) for lane in self._lanes}
        known = {standing.reader: standing for standing in self._standings}
        standings = []
        for lane in self._lanes:
            reader = lane.reader(identities[lane.topic])
            standing = known.get(reader)
            if standing is None:
                standing = _Standing(lane, reader)
                self._take_over(standing)
            standings.append(standing)
        self._standings = standings
        self._identified_at = now or 1e-9

    def _take_over(self, standing: _Standing) -> None:
        check_topic(self._database, self._cluster, standing.lane.carried)
        with self._database.writing() as transaction:
            taken = take_over_reader(transaction, standing.reader)
        standing.position, standing.epoch = taken  # not before it is committed
        log.info(
            "lane_taken_over",
            topic=standing.lane.topic,
            reader=standing.reader,
            position=standing.position,
            epoch=standing.epoch,
        )

    def _carry(self, standing: _Standing, sender: Sender) -> int:
        lane = standing.lane
        began = self._monotonic()
        with self._database.reading() as transaction:
            position, epoch = reader_stands(transaction, standing.reader) or (0, 0)
            if epoch != standing.epoch:
                behind = lane.after(transaction, position, 1).last > position
                batch = Batch([], position)
            else:
                behind = False
                batch = lane.after(transaction, position, self._batch)
        if standing.epoch is not None and epoch < standing.epoch:
            # Epochs only grow: the store was restored while the relay ran.
            check_topic(self._database, self._cluster, lane.carried)
        if epoch != standing.epoch:
            self._stand_by(standing, (position, epoch), behind)
            return 0
        if position != standing.position:
            # Not as this relay left it: a commit whose answer was lost, or the store was restored while it ran.
            check_topic(self._database, self._cluster, lane.carried)
            standing.position = position
        if batch.last == position:
            return 0
        if batch.records:
            sender.send(batch.records, CONFIRMED_WITHIN)
        try:
            with self._database.writing() as transaction:
                move_reader(transaction, ReaderMove(standing.reader, epoch, position, batch.last))
        except ReaderFenced:
            return 0  # another relay has it, and sends the same: nobody takes harm
        standing.position = batch.last
        if batch.records:
            log.info(
                "records_sent",
                topic=lane.topic,
                first=position + 1,
                last=batch.last,
                records=len(batch.records),
                seconds=round(self._monotonic() - began, 4),
            )
        return batch.last - position

    def _stand_by(self, standing: _Standing, seen: tuple[int, int], behind: bool) -> None:
        """Another relay has the lane: leave it to that one as long as it moves or has nothing to do."""
        now = self._monotonic()
        if standing.epoch is not None:
            standing.epoch = None
            log.warning("lane_taken_by_another", topic=standing.lane.topic, reader=standing.reader)
        if seen != standing.seen or not behind:
            standing.seen, standing.unmoved_since = seen, now
        elif now - standing.unmoved_since >= self._stands_by:
            self._take_over(standing)


def reader_of_events(identity: TopicIdentity, shard: int) -> str:
    """Under what name the position up to which a shard's events were sent to a topic is stored."""
    return f"relay/{identity}/{shard}"


def relayed_to(database: Database, identity: TopicIdentity, shard: int) -> int:
    """The position up to which a shard's events are on a topic for certain."""
    with database.reading() as transaction:
        return reader_position(transaction, reader_of_events(identity, shard))
