"""Intake: upstream's messages from Kafka into the ledger, a batch in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import structlog

from consumers.kafka.partitions import BeginAnew, PartitionWork, RecordFails
from consumers.kafka.records import GroupMember, Partition, Record, TopicIdentity, TopicWatch
from consumers.kafka.topics import UPSTREAM, Topic
from consumers.part import reason_of
from consumers.upstream import read_damaged, read_kafka
from ledger.application.acts import By
from ledger.application.kept_messages import failing_too_often, set_aside
from ledger.application.ledger import Ledger
from ledger.application.lost_messages import pass_over
from ledger.application.record import take
from ledger.application.statement import Refusal, Statement
from ledger.events import LostRange
from ledger.store.database import Database
from ledger.store.reading.readers import readers_below
from ledger.store.writing import ReaderFenced, ReaderMove, take_over_reader

BATCH_MAX = 500
"""So many messages share a transaction: its commit then costs little, and little is done again if it fails."""
GROUP = "intake"
WATCH_SECONDS = 5.0
"""How often it is asked whether the topic is still the same one."""

log = structlog.get_logger("makegood.intake")


BY = By("/makegood/intake", "kafka")
"""Who says that messages were lost."""
UNREADABLE = "makegood cannot read this record, and nothing says why: report it, and send the message another way"


class UpstreamProbe(Protocol):
    """Looks at a partition."""

    def __enter__(self) -> UpstreamProbe:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def bounds(self) -> tuple[int, int]:
        """The first offset that is there, and the next one to be written."""

    def after_damage(self, offset: int) -> int:
        """The first offset from another on at which a record can be read."""


class UpstreamCluster(Protocol):
    """What intake needs of a Kafka cluster."""

    def member(self, purpose: str, topics: Sequence[Topic]) -> GroupMember:
        """A new member of a consumer group."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""

    def watch(self, topic: str) -> TopicWatch:
        """Asks for it again and again."""

    def probe(self, partition: Partition) -> UpstreamProbe:
        """A look at a partition."""


class Intake:
    """The part that takes upstream's messages.

    Where it stands in each partition is stored with the messages, in their transaction, by compare-and-set under an
    epoch taken at assignment: whoever lost the partition can write nothing, and nothing depends on Kafka's offsets.
    """

    name = "intake"

    def __init__(
        self,
        ledger: Ledger,
        cluster: UpstreamCluster,
        *,
        topic: Topic = UPSTREAM,
        batch: int = BATCH_MAX,
        monotonic: Callable[[], float] = time.monotonic,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._topic = topic
        self._batch = batch
        self._monotonic = monotonic
        self._recorded = recorded
        self._identity: TopicIdentity | None = None
        self._client_knows: TopicIdentity | None = None
        self._moves: dict[Partition, ReaderMove] = {}
        self._work: PartitionWork | None = None
        self._watch: TopicWatch | None = None
        self._look_at = 0.0

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        told = False
        self.open(stop.is_set)
        try:
            while not stop.is_set():
                self.step(0.5)
                if self.working and not told:
                    told = True
                    ready()
        finally:
            self.close()

    def open(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Join the group; nothing is waited for."""
        member = self._cluster.member(GROUP, [self._topic])
        self._work = PartitionWork(
            member, self, self._monotonic, batch=self._batch, stopping=stopping, together=self.work_together
        )
        self._watch = self._cluster.watch(self._topic.name)
        self._look_at = 0.0
        self._client_knows = None
        self._work.join()

    @property
    def working(self) -> bool:
        """Whether the group has answered."""
        return self._work is not None and self._work.joined

    def step(self, timeout: float) -> int:
        """Take what is there, or what comes within `timeout` seconds; how many messages were worked off."""
        assert self._work is not None
        assert self._watch is not None
        done = self._work.step(timeout)
        if self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + WATCH_SECONDS
            self._notice(self._watch.look(), self._work)
        return done

    def close(self) -> None:
        """Leave the group; what is in memory is read again by whoever comes next."""
        work, self._work = self._work, None
        if work is not None:
            work.leave()

    def _notice(self, now: TopicIdentity | None, work: PartitionWork) -> None:
        """Begin anew where the topic is another than the one that the client knows.

        That it is read from its beginning already, because its partitions were lost meanwhile, does not help.
        """
        if now is not None and self._client_knows is not None and now != self._client_knows:
            log.warning("topic_made_anew", topic=now.topic, was=str(self._client_knows), now=str(now))
            self._identity, self._client_knows = now, None
            self._moves.clear()
            work.join_anew()

    # --- the worker of its partitions ----------------------------------------------------------------------------

    def begin(self, partition: Partition, *, damaged: bool = False) -> int:
        """Fence off whoever had the partition before; what is stored of it says where to begin.

        What Kafka has no more, or what is damaged there, is recorded as lost before it is passed over.
        """
        if not self._moves:
            self._identity = self._cluster.identity(partition.topic)
            self._client_knows = self._client_knows or self._identity
        assert self._identity is not None
        reader = reader_name(self._identity, partition.number)
        with self._ledger.database.writing() as transaction:
            position, epoch = take_over_reader(transaction, reader)
        self._moves[partition] = ReaderMove(reader, epoch, position, position)
        log.info("partition_taken_up", partition=str(partition), reader=reader, position=position, epoch=epoch)
        with self._cluster.probe(partition) as probe:
            first, end = probe.bounds()
            if position > end:
                log.warning("topic_ends_before", partition=str(partition), position=position, end=end)
                return first  # the inbox knows what was taken before
            if position < first:
                self._lose(partition, first, "deleted")
            elif damaged:
                self._lose(partition, probe.after_damage(position), "damaged")
        return self._moves[partition].to

    def _lose(self, partition: Partition, to: int, cause: Literal["deleted", "damaged"]) -> None:
        """Record that everything up to an offset is lost, and move the reader there."""
        assert self._identity is not None
        stands = self._moves[partition]
        if to == stands.to:
            return
        self._check_identity(partition)
        identity = self._identity
        lost = LostRange(
            cluster=identity.cluster,
            topic=identity.topic,
            topic_id=identity.topic_id,
            partition=partition.number,
            first=stands.to,
            last=to - 1,
            cause=cause,
        )
        pass_over(self._ledger, lost, ReaderMove(stands.reader, stands.epoch, stands.to, to), BY)
        self._moves[partition] = ReaderMove(stands.reader, stands.epoch, to, to)
        self._recorded()
        log.error("messages_lost", partition=str(partition), first=lost.first, last=lost.last, cause=cause)

    def _check_identity(self, partition: Partition) -> None:
        """What was read since the topic was known is of that topic if it is the same one still: ids never come again.

        Raises BeginAnew where it is not, or may not have been: a place in it is another place then.
        """
        if self._cluster.identity(partition.topic) != self._identity:
            raise BeginAnew(f"topic {partition.topic} was made anew")

    def work(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take messages and move the reader past them, in one transaction."""
        try:
            self.work_together({partition: records})
        except ReaderFenced as error:
            raise BeginAnew(str(error)) from error

    def work_together(self, records: Mapping[Partition, Sequence[Record]]) -> None:
        """Take messages of several partitions and move their readers past them, in one transaction.

        Raises ReaderFenced where another took one of them over, and what `work` raises.
        """
        began = self._monotonic()
        self._check_identity(next(iter(records)))
        moves = {
            partition: replace(self._moves[partition], position=self._moves[partition].to, to=each[-1].offset + 1)
            for partition, each in records.items()
        }
        items = [self._read(record) for each in records.values() for record in each]
        taken = take(self._ledger, items, *moves.values())
        for partition, move in moves.items():
            self._moves[partition] = replace(move, position=move.to)
        self._recorded()
        log.info(
            "messages_taken",
            partitions=[str(partition) for partition in records],
            first=[each[0].offset for each in records.values()],
            last=[each[-1].offset for each in records.values()],
            read=taken.read,
            accepted=taken.accepted,
            duplicates=taken.duplicates,
            refused=len(taken.refused),
            seconds=round(self._monotonic() - began, 4),
        )

    def give_up(self, partition: Partition, record: Record, cause: Exception) -> None:
        """Set a message aside and go past it, unless so many fail that it is we who are wrong."""
        self._check_identity(partition)
        stands = self._moves[partition]
        item = self._read(record)
        if isinstance(item, Refusal):
            raise RecordFails(record, cause) from cause
        with self._ledger.database.reading() as transaction:
            too_often = failing_too_often(transaction, stands.reader, record.offset)
        if too_often is not None:
            raise RecordFails(
                record,
                cause,
                f"; {too_often}, so probably a failure of ours: see `makegood aside list`, fix the cause and restart",
            ) from cause
        to = record.offset + 1
        try:
            set_aside(self._ledger, item, reason_of(cause), ReaderMove(stands.reader, stands.epoch, stands.to, to))
        except ReaderFenced as error:
            raise BeginAnew(str(error)) from error
        self._moves[partition] = ReaderMove(stands.reader, stands.epoch, to, to)
        log.error(
            "message_set_aside",
            origin=item.origin,
            account=item.account,
            reason=reason_of(cause),
            exc_type=type(cause).__name__,
        )

    def _read(self, record: Record) -> Statement | Refusal:
        assert self._identity is not None
        return read_record(self._identity, record)

    def end(self, partition: Partition) -> None:
        """Forget the epoch: nothing can be written for the partition any more."""
        self._moves.pop(partition, None)


def read_record(identity: TopicIdentity, record: Record) -> Statement | Refusal:
    """Read a record of upstream's topic. Nothing is raised: what cannot be read is refused."""
    partition = record.partition
    topic = f"{partition.topic}@{identity.topic_id}"
    origin = f"kafka:{identity.cluster}/{topic}/{partition.number}/{record.offset}"
    if record.damage is not None:
        return read_damaged(record.key, record.value, record.damage, origin=origin)
    try:
        return read_kafka(record.headers, record.key, record.value, origin=origin)
    except Exception as error:  # no record stops a consumer
        log.error("record_unreadable", origin=origin, exc_type=type(error).__name__)  # noqa: TRY400
        return Refusal(origin, UNREADABLE, None, record.value or b"", channel="kafka")


def reader_name(identity: TopicIdentity, partition: int) -> str:
    """Under what name the position in an upstream partition is stored."""
    return f"intake/{identity}/{partition}"


def stored_positions(database: Database, identity: TopicIdentity) -> dict[int, int]:
    """How far intake has come in each partition of a topic: the offset of the next message it will take."""
    prefix = f"intake/{identity}/"
    with database.reading() as transaction:
        found = readers_below(transaction, prefix)
    return {int(partition): position for partition, position in found.items()}
