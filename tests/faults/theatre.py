"""Kafka, PostgreSQL and a proxy for faults alone, and every kind of fault with the stage that it needs."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.faults import kinds
from tests.faults.kinds import Fault
from tests.faults.proxy import Proxy
from tests.faults.stage import Stage
from tests.parts.kafka import Kafka, find_kafka
from tests.parts.postgres import Postgres, find_postgres

_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
FROZEN_BEFORE = "payouts: before SEND payments.refund-requests#1"
FROZEN_BEFORE_PUBLISHING = "checkpoints: before SEND makegood.checkpoints#1"
FROZEN_AT = "intake: before COMMIT of events#2"
FROZEN_GROWING = "checkpoints: before COMMIT of audit_tiles#2"


@dataclass
class Theatre:
    """Where faults are played."""

    kafka: Kafka
    postgres: Postgres
    proxy: Proxy
    folder: Path
    dice: random.Random
    seen: Path = field(init=False)
    """The names of all places that processes came to on the first stage."""

    def __post_init__(self) -> None:
        self.seen = self.folder / "places.txt"

    @contextlib.contextmanager
    def stage(self, **told: str) -> Iterator[Stage]:
        """A new stage on PostgreSQL, by way of the proxy."""
        url = self.postgres.new_database()
        yield from self._stage(Stage(self.kafka, url, self.folder, self.dice, seen_by=self.proxy.through(url)), told)

    @contextlib.contextmanager
    def stage_on_sqlite(self) -> Iterator[Stage]:
        """A new stage on SQLite, whose pages are limited by a file."""
        self.pages.write_text("{}")
        for left_over in self.folder.glob(f"{self.store.stem}*.db*"):  # its keys, too, are another store's
            left_over.unlink()
        stage = Stage(self.kafka, f"sqlite:///{self.store}", self.folder, self.dice)
        yield from self._stage(stage, {"FAULTS_PAGES": str(self.pages)})

    def _stage(self, stage: Stage, told: dict[str, str]) -> Iterator[Stage]:
        stage.tell(**told)
        try:
            yield stage
        finally:
            stage.close()

    @property
    def store(self) -> Path:
        return self.folder / "full.db"

    @property
    def pages(self) -> Path:
        return self.folder / "pages.json"

    def places(self) -> list[str]:
        """The named places that were seen, each once, whatever their how-manieth times."""
        names = self.seen.read_text().split("\n")
        return sorted({name for name in names if name.endswith("#1")})

    def disk_full(self) -> Fault:
        return kinds.disk_full(self.store, self.pages)

    def back_up_postgresql(self, stage: Stage) -> Callable[[], None]:
        """Copy the stage's database; what puts the copy in its place."""
        name = urlsplit(stage.books.database.url).path[1:]

        def copy(source: str, target: str) -> None:
            with psycopg.connect(self.postgres.url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(target)))
                connection.execute(_OTHERS, (source,))
                names = sql.Identifier(target), sql.Identifier(source)
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

        copy(name, f"{name}_backup")
        return lambda: copy(f"{name}_backup", name)

    def back_up_sqlite(self, stage: Stage) -> Callable[[], None]:
        """Copy the store's file as SQLite does it; what puts the copy in its place."""
        backup = self.store.with_suffix(".backup")
        backup.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(self.store)) as connection:
            connection.execute("VACUUM INTO ?", (str(backup),))

        def put_back() -> None:
            stage.books.database.close()
            for beside in ("-wal", "-shm"):
                self.store.with_name(self.store.name + beside).unlink(missing_ok=True)
            shutil.copy(backup, self.store)

        return put_back

    def kinds(self) -> dict[str, Fault]:
        """The kinds that share a stage on PostgreSQL, in the order in which they do."""
        return {
            "an undisturbed run": kinds.nothing,
            "kill -9 of makegood run": kinds.kill_whole,
            "kill -9 of single parts": kinds.kill_parts,
            "SIGTERM": kinds.terminate,
            "broker down": kinds.server_down(self.kafka),
            "topics made anew": kinds.after_a_restart(self.kafka, kinds.topics_anew),
            "PostgreSQL down": kinds.server_down(self.postgres),
            "connection cut at commit": kinds.commit_cut(self.proxy),
            "frozen and woken": kinds.frozen,
            "frozen in a transaction": kinds.frozen_in_a_transaction(FROZEN_AT),
            "frozen as the tree grows": kinds.frozen_in_a_transaction(FROZEN_GROWING),
            "frozen before it sends": kinds.frozen_before_it_sends(FROZEN_BEFORE),
            "frozen before it publishes": kinds.frozen_before_it_sends(FROZEN_BEFORE_PUBLISHING),
            "members join and leave": kinds.members,
            "deleted before it was read": kinds.deleted_before_it_was_read,
            "older vault restored": kinds.older_vault,
            "checkpoints without their folder": kinds.without_folder,
            "Merkle tree damaged": kinds.damaged_tile,
            "restored from a backup": kinds.restored(self.back_up_postgresql),
        }

    def kinds_on_sqlite(self) -> dict[str, Fault]:
        """The kinds that are played on SQLite too."""
        return {
            "SQLite full": self.disk_full(),
            "restored from a backup, SQLite": kinds.restored(self.back_up_sqlite),
            "frozen before it publishes, SQLite": kinds.frozen_before_it_sends(FROZEN_BEFORE_PUBLISHING),
            "checkpoints without their folder, SQLite": kinds.without_folder,
            "Merkle tree damaged, SQLite": kinds.damaged_tile,
        }


@contextlib.contextmanager
def theatre(folder: Path, seed: int) -> Iterator[Theatre]:
    """Servers of its own, so that nobody else is disturbed when they are stopped."""
    with find_kafka(controllable=True) as kafka, find_postgres(controllable=True) as postgres:
        proxy = Proxy(postgres.url)
        try:
            yield Theatre(kafka, postgres, proxy, folder, random.Random(seed))
        finally:
            proxy.close()
