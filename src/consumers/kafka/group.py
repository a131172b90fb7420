"""A member of a consumer group, by confluent_kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from consumers.kafka.client import ClientLog, client_error, is_passing, settings_of
from consumers.kafka.records import Claimant, Partition, Record

log = structlog.get_logger("makegood.kafka")

QUEUED_KBYTES = 16 * 1024
"""How much the client may fetch ahead of us, over all partitions: a fast producer makes lag, never memory."""


SESSION_MS = 10_000
"""How long after a crash its partitions lie idle. Heartbeats are sent in the background, also while a store is waited
for, so only a process that is gone or frozen misses them; and what it might still write is fenced off by the epoch.
"""


METADATA_MS = 10_000
"""How often a client asks anew which partitions there are."""


class KafkaMember:
    """Classic cooperative-sticky protocol with dynamic membership: the others have our partitions soonest.

    Offsets are the worker's business (design rule 7): nothing is committed by itself, and where a partition begins is
    asked of the claimant at every assignment.
    """

    def __init__(self, settings: dict[str, Any], group: str, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        self._group = group
        self._claimant: Claimant | None = None
        self._trouble: BaseException | None = None
        self._changed: set[tuple[str | None, int | None]] = set()
        self._complained: set[tuple[str, int]] = set()
        self._settings: dict[str, Any] = {
            "session.timeout.ms": SESSION_MS,
            **settings_of(settings),
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Only where the broker no longer has the offset that we ask for: then what it still has, all of it.
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": QUEUED_KBYTES,
            # Otherwise fetching rests for up to a second whenever the queue was full for a moment.
            "fetch.queue.backoff.ms": 20,
            # A leader that has not heard of the topic yet assigns nothing of it, and looks again only then.
            "topic.metadata.refresh.interval.ms": METADATA_MS,
            "on_commit": self._on_commit,
            "logger": ClientLog(group),
        }
        self._consumer: Consumer

    def join(self, claimant: Claimant) -> None:
        # A new client each time: one remembers of a topic the epochs of its leaders, and where the topic is made anew
        # and these begin again below, it takes no news of it and fetches nothing.
        self._claimant = claimant
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
            error = message.error()
            if error is not None:
                self._complain(error, message.topic() or "")
                continue
            topic, number = message.topic() or "", message.partition() or 0
            if partition.number != number or partition.topic != topic:
                partition = Partition(topic, number)
            records.append(
                Record(partition, message.offset() or 0, message.key(), message.value(), message.headers() or ())
            )
        return records

    def begin(self, partition: Partition, offset: int) -> bool:
        place = TopicPartition(partition.topic, partition.number, offset)
        try:
            # A paused partition forgets where it was sought to; nothing is handed out before the next poll.
            self._consumer.resume([place])
            self._consumer.seek(place)
        except KafkaException:
            self.pause(partition)  # it is not being fetched yet
            return False
        return True

    def pause(self, partition: Partition) -> None:
        self._consumer.pause([TopicPartition(*partition)])

    def resume(self, partition: Partition) -> None:
        self._consumer.resume([TopicPartition(*partition)])

    def report(self, partition: Partition, offset: int) -> None:
        try:
            self._consumer.commit(offsets=[TopicPartition(*partition, offset)], asynchronous=True)
        except KafkaException as error:
            self._complain(error.args[0], partition.topic)

    def leave(self) -> None:
        self._claimant = None
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("group_left_in_disorder", group=self._group, reason=error.args[0].str())

    def _call(self, consume: Callable[[], list[Any]]) -> list[Any]:
        try:
            found = consume()
        except KafkaException as error:
            self._complain(error.args[0], "")
            found = []
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        return found

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

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=False)

    def _on_lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=True)

    def _give_up(self, consumer: Consumer, places: list[TopicPartition], *, lost: bool) -> None:
        partitions = [Partition(place.topic, place.partition) for place in places]
        self._changed.update(partitions)
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
