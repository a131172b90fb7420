"""Kafka over TLS, with every way of showing who comes, from the settings to what was taken."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.kafka.cluster import Cluster
from consumers.kafka.records import BrokerError, BrokerUnavailable, Outgoing, Partition
from consumers.kafka.security import Security
from consumers.kafka.topics import TOPICS
from makegood.cli import run
from tests.integration.world import SAMPLE, Books, until
from tests.parts.loaded import Program, said_by
from tests.parts.secured import PASSWORD, USER, SecuredKafka


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredKafka]:
    with SecuredKafka() as found:
        yield found


def ways_in(secured: SecuredKafka, way: str) -> Cluster:
    if way == "certificate":
        return Cluster(secured.mutual, security=secured.certified())
    return Cluster(secured.bootstrap, security=secured.bearer() if way == "OAUTHBEARER" else secured.scram(way))


@pytest.mark.parametrize("way", ["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "certificate"])
def test_every_client_shows_who_it_is(secured: SecuredKafka, way: str) -> None:
    """Admin, producer, consumer outside of a group; the member of one is shown by `makegood run` below."""
    cluster = ways_in(secured, way)
    cluster.create_topics(TOPICS)
    topic = TOPICS[0].name
    before = cluster.extents(topic)[0].written
    with closing(cluster.sender("test")) as sender:
        sender.send([Outgoing(topic, None, b"{}", (), 0)], time.monotonic() + 20)
    with cluster.probe(Partition(topic, 0)) as probe:
        found = probe.first_from(before)
    assert found is not None
    assert found.value == b"{}"


def test_the_whole_way_by_settings(secured: SecuredKafka, books: Books, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}
    environment |= {
        "MAKEGOOD_STORE": books.database.url,
        "MAKEGOOD_VAULT": books.keys.url,
        "MAKEGOOD_KAFKA": secured.bootstrap,
        "MAKEGOOD_KAFKA_SECURITY": "SASL_SSL",
        "MAKEGOOD_KAFKA_CA": secured.ca,
        "MAKEGOOD_KAFKA_SASL": "SCRAM-SHA-512",
        "MAKEGOOD_KAFKA_USER": USER,
        "MAKEGOOD_KAFKA_PASSWORD_FILE": str(tmp_path / "password"),
        "MAKEGOOD_HTTP": "127.0.0.1:0",
    }
    few = tmp_path / "few.jsonl"
    few.write_bytes(b"".join((SAMPLE / "events.jsonl").read_bytes().splitlines(keepends=True)[:20]))

    def makegood(*command: str) -> tuple[int, str]:
        return said_by("makegood.cli", command, environment)

    running = Program("makegood.cli", ["run"], environment)
    assert running.stderr is not None
    with running.stderr:
        said = []
        for line in running.stderr:
            said.append(line)
            if line.strip() == "ready":
                break
        draining = threading.Thread(target=lambda: said.extend(running.stderr or ()))
        draining.start()
        try:
            assert makegood("publish", str(few))[0] == 0
            until(lambda: books.facts(), 30)
            until(lambda: makegood("status")[0] == 0, 30)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(30)
            draining.join()
    assert running.returncode == 0, said
    assert PASSWORD not in makegood("config")[1] + "".join(said)


@pytest.mark.parametrize("wrong", ["password", "secret", "no certificate", "authority", "plaintext"])
def test_who_is_not_let_in_is_told_why_and_does_not_wait_for_ever(secured: SecuredKafka, wrong: str) -> None:
    security, address = {
        "password": (secured.scram("SCRAM-SHA-512", "wrong"), secured.bootstrap),
        "secret": (secured.bearer("wrong"), secured.bootstrap),
        "no certificate": (Security("SSL", ca=secured.ca), secured.mutual),
        "authority": (replace(secured.scram("SCRAM-SHA-256"), ca=str(secured.stranger.ca)), secured.bootstrap),
        "plaintext": (Security(), secured.bootstrap),
    }[wrong]
    cluster = Cluster(address, security=security, patience=1)
    with pytest.raises(BrokerError) as asked:
        cluster.create_topics(TOPICS)
    with pytest.raises(BrokerError) as sent, closing(cluster.sender("test")) as sender:
        sender.send([Outgoing(TOPICS[0].name, None, b"{}", (), 0)], time.monotonic() + 1.5)
    for told in (asked.value, sent.value):
        # TLS tells neither who does not speak it nor who comes without a certificate why it hangs up.
        assert isinstance(told, BrokerUnavailable) == (wrong in ("plaintext", "no certificate")), told
        assert "wrong" not in str(told)


def test_a_member_that_is_refused_ends_its_part(secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFUSED_SECONDS", "PATIENCE", "ANSWERS_WITHIN"):
        monkeypatch.setattr(f"consumers.kafka.group.{name}", 0.3)
    member = Cluster(secured.bootstrap, security=secured.scram("SCRAM-SHA-512", "wrong")).member("intake", TOPICS[:1])

    class Nobody:
        def assigned(self, partitions: object) -> dict[Partition, int]:
            return {}

        def unassigned(self, partitions: object, *, lost: bool) -> None:
            pass

        def stopped(self, partition: Partition, *, damaged: bool) -> None:
            pass

    def poll_for_ten_seconds() -> None:
        for _ in range(100):
            member.poll(10, 0.1)

    member.join(Nobody())
    try:
        with pytest.raises(BrokerError, match="Kafka refused"):
            poll_for_ten_seconds()
    finally:
        member.leave()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"KAFKA_SECURITY": "TLS"}, "MAKEGOOD_KAFKA_SECURITY"),
        ({"KAFKA_SECURITY": "SASL_SSL", "KAFKA_SASL": "PLAIN"}, "MAKEGOOD_KAFKA_SASL"),
        ({"KAFKA_SECURITY": "SASL_SSL", "KAFKA_SASL": "SCRAM-SHA-256"}, "MAKEGOOD_KAFKA_USER"),
        ({"KAFKA_USER": "ada", "KAFKA_PASSWORD": "secret"}, "MAKEGOOD_KAFKA_SECURITY"),
        ({"KAFKA_CA": "/ca.pem"}, "MAKEGOOD_KAFKA_SECURITY"),
        ({"KAFKA_SECURITY": "SSL", "KAFKA_CERTIFICATE": "/c.pem"}, "MAKEGOOD_KAFKA_KEY"),
        (
            {
                "KAFKA_SECURITY": "SASL_SSL",
                "KAFKA_SASL": "OAUTHBEARER",
                "KAFKA_USER": "ada",
                "KAFKA_PASSWORD": "secret",
            },
            "MAKEGOOD_KAFKA_TOKEN_URL",
        ),
        ({"KAFKA_SECURITY": "SSL", "KAFKA_CA": "/there/is/none.pem"}, "MAKEGOOD_KAFKA_CA"),
    ],
)
def test_settings_that_do_not_go_together_are_named(
    settings: dict[str, str], names: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAKEGOOD_KAFKA", "127.0.0.1:1")
    for name, value in settings.items():
        monkeypatch.setenv(f"MAKEGOOD_{name}", value)
    assert run(["publish", str(SAMPLE / "events.jsonl")]) == 1
    said = capsys.readouterr().err
    assert names in said
    assert "secret" not in said
