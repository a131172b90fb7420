"""The relay with a real Kafka and a real PostgreSQL: everything is there, in order, as it is stored."""

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.intake import Intake
from consumers.kafka.records import TopicIdentity
from consumers.kafka.topics import Topic
from consumers.relay import Relay, relayed_to
from ledger.store.reading.events import read_shard
from projections import instructions
from tests.integration.world import (
    Books,
    Place,
    Sent,
    account_registered,
    new_place,
    now,
    running,
    sample_lines,
    structured,
    until,
)
from tests.integration.world import take_all as take
from tests.parts.kafka import Kafka, find_kafka

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    with find_kafka(controllable=True) as found:
        yield found


def relay(books: Books, place: Place, **options: float) -> Relay:
    cluster = place.fresh_cluster()
    return Relay(books.database, cluster, **place.relayed, **options)  # type: ignore[arg-type]


def on_topic(place: Place, topic: Topic) -> list[tuple[bytes | None, bytes, dict[str, bytes]]]:
    """Every record of the topic's only partition: key, value, headers."""
    reader = Consumer({"bootstrap.servers": place.cluster.bootstrap, "group.id": "look", "log_level": 0})
    here = TopicPartition(topic.name, 0, 0)
    _, high = reader.get_watermark_offsets(here, timeout=10, cached=False)
    reader.assign([here])
    found = []
    while len(found) < high:
        for message in reader.consume(high - len(found), 1):
            assert message.error() is None
            found.append((message.key(), message.value() or b"", dict(message.headers() or [])))
    reader.close()
    return found


def positions(place: Place) -> list[int]:
    return [int(headers["position"].partition(b":")[2]) for _, _, headers in on_topic(place, place.events)]


def is_relayed(books: Books, place: Place) -> bool:
    return relayed_to(books.database, place.cluster.identity(place.events.name), 0) == books.end()


def record(books: Books, first: int, count: int) -> None:
    take(books, [structured(account_registered(f"acct-{n}")).value for n in range(first, first + count)])


def test_every_event_is_there_in_order_as_it_is_stored(books: Books, place: Place) -> None:
    take(books, sample_lines()[:2500])
    with running(relay(books, place)):
        until(lambda: is_relayed(books, place))
    with books.database.reading() as transaction:
        stored = read_shard(transaction, 0, 0, 100_000)
    assert len(stored) > 2500
    assert on_topic(place, place.events) == [
        (
            e.account.encode(),
            e.envelope,
            {
                "store": books.follower().store_id().encode(),
                "position": f"0:{e.position}".encode(),
                "generation": b"1",
                "type": e.type.encode(),
                "account-version": str(e.account_version).encode(),
            },
        )
        for e in stored
    ]


def test_dead_letters_go_out_without_their_bodies(books: Books, place: Place) -> None:
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream), relay(books, place)):
        place.send(
            Sent(b'{"name": "Grace Hidden"', b"Grace Hidden", partition=1),
            structured({**account_registered("acct-1"), "data": {"customer": {"name": "Grace Hidden"}}}, 2),
        )
        until(lambda: len(on_topic(place, place.dead_letters)) == 2)
    letters = {
        json.loads(value)["account"]: (key, json.loads(value))
        for key, value, _ in on_topic(place, place.dead_letters)
    }
    assert set(letters) == {None, "acct-1"}
    key, letter = letters["acct-1"]
    assert key == b"acct-1"
    assert set(letter) == {"dead_letter_id", "id", "reason", "field", "origin", "source", "account", "refused_at"}
    assert letter["id"] == "registered-acct-1"
    assert letter["source"] == "/provisioning/test"
    topic_id = place.cluster.identity(place.upstream.name).topic_id
    assert letter["origin"].endswith(f"/{place.upstream.name}@{topic_id}/2/0")
    assert letters[None][0] is None
    assert "Grace" not in json.dumps([letter for _, letter in letters.values()])


def test_what_comes_while_it_runs_is_sent_soon(books: Books, place: Place) -> None:
    with running(relay(books, place)):
        for n in range(5):
            record(books, n, 1)
            until(lambda: is_relayed(books, place), 2)
    assert positions(place) == list(range(1, books.end() + 1))


def test_a_crash_before_the_position_was_moved_sends_again_and_leaves_nothing_out(books: Books, place: Place) -> None:
    record(books, 0, 50)
    with running(relay(books, place)):
        until(lambda: is_relayed(books, place))
    with books.database.writing() as transaction:
        transaction.run(
            "UPDATE readers SET position = 40 WHERE reader LIKE 'relay/%' AND position = ?", (books.end(),)
        )
    record(books, 50, 10)
    with running(relay(books, place)):
        until(lambda: is_relayed(books, place))
    assert positions(place) == [*range(1, 52), *range(41, 62)]


def test_two_relays_do_no_harm_and_one_takes_over_from_the_other(books: Books, place: Place) -> None:
    with running(relay(books, place, stands_by=1)):
        record(books, 0, 50)
        until(lambda: is_relayed(books, place))
        with running(relay(books, place, stands_by=1)):  # it has the lane now
            for n in range(50, 100, 5):
                record(books, n, 5)
            until(lambda: is_relayed(books, place))
        record(books, 100, 50)  # it is gone: the first one notices
        until(lambda: is_relayed(books, place))
    sent = positions(place)
    assert sorted(set(sent)) == list(range(1, books.end() + 1))
    first_seen = sorted(set(sent), key=sent.index)
    assert first_seen == list(range(1, books.end() + 1))  # no position comes before the one below it


def test_a_topic_that_is_made_anew_gets_everything(books: Books, place: Place) -> None:
    record(books, 0, 50)
    with running(relay(books, place, watch_seconds=0.2)):
        until(lambda: is_relayed(books, place))
        place.make_anew(place.events)
        until(lambda: is_relayed(books, place))
        record(books, 50, 50)
        until(lambda: is_relayed(books, place))
    sent = positions(place)
    assert sorted(set(sent), key=sent.index) == list(range(1, books.end() + 1))


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_broker_that_goes_away_is_waited_for(own_kafka: Kafka, books: Books, fault: str) -> None:
    place = new_place(own_kafka)
    record(books, 0, 50)
    with running(relay(books, place)):
        until(lambda: is_relayed(books, place))
        getattr(own_kafka, fault)()
        record(books, 50, 50)
        own_kafka.start()
        until(lambda: is_relayed(books, place), 60)
    sent = positions(place)
    assert sorted(set(sent), key=sent.index) == list(range(1, books.end() + 1))


def test_instructions_are_on_their_topic_in_order(books: Books, place: Place) -> None:
    take(books, sample_lines()[:2500])
    with running(relay(books, place)):
        until(lambda: is_relayed(books, place) and relayed_to(books.database, instructed(place), 0) == books.end())
    sent = [json.loads(value) for _, value, _ in on_topic(place, place.instructions)]
    books.follower().catch_up()
    kept = {
        each["instruction_id"]: (each["account_id"], f"makegood.{each['kind']}.v1", each["data"])
        for each in instructions.listed(books.database, now())
    }
    assert {each["id"]: (each["subject"], each["type"], each["data"]) for each in sent} == kept
    assert len(sent) == len(kept) > 5
    positions = [int(headers["position"].partition(b":")[2]) for _, _, headers in on_topic(place, place.instructions)]
    assert positions == sorted(positions)


def instructed(place: Place) -> TopicIdentity:
    return place.cluster.identity(place.instructions.name)
