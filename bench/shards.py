"""Taking messages into one shard and several: how fast, and who waits for whose locks."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres

from bench.houses import SAMPLE
from bench.live import running
from bench.messages import known, lives
from bench.report import Report
from consumers.kafka.cluster import Cluster
from consumers.kafka.publish import publish
from consumers.kafka.topics import TOPICS, topics_of
from ledger.application.agreements import publish_everywhere
from makegood.house.opening import House
from makegood.house.settings import Settings
from makegood.house.shard_map import create_shards, open_shards

SHARDS = (1, 2, 4)
PROCESSES = 2
LOOKS_EVERY = 0.02
"""Seconds between two looks at who waits for a lock."""
_WAITING = (
    "SELECT left(query, 60) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def measure(report: Report, postgres: Postgres, count: int) -> None:
    """So many lives, by as many processes, into stores of some numbers of shards."""
    section = report.section(
        f"{count:,} account lives from Kafka into shards",
        f"Three messages each, taken by {PROCESSES} processes; the shards are schemas of one PostgreSQL with fsync. "
        f"Every {LOOKS_EVERY * 1e3:.0f} ms it is looked who waits for a lock.",
    )
    told = [*known(count), *lives(count)]
    for shards in SHARDS:
        with find_kafka() as kafka, tempfile.TemporaryDirectory() as folder:
            url = postgres.new_database()
            settings = Settings(store=url, audit_key=str(Path(folder) / "audit.key"))
            create_shards(settings, shards, sandbox=False)
            with open_shards(settings) as houses:
                text = (SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8")
                publish_everywhere([h.ledger for h in houses], text, actor="/makegood/bench", channel="cli")
                cluster = Cluster(kafka.bootstrap, group="bench-shards")
                cluster.create_topics(topics_of(shards, TOPICS))
                with ExitStack() as stack:
                    for _ in range(PROCESSES):
                        stack.enter_context(running(url, kafka.bootstrap, ["intake"]))
                    waited = _Waiting(url)
                    began = time.perf_counter()
                    with closing(cluster.sender("bench")) as sender:
                        publish(told, sender)
                    while sum(_taken(house) for house in houses) < len(told):
                        time.sleep(0.02)
                    seconds = time.perf_counter() - began
                    waits = waited.end()
        of_catalogue = sum(times for query, times in waits.items() if "catalogue" in query)
        note = f"of {waited.looks:,} looks, waits for locks: {waits.total():,}, for the catalogue's {of_catalogue:,}"
        section.add(f"{shards} shard{'s' if shards > 1 else ''}", [len(told) / seconds], "messages/s", note=note)


def _taken(house: House) -> int:
    with house.database.reading() as transaction:
        return int(transaction.rows("SELECT count(*) FROM inbox")[0][0])


class _Waiting:
    """Looks, from when it is made, who waits for a lock."""

    def __init__(self, url: str) -> None:
        self.looks = 0
        self._found: Counter[str] = Counter()
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, args=(url,))
        self._looking.start()

    def _look(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not self._over.wait(LOOKS_EVERY):
                self.looks += 1
                self._found.update(query for (query,) in connection.execute(_WAITING))

    def end(self) -> Counter[str]:
        """The statements that waited, each as often as it was seen."""
        self._over.set()
        self._looking.join()
        return self._found
