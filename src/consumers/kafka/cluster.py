"""A Kafka cluster: which topics it has, which they are, and clients for it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewTopic

from consumers.kafka.client import ClientLog, client_error, settings_of
from consumers.kafka.group import KafkaMember
from consumers.kafka.records import BrokerError, BrokerUnavailable, Partition, Record, TopicIdentity, TopicMissing
from consumers.kafka.sending import KafkaSender
from consumers.kafka.topics import Topic

log = structlog.get_logger("makegood.kafka")

PATIENCE = 5.0
"""Seconds that a question to the cluster may take."""

STATIC_SESSION_MS = 45_000
"""How long the partitions of a static member that is away are kept for it."""

_IN_PROCESS = "mockCluster"
"""How the cluster id of the client library's in-process broker begins."""


class Cluster:
    """One cluster at an address; safe to use from several threads.

    `settings` are further settings of all clients (security, …), `member_settings` of the members of groups; `group`
    is what the names of groups begin with, so that two Makegoods with stores of their own can read one cluster.

    `member` makes the members of groups static under this name, which no other process may have at the same time: one
    that is back within STATIC_SESSION_MS finds its partitions as they were, and nobody has to rebalance. The cost:
    whether it crashed or was stopped, its partitions lie idle for that long if it does not come back.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str = "makegood",
        member: str = "",
        settings: Mapping[str, Any] | None = None,
        member_settings: Mapping[str, Any] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.bootstrap = bootstrap
        self._patience = patience
        self._member = member
        self._member_settings = dict(member_settings or {})
        self._settings = {**(settings or {}), "bootstrap.servers": bootstrap}
        self.group = group
        self._admin: AdminClient | None = None
        self._turn = threading.Lock()
        self._cluster_id: str | None = None
        self._made_up: dict[str, str] = {}

    def member(self, purpose: str, topics: Iterable[Topic]) -> KafkaMember:
        """A new member of the group for a purpose."""
        static = {"group.instance.id": f"{self._member}-{purpose}", "session.timeout.ms": STATIC_SESSION_MS}
        return KafkaMember(
            {**self._settings, **(static if self._member else {}), **self._member_settings},
            f"{self.group}-{purpose}",
            [topic.name for topic in topics],
        )

    def sender(self, purpose: str) -> KafkaSender:
        """A new sender."""
        return KafkaSender(self._settings, f"{self.group}-{purpose}")

    # --- topics ---------------------------------------------------------------------------------------------------

    @property
    def cluster_id(self) -> str:
        """The cluster's own id. Raises BrokerUnavailable."""
        if self._cluster_id is None:
            self._cluster_id = str(self._metadata(None).cluster_id)
        return self._cluster_id

    @property
    def in_process(self) -> bool:
        """Whether it is the client library's own broker, which answers no questions about topics."""
        return self.cluster_id.startswith(_IN_PROCESS)

    def create_topics(self, topics: Iterable[Topic]) -> list[str]:
        """Make those that are missing; the names of those that were made. Raises BrokerUnavailable or BrokerError."""
        if self.in_process:
            for topic in topics:
                self._metadata(topic.name)  # it makes a topic, of four partitions, when one asks for it
            return []
        there = self._metadata(None).topics
        missing = [topic for topic in topics if topic.name not in there]
        made = []
        new = [
            NewTopic(t.name, num_partitions=t.partitions, replication_factor=-1, config=t.settings) for t in missing
        ]
        for name, answer in (self._client().create_topics(new) if new else {}).items():
            try:
                answer.result(self._patience * 2)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise client_error(error.args[0]) from error
            else:
                made.append(name)
        # They are known to the controller now, and a moment later to the brokers.
        deadline = time.monotonic() + self._patience
        while any(not self._exists(name) for name in made) and time.monotonic() < deadline:
            time.sleep(0.05)
        if made:
            log.info("topics_created", topics=made)
        return made

    def identity(self, topic: str) -> TopicIdentity:
        """Which topic it is that has this name now. Raises BrokerUnavailable, or BrokerError where there is none."""
        if self.in_process:
            return self._made_up_identity(topic)
        return self._identity(topic, self._describe(topic))

    def watch(self, topic: str) -> IdentityWatch:
        """Asks again and again which topic it is, without ever waiting for the answer."""
        return IdentityWatch(self, topic)

    def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions."""
        return sorted(self._metadata(topic).topics[topic].partitions)

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset that is there, and the next one to be written. Raises BrokerUnavailable."""
        with Probe(self._settings, partition, self._patience) as probe:
            return probe.bounds()

    def probe(self, partition: Partition) -> Probe:
        """Looks at single records of a partition."""
        return Probe(self._settings, partition, self._patience)

    def _made_up_identity(self, topic: str) -> TopicIdentity:
        with self._turn:
            topic_id = self._made_up.setdefault(topic, f"run-{secrets.token_urlsafe(12)}")
        return TopicIdentity(self.cluster_id, topic, topic_id)

    def _describe(self, topic: str) -> Future[TopicDescription]:
        answers = self._client().describe_topics(TopicCollection([topic]), request_timeout=self._patience)
        return answers[topic]

    def _identity(self, topic: str, answer: Future[TopicDescription]) -> TopicIdentity:
        try:
            description = answer.result(self._patience * 2)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing(
                    f"topic {topic} does not exist; create it, or start `makegood run`, which creates topics"
                ) from error
            raise client_error(error.args[0]) from error
        except TimeoutError as error:
            raise BrokerUnavailable(f"Kafka at {self.bootstrap} did not identify topic {topic}; try again") from error
        # As Kafka's own tools write it: ids stand between slashes in the names of readers.
        topic_id = str(description.topic_id).replace("+", "-").replace("/", "_")
        return TopicIdentity(self.cluster_id, topic, topic_id)

    def _exists(self, topic: str) -> bool:
        try:
            self.identity(topic)
        except BrokerError:
            return False
        return True

    def _metadata(self, topic: str | None) -> Any:
        try:
            return (
                self._client().list_topics(topic, self._patience)
                if topic
                else self._client().list_topics(timeout=self._patience)
            )
        except KafkaException as error:
            raise BrokerUnavailable(
                f"Kafka at {self.bootstrap} cannot be reached: {error.args[0].str()}; "
                "check --kafka or MAKEGOOD_KAFKA, and that the broker runs"
            ) from error

    def _client(self) -> AdminClient:
        with self._turn:
            if self._admin is None:
                self._admin = AdminClient(settings_of(self._settings), logger=ClientLog("admin"))
            return self._admin


class IdentityWatch:
    """Notices that a topic was deleted and made anew while it is being read: nothing else tells a reader."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._answer: Future[TopicDescription] | None = None

    def look(self) -> TopicIdentity | None:
        """The identity that the last question was answered with, if it was; and ask again."""
        answer = self._answer
        if answer is not None and not answer.done():
            return None
        found = None
        try:
            if self._cluster.in_process:
                return None
            if answer is not None:
                self._answer = None
                found = self._cluster._identity(self._topic, answer)
            self._answer = self._cluster._describe(self._topic)
        except BrokerError:
            pass  # it is gone, or out of reach: whoever reads it hears of that
        return found


class Probe:
    """Looks at a partition's bounds and at single records, outside of any group."""

    def __init__(self, settings: Mapping[str, Any], partition: Partition, patience: float = PATIENCE) -> None:
        self._partition = partition
        self._patience = patience
        told: dict[str, Any] = {
            **settings_of(settings),
            "group.id": "makegood-probe",  # the client wants one; it joins none
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": 64 * 1024,
            "queued.max.messages.kbytes": 256,
            "logger": ClientLog("probe"),
        }
        self._consumer = Consumer(told)

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def bounds(self) -> tuple[int, int]:
        """The first offset that is there, and the next one to be written."""
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(*self._partition), self._patience, cached=False
            )
        except KafkaException as error:
            raise client_error(error.args[0]) from error
        return low, high

    def first_from(self, offset: int) -> Record | None:
        """The first record at an offset or after it; None where none comes soon."""
        message = self._first_from(offset)
        if message is None:
            return None
        headers = message.headers() or ()
        return Record(self._partition, message.offset() or 0, message.key(), message.value(), headers)  # type: ignore[arg-type]

    def written_at(self, offset: int) -> datetime | None:
        """When the first record at an offset or after it was written; None where none comes soon, or it tells not."""
        message = self._first_from(offset)
        kind, milliseconds = message.timestamp() if message is not None else (TIMESTAMP_NOT_AVAILABLE, 0)
        return None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC)

    def _first_from(self, offset: int) -> Message | None:
        self._consumer.assign([TopicPartition(*self._partition, offset)])
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            message: Message | None = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                return message
        return None
