"""The whole way, as issue 3 asks for it: makegood as its own process, killed in the middle, and the claims of SQLite.

A plain producer in another process publishes the sample on a real Kafka; `makegood run` carries it into a real
PostgreSQL and is killed without warning while it does; started again it goes on. What `makegood claims` then says is
exactly what it says after `makegood ingest` of the same file into SQLite.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from ledger.store.database import beside
from makegood.cli import run
from tests.integration.world import SAMPLE, until
from tests.parts.kafka import Kafka, find_kafka
from tests.parts.postgres import Postgres

pytestmark = pytest.mark.long

MAKEGOOD = Path(sys.executable).parent / "makegood"
EVENTS = SAMPLE / "events.jsonl"
AGREEMENT = SAMPLE / "agreements" / "standard.toml"
ACCEPTED, DUPLICATES, REFUSED = 4924, 101, 35

PLACES = {"position", "due_at", "granted_at", "applied_at", "proposal", "dormant_since"}

PRODUCER = """
import json, sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1]})
for number, line in enumerate(open(sys.argv[2], "rb")):
    if number == 4000:
        producer.flush()
        sys.stdin.readline()
    line = line.rstrip(b"\\n")
    try:
        key = json.loads(line)["subject"].encode()
    except (ValueError, KeyError, TypeError):
        key = None
    producer.produce("provisioning.events", line, key)
    if number % 500 == 499:
        producer.flush()
left = producer.flush(60)
sys.exit(1 if left else 0)
"""


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Kafka]:
    """A broker of its own: the topics have the names of the contract."""
    with find_kafka(controllable=True) as found:
        yield found


@pytest.fixture
def store(postgres: Postgres) -> Iterator[str]:
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)
    postgres.drop_database(beside(url, "vault"))


def makegood(store: str, *arguments: str, expect: int = 0) -> Any:
    """Run a command; its answer where it was asked for JSON.

    It runs in this process, because starting one for each takes longer than most of them: what is killed is not here.
    """
    with (
        patch.dict(os.environ, environment(), clear=True),
        contextlib.redirect_stdout(StringIO()) as said,
        contextlib.redirect_stderr(StringIO()) as errors,
    ):
        code = run([*arguments, "--store", store])
    assert code == expect, f"makegood {' '.join(arguments)}: exit {code}\n{errors.getvalue()}"
    return json.loads(said.getvalue()) if "--json" in arguments else None


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")}


class Running:
    """`makegood run` as a process, with what it said on standard error."""

    def __init__(self, store: str, kafka: str) -> None:
        self.process = subprocess.Popen(
            [str(MAKEGOOD), "run", "--store", store, "--kafka", kafka],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )
        self.said: list[str] = []
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.strip() == "ready":
                self.ready.set()

    def wait_until_ready(self) -> None:
        until(lambda: self.ready.is_set() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, "".join(self.said)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        finally:
            self._reader.join(5)


@contextlib.contextmanager
def makegood_run(store: str, kafka: str) -> Iterator[Running]:
    running = Running(store, kafka)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def count(store: str, query: str) -> int:
    with psycopg.connect(store) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row is not None else 0


def taken(store: str) -> int:
    return count(store, "SELECT count(*) FROM inbox")


def all_is_carried(store: str) -> bool:
    """Everything is taken, projected, and relayed."""
    if taken(store) < ACCEPTED or count(store, "SELECT count(*) FROM dead_letters") < REFUSED:
        return False
    end = count(store, "SELECT coalesce(max(position), 0) FROM events")  # not before the last message is in
    return (
        count(store, "SELECT coalesce(min(position), 0) FROM projection_positions") == end
        and count(store, "SELECT coalesce(min(position), 0) FROM readers WHERE reader LIKE 'relay/%/0'") == end
    )


def test_killed_in_the_middle_it_says_what_sqlite_says(own_kafka: Kafka, store: str, tmp_path: Path) -> None:
    sqlite = f"sqlite:///{tmp_path / 'makegood.db'}"
    makegood(sqlite, "init")
    makegood(sqlite, "agreement", "publish", str(AGREEMENT))
    answer = makegood(sqlite, "ingest", str(EVENTS), "--json", expect=3)
    assert (answer["accepted"], answer["duplicates"], len(answer["refused"])) == (ACCEPTED, DUPLICATES, REFUSED)

    makegood(store, "init")
    makegood(store, "agreement", "publish", str(AGREEMENT))
    producer: subprocess.Popen[bytes] | None = None
    with contextlib.ExitStack() as stack:
        for share in (0.25, 0.6):
            with makegood_run(store, own_kafka.bootstrap) as running:
                running.wait_until_ready()
                if producer is None:
                    command = [sys.executable, "-c", PRODUCER, own_kafka.bootstrap, str(EVENTS)]
                    producer = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
                until(lambda share=share: taken(store) >= share * ACCEPTED, 90)
                running.kill()
                assert taken(store) < ACCEPTED, "the last messages are published after the last kill"
        assert producer is not None
        producer.communicate(b"\n", timeout=60)
        with makegood_run(store, own_kafka.bootstrap) as running:
            running.wait_until_ready()
            until(lambda: all_is_carried(store), 90)
            began = time.monotonic()
            assert running.terminate() == 0
            assert time.monotonic() - began < 10
        assert producer.returncode == 0

    for command in ("claims", "refunds", "credits"):
        ours, theirs = (without_places(makegood(url, command, "--json")) for url in (store, sqlite))
        assert ours == theirs, command
        assert ours
    assert no_personal_data("".join(running.said))


def without_places(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without where their event stands in the ledger, and when it was recorded: these depend on the arrival."""
    return [
        {
            name: without_places(value) if name == "applied" else value
            for name, value in row.items()
            if name not in PLACES
        }
        for row in rows
    ]


def no_personal_data(text: str) -> bool:
    """Whether no name and no address of the sample is in a text."""
    said = set()
    for line in EVENTS.read_bytes().splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said |= {str(value) for key, value in json.loads(line)["data"]["customer"].items() if key != "locale"}
    return bool(said) and not any(each in text for each in said)
