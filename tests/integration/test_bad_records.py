"""Records that a client cannot decode, and ranges that Kafka does not have: nothing stops, and all of it is told."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from consumers.intake import Intake
from consumers.kafka.cluster import Cluster, Probe
from consumers.kafka.records import Partition, TopicIdentity
from consumers.projector import KafkaSource, Projector
from consumers.relay import EventLane
from consumers.replaying import replay
from consumers.taking import stored_positions
from ledger.application.kept_messages import Closing, Kept
from ledger.store.reading.lost import LostMessages, lost_ranges
from ledger.store.reading.vault import vault_entry
from tests.integration.world import (
    Books,
    Place,
    Sent,
    account_registered,
    binary,
    new_place,
    running,
    send,
    structured,
    transactional,
    until,
)
from tests.parts.kafka import KafkaProcess, find_kafka
from tests.parts.raw_records import send_raw

NO_UTF_8 = b"ce_\xff\xfe"


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[KafkaProcess]:
    """A broker whose disk the tests can reach."""
    with find_kafka(controllable=True) as found:
        assert isinstance(found, KafkaProcess)
        yield found


def intake(books: Books, place: Place) -> Intake:
    return Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)


def registration(number: int, partition: int = 0) -> Sent:
    return structured(account_registered(f"acct-{number}"), partition)


def lost_in(books: Books) -> list[LostMessages]:
    with books.database.reading() as transaction:
        return lost_ranges(transaction)


def body_of(books: Books, dead_letter_id: str) -> bytes:
    with books.database.reading() as transaction:
        entry = vault_entry(transaction, f"dead-letter/{dead_letter_id}")
    assert entry is not None
    return books.ledger().vault.decrypt(entry)


# --- single records -----------------------------------------------------------------------------------------------


def test_a_header_whose_name_is_not_utf_8_is_that_records_refusal(books: Books, place: Place) -> None:
    broker, topic = place.cluster.bootstrap, place.upstream.name
    whole, part = structured(account_registered("acct-1")), binary(account_registered("acct-2"))
    place.send(registration(0))
    send_raw(broker, topic, whole.value, header=NO_UTF_8, key=b"acct-1")
    send_raw(broker, topic, part.value, header=NO_UTF_8, key=b"acct-2")
    place.send(registration(3), registration(4, partition=1))
    for _ in range(2):  # a restart reads none of them again
        with running(intake(books, place)):
            until(lambda: len(books.facts()) == 3 and books.count("dead_letters") == 2)

    first, second = books.rows(
        "SELECT dead_letter_id, origin, field, reason, id, source, account FROM dead_letters ORDER BY position"
    )
    topic_id = place.cluster.identity(topic).topic_id
    assert first[1:3] == (f"kafka:{place.cluster.cluster_id}/{topic}@{topic_id}/0/1", "headers")
    assert "UTF-8" in first[3]
    assert first[4:] == ("registered-acct-1", "/provisioning/test", "acct-1")
    assert body_of(books, first[0]) == whole.value
    assert b"acct-2" in body_of(books, second[0])
    assert b"Ada Example" in body_of(books, second[0])

    replayed = replay(books.ledger(), Closing(Kept("dead-letter", first[0], first[1]), "ada", "test"))
    assert replayed.outcome == "accepted"  # its value is a whole message; only its header was no good


def test_on_the_ledgers_topic_the_projector_takes_the_stores_own_bytes(books: Books, place: Place) -> None:
    with running(intake(books, place)):
        place.send(*(registration(n) for n in range(6)))
        until(lambda: len(books.facts()) == 6)
    with books.database.reading() as transaction:
        records = EventLane(place.events.name, 0).after(transaction, 0, 100).records
    broker, topic = place.cluster.bootstrap, place.events.name
    for record in records[:3]:
        send(broker, topic, [Sent(record.value, record.key, tuple(record.headers), 0)])  # type: ignore[arg-type]
    send_raw(broker, topic, records[3].value, header=NO_UTF_8, key=records[3].key or b"")
    source = KafkaSource(place.fresh_cluster(), topic=place.events, look_seconds=600)
    with running(Projector(books.follower(), source)):
        until(lambda: books.follower().position_reached(0) == books.end())


# --- damage on the broker's disk ----------------------------------------------------------------------------------


def damage_last_batch(kafka: KafkaProcess, topic: str, number: int, start: int) -> None:
    """Overwrite the records of the batch that begins at a byte of the partition's log."""
    with (kafka.folder / "data" / f"{topic}-{number}" / f"{0:020}.log").open("r+b") as log:
        log.seek(start + 61)
        log.write(b"\x00\x11" * 8)


def log_bytes(kafka: KafkaProcess, topic: str, number: int) -> int:
    return (kafka.folder / "data" / f"{topic}-{number}" / f"{0:020}.log").stat().st_size


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_batch_that_is_damaged_is_passed_over_and_leaves_a_mark(
    own_kafka: KafkaProcess, books: Books, compression: str
) -> None:
    place = new_place(own_kafka)
    place.send(*(registration(n) for n in range(3)))
    start = log_bytes(own_kafka, place.upstream.name, 0)
    producer = Producer(
        {"bootstrap.servers": own_kafka.bootstrap, "compression.type": compression, "linger.ms": 5_000}
    )
    for n in range(3, 10):
        sent = registration(n)
        producer.produce(place.upstream.name, sent.value, sent.key, partition=0)
    assert producer.flush(15) == 0
    damage_last_batch(own_kafka, place.upstream.name, 0, start)
    place.send(registration(10))
    with running(intake(books, place)):
        until(lambda: len(books.facts()) == 4)
        [lost] = lost_in(books)
    assert (lost.range.partition, lost.range.first, lost.range.last, lost.range.cause) == (0, 3, 9, "damaged")
    assert stored_positions(books.database, place.cluster.identity(place.upstream.name))[0] == 11


def test_a_damaged_batch_on_the_ledgers_topic_is_taken_from_the_store(own_kafka: KafkaProcess, books: Books) -> None:
    place = new_place(own_kafka)
    with running(intake(books, place)):
        place.send(*(registration(n) for n in range(6)))
        until(lambda: len(books.facts()) == 6)
    with books.database.reading() as transaction:
        records = EventLane(place.events.name, 0).after(transaction, 0, 100).records
    start = 0
    for place_of, record in enumerate(records[:5]):
        if place_of == 3:
            start = log_bytes(own_kafka, place.events.name, 0)
        send(own_kafka.bootstrap, place.events.name, [Sent(record.value, record.key, tuple(record.headers), 0)])  # type: ignore[arg-type]
    damage_last_batch(own_kafka, place.events.name, 0, start)
    source = KafkaSource(place.fresh_cluster(), topic=place.events, look_seconds=600)
    with running(Projector(books.follower(), source)):
        until(lambda: books.follower().position_reached(0) == books.end())


# --- what Kafka deleted -------------------------------------------------------------------------------------------


def test_what_kafka_deleted_before_it_was_taken_leaves_a_mark_for_ever(books: Books, place: Place) -> None:
    before = datetime.now(UTC)
    with running(intake(books, place)):
        place.send(*(registration(n) for n in range(5)))
        until(lambda: len(books.facts()) == 5)
    place.send(*(registration(n) for n in range(5, 9)))
    place.delete_before({0: 8})
    for _ in range(2):  # a restart clears nothing, and tells it no second time
        with running(intake(books, place)):
            until(lambda: len(books.facts()) == 6)
    [lost] = lost_in(books)
    identity = place.cluster.identity(place.upstream.name)
    assert TopicIdentity(lost.range.cluster, lost.range.topic, lost.range.topic_id) == identity
    assert (lost.range.partition, lost.range.first, lost.range.last) == (0, 5, 7)
    assert (lost.range.cause, lost.closed_at) == ("deleted", None)
    assert before <= lost.since


def test_what_kafka_deletes_while_a_partition_is_taken_up_leaves_a_mark_too(books: Books, place: Place) -> None:
    """Between the look at what there is and the first fetch: only the fetch shows it."""
    with running(intake(books, place)):
        place.send(*(registration(n) for n in range(3)))
        until(lambda: len(books.facts()) == 3)
    place.send(*(registration(n) for n in range(3, 9)))

    class Retaining(Cluster):
        def probe(self, partition: Partition, **how: bool) -> Probe:
            found = super().probe(partition, **how)
            bounds = found.bounds

            def bounds_and_then_less() -> tuple[int, int]:
                seen = bounds()
                if partition.number == 0 and seen[0] == 0:
                    place.delete_before({0: 7})
                return seen

            found.bounds = bounds_and_then_less  # type: ignore[method-assign]
            return found

    cluster = Retaining(place.cluster.bootstrap, group=place.cluster.group)
    with running(Intake(books.ledger(), cluster, topic=place.upstream)):
        until(lambda: len(books.facts()) == 5)
    [lost] = lost_in(books)
    assert (lost.range.first, lost.range.last, lost.range.cause) == (3, 6, "deleted")


def test_what_a_transaction_leaves_behind_is_no_loss(books: Books, place: Place) -> None:
    producer = transactional(place)
    for numbers, end in ((range(2), producer.commit_transaction), (range(2, 4), producer.abort_transaction)):
        producer.begin_transaction()
        for n in numbers:
            producer.produce(place.upstream.name, registration(n).value, partition=0)
        producer.flush(15)
        end(15)
    place.send(registration(4))
    with running(intake(books, place)):
        until(lambda: len(books.facts()) == 3)
    assert lost_in(books) == []
