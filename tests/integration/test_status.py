"""How far parts are behind, by what a real Kafka and a real PostgreSQL say."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from consumers.checkpoints.topic import CheckpointTopic
from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import TOPICS
from consumers.lag import Lag
from consumers.payouts.asking import Payouts
from consumers.payouts.request_topic import RequestTopic
from consumers.relay import Relay
from consumers.topic_lag import carrier_lags
from ledger.audit import Checkpoint, SigningKey, signed
from ledger.store.instants import from_microseconds
from makegood.answers.metrics import METRICS
from makegood.cli import run
from tests.integration.world import (
    Books,
    Place,
    Sent,
    account_registered,
    running,
    structured,
    transactional,
    until,
)
from tests.parts.kafka import Kafka, find_kafka

WRITTEN_AT = datetime(2026, 3, 1, 9, 30, 0, 250_000, UTC)


def lags(books: Books, place: Place) -> dict[tuple[str, str, int], Lag]:
    names = place.names
    return {(lag.part, lag.of, lag.number): lag for lag in carrier_lags(books.database, place.fresh_cluster(), names)}


def send_at(place: Place, sent: Sent, written_at: datetime) -> None:
    """As a producer does that gives its records a time of their own."""
    producer = Producer({"bootstrap.servers": place.cluster.bootstrap, "log_level": 0})
    producer.produce(
        place.upstream.name,
        sent.value,
        sent.key,
        partition=sent.partition,
        headers=list(sent.headers),
        timestamp=int(written_at.timestamp() * 1000),
    )
    assert producer.flush(30) == 0


def test_what_lies_before_intake_relay_and_payouts_is_counted_until_they_take_it(books: Books, place: Place) -> None:
    upstream, events, dead_letters = place.upstream.name, place.events.name, place.dead_letters.name
    instructions, requests = place.instructions.name, place.refund_requests.name
    send_at(place, structured(account_registered("acct-0"), 1), WRITTEN_AT)
    place.send(*(structured(account_registered(f"acct-{n}"), 1) for n in (1, 2)), Sent(b"{}", partition=1))
    at_first = lags(books, place)
    end = books.end()

    assert at_first["intake", upstream, 0] == Lag("intake", upstream, 0, 0, 0, None)
    assert at_first["intake", upstream, 1] == Lag("intake", upstream, 1, 0, 4, WRITTEN_AT)
    assert at_first["relay", events, 0].behind == at_first["relay", instructions, 0].behind == end
    assert at_first["relay", dead_letters, 0] == Lag("relay", dead_letters, 0, 0, 0, None)
    assert at_first["payouts", requests, 0].behind == end

    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: lags(books, place)["intake", upstream, 1].behind == 0)
    taken = lags(books, place)
    assert taken["intake", upstream, 1] == Lag("intake", upstream, 1, 4, 0, None)
    assert taken["relay", events, 0].behind == books.end() == end + 3
    assert taken["relay", events, 0].oldest_at is not None
    ((refused_at,),) = books.rows("SELECT refused_at FROM dead_letters")
    assert taken["relay", dead_letters, 0].behind == 1
    assert taken["relay", dead_letters, 0].oldest_at == from_microseconds(refused_at)

    payouts = Payouts(books.ledger(), RequestTopic(books.database, place.fresh_cluster(), place.refund_requests))
    with running(Relay(books.database, place.fresh_cluster(), **place.relayed), payouts):
        until(lambda: all(lag.behind == 0 for lag in lags(books, place).values()))
    sent = lags(books, place)
    for topic in (events, instructions):
        assert sent["relay", topic, 0] == Lag("relay", topic, 0, end + 3, 0, None)
    assert sent["relay", dead_letters, 0] == Lag("relay", dead_letters, 0, 1, 0, None)
    assert sent["payouts", requests, 0] == Lag("payouts", requests, 0, end + 3, 0, None)


def test_messages_that_kafka_deleted_before_they_were_taken_are_lost(books: Books, place: Place) -> None:
    place.send(*(structured(account_registered(f"acct-{n}"), 2) for n in range(5)))
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: lags(books, place)["intake", place.upstream.name, 2].behind == 0)
    place.send(*(structured(account_registered(f"acct-{n}"), 2) for n in range(5, 9)))
    place.delete_before({2: 8})

    lag = lags(books, place)["intake", place.upstream.name, 2]
    assert (lag.position, lag.behind, lag.lost) == (8, 1, 3)


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    """A broker of its own: the topics have the names of the contract, and it is stopped."""
    with find_kafka(controllable=True) as found:
        yield found


def test_every_metric_is_told_where_there_is_a_broker(
    books: Books,
    own_kafka: Kafka,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def status(*options: str, exits: int) -> str:
        # The store may have been made some time ago: how late its first event is, is not asked here.
        never = ["--max-age", str(10**6)]
        code = run(["status", *options, *never, "--store", books.database.url, "--kafka", own_kafka.bootstrap])
        said = capsys.readouterr().out
        assert code == exits, said
        return said

    def doctor_on_topics(exits: int) -> list[str]:
        monkeypatch.delenv("MAKEGOOD_SMTP")
        monkeypatch.delenv("MAKEGOOD_STRIPE_KEY")
        code = run(["doctor", "--json", "--store", books.database.url, "--kafka", own_kafka.bootstrap])
        monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://mail.example")
        monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", "sk_test_1")
        found = json.loads(capsys.readouterr().out)["checks"]
        assert code == exits, found
        (topics,) = [check for check in found if check["check"] == "topics"]
        return [topics["verdict"], topics["found"], topics["next"]]

    monkeypatch.setenv("MAKEGOOD_SMTP", "smtp://mail.example")  # else nothing is told of e-mails
    monkeypatch.setenv("MAKEGOOD_STRIPE_KEY", "sk_test_1")
    monkeypatch.setenv("MAKEGOOD_AUDIT_KEY", str(tmp_path / "audit.key"))  # else nothing of checkpoints
    missing = json.loads(status("--json", exits=1))
    assert missing["broker"]["reachable"] is True
    assert missing["problems"][0].startswith("topic provisioning.events does not exist; ")

    names = ", ".join(topic.name for topic in TOPICS)
    assert doctor_on_topics(exits=1) == [
        "broken",
        f"missing: {names}",
        "start `makegood run`, which creates them",
    ]

    Cluster(own_kafka.bootstrap).create_topics(TOPICS)
    assert doctor_on_topics(exits=0)[0] == "well"
    books.follower().catch_up()
    for command in (["key", "new"], ["checkpoint", "--kafka", own_kafka.bootstrap]):
        assert run(["audit", *command, "--store", books.database.url]) == 0
    capsys.readouterr()
    told = {line.split("{")[0].split()[0] for line in status("--metrics", exits=0).splitlines() if line[0] != "#"}
    assert told == {metric.name for metric in METRICS}
    assert set(json.loads(status("--json", exits=0))["metrics"]) == told
    rows = [line.split() for line in status(exits=0).splitlines()]
    assert ["intake", "provisioning.events", "partition", "3", "0", "0", "–"] in rows
    assert ["relay", "provisioning.dead-letters", "partition", "0", "0", "0", "–"] in rows

    keys = [SigningKey.from_text(line) for line in (tmp_path / "audit.key").read_text().splitlines()]
    topic = CheckpointTopic(Cluster(own_kafka.bootstrap))
    topic.publish(signed(Checkpoint(keys[0].name, 999, bytes(32)), keys, 1))
    topic.close()
    (ahead,) = json.loads(status("--json", exits=1))["problems"]
    assert ahead.startswith(f"the topic makegood.checkpoints has a checkpoint of {keys[0].name} over 999 events, and")

    own_kafka.stop()
    gone = json.loads(status("--json", exits=1))
    assert gone["broker"]["reachable"] is False
    assert gone["metrics"]["makegood_broker_reachable"] == [{"value": 0}]
    assert "makegood_projection_lag_events" in gone["metrics"]
    assert "makegood_intake_lag_messages" not in gone["metrics"]


def transactions(place: Place) -> None:
    """One that is committed, and one whose message is taken back."""
    producer = transactional(place)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(place.upstream.name, structured(account_registered("acct-0")).value, partition=0)
        producer.flush(15)
        end(15)
    until(lambda: place.cluster.extents(place.upstream.name)[0].decided == 4)


def test_what_transactions_that_have_ended_leave_behind_is_not_behind_and_costs_no_time(
    books: Books, place: Place
) -> None:
    transactions(place)
    upstream = place.upstream.name
    at_first = lags(books, place)["intake", upstream, 0]
    assert (at_first.position, at_first.behind) == (0, 4)
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: lags(books, place)["intake", upstream, 0].behind == 0)
    began = time.monotonic()
    assert lags(books, place)["intake", upstream, 0] == Lag("intake", upstream, 0, 4, 0, None)
    assert time.monotonic() - began < 1.5


def test_what_waits_behind_an_open_transaction_is_behind(books: Books, place: Place) -> None:
    producer = transactional(place)
    producer.begin_transaction()
    producer.produce(
        place.upstream.name,
        structured(account_registered("acct-1")).value,
        partition=1,
        timestamp=int(WRITTEN_AT.timestamp() * 1000),
    )
    producer.flush(15)
    place.send(structured(account_registered("acct-2"), 1))
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        for _ in range(2):
            found = lags(books, place)["intake", place.upstream.name, 1]
            assert (found.position, found.behind, found.oldest_at) == (0, 2, WRITTEN_AT)
        producer.commit_transaction(15)
        until(lambda: lags(books, place)["intake", place.upstream.name, 1].behind == 0)
    assert len(books.facts()) == 2


@pytest.mark.parametrize("milliseconds", [300_000_000_000_000, 1])
def test_a_time_that_cannot_be_breaks_nothing_and_frightens_nobody(
    books: Books, place: Place, milliseconds: int
) -> None:
    """The years 11476 and 1970: the age is told by the next message that says a time in earnest."""
    admin = AdminClient({"bootstrap.servers": place.cluster.bootstrap, "log_level": 0})
    anything = ConfigResource(
        ConfigResource.Type.TOPIC,
        place.upstream.name,
        incremental_configs=[
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in (("message.timestamp.after.max.ms", str(2**62)), ("retention.ms", "-1"))
        ],
    )
    admin.incremental_alter_configs([anything])[anything].result(15)
    sent = structured(account_registered("acct-0"), 1)
    producer = Producer({"bootstrap.servers": place.cluster.bootstrap, "log_level": 0})

    def is_taken() -> bool:
        """The broker refuses the time until it knows the topic's new settings, a moment after the controller does."""
        refused: list[KafkaError] = []
        producer.produce(
            place.upstream.name,
            sent.value,
            sent.key,
            partition=1,
            timestamp=milliseconds,
            on_delivery=lambda error, _: refused.append(error) if error is not None else None,
        )
        assert producer.flush(30) == 0
        return not refused

    until(is_taken)
    assert lags(books, place)["intake", place.upstream.name, 1].oldest_at is None
    send_at(place, structured(account_registered("acct-1"), 1), WRITTEN_AT)
    found = lags(books, place)["intake", place.upstream.name, 1]
    assert (found.behind, found.oldest_at) == (2, WRITTEN_AT)
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: len(books.facts()) == 2)


def test_lost_messages_are_a_problem_until_a_person_closes_them(
    books: Books, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    def makegood(*command: str, exits: int = 0) -> str:
        code = run([*command, "--store", books.database.url])
        said = capsys.readouterr()
        assert code == exits, said.out + said.err
        return said.out

    place.send(*[structured(account_registered(f"acct-{n}"), 2) for n in range(3)])
    place.delete_before({2: 2})
    with running(Intake(books.ledger(), place.fresh_cluster(), topic=place.upstream)):
        until(lambda: len(books.facts()) == 1)
    books.follower().catch_up()
    capsys.readouterr()
    told = json.loads(makegood("status", "--json", exits=1))
    [problem] = told["problems"]
    assert f"{place.upstream.name}/2, offsets 0 to 1, were deleted by Kafka before they were read" in problem
    assert told["metrics"]["makegood_open_lost_ranges"] == [{"value": 1}]
    [lost] = json.loads(makegood("lost", "list", "--json"))
    why = ("--as", "ada", "--reason", "published again as acct-0 and acct-1")
    [closed] = json.loads(makegood("lost", "close", "1", *why, "--json"))
    assert closed == {"lost_id": lost["lost_id"], "outcome": "closed"}
    assert json.loads(makegood("status", "--json"))["problems"] == []
    assert json.loads(makegood("lost", "list", "--json")) == []
    [after] = json.loads(makegood("lost", "list", "--all", "--json"))
    assert after["status"] == "closed"
    assert after["closed_by"].startswith("/makegood/cli/")
    assert after["closed_by"].endswith(" for ada")
    assert "published again" not in makegood("history", "system")
    makegood("lost", "close", "1", "--reason", "once more", exits=1)
    makegood("lost", "close", "2", "--reason", "there is none", exits=1)
