"""The store as one process reaches it: the real one, with a process that ends, a network that fails, and laws.

What fails does so as the databases do: a transaction is there whole or not at all, and the answer to a commit may be
lost either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ledger.store.database import CommitUnknown, Conflict, Database, Row, Transaction, Unavailable
from tests.schedules.broker import Fate, LawBroken


class Readers:
    """Who holds which reader, as the store tells after every commit (design rule 7)."""

    def __init__(self, database: Database, is_gone: Callable[[str], bool]) -> None:
        self._database = database
        self._is_gone = is_gone
        """Whether a reader's topic was deleted: until its readers notice they read the next one under its name."""
        self._stood: dict[str, tuple[int, int]] = {}
        self._holder: dict[str, str] = {}

    def committed(self, process: str) -> None:
        """Hold what a process just committed to the laws of readers."""
        with self._database.reading() as transaction:
            rows = transaction.rows("SELECT reader, position, epoch FROM readers")
        for reader, position, epoch in rows:
            before, epoch_before = self._stood.get(reader, (0, 0))
            if position < before and not self._is_gone(reader):
                raise LawBroken(f"{process} moved reader {reader} back from {before} to {position}")
            if epoch != epoch_before:
                self._holder[reader] = process
            if position != before and self._holder[reader] != process:
                raise LawBroken(f"{process} moved reader {reader}, which {self._holder[reader]} holds")
            self._stood[reader] = (position, epoch)


class StoreSeen(Database):
    """The store as one process sees it."""

    def __init__(self, real: Database, process: str, fate: Fate, readers: Readers) -> None:
        self._real = real
        self._process = process
        self._fate = fate
        self._readers = readers
        self.dialect = real.dialect
        self.url = real.url

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        _fail(self._fate("writing"))
        with self._real.writing() as transaction:
            yield Writing(transaction, self._fate)
            fate = self._fate("commit")
            if fate != "answer lost":
                _fail(fate)
        self._readers.committed(self._process)
        if fate is not None:
            raise CommitUnknown("the answer to a commit was lost")
        self._fate("committed")

    @contextmanager
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        _fail(self._fate("reading"))
        with self._real.reading(by_keys=by_keys) as transaction:
            yield transaction

    def close(self) -> None:
        pass

    def in_dialect(self, ddl: str) -> str:
        return self._real.in_dialect(ddl)


class Writing(Transaction):
    """A transaction under way, which may fail at every statement that writes."""

    def __init__(self, real: Transaction, fate: Fate) -> None:
        self._real = real
        self._fate = fate

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._real.rows(sql, parameters)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        _fail(self._fate("statement"))
        return self._real.run(sql, parameters)

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        _fail(self._fate("statement"))
        return self._real.insert(table, columns, rows, new_only=new_only)

    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        _fail(self._fate("statement"))
        return self._real.update(table, columns, key, rows)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        _fail(self._fate("statement"))
        self._real.upsert(table, columns, key, rows)

    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        _fail(self._fate("statement"))
        return self._real.delete(table, key, rows)

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self._real.rows_in(sql, values)


def _fail(fate: str | None) -> None:
    if fate == "unavailable":
        raise Unavailable("the store cannot be reached")
    if fate == "conflict":
        raise Conflict("a deadlock was detected")
    if fate == "undone":
        raise CommitUnknown("the answer to a commit was lost")
