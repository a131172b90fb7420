"""A member of a consumer group, by confluent_kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumers.kafka.client import Refused, client_error, is_fatal, is_passing, settings_of
from consumers.kafka.decoding import DAMAGED, record_of
from consumers.kafka.records import BrokerError, Claimant, Partition, Record

log = structlog.get_logger("makegood.kafka")

QUEUED_KBYTES = 16 * 1024
"""How much the client may fetch ahead of us, over all partitions: a fast producer makes lag, never memory."""


SESSION_MS = 10_000
"""How long after a crash its partitions lie idle. Heartbeats are sent in the background, also while a store is waited
for, so only a process that is gone or frozen misses them; and what it might still write is fenced off by the epoch.
"""


METADATA_MS = 10_000
"""How often a client asks anew which partitions there are."""

REFUSED_SECONDS = 5.0
"""How long a broker may refuse us before that ends the part. A broker that is just starting refuses for a moment."""

PATIENCE = 2.0
"""Seconds that a broker may take to answer whether it still refuses us."""

ANSWERS_WITHIN = 1.0
"""Seconds in which a broker that is there answers when we leave."""

STRANGERS_SECONDS = 15.0
"""How often it is looked who else is in the group."""


class GroupWatch(Protocol):
    """Notices who is in the group and does not work for this store."""

    def look(self) -> list[str] | None:
        """The strangers, by the names of their clients and hosts, where there is news of them; never waits."""


class KafkaMember:
    """Classic cooperative-sticky protocol with dynamic membership: the others have our partitions soonest.

    Offsets are the worker's business (design rule 7): nothing is committed by itself, and where a partition begins is
    asked of the claimant at every assignment.
    """

    def __init__(self, settings: dict[str, Any], group: str, topics: Sequence[str], watch: GroupWatch) -> None:
        self._topics = list(topics)
        self._group = group
        self._watch = watch
        self._look_at = 0.0
        self._strangers: list[str] = []
        self._claimant: Claimant | None = None
        self._trouble: BaseException | None = None
        self._refused = Refused()
        self._refused_since: float | None = None
        self._changed: set[tuple[str | None, int | None]] = set()
        self._complained: set[tuple[str, int]] = set()
        self._stopped: set[Partition] = set()
        """Nothing comes of these until they begin anew."""
        self._handed: dict[Partition, int] = {}
        """The offset after the last record that was handed out."""
        self._worked: dict[Partition, int] = {}
        """The offset after the last record that was worked off."""
        self._ends: dict[Partition, int] = {}
        """Where a partition ended when all of it had been handed out: behind what its transactions leave there."""
        self._settings: dict[str, Any] = {
            "session.timeout.ms": SESSION_MS,
            **settings_of(settings, group, self._refused),
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Where the broker does not have the offset that we ask for, the claimant says what then: what was never
            # taken is gone, and that must be told.
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            # A bit that flipped on its way or on the broker's disk would be an amount.
            "check.crcs": True,
            "queued.max.messages.kbytes": QUEUED_KBYTES,
            # Otherwise fetching rests for up to a second whenever the queue was full for a moment.
            "fetch.queue.backoff.ms": 20,
            # A leader that has not heard of the topic yet assigns nothing of it, and looks again only then.
            "topic.metadata.refresh.interval.ms": METADATA_MS,
            "on_commit": self._on_commit,
        }
        self._consumer: Consumer

    def join(self, claimant: Claimant) -> None:
        # A new client each time: one remembers of a topic the epochs of its leaders, and where the topic is made anew
        # and these begin again below, it takes no news of it and fetches nothing.
        self._claimant = claimant
        for known in (self._stopped, self._handed, self._worked, self._ends):
            known.clear()
        self._consumer = Consumer(self._settings)
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, limit: int, timeout: float) -> list[Record]:
        # The first record ends the wait: waiting for a full batch would hold back a lonely message.
        messages = self._call(lambda: self._consumer.consume(1, min(timeout, 0.5)))
        if messages and limit > 1:
            self._changed.clear()
            more = self._call(lambda: self._consumer.consume(limit - 1, 0))
            if self._changed:  # what came before a partition changed hands is not part of what comes now
                messages = [m for m in messages if (m.topic(), m.partition()) not in self._changed]
            messages += more
        records = []
        partition = Partition("", -1)
        for message in messages:
            topic, number = message.topic() or "", message.partition() or 0
            if partition.number != number or partition.topic != topic:
                partition = Partition(topic, number)
            error = message.error()
            if error is not None:
                self._take_error(error, partition, message)
            elif partition not in self._stopped:
                records.append(record_of(message, partition))
                self._handed[partition] = records[-1].offset + 1
        self._look_for_strangers()
        return records

    def begin(self, partition: Partition, offset: int) -> bool:
        place = TopicPartition(partition.topic, partition.number, offset)
        try:
            if partition in self._stopped:  # such a one can be sought to no more
                self._consumer.incremental_unassign([place])
                self._consumer.incremental_assign([place])
                self._stopped.discard(partition)
            # A paused partition forgets where it was sought to; nothing is handed out before the next poll.
            self._consumer.resume([place])
            self._consumer.seek(place)
        except KafkaException:
            self.pause(partition)  # it is not being fetched yet
            return False
        self._began(partition, offset)
        return True

    def pause(self, partition: Partition) -> None:
        self._consumer.pause([TopicPartition(*partition)])

    def resume(self, partition: Partition) -> None:
        self._consumer.resume([TopicPartition(*partition)])

    def report(self, partition: Partition, offset: int) -> None:
        if offset == self._handed.get(partition):
            offset = max(offset, self._ends.get(partition, 0))
        self._worked[partition] = offset
        self._commit({partition: offset})

    def leave(self) -> None:
        self._claimant = None
        try:
            # What is told to lag tools the client would wait for without an end, so it must be worth it.
            self._consumer.list_topics(timeout=ANSWERS_WITHIN)
        except KafkaException as error:
            log.debug("lag_not_reported", group=self._group, reason=error.args[0].str())
        else:
            self._commit(self._worked)
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("group_left_in_disorder", group=self._group, reason=error.args[0].str())

    def _began(self, partition: Partition, offset: int) -> None:
        self._handed[partition] = self._worked[partition] = offset
        self._ends.pop(partition, None)
        self._commit({partition: offset})

    def _commit(self, offsets: dict[Partition, int]) -> None:
        if not offsets:
            return
        try:
            self._consumer.commit(
                offsets=[TopicPartition(*partition, offset) for partition, offset in offsets.items()],
                asynchronous=True,
            )
        except KafkaException as error:
            log.debug("lag_not_reported", group=self._group, reason=error.args[0].str())

    def _call(self, consume: Callable[[], list[Message]]) -> list[Message]:
        try:
            found = consume()
        except KafkaException as error:
            self._complain(error.args[0], "")
            found = []
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        self._raise_refusal()
        return found

    def _raise_refusal(self) -> None:
        """Raise what ended the client, or what a broker refused us for some time: neither says so of itself."""
        by = self._refused.by
        if by is None:
            self._refused_since = None
            return
        if is_fatal(by):
            raise client_error(by)
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= REFUSED_SECONDS:
            try:
                self._consumer.list_topics(timeout=PATIENCE)
            except KafkaException:
                raise client_error(by) from None
            self._refused.forget()

    def _take_error(self, error: KafkaError, partition: Partition, message: Message) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            end = message.offset() or 0
            self._ends[partition] = end
            if partition in self._worked and self._worked[partition] == self._handed.get(partition):
                self.report(partition, self._worked[partition])
        elif error.code() == KafkaError._AUTO_OFFSET_RESET or error.code() in DAMAGED:
            if partition not in self._stopped:
                self._stopped.add(partition)
                self.pause(partition)
                log.warning("partition_stops", group=self._group, partition=str(partition), reason=error.str())
                if self._claimant is not None:
                    self._claimant.stopped(partition, damaged=error.code() in DAMAGED)
        else:
            self._complain(error, partition.topic)

    def _look_for_strangers(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + STRANGERS_SECONDS
        try:
            found = self._watch.look()
        except BrokerError as error:
            log.debug("group_not_told", group=self._group, reason=str(error))
            return
        if found is not None and found != self._strangers:
            self._strangers = found
            if found:
                log.warning("strangers_in_group", group=self._group, members=found)

    # --- called back from within consume and close ------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        partitions = [Partition(place.topic, place.partition) for place in places]
        self._changed.update(partitions)
        offsets = {}
        if self._claimant is not None:
            try:
                offsets = dict(self._claimant.assigned(partitions))
            except Exception as error:  # the client would print it and go on
                self._trouble = error
        consumer.incremental_assign(
            [TopicPartition(*partition, offsets.get(partition, OFFSET_BEGINNING)) for partition in partitions]
        )
        if waiting := [TopicPartition(*partition) for partition in partitions if partition not in offsets]:
            consumer.pause(waiting)
        self._stopped.difference_update(partitions)
        for partition, offset in offsets.items():
            self._began(partition, offset)

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=False)

    def _on_lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=True)

    def _give_up(self, consumer: Consumer, places: list[TopicPartition], *, lost: bool) -> None:
        partitions = [Partition(place.topic, place.partition) for place in places]
        self._changed.update(partitions)
        for partition in partitions:
            for known in (self._handed, self._worked, self._ends):
                known.pop(partition, None)
        if self._claimant is not None:
            try:
                self._claimant.unassigned(partitions, lost=lost)
            except Exception as error:
                self._trouble = error
        consumer.incremental_unassign(places)

    def _on_commit(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            log.debug("lag_not_reported", group=self._group, reason=error.str())

    def _complain(self, error: KafkaError, topic: str) -> None:
        """Say a passing cause once for each topic; raise what does not pass."""
        if not is_passing(error):
            raise client_error(error)
        if (topic, error.code()) not in self._complained:
            self._complained.add((topic, error.code()))
            log.warning("broker_complains", group=self._group, topic=topic, reason=error.str())
