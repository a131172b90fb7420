"""Stores, messages and running parts, as the tests of the carriers use them."""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.topics import Topic
from consumers.part import Part, run_parts
from consumers.topic_lag import TopicNames
from consumers.upstream import read_structured
from ledger.application.agreements import publish
from ledger.application.ledger import Ledger
from ledger.application.record import take
from ledger.store.connecting import connect, create_if_missing
from ledger.store.database import Database, Unavailable, beside
from ledger.store.vault_keys import KeyDatabase
from ledger.vault import Vault
from projections import claims
from projections.follower import Follower
from tests.parts.kafka import Kafka

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"


def now() -> datetime:
    return datetime.now(UTC)


class Books:
    """One store with its vault; each part gets a ledger of its own, as in processes of their own."""

    def __init__(self, url: str, *, clock: Callable[[], datetime] = now) -> None:
        create_if_missing(beside(url, "vault"), beside=url)
        self.database: Database = connect(url)
        self.keys: Database = connect(beside(url, "vault"))
        self.clock = clock
        self._key_database = KeyDatabase(self.keys, clock)

    def create(self, *, sandbox: bool = False) -> "Books":
        ledger = self.ledger()
        ledger.create_store(sandbox=sandbox)
        publish(ledger, (SAMPLE / "agreements" / "standard.toml").read_text(), actor="test", channel="test")
        self.follower().create()
        return self

    def ledger(self) -> Ledger:
        return Ledger(self.database, Vault(self._key_database), self.clock)

    def follower(self) -> Follower:
        return Follower(self.database)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.reading() as transaction:
            return transaction.rows(sql, parameters)

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def end(self) -> int:
        """The last position of the ledger."""
        rows = self.rows("SELECT position FROM sequences WHERE name = 'shard:0'")
        return int(rows[0][0]) if rows else 0

    def facts(self) -> list[str]:
        """The ids of all messages that were taken."""
        return sorted(row[0] for row in self.rows("SELECT id FROM inbox"))

    def claims(self) -> list[dict[str, Any]]:
        """Every claim as it stands, without what depends on the order of arrival."""
        return [{**claim, "position": None} for claim in claims.listed(self.database)]

    def close(self) -> None:
        self.database.close()
        self.keys.close()


@contextlib.contextmanager
def new_books(url: str, **options: Any) -> Iterator[Books]:
    books = Books(url)
    try:
        yield books.create(**options)
    finally:
        books.close()


# --- messages -----------------------------------------------------------------------------------------------------


def account_registered(account: str, message_id: str | None = None, name: str = "Ada Example") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": message_id or f"registered-{account}",
        "source": "/provisioning/test",
        "type": "voip.account.registered.v1",
        "subject": account,
        "time": "2026-01-02T10:00:00Z",
        "data": {
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "customer": {"name": name, "email": "ada@example.net"},
        },
    }


@dataclass(frozen=True)
class Sent:
    """One record as a producer sends it."""

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


def structured(event: dict[str, Any], partition: int | None = None) -> Sent:
    return Sent(
        json.dumps(event).encode(),
        str(event["subject"]).encode(),
        (("content-type", b"application/cloudevents+json; charset=utf-8"),),
        partition,
    )


def binary(event: dict[str, Any], partition: int | None = None) -> Sent:
    attributes = {name: value for name, value in event.items() if name != "data"}
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in attributes.items())
    return Sent(
        json.dumps(event["data"]).encode(),
        str(event["subject"]).encode(),
        (*headers, ("content-type", b"application/json")),
        partition,
    )


def sample_lines() -> list[bytes]:
    return (SAMPLE / "events.jsonl").read_bytes().splitlines()


def send(bootstrap: str, topic: str, records: Sequence[Sent]) -> None:
    """As a plain producer in another team's program does."""
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "queue.buffering.max.messages": 1_000_000})
    for record in records:
        partition: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        producer.produce(
            topic,
            record.value,
            record.key,
            headers=list(record.headers),
            on_delivery=lambda error, _: failures.append(error) if error else None,
            **partition,
        )
    assert producer.flush(60) == 0
    assert not failures, failures


def transactional(place: "Place", name: str = "one") -> Producer:
    """A producer of transactions, ready for the first; the one that had its name before is fenced off."""
    known_as = f"{place.upstream.name}-{name}"
    settings = {"bootstrap.servers": place.cluster.bootstrap, "transactional.id": known_as, "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(30)
    return producer


def take_all(books: Books, lines: Sequence[bytes]) -> None:
    """Record messages without a broker."""
    items = [read_structured(line, origin=f"line:{n}", channel="file") for n, line in enumerate(lines)]
    ledger = books.ledger()
    for start in range(0, len(items), 500):
        take(ledger, items[start : start + 500])


# --- a cluster of one's own -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A cluster with topics and groups that no other test uses."""

    cluster: Cluster
    upstream: Topic
    events: Topic
    instructions: Topic
    dead_letters: Topic
    refund_requests: Topic
    checkpoints: Topic

    @property
    def names(self) -> TopicNames:
        """The same, as commands know them."""
        return TopicNames(
            self.upstream.name,
            self.events.name,
            self.instructions.name,
            self.refund_requests.name,
            self.dead_letters.name,
            self.checkpoints.name,
        )

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All of them."""
        return self.upstream, *self.relayed.values(), self.refund_requests, self.checkpoints

    @property
    def relayed(self) -> dict[str, Topic]:
        """The topics that a relay is told to publish on."""
        return {"events": self.events, "instructions": self.instructions, "dead_letters": self.dead_letters}

    def fresh_cluster(self) -> Cluster:
        """The same, as another process sees it."""
        return Cluster(self.cluster.bootstrap, group=self.cluster.group)

    def send(self, *records: Sent) -> None:
        send(self.cluster.bootstrap, self.upstream.name, records)

    def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Have Kafka delete what lies before an offset of some of upstream's partitions."""
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})
        cuts = [TopicPartition(self.upstream.name, number, offset) for number, offset in offsets.items()]
        for answer in admin.delete_records(cuts).values():
            answer.result(15)

    def make_anew(self, topic: Topic) -> None:
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})
        admin.delete_topics([topic.name])[topic.name].result(15)
        until(lambda: topic.name not in admin.list_topics(timeout=10).topics)
        until(lambda: self.cluster.create_topics([topic]) == [topic.name])


def new_place(broker: Kafka | InProcessBroker, partitions: int = 4) -> Place:
    name = uuid.uuid4().hex[:8]
    group = f"makegood-{name}"
    place = Place(
        broker.cluster(group) if isinstance(broker, InProcessBroker) else Cluster(broker.bootstrap, group=group),
        Topic(f"provisioning.events-{name}", partitions),
        Topic(f"ledger.events-{name}", 1),
        Topic(f"makegood.instructions-{name}", 1),
        Topic(f"provisioning.dead-letters-{name}", 1),
        Topic(f"payments.refund-requests-{name}", 1),
        Topic(f"makegood.checkpoints-{name}", 1),
    )
    place.cluster.create_topics(place.topics)
    return place


# --- running ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(*parts: Part) -> Iterator[threading.Event]:
    """Parts at work, stopped in good order at the end; an error of theirs is raised."""
    stop, ready = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            run_parts(parts, stop, ready.set)
        except BaseException as error:
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30), "the parts did not get ready"
        if not errors:
            yield stop
    finally:
        stop.set()
        thread.join()
        if errors:
            raise errors[0]


def until(condition: Callable[[], object], patience: float = 30.0) -> None:
    """Wait for something to become true; while the database is away nothing is."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(Unavailable):
            if condition():
                return
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
