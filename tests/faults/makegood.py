"""The command `makegood` as the fault suite starts it: `python -m tests.faults.makegood run …`.

The environment says how it differs: topics and group of its own, shorter times and smaller batches, so that a fault
takes seconds and most of them strike while there is work; a place at which it dies or freezes (`failpoints.py`); how
many pages an SQLite database may have.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import consumers.intake
from consumers import carrying
from consumers.checkpoints import part as checkpoints_part
from consumers.checkpoints.part import Checkpoints
from consumers.intake import Intake
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import CHECKPOINTS, DEAD_LETTERS, EVENTS, INSTRUCTIONS, REFUND_REQUESTS, UPSTREAM
from consumers.payouts import request_topic
from consumers.payouts.request_topic import RequestTopic
from consumers.projector import KafkaSource
from consumers.relay import Relay
from consumers.topic_lag import TopicNames
from ledger.store import postgresql
from ledger.store.database import Transaction
from ledger.store.sqlite import SQLite
from makegood import cli
from makegood.house import broker
from makegood.program import running
from tests.faults.failpoints import Failpoints

SESSION_MS = 2_000
LOOK_SECONDS = 1.0
SQLITE_MOST_PAGES = 4_294_967_294


def say_how(environment: dict[str, str]) -> None:
    """Put in force what the environment says."""
    suffix, batch = environment["FAULTS_TOPICS"], int(environment["FAULTS_BATCH"])
    upstream, events, instructions, requests, letters, checkpoints = (
        replace(topic, name=f"{topic.name}-{suffix}")
        for topic in (UPSTREAM, EVENTS, INSTRUCTIONS, REFUND_REQUESTS, DEAD_LETTERS, CHECKPOINTS)
    )
    for whose, name, value in (
        (consumers.intake, "WATCH_SECONDS", LOOK_SECONDS),
        (request_topic, "CONFIRMED_WITHIN", 2.0),
        (RequestTopic, "settles_within", 3.0),
        (carrying, "LEASE_SECONDS", 1.0),
        (postgresql, "IDLE_IN_TRANSACTION", "3s"),
        (checkpoints_part, "GROWS_BY", 2 * batch),
        (checkpoints_part, "REFUSED_FOR", LOOK_SECONDS),
    ):
        _put(whose, name, value)
    for name, shorter in {
        "TOPICS": (upstream, events, instructions, requests, letters, checkpoints),
        "Cluster": partial(
            Cluster,
            group=f"makegood-{suffix}",
            member_settings={"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 400},
        ),
        "Intake": partial(Intake, topic=upstream, batch=batch),
        "Relay": partial(
            Relay,
            events=events,
            instructions=instructions,
            dead_letters=letters,
            batch=2 * batch,
            stands_by=2.0,
            watch_seconds=LOOK_SECONDS,
        ),
        "RequestTopic": partial(RequestTopic, topic=requests),
        "KafkaSource": partial(KafkaSource, topic=events, batch=4 * batch, look_seconds=LOOK_SECONDS),
        "Checkpoints": partial(Checkpoints, stands_by=2.0, grows_every=0.1, looks_every=0.1),
    }.items():
        _put(running, name, shorter)
    names = TopicNames(upstream.name, events.name, instructions.name, requests.name, letters.name, checkpoints.name)
    _put(broker, "NAMES", names)
    seen = environment.get("FAULTS_SEEN")
    sign = signal.Signals[environment.get("FAULTS_SIGNAL", "SIGKILL")]
    Failpoints(environment.get("MAKEGOOD_FAILPOINT"), Path(seen) if seen else None, sign).install()
    if pages := environment.get("FAULTS_PAGES"):
        limit_pages(Path(pages))


def _put(whose: object, name: str, value: object) -> None:
    """Have another value stand under a name, which must be there: one that has moved would stay as it is."""
    assert hasattr(whose, name), f"{whose} has no {name} any more"
    setattr(whose, name, value)


def limit_pages(told: Path) -> None:
    """Let SQLite databases grow to as many pages as a file says, name by name; it is read at every transaction."""
    opens: Callable[[Any, str], AbstractContextManager[Transaction]] = SQLite._transaction

    @contextmanager
    def transaction(store: Any, begin: str) -> Iterator[Transaction]:
        most = json.loads(told.read_text()).get(Path(store._path).name, SQLITE_MOST_PAGES)
        with store._connection() as connection:
            limited: sqlite3.Connection = connection
            limited.execute(f"PRAGMA max_page_count = {most}")
        with opens(store, begin) as opened:
            yield opened

    SQLite._transaction = transaction  # type: ignore[method-assign]


if __name__ == "__main__":
    say_how(dict(os.environ))
    cli.main()
