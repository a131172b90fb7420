"""Consumer groups of a real Kafka: who is in one, what ends a member, and what lag tools are told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.part import PartFailed
from ledger.store.reading.store import store_id
from makegood.house.broker import cluster_for
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.integration.world import (
    Books,
    Place,
    account_registered,
    new_books,
    new_place,
    running,
    structured,
    transactional,
    until,
)
from tests.parts.kafka import Kafka, find_kafka
from tests.parts.loaded import Program, said_by


def committed(place: Place, number: int) -> int:
    """What Kafka's own tool takes the group's lag by."""
    asking = Consumer({"bootstrap.servers": place.cluster.bootstrap, "group.id": f"{place.cluster.group}-intake"})
    with closing(asking):
        [found] = asking.committed([TopicPartition(place.upstream.name, number)], timeout=10)
    return found.offset


def registered(first: int, count: int) -> list[str]:
    return sorted(f"registered-acct-{n}" for n in range(first, first + count))


# --- what ends a member -------------------------------------------------------------------------------------------


def test_a_member_whose_name_another_takes_ends_its_part_and_says_so(books: Books, place: Place) -> None:
    def static() -> Intake:
        cluster = Cluster(place.cluster.bootstrap, group=place.cluster.group, member="one")
        return Intake(books.ledger(), cluster, topic=place.upstream)

    def two_of_them() -> None:
        with running(static()) as first, running(static()) as second:
            assert first.wait(30), "the first member lives on without its partitions"
            place.send(*[structured(account_registered(f"acct-{n}")) for n in range(8)])
            until(lambda: books.facts() == registered(0, 8))
            assert not second.is_set()

    with pytest.raises(PartFailed, match="MAKEGOOD_KAFKA_MEMBER"):
        two_of_them()


def test_a_supervisor_sees_that_a_fenced_process_has_ended(own_kafka: Kafka, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'books.db'}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    environment |= {"MAKEGOOD_STORE": store, "MAKEGOOD_KAFKA": own_kafka.bootstrap, "MAKEGOOD_KAFKA_MEMBER": "one"}
    assert said_by("makegood.cli", ["init"], environment)[0] == 0

    def started() -> Program:
        process = Program("makegood.cli", ["run", "intake"], environment)
        assert process.stderr is not None
        while process.stderr.readline().strip() != "ready":
            assert process.poll() is None
        return process

    first = started()
    second = started()
    try:
        assert first.wait(30) == 1
        assert first.stderr is not None
        said = first.stderr.read()
        assert "MAKEGOOD_KAFKA_MEMBER" in said.splitlines()[-1]
        assert second.poll() is None
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(30)


# --- who is in the group ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    """A broker of its own: the topics have the names of the contract."""
    with find_kafka(controllable=True) as found:
        yield found


def test_two_installations_on_one_broker_take_all_messages_each(books: Books, place: Place, tmp_path: Path) -> None:
    """Their groups are named after their stores."""
    with new_books(f"sqlite:///{tmp_path / 'others.db'}") as others:
        clusters = []
        for each in (books, others):
            with open_house(Settings(store=each.database.url, kafka=place.cluster.bootstrap)) as house:
                clusters.append(cluster_for(house))
        assert clusters[0].group != clusters[1].group
        intakes = [
            Intake(each.ledger(), cluster, topic=place.upstream)
            for each, cluster in zip((books, others), clusters, strict=True)
        ]
        intakes[1].name = "the others' intake"
        with running(*intakes):
            place.send(*[structured(account_registered(f"acct-{n}")) for n in range(20)])
            until(lambda: books.facts() == others.facts() == registered(0, 20))
        assert all(cluster.strangers("intake") == [] for cluster in clusters)


def test_a_stranger_in_the_group_is_noticed_by_those_in_it_and_by_whoever_asks(
    books: Books, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("consumers.kafka.group.STRANGERS_SECONDS", 0.2)
    soon = {"heartbeat.interval.ms": 200}
    ours = Cluster(place.cluster.bootstrap, group=place.cluster.group, store=of(books), member_settings=soon)
    with new_books(f"sqlite:///{tmp_path / 'others.db'}") as others:
        theirs = Cluster(place.cluster.bootstrap, group=place.cluster.group, store=of(others), member_settings=soon)
        with running(Intake(books.ledger(), ours, topic=place.upstream)):
            assert ours.strangers("intake") == []
            with running(Intake(others.ledger(), theirs, topic=place.upstream)):
                [stranger] = ours.strangers("intake")
                until(lambda: "strangers_in_group" in capsys.readouterr().out)
            until(lambda: ours.strangers("intake") == [])
    assert stranger == f"makegood-{of(others)} at 127.0.0.1"


ASKING = """
import sys, threading, time
from consumers.kafka.cluster import Cluster
from consumers.kafka.records import BrokerError

cluster = Cluster(sys.argv[1], store="asking", patience=2.0)
cluster.strangers("intake")
print("asking", file=sys.stderr, flush=True)
until = time.monotonic() + 10

def ask():
    while time.monotonic() < until:
        try:
            cluster.strangers("intake")
        except BrokerError:
            pass
        time.sleep(0.05)

threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("survived", file=sys.stderr, flush=True)
"""


def test_whoever_asks_for_strangers_survives_that_the_broker_goes_away() -> None:
    """The client ends the whole process where it is asked in another way: so a process of its own asks."""
    with find_kafka(controllable=True) as broker:
        command = [sys.executable, "-c", ASKING, broker.bootstrap]
        asking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert asking.stderr is not None
        until(lambda: asking.stderr.readline() == "asking\n")
        for _ in range(2):
            broker.stop()
            time.sleep(2.5)
            broker.start()
        _, said = asking.communicate(timeout=60)
    assert (asking.returncode, said.splitlines()[-1]) == (0, "survived"), said


def of(books: Books) -> str:
    with books.database.reading() as transaction:
        return store_id(transaction)


# --- what lag tools are told --------------------------------------------------------------------------------------


def test_behind_what_a_transaction_leaves_there_kafkas_own_tool_sees_no_lag(books: Books, place: Place) -> None:
    producer = transactional(place)
    producer.begin_transaction()
    for n in range(3):
        producer.produce(place.upstream.name, structured(account_registered(f"acct-{n}")).value, partition=0)
    producer.commit_transaction(30)
    until(lambda: place.cluster.extents(place.upstream.name)[0].written == 4)  # the marker of its end follows it
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: books.facts() == registered(0, 3))
        until(lambda: committed(place, 0) == 4)


def test_offsets_that_were_reset_are_written_again_at_assignment_and_at_the_end(books: Books, place: Place) -> None:
    place.send(*[structured(account_registered(f"acct-{n}"), 0) for n in range(5)])
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: books.facts() == registered(0, 5))
        until(lambda: committed(place, 0) == 5)
    reset(place, 2)
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: committed(place, 0) == 5)
    assert committed(place, 0) == 5
    admin = AdminClient({"bootstrap.servers": place.cluster.bootstrap, "log_level": 0})
    group = f"{place.cluster.group}-intake"
    admin.delete_consumer_groups([group])[group].result(15)
    stopped = Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)
    with running(stopped):
        until(lambda: stopped.working)
    assert committed(place, 0) == 5


def reset(place: Place, offset: int) -> None:
    with closing(
        Consumer({"bootstrap.servers": place.cluster.bootstrap, "group.id": f"{place.cluster.group}-intake"})
    ) as group:
        group.commit(offsets=[TopicPartition(place.upstream.name, 0, offset)], asynchronous=False)


def test_a_broker_that_is_gone_holds_up_no_end(own_kafka: Kafka, books: Books) -> None:
    """What is still to be told to lag tools is not worth waiting for."""
    place = new_place(own_kafka)
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        place.send(structured(account_registered("acct-0"), 0))
        until(lambda: books.facts() == registered(0, 1))
        own_kafka.stop()
    own_kafka.start()
