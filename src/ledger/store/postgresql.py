"""PostgreSQL, through a pool of connections."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import psycopg
import psycopg.sql
import psycopg_pool
from pydantic_core import to_json

from ledger.store.database import (
    CommitUnknown,
    Conflict,
    Database,
    NotPermitted,
    Row,
    StoreError,
    Transaction,
    Unavailable,
    each_is,
    on_conflict,
    redacted,
)

# The pool tells of every attempt to connect; what comes of them is in the error that is raised in the end.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

IDLE_IN_TRANSACTION = "60s"
"""How long a program may leave a transaction without a word. One that hangs, or whose machine is gone, keeps heads
and readers locked; the server then ends it, and whoever takes over goes on. No transaction of ours thinks so long.
"""

PATIENCE = 10
"""Seconds for which a connection is waited for."""

_TO_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BY_KEYS = "; SET LOCAL enable_seqscan = off"
"""Of a table that grows the server knows nothing until it analyses it, after a minute or more, and takes few
accounts' rows for a third of it: it would read all of them, each time longer."""
_TO_FIND = _TO_READ + _BY_KEYS
_TO_WRITE = "BEGIN" + _BY_KEYS

REWRITING_WAITS = "10s"
"""How long the rewriting of a table waits for those who use it; everybody else waits behind it meanwhile."""


@lru_cache(maxsize=1024)
def _percent(sql: str) -> str:
    return sql.replace("%", "%%").replace("IN (?*)", "= ANY(%s)").replace("?", "%s")


FEW_ROWS = 3
"""So many rows are quicker to insert as values than as arrays, which take longer to begin with."""


class _PostgreSQLTransaction(Transaction):
    """Each change is one statement, which the server has whole before it waits for the next.

    Whoever is frozen between two statements, or before the values of one have all arrived, is idle, and the server
    ends that. In the middle of a COPY, or between the statements of psycopg's `executemany`, it would wait, and keep
    all locks, for ever.
    """

    def __init__(self, connection: psycopg.Connection[Row], types: dict[str, Mapping[str, str]]) -> None:
        self._connection = connection
        self._types = types

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(_percent(sql), parameters, binary=True).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(_percent(sql), parameters).rowcount

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        if not rows:
            return 0
        into, ending = f"INSERT INTO {table} ({', '.join(columns)})", "ON CONFLICT DO NOTHING" if new_only else ""
        if len(rows) > FEW_ROWS:
            types = self._types_of(table)
            return self._with_arrays(f"{into} SELECT * FROM {{given}} {ending}", [types[c] for c in columns], rows)
        one = f"({', '.join(['%s'] * len(columns))})"
        values = [value for row in rows for value in row]
        return self._run_whole(f"{into} VALUES {', '.join([one] * len(rows))} {ending}", values)

    def _with_arrays(self, sql: str, types: Iterable[str], rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement over `{given}`, which are rows: they go as one array for each column."""
        arrays = ", ".join(f"%b::{_in_postgresql(type_)}[]" for type_ in types)
        values = [list(column) for column in zip(*rows, strict=True)]
        return self._run_whole(sql.format(given=f"unnest({arrays})"), values)

    def _run_whole(self, sql: str, values: Sequence[Any]) -> int:
        """Run a statement with much in it; the number of rows it changed.

        It is told beforehand: else the server would have begun with it, and not be idle, while its values still come.
        """
        return self._connection.execute(sql, values, prepare=True).rowcount

    def _types_of(self, table: str) -> Mapping[str, str]:
        """The type of each of a table's columns. No table of ours ever changes one."""
        if table not in self._types:
            self._types[table] = dict(
                self.rows(
                    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                    "WHERE attrelid = CAST(? AS regclass) AND attnum > 0 AND NOT attisdropped",
                    (table,),
                )
            )
        return self._types[table]

    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        if len(rows) <= 1:
            settings = each_is(columns, ", ")
            conditions = each_is(key)
            return sum(self.run(f"UPDATE {table} SET {settings} WHERE {conditions}", row) for row in rows)
        new, old = [f"new_{column}" for column in columns], [f"old_{column}" for column in key]
        there = " AND ".join(f"{table}.{column} = given.old_{column}" for column in key)
        settings = ", ".join(f"{column} = given.new_{column}" for column in columns)
        given = f"{{given}} WITH ORDINALITY AS given ({', '.join([*new, *old])}, place)"
        return self._with_arrays(
            f"WITH given AS MATERIALIZED (SELECT given.* FROM {given} JOIN {table} ON {there} "
            f"ORDER BY place FOR UPDATE OF {table}) UPDATE {table} SET {settings} FROM given WHERE {there}",
            [*columns.values(), *key.values()],
            rows,
        )

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Rows go as one JSON document, which costs the client less than arrays; it cannot have bytes in it."""
        into, ending = f"INSERT INTO {table} ({', '.join(columns)})", on_conflict(columns, key)
        if rows and "BYTES" in columns.values():
            self._with_arrays(f"{into} SELECT * FROM {{given}} {ending}", columns.values(), rows)
        elif rows:
            typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
            self._run_whole(
                f"{into} SELECT {', '.join(columns)} FROM json_to_recordset(%s::json) AS given ({typed}) {ending}",
                [to_json([dict(zip(columns, row, strict=True)) for row in rows]).decode()],
            )

    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        if len(rows) <= 1:
            conditions = each_is(key)
            return sum(self.run(f"DELETE FROM {table} WHERE {conditions}", row) for row in rows)
        types = self._types_of(table)
        there = " AND ".join(f"{table}.{column} = given.{column}" for column in key)
        given = f"{{given}} AS given ({', '.join(key)})"
        return self._with_arrays(f"DELETE FROM {table} USING {given} WHERE {there}", [types[c] for c in key], rows)

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self._connection.execute(_percent(sql), [list(values)], prepare=True, binary=True).fetchall()

    def rows_in_each(self, statements: Sequence[str], values: Sequence[Any]) -> list[list[Row]]:
        given = [list(values)]
        with self._connection.pipeline():
            asked = [self._connection.execute(_percent(sql), given, prepare=True, binary=True) for sql in statements]
            return [cursor.fetchall() for cursor in asked]


def _in_postgresql(type_: str) -> str:
    return type_.replace("BYTES", "BYTEA")


class PostgreSQL(Database):
    """PostgreSQL through a pool of connections."""

    dialect = "postgresql"
    holds_rows = True

    def __init__(self, url: str, connections: int) -> None:
        self.url = url
        self._pool: psycopg_pool.ConnectionPool[psycopg.Connection[Row]] = psycopg_pool.ConnectionPool(
            url,
            min_size=1,
            max_size=connections,
            open=False,
            timeout=PATIENCE,
            kwargs={"application_name": "makegood", "autocommit": True},  # a transaction begins in words of ours
            configure=_configure,
        )
        self._types: dict[str, Mapping[str, str]] = {}
        """By table, as far as anything was inserted: the types of its columns."""
        self._opened = False
        self._opening = threading.Lock()

    def clock(self) -> datetime:
        with self.reading() as transaction:
            found: datetime = transaction.rows("SELECT clock_timestamp()")[0][0]
        return found

    def connections_allowed(self) -> int | None:
        with self.reading() as transaction:
            [(allowed,)] = transaction.rows(
                "SELECT CAST(current_setting('max_connections') AS INTEGER) "
                "- CAST(current_setting('superuser_reserved_connections') AS INTEGER)"
            )
        return int(allowed)

    def in_dialect(self, ddl: str) -> str:
        return _in_postgresql(ddl)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._transaction(_TO_WRITE) as transaction:
            yield transaction

    @contextmanager
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        with self._transaction(_TO_FIND if by_keys else _TO_READ) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with _postgresql_errors(self.url), self._connection() as connection:
            try:
                connection.execute(begin, prepare=False)
                yield _PostgreSQLTransaction(connection, self._types)
            except BaseException:
                if not connection.closed:
                    connection.rollback()
                raise
            try:
                connection.commit()
            except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout) as error:
                raise CommitUnknown(f"the answer to a commit was lost: {error}") from error

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        with self._opening:
            if not self._opened:
                self._pool.open()
                self._opened = True
        connection = self._pool.getconn()
        try:
            yield connection
        finally:
            was_ended = connection.closed
            self._pool.putconn(connection)
            if was_ended:
                # Most often the server was: whoever asks next would be given another connection that is of no use.
                self._pool.drain()

    def rewrite(self, table: str) -> None:
        """PostgreSQL writes the table into a new file; it does so for the table's owner only, and warns others."""
        with _postgresql_errors(self.url), psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (REWRITING_WAITS,))
            connection.execute(psycopg.sql.SQL("VACUUM (FULL) {}").format(psycopg.sql.Identifier(table)))

    def close(self) -> None:
        if self._opened:
            self._pool.close()


def _configure(connection: psycopg.Connection[Row]) -> None:
    connection.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (IDLE_IN_TRANSACTION,))
    # Compiling a statement takes a tenth of a second where its cost was taken for high, and no sum of ours is the
    # quicker for it.
    connection.execute("SELECT set_config('jit', 'off', false)")


@contextmanager
def _postgresql_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (
        psycopg.errors.UniqueViolation,
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
    ) as error:
        raise Conflict(str(error)) from error
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise NotPermitted(
            f"PostgreSQL at {redacted(url)} does not permit this: {str(error).splitlines()[0]}; grant it to the "
            "role, or name another role in --store or MAKEGOOD_STORE"
        ) from error
    except psycopg_pool.PoolTimeout as error:
        raise Unavailable(
            f"PostgreSQL at {redacted(url)} gave no connection within {PATIENCE} s: {_refused(url) or error}; check "
            "--store or MAKEGOOD_STORE, that the server runs, and that it allows as many connections as all programs "
            "take (max_connections)"
        ) from error
    except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout) as error:
        raise Unavailable(
            f"PostgreSQL at {redacted(url)} cannot be reached or failed: {error}; "
            "check --store or MAKEGOOD_STORE, and that the server runs"
        ) from error
    except psycopg.Error as error:
        # Citus sends rows on by COPY, and passes on what a node says of them without its code.
        if isinstance(error, psycopg.errors.InternalError_) and _DUPLICATE in str(error):
            raise Conflict(str(error)) from error
        raise StoreError(f"PostgreSQL error: {error}") from error


def _refused(url: str) -> str | None:
    """What a server says to whoever connects, in a line: a pool waits, and keeps that to itself."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    return None


_DUPLICATE = "duplicate key value violates unique constraint"


def create_database(url: str, beside: str, schema: str | None = None) -> None:
    """Create a database where there is none, by way of a connection to `beside`, and a schema in it."""
    name = urlsplit(url).path.lstrip("/")
    if not name:
        return
    with _postgresql_errors(beside), psycopg.connect(beside, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    if schema is not None:
        with _postgresql_errors(url), psycopg.connect(url, autocommit=True) as connection:
            named = psycopg.sql.Identifier(schema)
            connection.execute(psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(named))
