"""Intake: upstream's messages from Kafka into the ledger, a batch in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import structlog

from consumers.kafka.partitions import BeginAnew, KnownTopic, PartitionWork, RecordFails
from consumers.kafka.records import GroupMember, Partition, Record, TopicIdentity, TopicWatch
from consumers.kafka.topics import UPSTREAM, Topic
from consumers.part import BackOff, reason_of
from consumers.taking import Beside, Look, Read, Stretch, Taking, in_a_thread
from consumers.upstream import read_damaged, read_kafka
from ledger.application.ledger import Ledger
from ledger.application.shards import Shards
from ledger.application.statement import Refusal, Statement, Taken
from ledger.store.database import Unavailable
from ledger.store.writing import ReaderFenced

BATCH_MAX = 500
"""So many messages share a transaction: its commit then costs little, and little is done again if it fails."""
GROUP = "intake"
WATCH_SECONDS = 5.0
"""How often it is asked whether the topic is still the same one."""
LOOK_FIRST, LOOK_MOST = 1.0, 60.0
"""Seconds after which it is looked whether a shard that could not be reached answers again; longer each time that it
answers and cannot be written to all the same, because partitions are read again each time."""

log = structlog.get_logger("makegood.intake")


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

    Each shard takes its accounts' messages out of what was read, in a transaction of its own. A partition is read
    from where the last of them stands, and those that are further pass over what they have. Of several shards those
    that can be reached go on without the others; when one answers again, it is read again from where that one stands.
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
        others: Sequence[Ledger] = (),
        beside: Beside = in_a_thread,
    ) -> None:
        """`others` are the ledgers of the store's other shards, in their order, and `beside` looks which answer."""
        self._shards = Shards([ledger, *others])
        self._takings = [Taking(each) for each in self._shards]
        self._begun: set[Partition] = set()
        self._out_of_reach: set[int] = set()
        self._answers_at = 0.0
        self._look: Look | None = None
        self._beside = beside
        self._looking = BackOff(LOOK_FIRST, LOOK_MOST)
        self._cluster = cluster
        self._topic = topic
        self._batch = batch
        self._monotonic = monotonic
        self._recorded = recorded
        self._identity: TopicIdentity | None = None
        self._work: PartitionWork | None = None
        self._known: KnownTopic | None = None
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
        self._known = KnownTopic(self._cluster.watch(self._topic.name))
        self._look_at = 0.0
        self._work.join()

    @property
    def working(self) -> bool:
        """Whether the group has answered."""
        return self._work is not None and self._work.joined

    def step(self, timeout: float) -> int:
        """Take what is there, or what comes within `timeout` seconds; how many messages were worked off."""
        assert self._work is not None
        done = self._work.step(timeout)
        if self._out_of_reach and self._monotonic() >= self._answers_at:
            self._look_who_answers(self._work)
        if self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + WATCH_SECONDS
            self._notice(self._work)
        return done

    def close(self) -> None:
        """Leave the group; what is in memory is read again by whoever comes next."""
        work, self._work = self._work, None
        if work is not None:
            work.leave()

    def _notice(self, work: PartitionWork) -> None:
        """Begin anew where the topic is another than the one that the client knows.

        That it is read from its beginning already, because its partitions were lost meanwhile, does not help.
        """
        assert self._known is not None
        if (made_anew := self._known.was_made_anew()) is not None:
            was, now = made_anew
            log.warning("topic_made_anew", topic=now.topic, was=str(was), now=str(now))
            self._begun.clear()
            work.join_anew()

    # --- the worker of its partitions ----------------------------------------------------------------------------

    def begin(self, partition: Partition, *, damaged: bool = False) -> int:
        """Fence off whoever had the partition before; what is stored of it says where to begin.

        What Kafka has no more, or what is damaged there, is recorded as lost before it is passed over.
        """
        if not self._begun:
            self._identity = self._cluster.identity(partition.topic)
        identity = self._identity
        assert identity is not None
        self._of_each(lambda _, taking: self._take_over(taking, partition, identity))
        self._begun.add(partition)
        with self._cluster.probe(partition) as probe:
            first, end = probe.bounds()
            readable = probe.after_damage(self._lowest(partition)) if damaged else first
        self._of_each(lambda _, taking: self._begin_within(taking, partition, first, end, readable))
        return self._lowest(partition)

    def _take_over(self, taking: Taking, partition: Partition, identity: TopicIdentity) -> None:
        stands = taking.take_over(partition, identity)
        log.info(
            "partition_taken_up",
            partition=str(partition),
            reader=stands.reader,
            position=stands.position,
            epoch=stands.epoch,
        )

    def _begin_within(self, taking: Taking, partition: Partition, first: int, end: int, readable: int) -> None:
        """Have a shard begin at what there is of a partition, of which what is before `readable` cannot be read."""
        stands = taking.follows(partition)
        if stands is None:
            return
        if stands.next > end:
            log.warning("topic_ends_before", partition=str(partition), position=stands.next, end=end)
            stands.next = first  # the inbox knows what was taken before
        elif stands.next < readable:
            self._check_identity(partition)
            assert self._identity is not None
            cause: Literal["deleted", "damaged"] = "deleted" if stands.next < first else "damaged"
            lost = taking.lose(partition, self._identity, readable, cause)
            self._recorded()
            log.error("messages_lost", partition=str(partition), first=lost.first, last=lost.last, cause=cause)

    def _lowest(self, partition: Partition) -> int:
        """The first offset of which a shard has nothing that takes part."""
        return min(stands.next for taking in self._takings if (stands := taking.follows(partition)) is not None)

    # --- shards out of reach -------------------------------------------------------------------------------------

    def _of_each(self, do: Callable[[int, Taking], object]) -> None:
        """Do something with each shard that can be reached. Raises what it raises, and Unavailable where none can.

        One that was out of reach has missed what the others took: it takes part again where partitions are begun
        anew, and not before, though none of the others can be reached any more.
        """
        failed: dict[int, Unavailable] = {}
        reachable = [number for number in range(len(self._takings)) if number not in self._out_of_reach]
        for number in reachable:
            try:
                do(number, self._takings[number])
            except Unavailable as error:
                failed[number] = error
        if len(failed) == len(reachable):
            raise next(iter(failed.values()))
        for number, reason in failed.items():
            self._out_of_reach.add(number)
            self._answers_at = self._monotonic() + self._looking.next()
            log.error("shard_out_of_reach", shard=number, reason=str(reason))

    def _look_who_answers(self, work: PartitionWork) -> None:
        """Read partitions again from where a shard stands that answers again."""
        if self._look is None:
            self._look = Look({number: self._takings[number] for number in self._out_of_reach}, self._beside)
        if (answer := self._look.answered()) is None:
            return
        self._look = None
        self._answers_at = self._monotonic() + LOOK_FIRST
        if answer:
            log.info("shards_answer_again", shards=sorted(answer))
            self._out_of_reach -= answer
            work.join_anew()

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
        stretches = self._divided(records)
        taken = Taken()
        self._of_each(lambda number, taking: taken.add(taking.take(stretches[number])))
        if not self._out_of_reach:
            self._looking.reset()
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

    def _divided(self, records: Mapping[Partition, Sequence[Record]]) -> list[dict[Partition, Stretch]]:
        """What of some records is for each shard."""
        found: list[dict[Partition, Stretch]] = [{} for _ in self._takings]
        for partition, each in records.items():
            read: list[list[Read]] = [[] for _ in self._takings]
            for record in each:
                item = self._read(record)
                read[self._shards.number_for(item)].append(Read(record.offset, item))
            for number, of_shard in enumerate(read):
                found[number][partition] = Stretch(of_shard, each[-1].offset + 1)
        return found

    def give_up(self, partition: Partition, record: Record, cause: Exception) -> None:
        """Set a message aside and go past it, unless so many fail that it is we who are wrong."""
        self._check_identity(partition)
        item = self._read(record)
        if isinstance(item, Refusal):
            raise RecordFails(record, cause) from cause
        taking = self._takings[self._shards.number_for(item)]
        if (too_often := taking.failing_too_often(partition, record.offset)) is not None:
            raise RecordFails(
                record,
                cause,
                f"; {too_often}, so probably a failure of ours: see `makegood aside list`, fix the cause and restart",
            ) from cause
        try:
            taking.set_aside(partition, record.offset, item, reason_of(cause))
        except ReaderFenced as error:
            raise BeginAnew(str(error)) from error
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
        """Forget the epochs: nothing can be written for the partition any more."""
        self._begun.discard(partition)
        for taking in self._takings:
            taking.end(partition)


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
