"""One small face over SQLite (store/sqlite.py) and PostgreSQL (store/postgresql.py).

SQL is written once, with `?` for parameters; column types that differ are named `BYTES` and `BIGINT`. Where text is
ordered by code point, `COLLATE "C"` says so: SQLite knows no other order, PostgreSQL goes by a language's otherwise.
`FOR UPDATE` at the end of a question holds its rows until the transaction ends; a writer of SQLite's holds all there
is. Writing transactions begin with the intention to write, so that none fails half-way for having only read so far.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

Row = tuple[Any, ...]


class StoreError(Exception):
    """A failure of the store; the message says what to do next."""


class Unavailable(StoreError):
    """The store cannot be reached, or failed temporarily: try again."""


class NotPermitted(StoreError):
    """Whoever runs the program may not do this in the store; most often they may read it and not write to it."""


class Conflict(StoreError):
    """Another writer committed first: load and decide again."""


class CommitUnknown(Unavailable):
    """The answer to a commit was lost: whether it took place must be checked in the store."""


_EVERYTHING = {
    "sqlite": "SELECT name FROM sqlite_master",
    # Of the schemas that unqualified names are looked for in; `pg_table_is_visible` would look each table up by name.
    "postgresql": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace IN "
    "(SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false)))",
}
"""The names of all tables and indexes."""


class Transaction(ABC):
    """A transaction under way."""

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and fetch what it returns."""

    @abstractmethod
    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""

    @abstractmethod
    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        """Insert many rows at once, in their order, by the quickest way the database has; how many.

        With `new_only` those whose key is there already are passed over.
        """

    @abstractmethod
    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        """Change many rows at once; how many were there.

        A row has the new values of `columns`, then what those of `key` have before. Both are given with their types,
        as in `upsert`. They are held in the order in which they are given.
        """

    @abstractmethod
    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows at once; one whose key is there already takes the place of that row.

        `columns` gives each column's type: TEXT, INTEGER, BIGINT or BYTES. No key may come twice.
        """

    @abstractmethod
    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """Delete many rows at once, those whose `key` has one of the given sets of values; how many there were."""

    @abstractmethod
    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Run a statement with `IN (?*)` in it for any number of values."""

    def rows_in_each(self, statements: Sequence[str], values: Sequence[Any]) -> list[list[Row]]:
        """Run several statements, each with `IN (?*)` in it, for the same values; the rows of each, in their order.

        A database that is asked over a connection is waited for once. Only for transactions that read: PostgreSQL
        does not notice then that whoever asks is frozen (decision 0056).
        """
        return [self.rows_in(statement, values) for statement in statements]


class Database(ABC):
    """One database; safe to use from several threads."""

    dialect: str
    url: str
    holds_rows = False
    """Whether a writer keeps others from some rows only, and not from all that is written."""

    @abstractmethod
    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that writes; committed at its end, rolled back on an error.

        Raises Conflict (a unique key, a deadlock), Unavailable, or CommitUnknown.
        """
        yield from ()  # pragma: no cover

    @abstractmethod
    @contextmanager
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        """A transaction that sees one state of the database throughout; `by_keys` says that it asks for single rows,
        as whoever writes does, and reads no table as a whole."""
        yield from ()  # pragma: no cover

    def clock(self) -> datetime | None:
        """What time it is where the database runs; None where that is this machine."""
        return None

    def connections_allowed(self) -> int | None:
        """How many connections the server allows to all programs together; None where there is no server."""
        return None

    def may_be_there(self) -> bool:
        """Whether it is worth asking what it holds: to ask a file of SQLite's that is not there would create it."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Give up all connections."""

    def warning(self) -> str | None:
        """What is wrong with how it is kept, and how to mend it."""
        return None

    def rewrite(self, table: str) -> None:  # noqa: B027
        """Have nothing left in the database's files of what was deleted from a table, or changed in it.

        What a file system, a log of PostgreSQL's or a backup still has of it is out of reach. Raises Unavailable
        where others keep the table for too long.
        """

    def create(self, statements: Sequence[str]) -> None:
        """Create the tables and indexes that are not there. Whoever may create none needs no right to, then."""
        missing = set(self.lacking(statements))
        if not missing:
            return
        try:
            with self.writing() as transaction:
                for statement in statements:
                    if _created_by(statement) in missing:
                        transaction.run(self.in_dialect(statement))
        except NotPermitted as error:
            raise NotPermitted(
                f"tables that are needed are missing ({len(missing)}, among them {min(missing)}) and may not be "
                "created here: run `makegood migrate` (for a new store `makegood init`) as who owns the tables"
            ) from error

    def lacking(self, statements: Sequence[str]) -> list[str]:
        """The tables and indexes of these definitions that are not there."""
        with self.reading() as transaction:
            there = {str(name) for (name,) in transaction.rows(_EVERYTHING[self.dialect])}
        return [name for name in map(_created_by, statements) if name not in there]

    @abstractmethod
    def in_dialect(self, ddl: str) -> str:
        """A table's definition with this database's names for types."""


def _created_by(statement: str) -> str:
    """The name of what a definition creates."""
    found = re.match(r"CREATE (?:UNIQUE )?(?:TABLE|INDEX) IF NOT EXISTS (\w+)", statement)
    if found is None:
        raise ValueError(f"not a definition that may be run again: {statement}")
    return found[1]


def beside(url: str, suffix: str) -> str:
    """The address of a database beside another: `makegood.db` → `makegood-vault.db`, `/books` → `/books_vault`."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        if path == ":memory:":
            return url
        stem, dot, ending = path.rpartition(".")
        return f"sqlite:///{stem}-{suffix}.{ending}" if dot and "/" not in ending else f"sqlite:///{path}-{suffix}"
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}_{suffix}"))


def redacted(url: str) -> str:
    """An address without its passwords, before the host or as a parameter, in a URL or in libpq's `name=value` form;
    also where a password's own `/` and `@` are not written as they should.
    """
    parameters = _URL_PARAMETER if "://" in url else _DSN_PARAMETER
    return re.sub(r"(//[^:/@]*):.*@", r"\1:…@", parameters.sub(_hidden, url))


_URL_PARAMETER = re.compile(r"([?&])([^=&?]*)(=)[^&]*")
_DSN_PARAMETER = re.compile(r"(^|\s)([^=\s]+)(\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)", re.DOTALL)


def _hidden(parameter: re.Match[str]) -> str:
    before, name, equals = parameter.groups()
    secret = any(word in unquote(name).lower() for word in ("password", "secret", "token"))
    return f"{before}{name}{equals}…" if secret else parameter[0]


def each_is(columns: Iterable[str], between: str = " AND ") -> str:
    """That each of some columns is the next parameter: a condition, or with commas `between` what is to be set."""
    return between.join(f"{column} = ?" for column in columns)


def on_conflict(columns: Iterable[str], key: Sequence[str]) -> str:
    """The clause by which a row takes the place of the one that has its key."""
    others = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {others}' if others else 'NOTHING'}"
