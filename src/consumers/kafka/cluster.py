"""A Kafka cluster: which topics it has, which they are, and clients for it."""

from __future__ import annotations

import secrets
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewTopic

from consumers.kafka.client import Refused, client_error, is_passing, settings_of
from consumers.kafka.decoding import DAMAGED, record_of
from consumers.kafka.group import KafkaMember
from consumers.kafka.records import (
    BrokerError,
    BrokerUnavailable,
    Extent,
    Only,
    Partition,
    Record,
    TopicIdentity,
    TopicMissing,
)
from consumers.kafka.security import PLAINTEXT, Security
from consumers.kafka.sending import GIVES_UP_AFTER, KafkaSender
from consumers.kafka.topics import Topic
from ledger.retries import attempts

log = structlog.get_logger("makegood.kafka")

# It is the one question about groups that the client survives when its broker goes away (`Cluster.strangers`).
warnings.filterwarnings("ignore", message="list_groups", category=DeprecationWarning)

PATIENCE = 5.0
"""Seconds that a question to the cluster may take."""

STATIC_SESSION_MS = 45_000
"""How long the partitions of a static member that is away are kept for it."""

_FIRST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_NEXT: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_A_MOMENT = timedelta(milliseconds=100)
FURTHER = 8
"""So many times more is read where the end of a partition had too few of the records that are asked for."""
_IN_PROCESS = "mockCluster"
"""How the cluster id of the client library's in-process broker begins."""


class Cluster:
    """One cluster at an address; safe to use from several threads.

    `security` is how all clients show who they are, `member_settings` are further settings of the members of groups;
    `group` is what the names of groups begin with, so that two Makegoods with stores of their own can read one
    cluster, and `store` the store that all is for: by its id clients know their own among the members of a group.

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
        store: str = "",
        security: Security = PLAINTEXT,
        member_settings: Mapping[str, Any] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.bootstrap = bootstrap
        self._patience = patience
        self._member = member
        self._member_settings = dict(member_settings or {})
        self._client_id = f"makegood-{store}" if store else "makegood"
        self._settings = {**security.settings(), "client.id": self._client_id, "bootstrap.servers": bootstrap}
        self.group = group
        self._refused = Refused()
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
            StrangerWatch(self, purpose),
        )

    def strangers(self, purpose: str) -> list[str]:
        """Who is in the group for a purpose and does not work for our store, by the names of their clients and hosts.

        Raises BrokerError.
        """
        if self.in_process:
            return []
        try:
            # What replaced it ends the whole process, by an assertion in the client, where a broker goes away while
            # it is asked (github.com/confluentinc/librdkafka/issues/4605).
            found = self._client().list_groups(f"{self.group}-{purpose}", self._patience)
        except KafkaException as error:
            raise client_error(self._reason(error.args[0])) from error
        members = [member for group in found for member in group.members]
        return sorted(
            {f"{m.client_id} at {str(m.client_host).lstrip('/')}" for m in members if m.client_id != self._client_id}
        )

    def sender(self, purpose: str, gives_up_after: float = GIVES_UP_AFTER) -> KafkaSender:
        """A new sender, whose client gives up on a record after so many seconds."""
        return KafkaSender(self._settings, f"{self.group}-{purpose}", gives_up_after)

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
                    raise client_error(self._reason(error.args[0])) from error
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

    def last_records(
        self, topic: str, limit: int, *, only: Only | None = None, partition: int | None = None
    ) -> list[Record]:
        """See `RecordsAtEnd`. Raises BrokerError.

        What a transaction has written that is still open is read too: it may stand before what we wrote ourselves.
        """
        self.identity(topic)  # or it is missing, and to ask for its partitions might make it
        found: list[Record] = []
        with self.probe(Partition(topic, 0), undecided=True, many=True) as probe:
            for number in self.partitions(topic):
                if partition in (None, number):
                    probe.turn_to(Partition(topic, number))
                    found += _last(probe, self._bounds(probe), limit, only)
        return found

    def _bounds(self, probe: Probe) -> tuple[int, int]:
        """A partition's bounds, also where it was made just now and has no leader for a moment."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return probe.bounds()
            except BrokerUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def extents(self, topic: str) -> dict[int, Extent]:
        """What there is of each partition of a topic. Raises BrokerError."""
        partitions = [TopicPartition(topic, number) for number in self.partitions(topic)]
        first = self._offsets(partitions, _FIRST, IsolationLevel.READ_UNCOMMITTED)
        # Before what is written, so that what is decided is never beyond it.
        decided = self._offsets(partitions, _NEXT, IsolationLevel.READ_COMMITTED)
        written = self._offsets(partitions, _NEXT, IsolationLevel.READ_UNCOMMITTED)
        return {number: Extent(first[number], decided[number], written[number]) for number in first}

    def _offsets(
        self, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel
    ) -> dict[int, int]:
        # A partition whose leader changes has none for a moment.
        for again in attempts(
            BrokerUnavailable,
            within=timedelta(seconds=self._patience),
            pause=_A_MOMENT,
            pause_max=_A_MOMENT,
            jitter=timedelta(),
        ):
            with again:
                asked = self._client().list_offsets(
                    dict.fromkeys(partitions, spec), isolation_level=isolation, request_timeout=self._patience
                )
                return {place.partition: self._answer(answer).offset for place, answer in asked.items()}
        raise AssertionError("the last attempt returns or raises")

    def probe(self, partition: Partition, *, undecided: bool = False, many: bool = False) -> Probe:
        """Looks at single records of a partition, on request also at those of open transactions; or at `many`."""
        return Probe(self._settings, partition, self._patience, undecided=undecided, many=many)

    def _made_up_identity(self, topic: str) -> TopicIdentity:
        with self._turn:
            topic_id = self._made_up.setdefault(topic, f"run-{secrets.token_urlsafe(12)}")
        return TopicIdentity(self.cluster_id, topic, topic_id)

    def _describe(self, topic: str) -> Future[TopicDescription]:
        answers = self._client().describe_topics(TopicCollection([topic]), request_timeout=self._patience)
        return answers[topic]

    def _answer(self, answer: Future[Any]) -> Any:
        """What the cluster answered. Raises BrokerError: the reason, where one is known behind a silence."""
        try:
            found = answer.result(self._patience * 2)
        except KafkaException as error:
            raise client_error(self._reason(error.args[0])) from error
        except TimeoutError as error:
            raise BrokerUnavailable(f"Kafka at {self.bootstrap} did not answer") from error
        self._refused.forget()
        return found

    def _identity(self, topic: str, answer: Future[TopicDescription]) -> TopicIdentity:
        try:
            description = self._answer(answer)
        except TopicMissing:
            raise TopicMissing(
                f"topic {topic} does not exist; create it, or start `makegood run`, which creates topics"
            ) from None
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
            reason = self._reason(error.args[0])
            if not is_passing(reason):
                raise client_error(reason) from error
            raise BrokerUnavailable(
                f"Kafka at {self.bootstrap} cannot be reached: {reason.str()}; "
                "check --kafka or MAKEGOOD_KAFKA, and that the broker runs"
            ) from error

    def _reason(self, error: KafkaError) -> KafkaError:
        """What is behind an error, as far as the client has noticed and was asked."""
        self._client().poll(0)
        return self._refused.instead_of(error)

    def _client(self) -> AdminClient:
        with self._turn:
            if self._admin is None:
                self._admin = AdminClient(settings_of(self._settings, "admin", self._refused))
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


class StrangerWatch:
    """Notices who else is in a group, without ever waiting for the answer: a thread does, which asks once."""

    def __init__(self, cluster: Cluster, purpose: str) -> None:
        self._cluster = cluster
        self._purpose = purpose
        self._answer: Future[list[str]] | None = None

    def look(self) -> list[str] | None:
        """The strangers that the last question was answered with, if it was; and ask again. Raises BrokerError."""
        answer = self._answer
        if answer is not None and not answer.done():
            return None
        self._answer = Future()
        threading.Thread(target=self._ask, args=(self._answer,), name="strangers", daemon=True).start()
        return answer.result() if answer is not None else None

    def _ask(self, answer: Future[list[str]]) -> None:
        try:
            answer.set_result(self._cluster.strangers(self._purpose))
        except Exception as error:
            answer.set_exception(error)


def _last(probe: Probe, bounds: tuple[int, int], limit: int, only: Only | None) -> deque[Record]:
    """The last records within bounds, read back in stretches that grow until there are as many as the limit."""
    first, end = bounds
    found: deque[Record] = deque(maxlen=limit)
    stretch = limit
    while first < end and len(found) < limit:
        begin = max(first, end - stretch)
        read = (record for record in probe.records(begin, end) if only is None or only(record))
        found.extendleft(reversed(deque(read, maxlen=limit - len(found))))
        if only is None:
            break
        end, stretch = begin, stretch * FURTHER
    return found


_FIRST_LIKELY = datetime(2011, 1, 1, tzinfo=UTC)
_LAST_LIKELY = datetime(2100, 1, 1, tzinfo=UTC)
"""Kafka is no older, and a producer's clock that shows less or more is no clock."""
LOOKED_AT_MAX = 100
"""So many records are looked at for one that says when it was written."""


class Probe:
    """Looks at a partition's bounds and at single records, outside of any group.

    It sees what a member of a group would, unless it is `undecided`: then also what open transactions have written.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        partition: Partition,
        patience: float = PATIENCE,
        *,
        undecided: bool = False,
        many: bool = False,
    ) -> None:
        self._partition = partition
        self._patience = patience
        self._refused = Refused()
        told: dict[str, Any] = {
            **settings_of(settings, "probe", self._refused),
            "group.id": "makegood-probe",  # the client wants one; it joins none
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "check.crcs": True,
            "isolation.level": "read_uncommitted" if undecided else "read_committed",
            "fetch.wait.max.ms": 50,
            "fetch.error.backoff.ms": 10,
            "fetch.message.max.bytes": (1024 if many else 64) * 1024,
            "queued.max.messages.kbytes": 8 * 1024 if many else 256,
        }
        self._consumer = Consumer(told)

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def turn_to(self, partition: Partition) -> None:
        """Look at another partition from now on."""
        self._partition = partition

    def bounds(self) -> tuple[int, int]:
        """The first offset that is there, and the next one to be written."""
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(*self._partition), self._patience, cached=False
            )
        except KafkaException as error:
            self._consumer.poll(0)  # it tells what is behind that only when it is asked
            raise client_error(self._refused.instead_of(error.args[0])) from error
        return low, high

    def first_from(self, offset: int) -> Record | None:
        """The first record at an offset or after it; None where none comes soon."""
        message = next(self._from(offset), None)
        return record_of(message, self._partition) if message is not None and message.error() is None else None

    def records(self, first: int, end: int) -> Iterator[Record]:
        """The records from an offset on and before another, without those that are damaged in Kafka.

        Raises BrokerUnavailable where the broker falls silent before the end.
        """
        offset = first
        while offset < end:
            began, error = offset, None
            for message in self._from(offset):
                error = message.error()
                if error is not None:
                    break
                at = message.offset() or 0
                if at >= end:
                    return
                offset = at + 1
                yield record_of(message, self._partition)
                if offset == end:
                    return
            if error is None and offset > began:
                continue  # it takes longer than our patience, and goes on
            if error is None or error.code() not in {*DAMAGED, KafkaError._PARTITION_EOF}:
                raise BrokerUnavailable(f"Kafka did not say what is in {self._partition} from offset {offset} on")
            offset = self.after_damage(offset) if error.code() in DAMAGED else end

    def written_at(self, offset: int) -> datetime | None:
        """When the first record at an offset or after it was written, or the next one that says so in earnest."""
        for message, _ in zip(self._from(offset), range(LOOKED_AT_MAX), strict=False):
            if message.error() is None and (written_at := _instant_of(message)) is not None:
                return written_at
        return None

    def after_damage(self, offset: int) -> int:
        """The first offset from another on at which a record can be read, or at which nothing is yet.

        Records lie in batches that can be read as a whole or not at all, and what is asked for from within a damaged
        one fails like its beginning. Raises BrokerUnavailable where nothing can be told.
        """
        _, end = self.bounds()
        damaged, readable, step = offset - 1, offset, 1
        while readable < end and self._is_damaged(readable):
            damaged, readable, step = readable, min(end, readable + step), step * 2
        while readable - damaged > 1:
            middle = (damaged + readable) // 2
            if self._is_damaged(middle):
                damaged = middle
            else:
                readable = middle
        return readable

    def _is_damaged(self, offset: int) -> bool:
        message = next(self._from(offset), None)
        if message is None:
            raise BrokerUnavailable(f"Kafka did not say what is in {self._partition} from offset {offset} on")
        error = message.error()
        if error is not None and error.code() not in DAMAGED and error.code() != KafkaError._PARTITION_EOF:
            raise client_error(error)
        return error is not None and error.code() in DAMAGED

    def _from(self, offset: int) -> Iterator[Message]:
        """What comes from an offset on, until the end of the partition, an error, or our patience."""
        self._consumer.assign([TopicPartition(*self._partition, offset)])
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            message: Message | None = self._consumer.poll(0.1)
            if message is None:
                continue
            yield message
            error = message.error()
            if error is not None and (error.code() in DAMAGED or error.code() == KafkaError._PARTITION_EOF):
                return


def _instant_of(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        written_at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return written_at if _FIRST_LIKELY <= written_at < _LAST_LIKELY else None
