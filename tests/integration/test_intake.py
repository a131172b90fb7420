"""Intake with a real Kafka and a real PostgreSQL: whatever happens, every message is taken, once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.publish import key_of
from consumers.taking import reader_name, stored_positions
from consumers.upstream import read_kafka
from ledger.application.record import take
from ledger.store.connecting import connect
from ledger.store.database import Unavailable, beside
from ledger.store.writing import take_over_reader
from tests.integration.world import (
    Books,
    Place,
    Sent,
    account_registered,
    binary,
    new_books,
    new_place,
    running,
    sample_lines,
    structured,
    until,
)
from tests.parts.kafka import Kafka, find_kafka
from tests.parts.postgres import Postgres, find_postgres

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with find_postgres(controllable=True) as found:
        yield found


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    with find_kafka(controllable=True) as found:
        yield found


def intake(books: Books, place: Place) -> Intake:
    """As a process of its own would have it."""
    return Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)


def registrations(first: int, count: int, partition: int | None = None) -> list[Sent]:
    return [structured(account_registered(f"acct-{n}"), partition) for n in range(first, first + count)]


def expected(count: int) -> list[str]:
    return sorted(f"registered-acct-{n}" for n in range(count))


def test_both_content_modes_and_refused_ones_between_good_ones(books: Books, place: Place) -> None:
    events = [account_registered(f"acct-{n}") for n in range(100)]
    sent = [(binary if n % 2 else structured)(event) for n, event in enumerate(events)]
    for at in range(0, 100, 10):
        sent.insert(at + at // 10, Sent(b"\x00\xff not a message", f"acct-{at}".encode()))
    sent += sent[:20]  # delivered again: 18 duplicates, and 2 that are refused again, at another offset
    sent.append(Sent(structured(account_registered("acct-100")).value))  # as kcat sends: neither key nor headers
    with running(intake(books, place)):
        place.send(*sent)
        until(lambda: len(books.facts()) == 101 and books.count("dead_letters") == 12)
    assert books.facts() == expected(101)
    assert books.count("events") == 102  # the agreement's publication is the first


def test_lag_tools_are_told_how_far_it_is(books: Books, place: Place) -> None:
    with running(intake(books, place)):
        place.send(*registrations(0, 50, partition=2))
        until(lambda: len(books.facts()) == 50)
    asking = Consumer({"bootstrap.servers": place.cluster.bootstrap, "group.id": f"{place.cluster.group}-intake"})
    committed = asking.committed([TopicPartition(place.upstream.name, 2)], timeout=10)
    asking.close()
    assert committed[0].offset == 50


def test_what_kafka_holds_of_offsets_is_of_no_account(books: Books, place: Place) -> None:
    """Somebody sets the group's offsets to the end: nothing is left out."""
    place.send(*registrations(0, 50, partition=0))
    group = Consumer({"bootstrap.servers": place.cluster.bootstrap, "group.id": f"{place.cluster.group}-intake"})
    group.commit(offsets=[TopicPartition(place.upstream.name, 0, 50)], asynchronous=False)
    group.close()
    with running(intake(books, place)):
        until(lambda: books.facts() == expected(50))


def test_the_sample_with_restarts_is_the_sample_in_one_piece(books: Books, place: Place, tmp_path: Path) -> None:
    lines = [line for line in sample_lines() if line.strip()]
    with new_books(f"sqlite:///{tmp_path / 'in-one-piece.db'}") as whole:
        items = [read_kafka((), None, line, origin=f"line:{n}") for n, line in enumerate(lines)]
        ledger = whole.ledger()
        taken = [take(ledger, items[start : start + 500]) for start in range(0, len(items), 500)]
        assert sum(batch.accepted for batch in taken) == 4924
        whole.follower().catch_up()
        facts, claims = whole.facts(), whole.claims()

    place.send(*[Sent(line, key_of(line)) for line in lines])
    for share in (0.2, 0.5, 0.8):
        with running(intake(books, place)):
            until(lambda share=share: books.count("inbox") > share * len(facts), 120)
    with running(intake(books, place)):
        until(lambda: books.count("inbox") == len(facts) and books.count("dead_letters") == 35, 120)
    books.follower().catch_up()
    assert books.facts() == facts
    assert books.claims() == claims


def test_three_members_share_the_partitions_and_lose_and_double_nothing(books: Books, place: Place) -> None:
    place.send(*registrations(0, 300))
    with running(intake(books, place)):
        with running(intake(books, place)), running(intake(books, place)):
            place.send(*registrations(300, 300))
            until(lambda: books.count("inbox") >= 500)
        place.send(*registrations(600, 300))  # two have left meanwhile
        until(lambda: books.count("inbox") == 900)
    assert books.facts() == expected(900)
    assert books.count("events") == 901
    positions = stored_positions(books.database, place.cluster.identity(place.upstream.name))
    assert sum(positions.values()) == 900


def test_a_static_member_that_is_back_soon_finds_its_partitions_as_they_were(books: Books, place: Place) -> None:
    """Nobody takes them over meanwhile, as the others do with those of a dynamic member as soon as it leaves."""

    def static(name: str) -> Intake:
        cluster = Cluster(place.cluster.bootstrap, group=place.cluster.group, member=name)
        return Intake(books.ledger(), cluster, topic=place.upstream)

    def epochs() -> dict[str, int]:
        return dict(books.rows("SELECT reader, epoch FROM readers WHERE reader LIKE 'intake/%'"))

    with running(static("one")):
        until(lambda: len(epochs()) == 4)
        with running(static("two")):
            until(lambda: sum(epochs().values()) == 6)  # two of the four have changed hands
            shared = epochs()
        time.sleep(3)
        assert epochs() == shared
        with running(static("two")):
            until(lambda: sum(epochs().values()) == 8)
            place.send(*registrations(0, 40))
            until(lambda: books.count("inbox") == 40)
        back = epochs()
    assert {reader: back[reader] - epoch for reader, epoch in shared.items()} == {
        reader: epoch - 1 for reader, epoch in shared.items()
    }


def test_whoever_was_fenced_off_begins_anew_and_goes_on(books: Books, place: Place) -> None:
    """Another writer under a newer epoch has read further: what the first holds in memory is worth nothing."""
    identity = place.cluster.identity(place.upstream.name)
    with running(intake(books, place)):
        place.send(*registrations(0, 20, partition=0))
        until(lambda: books.count("inbox") == 20)
        with books.database.writing() as transaction:
            take_over_reader(transaction, reader_name(identity, 0))
        place.send(*registrations(20, 20, partition=0))
        until(lambda: books.count("inbox") == 40)
    assert books.facts() == expected(40)
    assert stored_positions(books.database, identity)[0] == 40


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(books: Books, place: Place) -> None:
    with running(intake(books, place)):
        place.send(*registrations(0, 30, partition=0))
        until(lambda: books.count("inbox") == 30)
        place.make_anew(place.upstream)
        # More than were read before, so that the old position lies in the middle of the new topic.
        place.send(*registrations(20, 80, partition=0))
        until(lambda: books.count("inbox") == 100, 60)
    assert books.facts() == expected(100)


def test_a_topic_that_is_made_anew_on_a_broker_that_was_restarted(own_kafka: Kafka, books: Books) -> None:
    """Its leaders' epochs begin again below those that the client has seen, and no client believes that by itself."""
    place = new_place(own_kafka)
    with running(intake(books, place)):
        own_kafka.stop()
        own_kafka.start()
        place.send(*registrations(0, 30, partition=0))
        until(lambda: books.count("inbox") == 30)
        place.make_anew(place.upstream)
        place.send(*registrations(20, 80, partition=0))
        until(lambda: books.count("inbox") == 100, 60)
    assert books.facts() == expected(100)


def test_a_topic_that_was_made_anew_while_nobody_looked(books: Books, place: Place) -> None:
    with running(intake(books, place)):
        place.send(*registrations(0, 30, partition=0))
        until(lambda: books.count("inbox") == 30)
    place.make_anew(place.upstream)
    place.send(*registrations(20, 80, partition=0))
    with running(intake(books, place)):
        until(lambda: books.count("inbox") == 100)
    assert books.facts() == expected(100)


def test_a_server_that_was_restarted_costs_one_answer_and_not_one_for_each_connection(own_postgres: Postgres) -> None:
    with closing(connect(own_postgres.new_database())) as database:

        def asks(_: int = 0) -> bool:
            try:
                with database.reading() as transaction:
                    transaction.rows("SELECT pg_sleep(0.2)")
            except Unavailable:
                return False
            return True

        with ThreadPoolExecutor(8) as together:
            assert all(together.map(asks, range(8))), "each has a connection of its own"
        own_postgres.stop()
        own_postgres.start()
        assert [asks() for _ in range(8)].count(False) == 1


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_database_that_goes_away_is_waited_for(own_postgres: Postgres, place: Place, fault: str) -> None:
    url = own_postgres.new_database()
    with new_books(url) as books, running(intake(books, place)):
        place.send(*registrations(0, 40))
        until(lambda: books.count("inbox") == 40)
        getattr(own_postgres, fault)()
        place.send(*registrations(40, 200))
        own_postgres.start()
        until(lambda: books.count("inbox") == 240, 60)
        assert books.facts() == expected(240)
    own_postgres.drop_database(url)
    own_postgres.drop_database(beside(url, "vault"))


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_broker_that_goes_away_is_waited_for(own_kafka: Kafka, books: Books, fault: str) -> None:
    place = new_place(own_kafka)
    with running(intake(books, place)):
        place.send(*registrations(0, 40))
        until(lambda: books.count("inbox") == 40)
        getattr(own_kafka, fault)()
        own_kafka.start()
        place.send(*registrations(40, 200))
        until(lambda: books.count("inbox") == 240, 60)
    assert books.facts() == expected(240)
