"""Named places around each write and each commit of each part, and what a process does when it comes to one.

A name says the part, the place and its how-manieth time: `intake: before INSERT INTO events#3`,
`relay: after COMMIT of readers#1`, `relay: before SEND ledger.events#2`.
"""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from consumers.kafka.records import Outgoing
from consumers.kafka.sending import KafkaSender
from ledger.store.database import Row, Transaction
from ledger.store.postgresql import PostgreSQL
from ledger.store.sqlite import SQLite

PARTS = ("intake", "relay", "projector", "timers", "payouts", "checkpoints")
SEEN_MOST = 3
"""How many times of one place get a name in the list of those seen."""

WRITE = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM) (\w+)")


class Failpoints:
    """Counts the places that a process comes to, writes their names to a file, and ends or freezes it at one."""

    def __init__(self, chosen: str | None, seen: Path | None, sign: signal.Signals) -> None:
        self._chosen = chosen
        self._seen = seen
        self._sign = sign
        self._times: Counter[str] = Counter()
        self._turn = threading.Lock()

    def reach(self, place: str) -> None:
        """Come to a place, in the thread of a part; other threads do not count."""
        part = threading.current_thread().name
        if part not in PARTS:
            return
        with self._turn:
            self._times[f"{part}: {place}"] += 1
            times = self._times[f"{part}: {place}"]
            name = f"{part}: {place}#{times}"
            if self._seen is not None and times <= SEEN_MOST:
                with self._seen.open("a") as seen:
                    seen.write(name + "\n")
        if name == self._chosen:
            # To this thread: sent to the process, another one may take it, and this one goes on for a moment.
            signal.pthread_kill(threading.get_ident(), self._sign)

    @contextmanager
    def around(self, what: str) -> Iterator[None]:
        """The places before and after something."""
        self.reach(f"before {what}")
        yield
        self.reach(f"after {what}")

    def install(self) -> None:
        """Put the places into the databases' transactions and what is sent to Kafka."""
        for kind in (SQLite, PostgreSQL):
            self._install_in(kind)
        sends = KafkaSender.send

        def send(sender: KafkaSender, records: Iterable[Outgoing], deadline: float) -> None:
            listed = list(records)
            with self.around(f"SEND {_without_suffix(listed[0].topic)}"):
                sends(sender, listed, deadline)

        KafkaSender.send = send  # type: ignore[method-assign]

    def _install_in(self, kind: type[SQLite] | type[PostgreSQL]) -> None:
        opens = kind.writing

        @contextmanager
        def writing(database: Any) -> Iterator[Transaction]:
            opened: AbstractContextManager[Transaction] = opens(database)
            with opened as transaction:
                watched = _Watched(transaction, self)
                yield watched
                self.reach(f"before COMMIT of {watched.wrote}")
            self.reach(f"after COMMIT of {watched.wrote}")

        kind.writing = writing  # type: ignore[method-assign]


class _Watched(Transaction):
    """A transaction whose writes are places."""

    def __init__(self, transaction: Transaction, failpoints: Failpoints) -> None:
        self._transaction = transaction
        self._failpoints = failpoints
        self.wrote = "nothing"

    @contextmanager
    def _around(self, sql: str) -> Iterator[None]:
        found = WRITE.match(sql)
        if found is None:
            yield
            return
        self.wrote = found[2]
        with self._failpoints.around(f"{found[1]} {found[2]}"):
            yield

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self._around(sql):
            return self._transaction.rows(sql, parameters)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._around(sql):
            return self._transaction.run(sql, parameters)

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        with self._around(f"INSERT INTO {table}" if rows else ""):
            return self._transaction.insert(table, columns, rows, new_only=new_only)

    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        with self._around(f"UPDATE {table}" if rows else ""):
            return self._transaction.update(table, columns, key, rows)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        with self._around(f"INSERT INTO {table}" if rows else ""):
            self._transaction.upsert(table, columns, key, rows)

    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        with self._around(f"DELETE FROM {table}" if rows else ""):
            return self._transaction.delete(table, key, rows)

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        with self._around(sql):
            return self._transaction.rows_in(sql, values)


def _without_suffix(topic: str) -> str:
    """`ledger.events` of `ledger.events-1f2e3d4c`: a place has the same name on every stage."""
    return topic.rpartition("-")[0]
