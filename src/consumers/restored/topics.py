"""What the topics have that a restored ledger has not: they have the stored bytes, so they tell all there was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from consumers.ahead import Carried, has_record
from consumers.intake import read_record
from consumers.kafka.records import Extent, Partition, Record, RecordsAtEnd, TopicIdentity, TopicMissing
from consumers.payouts.asking import reader_of
from consumers.payouts.requests import TYPE, request_in, requests_carried
from consumers.places import Place, place_of
from consumers.projector import EventProbe, event_of, offset_after
from consumers.relay import DeadLetterLane, EventLane, InstructionLane, TopicLane
from consumers.restored.given_up import PAGE, GivenUp, Lost
from consumers.taking import stored_positions
from consumers.topic_lag import TopicNames
from ledger.application.statement import Refusal
from ledger.events import BY_PEOPLE, CredentialsCollected, Decision, Fact, LedgerEvent, NoticeSent, RefundSubmitted
from ledger.refund_requests import request_of
from ledger.store.database import Database
from ledger.store.positions import event_sequence
from ledger.store.reading.generations import generations_of
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.readers import reader_position
from ledger.store.reading.shards import sequence_end, shards_of
from ledger.store.reading.store import store_id
from ledger.values import instant_from_text


class RestoredProbe(EventProbe, Protocol):
    """Looks at a partition."""

    def __enter__(self) -> RestoredProbe:
        """Begin."""

    def records(self, first: int, end: int) -> Iterator[Record]:
        """The records from an offset on and before another."""


class RestoredCluster(RecordsAtEnd, Protocol):
    """What has to be asked of a cluster."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""

    def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions."""

    def extents(self, topic: str) -> dict[int, Extent]:
        """What there is of each partition of a topic."""

    def probe(self, partition: Partition, *, many: bool = False) -> RestoredProbe:
        """A look at a partition, or at many of its records."""


class TopicsBeyond:
    """Reads what the topics have that the ledger has not."""

    def __init__(
        self,
        database: Database,
        cluster: RestoredCluster,
        names: TopicNames,
        found: GivenUp,
        on_progress: Callable[[int], None],
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._names = names
        self._found = found
        self._on_progress = on_progress
        self._read = 0
        self._submitted: dict[tuple[str, str, int], Lost] = {}
        """The refunds that were submitted in what a shard gives up, as far as they are not known to be requested."""

    def look(self) -> None:
        """Add all that is found to what is known. Raises BrokerError."""
        with self._database.reading() as transaction:
            shards = shards_of(transaction)
        for shard in shards:
            with suppress(TopicMissing):
                self._events(EventLane(self._names.events, shard), shard)
            with suppress(TopicMissing):
                self._refund_requests(self._names.refund_requests, shard)
            self._found.lost += self._submitted.values()
            self._submitted.clear()
            with suppress(TopicMissing):
                self._instructions(InstructionLane(self._names.instructions, shard), shard)
            with suppress(TopicMissing):
                self._dead_letters(DeadLetterLane(self._names.dead_letters, shard), shard)
        with suppress(TopicMissing):
            self._mark_what_returns()

    def _events(self, lane: TopicLane, shard: int) -> None:
        given_up: dict[Place, LedgerEvent] = {}
        for place, record in self._beyond(lane, shard, Partition(lane.topic, shard)):
            published = event_of(record)
            if published is not None:
                given_up[place] = published.event()
        for event in given_up.values():
            if (lost := _lost(event)) is not None:
                self._found.lost.append(lost)
            match event:
                case NoticeSent():
                    self._found.notices_sent[event.data.notice_id] = _sent(event)
                case RefundSubmitted():
                    request = request_of(event)
                    self._submitted[request.key] = _requested(event.account, request.refund_id, event.event_id)
                case CredentialsCollected():
                    self._found.collected[event.data.notice_id] = event.recorded_at
        if given_up:
            sequence = event_sequence(shard)
            first = min(place.position for place in given_up)
            self._found.keeps[sequence] = min(self._found.keeps.get(sequence, 2**62), first - 1)

    def _refund_requests(self, topic: str, shard: int) -> None:
        """Requests that went out and that the ledger knows nothing of: there is money behind each."""
        first: list[int] = []
        given_up: dict[tuple[str, str, int], Lost] = {}
        carried = requests_carried(topic)
        for number in self._cluster.partitions(topic):
            for place, record in self._not_there(carried, reader_of(shard), shard, Partition(topic, number)):
                first.append(place.position)
                request = request_in(record)
                if request is not None:
                    key = request.account_id, request.refund_id, request.attempt
                    submitted = self._submitted.pop(key, given_up.get(key))
                    event_id = submitted.event_id if submitted is not None else None
                    lost = _requested(request.account_id, request.refund_id, event_id)
                    given_up[key] = replace(lost, request=request, time=_instant(_document(record), "time"))
        self._found.lost += given_up.values()
        if first:
            sequence = event_sequence(shard)
            self._found.keeps[sequence] = min(self._found.keeps.get(sequence, 2**62), min(first) - 1)

    def _instructions(self, lane: TopicLane, shard: int) -> None:
        given_up: dict[str, Lost] = {}
        kept = self._found.keeps.get(event_sequence(shard), 2**62)
        for number in self._cluster.partitions(lane.topic):
            for _, record in self._beyond(lane, shard, Partition(lane.topic, number), kept):
                said = _document(record)
                given_up[str(said.get("id"))] = Lost(
                    kind="instruction",
                    id=_text(said, "id"),
                    source=_text(said, "source"),
                    type=_text(said, "type"),
                    account=_text(said, "subject"),
                    time=_instant(said, "time"),
                    recorded_at=None,
                    channel=None,
                    actor=None,
                )
        self._found.lost += given_up.values()

    def _dead_letters(self, lane: TopicLane, shard: int) -> None:
        given_up: dict[str, Lost] = {}
        first: list[int] = []
        for number in self._cluster.partitions(lane.topic):
            for place, record in self._beyond(lane, shard, Partition(lane.topic, number)):
                said = _document(record)
                first.append(place.position)
                given_up[str(said.get("dead_letter_id"))] = Lost(
                    kind="dead letter",
                    id=_text(said, "dead_letter_id"),
                    source=_text(said, "source"),
                    type=None,
                    account=_text(said, "account"),
                    time=None,
                    recorded_at=_instant(said, "refused_at"),
                    channel=None,
                    actor=None,
                    origin=_text(said, "origin"),
                )
        self._found.lost += given_up.values()
        if first:
            self._found.keeps[lane.carried.sequence(shard)] = min(first) - 1

    def _beyond(
        self, lane: TopicLane, shard: int, partition: Partition, kept: int | None = None
    ) -> Iterator[tuple[Place, Record]]:
        """The records of a partition that the ledger does not have, nor was told of before; or those beyond `kept`.

        What the relay's position covers was on the topic when the backup was made, and need not be read.
        """
        reader = lane.reader(self._cluster.identity(lane.topic))
        self._found.readers[reader] = lane.carried.sequence(shard)
        yield from self._not_there(lane.carried, reader, shard, partition, kept)

    def _not_there(
        self, carried: Carried, reader: str, shard: int, partition: Partition, kept: int | None = None
    ) -> Iterator[tuple[Place, Record]]:
        """The same, of what a topic carries whose position is stored under a name."""
        sequence = carried.sequence(shard)
        with self._database.reading() as transaction:
            store = store_id(transaction).encode()
            generations = generations_of(transaction, sequence)
            relayed = min(reader_position(transaction, reader), sequence_end(transaction, sequence))
        with self._cluster.probe(partition, many=True) as probe:
            first = offset_after(probe, relayed, store, generations)
            pages = _pages(probe.records(first, probe.bounds()[1]))
            for page in pages:
                self._tell(len(page))
                with self._database.reading() as transaction:
                    for record in page:
                        place = place_of(record, store)
                        if place is None or place.shard != shard:
                            continue
                        if generations.gave_up(place.generation, place.position):
                            continue
                        beyond = kept is not None and place.position > kept
                        if beyond or not has_record(transaction, carried, generations, place, record):
                            yield place, record

    def _mark_what_returns(self) -> None:
        """Find out which messages lie where intake will read them again."""
        identity = self._cluster.identity(self._names.upstream)
        stored = stored_positions(self._database, identity)
        messages: set[tuple[str, str]] = set()
        origins: set[str] = set()
        for number, extent in self._cluster.extents(self._names.upstream).items():
            first = max(extent.first, stored.get(number, extent.first))
            partition = Partition(self._names.upstream, number)
            with self._cluster.probe(partition, many=True) as probe:
                for page in _pages(probe.records(first, extent.decided)):
                    self._tell(len(page))
                    for record in page:
                        item = read_record(identity, record)
                        origins.add(item.origin)
                        if not isinstance(item, Refusal):
                            messages.add((item.message.source, item.message.id))
        self._found.lost = [
            replace(lost, returns=(lost.source, lost.id) in messages or lost.origin in origins)
            for lost in self._found.lost
        ]

    def _tell(self, read: int) -> None:
        self._read += read
        self._on_progress(self._read)


def _pages(records: Iterable[Record]) -> Iterator[list[Record]]:
    page: list[Record] = []
    for record in records:
        page.append(record)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _requested(account: str, refund_id: str, event_id: str | None) -> Lost:
    return Lost(
        kind="refund request",
        id=refund_id,
        source=None,
        type=TYPE,
        account=account,
        time=None,
        recorded_at=None,
        channel=None,
        actor=None,
        event_id=event_id,
    )


def _lost(event: LedgerEvent) -> Lost | None:
    """What an event was, as far as it does not follow from others."""
    known: Mapping[str, Any] = {
        "type": event.type,
        "account": event.account,
        "recorded_at": event.recorded_at,
        "channel": event.channel,
        "actor": event.actor,
        "event_id": event.event_id,
    }
    match event:
        case Fact():
            message = event.data.message
            return Lost("message", message.id, message.source, time=message.time, **known)
        case NoticeSent():
            return Lost("e-mail", event.data.notice_id, None, time=event.recorded_at, **known)
        case Decision() if event.channel in BY_PEOPLE and event.causation_id is None:
            return Lost("act", None, None, time=event.occurred_at, **known)
    return None


def _sent(event: NoticeSent) -> QueuedNotice:
    data = event.data
    return QueuedNotice(
        notice_id=data.notice_id,
        account=event.account,
        kind=data.kind,
        event_id=data.about,
        position=0,
        queued_at=event.recorded_at,
        status="sent",
        attempts=1,
        repeat=data.repeat,
    )


def _document(record: Record) -> Mapping[str, Any]:
    """What a record of ours says in JSON; nothing where somebody else wrote it."""
    try:
        found = json.loads(record.value or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _instant(said: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return instant_from_text(_text(said, name) or "")
    except ValueError:
        return None
