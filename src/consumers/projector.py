"""Projector: keeps the projections up to date, from Kafka or from the store itself, with the same result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import structlog

from consumers.ahead import LOOKED_AT, ahead_among, check_none_ahead, events_carried
from consumers.kafka.partitions import KnownTopic, PartitionWork, RecordFails
from consumers.kafka.records import (
    BrokerUnavailable,
    GroupMember,
    Partition,
    Record,
    RecordsAtEnd,
    TopicIdentity,
    TopicWatch,
)
from consumers.kafka.topics import EVENTS, Topic
from consumers.part import BackOff, reason_of
from consumers.places import is_number, is_of, place_in, place_of
from ledger.audit import leaf_hash
from ledger.events import LedgerEvent, from_stored
from ledger.store.database import Conflict, Unavailable
from ledger.store.positions import FIRST_SHARD, event_sequence
from ledger.store.reading.generations import FIRST, AheadOfLedger, Generations, generations_of
from ledger.store.reading.shards import shard_ends
from projections.follower import Follower

BATCH_MAX = 2_000
GROUP = "projector"
IDLE_FIRST, IDLE_MOST = 0.05, 0.5
LOOK_SECONDS = 5.0
"""How long the topic may be silent before the store is asked whether that is all there is."""

log = structlog.get_logger("makegood.projector")


class Source(Protocol):
    """Where events come from. Whatever it hands over, positions in a follower's database decide what is new."""

    def open(self, followers: Sequence[Follower], stopping: Callable[[], bool]) -> None:
        """Begin, for the follower of each shard; nothing is waited for."""

    def feed(self, timeout: float) -> int:
        """Hand over what is there, waiting a while if there is nothing; how many events came."""

    @property
    def working(self) -> bool:
        """Whether it gets events, or would if there were any."""

    def close(self) -> None:
        """End."""


class StoreSource:
    """The store itself, looked at again and again: for a Makegood without Kafka."""

    def __init__(self) -> None:
        self._followers: Sequence[Follower] = ()
        self._woken = threading.Event()
        self._idle = IDLE_FIRST
        self.working = False

    def wake(self) -> None:
        """There is something new: do not wait until it is noticed."""
        self._woken.set()

    def open(self, followers: Sequence[Follower], stopping: Callable[[], bool]) -> None:
        self._followers = followers

    def feed(self, timeout: float) -> int:
        self._woken.clear()
        applied = _caught_up(self._followers)
        self.working = True
        if applied:
            self._idle = IDLE_FIRST
            return applied
        if self._woken.wait(min(timeout, self._idle)):
            self._idle = IDLE_FIRST
        else:
            self._idle = min(IDLE_MOST, self._idle * 1.5)
        return 0

    def close(self) -> None:
        self._followers = ()


def _caught_up(followers: Sequence[Follower]) -> int:
    """Have each follow the store to where it ends; how many events were new. Of several shards those that can be
    reached do not wait for the others. Raises Unavailable where none can."""
    applied, failed = 0, []
    for follower in followers:
        try:
            applied += follower.catch_up()
        except Unavailable as error:
            failed.append(error)
    if len(failed) == len(followers):
        raise failed[0]
    return applied


class EventProbe(Protocol):
    """Looks at single records of a partition."""

    def __enter__(self) -> EventProbe:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def bounds(self) -> tuple[int, int]:
        """The first offset that is there, and the next one to be written."""

    def first_from(self, offset: int) -> Record | None:
        """The first record at an offset or after it."""

    def after_damage(self, offset: int) -> int:
        """The first offset from another on at which a record can be read."""


class EventCluster(RecordsAtEnd, Protocol):
    """What the projector needs of a Kafka cluster."""

    def member(self, purpose: str, topics: Sequence[Topic]) -> GroupMember:
        """A new member of a consumer group."""

    def probe(self, partition: Partition) -> EventProbe:
        """A look at a partition."""

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic has this name now."""

    def watch(self, topic: str) -> TopicWatch:
        """Asks for it again and again."""


class KafkaSource:
    """The topic of the ledger's events.

    Where to begin is found by the positions in the records' headers; what Kafka holds of offsets is never asked.
    """

    def __init__(
        self,
        cluster: EventCluster,
        *,
        topic: Topic = EVENTS,
        batch: int = BATCH_MAX,
        look_seconds: float = LOOK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._look_seconds = look_seconds
        self._looked_at = monotonic()
        self._topic = topic
        self._batch = batch
        self._monotonic = monotonic
        self._followers: Sequence[Follower] = ()
        self._stores: dict[Follower, bytes] = {}
        self._known: KnownTopic | None = None
        self._work: PartitionWork | None = None

    def open(self, followers: Sequence[Follower], stopping: Callable[[], bool]) -> None:
        self._followers = followers
        member = self._cluster.member(GROUP, [self._topic])
        self._work = PartitionWork(member, self, self._monotonic, batch=self._batch, read_ahead=2, stopping=stopping)
        self._known = KnownTopic(self._cluster.watch(self._topic.name))
        self._work.join()

    @property
    def working(self) -> bool:
        return self._work is not None and self._work.joined

    def feed(self, timeout: float) -> int:
        assert self._work is not None
        if read := self._work.step(timeout):
            self._looked_at = self._monotonic()
            return read
        if self._monotonic() < self._looked_at + self._look_seconds or self._work.pending:
            return 0
        # A topic may lack its end: made anew, cut off by retention, or its relay is gone. A jump would show it, but
        # for that another event would have to come.
        self._looked_at = self._monotonic()
        missed = _caught_up(self._followers)
        if missed:
            log.warning("events_missed_by_topic", topic=self._topic.name, applied=missed)
        self._notice(self._work)
        return missed

    def _notice(self, work: PartitionWork) -> None:
        """Begin anew with a new client where the topic was made anew: the old one may never fetch from it."""
        assert self._known is not None
        if (made_anew := self._known.was_made_anew()) is not None:
            was, now = made_anew
            log.warning("topic_made_anew", topic=now.topic, was=str(was), now=str(now))
            work.join_anew()

    def close(self) -> None:
        if self._work is not None:
            self._work.leave()
            self._work = None

    # --- the worker of its partitions ----------------------------------------------------------------------------

    def begin(self, partition: Partition, *, damaged: bool = False) -> int:
        """Begin behind the last record that every projection has seen. What is damaged is taken from the store.

        Raises AheadOfLedger where the topic has what the store has not.
        """
        follower = self._follower_of(partition)
        if damaged:
            follower.catch_up()
        ours = partial(is_of, self._store(follower))
        last = self._cluster.last_records(partition.topic, LOOKED_AT, only=ours, partition=partition.number)
        with follower.reading() as transaction:
            check_none_ahead(ahead_among(transaction, events_carried(partition.topic), last))
            generations = generations_of(transaction, event_sequence(partition.number))
        reached = follower.position_reached(partition.number)
        with self._cluster.probe(partition) as probe:
            offset = offset_after(probe, reached, self._store(follower), generations)
            if damaged:
                offset = probe.after_damage(offset)
        log.info("events_taken_up", partition=str(partition), position=reached, offset=offset)
        return offset

    def work(self, partition: Partition, records: Sequence[Record]) -> None:
        """Hand events over; what the follower has seen it skips, and what is missing it reads from the store.

        What is of a history that was given up is skipped. Raises RecordFails for an event beyond the store's end.
        """
        follower = self._follower_of(partition)
        began = self._monotonic()
        store = self._store(follower)
        ours = [(record, event) for record in records if (event := event_of(record, store)) is not None]
        with follower.reading() as transaction:
            generations = {
                shard: generations_of(transaction, event_sequence(shard)) for shard in {e.shard for _, e in ours}
            }
            ends = shard_ends(transaction)
        events = []
        for record, event in ours:
            if generations[event.shard].gave_up(event.generation, event.position):
                continue
            if event.position > ends.get(event.shard, 0) or event.generation > generations[event.shard].newest:
                what = f"{partition.topic} has position {event.shard}:{event.position}, and the ledger has not"
                raise RecordFails(record, AheadOfLedger(what))
            events.append(event)
        applied = follower.apply(events)
        if unreadable := [record.offset for record in records if record.damage is not None]:
            applied += follower.catch_up()
            log.error("record_damaged", partition=str(partition), offsets=unreadable)
        log.info(
            "events_projected",
            partition=str(partition),
            first=records[0].offset,
            last=records[-1].offset,
            read=len(records),
            applied=applied,
            foreign=len(records) - len(ours),
            given_up=len(ours) - len(events),
            position=events[-1].position if events else None,
            seconds=round(self._monotonic() - began, 4),
        )

    def give_up(self, partition: Partition, record: Record, cause: Exception) -> None:
        """Take the store's own bytes in place of what the topic carries; if these fail too, stop.

        A projection that left an event out would say what the ledger does not.
        """
        try:
            self._follower_of(partition).catch_up()
        except (Unavailable, Conflict):
            raise
        except Exception as error:
            raise RecordFails(record, error) from error
        log.error("record_damaged", partition=str(partition), offset=record.offset, reason=reason_of(cause))

    def end(self, partition: Partition) -> None:
        """Nothing is kept of a partition."""

    def _follower_of(self, partition: Partition) -> Follower:
        """Who follows the shard whose events are in a partition; in others there are none of the store's."""
        number = partition.number
        return self._followers[number if number < len(self._followers) else FIRST_SHARD]

    def _store(self, follower: Follower) -> bytes:
        """Which store's events are ours: a topic may hold those of another, or of one that was made anew."""
        if follower not in self._stores:
            self._stores[follower] = follower.store_id().encode()
        return self._stores[follower]


class PublishedEvent(NamedTuple):
    """A stored event as its topic carries it. (A tuple for the same reason as `Record`.)"""

    shard: int
    position: int
    account: str
    account_version: int
    type: str
    envelope: bytes
    generation: int = FIRST

    @property
    def leaf_hash(self) -> str:
        """The RFC 6962 leaf hash of the envelope, in hexadecimal."""
        return leaf_hash(self.envelope)

    def event(self) -> LedgerEvent:
        """The event that the envelope holds."""
        return from_stored(self.type, self.envelope)


def event_of(record: Record, store: bytes | None = None) -> PublishedEvent | None:
    """The stored event that a record carries; None where it is somebody else's record, or another store's."""
    headers = dict(record.headers)
    place = place_in(headers, store)
    type_, version = headers.get("type"), headers.get("account-version")
    if place is None or type_ is None or version is None or record.key is None or record.value is None:
        return None
    if not record.value.startswith(b'{"type":"%b",' % type_):
        return None
    try:
        account, stored_type, number = record.key.decode(), type_.decode(), version.decode()
    except UnicodeDecodeError:
        return None
    if not is_number(number):
        return None
    return PublishedEvent(
        place.shard, place.position, account, int(number), stored_type, record.value, place.generation
    )


def offset_after(
    probe: EventProbe, position: int, store: bytes | None = None, generations: Generations | None = None
) -> int:
    """An offset from which on nothing after a position is missed that the topic has.

    A relay may have sent a run twice, but never sends a position before the one below it: so whatever stretch of the
    topic lies between an event up to `position` and one after it, the next one lies in it. That holds across
    generations, as a relay sends nothing of one after it has begun with the next: what is of an earlier one than the
    position comes before it.
    """
    reached = ((generations or Generations()).of(position), position)
    low, high = probe.bounds()
    if position == 0 or low == high:
        return low
    # In a topic where nothing was sent twice and nothing is gone, this is the place.
    guess = min(max(low, position), high)
    if guess > low and _place_at(probe, guess - 1, store) == reached:
        return guess
    first, beyond = low, high  # everything before `first` may be skipped; what is at `beyond` may not
    while first < beyond:
        middle = (first + beyond) // 2
        at = _place_at(probe, middle, store)
        if at is not None and at <= reached:
            first = middle + 1
        else:
            beyond = middle
    return first


def _place_at(probe: EventProbe, offset: int, store: bytes | None) -> tuple[int, int] | None:
    record = probe.first_from(offset)
    place = None if record is None else place_of(record, store)
    return None if place is None else (place.generation, place.position)


class Projector:
    """The part that keeps the projections up to date."""

    name = "projector"

    def __init__(self, follower: Follower, source: Source, *, others: Sequence[Follower] = ()) -> None:
        """`others` follow the store's other shards, in their order."""
        self._followers = [follower, *others]
        self._source = source

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        told = False
        self._source.open(self._followers, stop.is_set)
        try:
            while not stop.is_set():
                try:
                    self._source.feed(0.5)
                    if self._source.working and not told:
                        told = True
                        ready()
                except (Unavailable, BrokerUnavailable, Conflict) as error:
                    wait = back_off.next()
                    log.warning(
                        "projector_waits", reason=str(error), seconds=round(wait, 3), failures=back_off.failures
                    )
                    stop.wait(wait)
                else:
                    back_off.reset()
        finally:
            self._source.close()
