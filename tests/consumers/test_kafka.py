"""Speaking to Kafka, on the client library's in-process broker."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from consumers.intake import Intake
from consumers.kafka.client import client_error
from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.publish import key_of, publish
from consumers.kafka.records import BrokerError, BrokerUnavailable, Outgoing, Partition, TopicMissing, Undelivered
from consumers.kafka.topics import EVENTS, TOPICS
from consumers.taking import stored_positions
from tests.integration.world import (
    Books,
    account_registered,
    new_books,
    new_place,
    running,
    sample_lines,
    structured,
    until,
)
from tests.parts.process import free_ports


@pytest.fixture(scope="module")
def broker() -> Iterator[InProcessBroker]:
    with InProcessBroker() as found:
        yield found


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with new_books(f"sqlite:///{tmp_path / 'books.db'}") as found:
        yield found


def nobody() -> Cluster:
    (port,) = free_ports(1)
    return Cluster(f"127.0.0.1:{port}")


# --- clusters and topics ------------------------------------------------------------------------------------------


def test_a_broker_that_gives_no_topic_id_gets_one_for_the_run(broker: InProcessBroker) -> None:
    one, other = broker.cluster(), broker.cluster()
    assert one.in_process
    assert one.identity("t") == one.identity("t")
    assert one.identity("t") != one.identity("u")
    assert one.identity("t") != other.identity("t")


def test_its_topics_are_there_when_one_asks_for_them(broker: InProcessBroker) -> None:
    cluster = broker.cluster()
    assert cluster.create_topics(TOPICS) == []
    assert cluster.partitions(EVENTS.name) == [0, 1, 2, 3]
    assert cluster.bounds(Partition(EVENTS.name, 0)) == (0, 0)


def test_topics_are_never_compacted() -> None:
    assert {topic.settings["cleanup.policy"] for topic in TOPICS} == {"delete"}


def test_nobody_there_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.kafka.cluster.PATIENCE", 0.3)
    with pytest.raises(BrokerUnavailable, match="MAKEGOOD_KAFKA"):
        nobody().create_topics(TOPICS)
    assert nobody().watch("t").look() is None


def test_what_waiting_does_not_mend_is_told_apart() -> None:
    assert type(client_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))) is BrokerUnavailable
    assert type(client_error(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))) is BrokerError
    assert type(client_error(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))) is TopicMissing


# --- sending ------------------------------------------------------------------------------------------------------


def read_all(broker: InProcessBroker, topic: str) -> list[tuple[int, bytes | None, bytes, dict[str, bytes]]]:
    reader = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "look", "log_level": 0})
    places = [TopicPartition(topic, n, 0) for n in range(4)]
    left = sum(reader.get_watermark_offsets(place, timeout=5, cached=False)[1] for place in places)
    reader.assign(places)
    found = []
    while len(found) < left:
        for message in reader.consume(1000, 0.5):
            assert message.error() is None
            value = message.value() or b""
            found.append((message.partition() or 0, message.key(), value, dict(message.headers() or [])))
    reader.close()
    return found


def test_what_was_sent_is_there_in_order(broker: InProcessBroker) -> None:
    place = new_place(broker)
    sender = place.cluster.sender("test")
    sender.send(
        [Outgoing(place.events.name, b"k", b"%d" % n, (("h", b"v"),), 2) for n in range(5000)], time.monotonic() + 30
    )
    sender.close()
    assert read_all(broker, place.events.name) == [(2, b"k", b"%d" % n, {"h": b"v"}) for n in range(5000)]


def test_a_full_queue_is_waited_out(broker: InProcessBroker) -> None:
    place = new_place(broker)
    settings = {"bootstrap.servers": broker.bootstrap}
    sender = type(place.cluster.sender("test"))(settings, "test")
    sender.send((Outgoing(place.events.name, None, b"x", (), 0) for _ in range(25_000)), time.monotonic() + 60)
    sender.close()
    assert place.cluster.bounds(Partition(place.events.name, 0))[1] == 25_000


def test_after_its_deadline_nothing_is_sent(broker: InProcessBroker) -> None:
    """As where the process was frozen just before it sent."""
    place = new_place(broker)
    sender = place.cluster.sender("test")
    with pytest.raises(Undelivered, match="the time for sending was over"):
        sender.send([Outgoing(place.events.name, None, b"x", (), 0)], time.monotonic() - 0.01)
    sender.send([Outgoing(place.events.name, None, b"y", (), 0)], time.monotonic() + 10)
    sender.close()
    assert place.cluster.bounds(Partition(place.events.name, 0))[1] == 1


def test_what_was_not_confirmed_is_an_error_and_the_sender_can_be_used_again() -> None:
    sender = nobody().sender("test")
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Undelivered):
            sender.send([Outgoing("t", None, b"x")], time.monotonic() + 0.3)
        assert time.monotonic() - began < 3
    sender.close()


# --- publishing a file --------------------------------------------------------------------------------------------


def test_lines_are_published_as_they_are_with_their_account_as_key(broker: InProcessBroker) -> None:
    place = new_place(broker)
    lines = [
        b' {"subject":  "acct-1", "id": "1"}\n',
        b"a line of a log\n",
        b"\n",
        b'{"subject": 7}\r\n',
        b"[1]\n",
        '{"subject": "Zoë"}'.encode(),
    ]
    seen: list[int] = []
    sender = place.cluster.sender("test")
    assert publish(lines, sender, topic=place.upstream.name, progress=seen.append) == 5
    sender.close()
    assert seen[-1] == 5
    found = {value: (key, headers) for _, key, value, headers in read_all(broker, place.upstream.name)}
    kind = {"content-type": b"application/cloudevents+json"}
    assert found == {
        b' {"subject":  "acct-1", "id": "1"}': (b"acct-1", kind),
        b"a line of a log": (None, kind),
        b'{"subject": 7}': (None, kind),
        b"[1]": (None, kind),
        '{"subject": "Zoë"}'.encode(): ("Zoë".encode(), kind),
    }


def test_messages_of_one_account_stay_in_one_partition(broker: InProcessBroker) -> None:
    place = new_place(broker)
    lines = [json.dumps({"subject": f"acct-{n % 10}", "n": n}).encode() for n in range(200)]
    sender = place.cluster.sender("test")
    publish(lines, sender, topic=place.upstream.name)
    sender.close()
    found = read_all(broker, place.upstream.name)
    where = {(key, partition) for partition, key, _, _ in found}
    assert len(where) == 10
    for account in range(10):
        order = [json.loads(value)["n"] for _, key, value, _ in found if key == b"acct-%d" % account]
        assert order == sorted(order)


def test_no_more_is_unread_than_the_broker_can_keep(broker: InProcessBroker, books: Books) -> None:
    """Ten times what the limit allows: without a reader it waits, with one everything arrives."""
    place = new_place(broker)
    identity = place.cluster.identity(place.upstream.name)
    lines = [structured(account_registered(f"acct-{n}", name="x" * 700)).value for n in range(300)]
    waiting = threading.Event()
    counts: list[int] = []

    def reader_at() -> dict[int, int]:
        waiting.set()
        return stored_positions(books.database, identity)

    def publish_all() -> None:
        with closing(place.cluster.sender("test")) as sender:
            counts.append(
                publish(
                    lines,
                    sender,
                    topic=place.upstream.name,
                    reader_at=reader_at,
                    unread_bytes_max=25 * len(lines[0]),
                )
            )

    publishing = threading.Thread(target=publish_all)
    publishing.start()
    assert waiting.wait(10)

    def most_unread() -> int:
        return max(place.cluster.bounds(Partition(place.upstream.name, n))[1] for n in range(4))

    until(lambda: most_unread() >= 20, 10)
    assert most_unread() <= 25
    with running(Intake(books.ledger(), place.cluster, topic=place.upstream)):
        until(lambda: books.count("inbox") == 300)
    publishing.join()
    assert counts == [300]


def test_publishing_to_nobody_who_reads_says_so(broker: InProcessBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.kafka.publish.PATIENCE", 0.5)
    place = new_place(broker)
    sender = place.cluster.sender("test")
    with pytest.raises(BrokerError, match="makegood run intake"):
        publish(sample_lines(), sender, topic=place.upstream.name, reader_at=dict, unread_bytes_max=10_000)
    sender.close()


def test_a_message_too_large_for_kafka_is_named(broker: InProcessBroker) -> None:
    place = new_place(broker)
    sender = place.cluster.sender("test")
    with pytest.raises(BrokerError, match="message 2 cannot be published"):
        publish([b"{}", b"x" * 2_000_000], sender, topic=place.upstream.name)
    sender.close()


@pytest.mark.parametrize(("line", "key"), [(b'{"subject":"a"}', b"a"), (b"{", None), (b'"a"', None), (b"\xff", None)])
def test_the_key_is_the_account_where_it_can_be_told(line: bytes, key: bytes | None) -> None:
    assert key_of(line) == key


# --- membership ---------------------------------------------------------------------------------------------------


def test_a_member_without_a_partition_is_ready_too(broker: InProcessBroker, books: Books) -> None:
    place = new_place(broker)
    members = [Intake(books.ledger(), place.cluster, topic=place.upstream) for _ in range(5)]
    for n, member in enumerate(members):
        member.name = f"intake {n}"
    with running(*members):
        pass
