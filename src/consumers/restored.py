"""What a restored ledger has lost: found on its topics, and in the rows of projections that are ahead of it.

The topic of the ledger's events has the stored bytes, so it tells all that was recorded, decided and sent. Without
it the audit trail tells which events there were, and other projections of which messages some of them came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

from consumers.ahead import (
    Ahead,
    Carried,
    RecordsAtEnd,
    ahead_of_ledger,
    dead_letters_carried,
    events_carried,
    has_record,
    instructions_carried,
)
from consumers.intake import read_record, stored_positions
from consumers.kafka.records import Extent, Partition, Record, TopicIdentity, TopicMissing
from consumers.places import Place, place_of
from consumers.projector import EventProbe, event_of, offset_after
from consumers.relay import DeadLetterLane, EventLane, InstructionLane, Lane
from consumers.topic_lag import TopicNames
from ledger.application.restoring import Restored
from ledger.application.statement import Refusal
from ledger.events import (
    CredentialsCollected,
    Decision,
    Fact,
    FoundAhead,
    LedgerEvent,
    NoticeDiscarded,
    NoticeResent,
    NoticeSent,
)
from ledger.events.event_ids import message_event_id
from ledger.store.database import Database, Transaction
from ledger.store.instants import from_microseconds
from ledger.store.positions import dead_letter_sequence, event_sequence
from ledger.store.reading.generations import generations_of, newest_generation
from ledger.store.reading.inbox import taken_of
from ledger.store.reading.kept_messages import refused_of
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.readers import reader_position
from ledger.store.reading.shards import sequence_end, shards_of
from ledger.store.reading.store import store_id
from ledger.values import BEGINNING, SYSTEM_ACCOUNT, instant_from_text
from projections.ahead import ProjectionAhead, is_event_of, projections_ahead
from projections.audit_trail import AUDIT_TRAIL, ROWS
from projections.catalog import CATALOG
from projections.first_message import MESSAGE
from projections.follower import positions_of
from projections.projection import Projection

Kind = Literal["message", "act", "dead letter", "e-mail", "instruction"]
"""What the history that is given up had, as far as somebody has to know: the rest follows from it."""
KINDS: tuple[Kind, ...] = get_args(Kind)
BY_PEOPLE = ("cli", "http")
"""The channels by which people act."""
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Lost:
    """One thing that the history had that is given up, and the ledger does not have.

    `id` is that of the message, of the dead letter, the e-mail or the instruction, as far as it is known. `returns`
    says whether intake reads it again.
    """

    kind: Kind
    id: str | None
    source: str | None
    type: str | None
    account: str | None
    time: datetime | None
    recorded_at: datetime | None
    channel: str | None
    actor: str | None
    event_id: str | None = None
    origin: str | None = None
    returns: bool = False


@dataclass(slots=True)
class GivenUp:
    """All that is known of a history that is to be given up."""

    generation: int
    """The number of the generation that is to begin."""
    projections: list[ProjectionAhead]
    topics: list[Ahead]
    keeps: dict[str, int] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    notices_sent: dict[str, QueuedNotice] = field(default_factory=dict)
    collected: dict[str, datetime] = field(default_factory=dict)

    def restored(self) -> Restored:
        """The same, as the ledger takes it."""
        ahead = [
            FoundAhead(
                kind="projection",
                name=each.projection.name,
                partition=None,
                shard=each.shard,
                position=each.position,
                generation=None,
            )
            for each in self.projections
        ] + [
            FoundAhead(
                kind="topic",
                name=each.topic,
                partition=each.partition,
                shard=each.place.shard,
                position=each.place.position,
                generation=each.place.generation,
            )
            for each in self.topics
        ]
        return Restored(
            self.generation, ahead, self.keeps, self.readers, list(self.notices_sent.values()), self.collected
        )

    def kept(self, transaction: Transaction) -> dict[str, int]:
        """By sequence, the last position that is the ledger's own history."""
        return {
            sequence: min(self.keeps.get(sequence, 2**62), sequence_end(transaction, sequence))
            for shard in shards_of(transaction)
            for sequence in (event_sequence(shard), dead_letter_sequence(shard))
        }

    def to_rebuild(self, transaction: Transaction) -> list[Projection]:
        """The projections that may have applied what is given up: each that stands beyond what is kept."""
        kept = self.kept(transaction)
        return [
            projection
            for projection, stands in positions_of(transaction, CATALOG).items()
            if any(position > kept[event_sequence(shard)] for shard, position in stands.items())
        ]


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

    def probe(self, partition: Partition) -> RestoredProbe:
        """A look at a partition."""


def carried_by(names: TopicNames) -> list[Carried]:
    """What the topics of the relay carry."""
    return [
        events_carried(names.events),
        instructions_carried(names.instructions),
        dead_letters_carried(names.dead_letters),
    ]


def find_given_up(
    database: Database,
    cluster: RestoredCluster | None,
    names: TopicNames | None = None,
    on_progress: Callable[[int], None] = lambda read: None,
) -> GivenUp | None:
    """What is ahead of the ledger, and what the ledger lacks of it; None where nothing is ahead.

    `on_progress` is told how many records were read. Raises BrokerUnavailable, and BrokerError for a missing topic.
    """
    names = names or TopicNames()
    topics = ahead_of_ledger(database, cluster, carried_by(names)) if cluster is not None else []
    with database.reading() as transaction:
        projections = projections_ahead(transaction)
        generation = max([newest_generation(transaction), *(each.place.generation for each in topics)]) + 1
    if not projections and not topics:
        return None
    found = GivenUp(generation, projections, topics)
    if cluster is not None:
        _Topics(database, cluster, names, found, on_progress).look()
    if projections:
        with database.reading() as transaction:
            _look_into_rows(transaction, found)
    with database.reading() as transaction:
        found.lost = _not_there(transaction, found.lost)
    return found


def _not_there(transaction: Transaction, lost: Sequence[Lost]) -> list[Lost]:
    """Without what came in again since, and in the order in which it was recorded."""
    ids = sorted({each.id for each in lost if each.id is not None})
    taken, refused = taken_of(transaction, ids), refused_of(transaction, ids)
    left = [each for each in lost if (each.source, each.id) not in taken and each.id not in refused]
    return sorted(left, key=lambda each: (KINDS.index(each.kind), each.recorded_at or each.time or BEGINNING))


# --- on the topics ------------------------------------------------------------------------------------------------


class _Topics:
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

    def look(self) -> None:
        with self._database.reading() as transaction:
            shards = shards_of(transaction)
        for shard in shards:
            with suppress(TopicMissing):
                self._events(EventLane(self._names.events, shard), shard)
            with suppress(TopicMissing):
                self._instructions(InstructionLane(self._names.instructions, shard), shard)
            with suppress(TopicMissing):
                self._dead_letters(DeadLetterLane(self._names.dead_letters, shard), shard)
        with suppress(TopicMissing):
            self._mark_what_returns()

    def _events(self, lane: Lane, shard: int) -> None:
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
                case CredentialsCollected():
                    self._found.collected[event.data.notice_id] = event.recorded_at
        if given_up:
            sequence = event_sequence(shard)
            first = min(place.position for place in given_up)
            self._found.keeps[sequence] = min(self._found.keeps.get(sequence, 2**62), first - 1)

    def _instructions(self, lane: Lane, shard: int) -> None:
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

    def _dead_letters(self, lane: Lane, shard: int) -> None:
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
        self, lane: Lane, shard: int, partition: Partition, kept: int | None = None
    ) -> Iterator[tuple[Place, Record]]:
        """The records of a partition that the ledger does not have, nor was told of before; or those beyond `kept`.

        What the relay's position covers was on the topic when the backup was made, and need not be read.
        """
        reader = lane.reader(self._cluster.identity(lane.topic))
        sequence = lane.carried.sequence(shard)
        self._found.readers[reader] = sequence
        with self._database.reading() as transaction:
            store = store_id(transaction).encode()
            generations = generations_of(transaction, sequence)
            relayed = min(reader_position(transaction, reader), sequence_end(transaction, sequence))
        with self._cluster.probe(partition) as probe:
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
                        if beyond or not has_record(transaction, lane.carried, generations, place, record):
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
            with self._cluster.probe(partition) as probe:
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


# --- in the rows --------------------------------------------------------------------------------------------------


def _look_into_rows(transaction: Transaction, found: GivenUp) -> None:
    """What the trail has that the ledger has not, but for what the topics told of already."""
    told = {lost.event_id for lost in found.lost}
    for shard in shards_of(transaction):
        rows = list(_trail_beyond(transaction, shard))
        if not rows:
            continue
        sequence = event_sequence(shard)
        first = min(row["position"] for row in rows)
        found.keeps[sequence] = min(found.keeps.get(sequence, 2**62), first - 1)
        known = _messages_of(transaction, sorted({row["account"] for row in rows}))
        for row in rows:
            lost = _lost_row(row, known)
            if lost is not None and lost.event_id not in told:
                found.lost.append(lost)


def _trail_beyond(transaction: Transaction, shard: int) -> Iterator[Mapping[str, Any]]:
    """The trail's rows of events that the ledger does not have, back to the last one that it has."""
    last = 2**62
    while page := [
        ROWS.row(values)
        for values in transaction.rows(
            f"SELECT {', '.join(ROWS.columns)} FROM {AUDIT_TRAIL.stored_name(ROWS)} "
            "WHERE shard = ? AND position < ? ORDER BY position DESC LIMIT ?",
            (shard, last, PAGE),
        )
    ]:
        for row in page:
            if is_event_of(transaction, row):
                return
            yield row
        last = page[-1]["position"]


def _messages_of(transaction: Transaction, accounts: Sequence[str]) -> dict[str, tuple[str, str, datetime]]:
    """The messages that rows of accounts name, by the ids of the events that they became: source, id and time."""
    found = {}
    for projection in CATALOG:
        for table in projection.tables:
            if not MESSAGE.keys() <= table.columns.keys():
                continue
            for source, id_, time in transaction.rows_in(
                f"SELECT message_source, message_id, message_time FROM {projection.stored_name(table)} "
                "WHERE account IN (?*)",
                accounts,
            ):
                if source is not None:
                    found[message_event_id(source, id_)] = (source, id_, from_microseconds(time))
    return found


_OF_NOTICES = frozenset(event.stored_as for event in (NoticeResent, NoticeDiscarded))


def _lost_row(row: Mapping[str, Any], known: Mapping[str, tuple[str, str, datetime]]) -> Lost | None:
    source, id_, time = known.get(row["event_id"], (None, None, from_microseconds(row["occurred_at"])))
    kind: Kind
    if row["kind"] == "fact":
        kind = "message"
    elif row["type"] == NoticeSent.stored_as:
        kind = "e-mail"
    elif row["channel"] in BY_PEOPLE and (row["account"] == SYSTEM_ACCOUNT or row["type"] in _OF_NOTICES):
        kind = "act"
    else:
        return None
    recorded_at = from_microseconds(row["recorded_at"])
    return Lost(
        kind,
        id_,
        source,
        row["type"],
        row["account"],
        time,
        recorded_at,
        row["channel"],
        row["actor"],
        row["event_id"],
    )
