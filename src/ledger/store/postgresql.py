"""PostgreSQL, through a pool of connections."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
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
    on_conflict,
    redacted,
)

# The pool tells of every attempt to connect; what comes of them is in the error that is raised in the end.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

IDLE_IN_TRANSACTION = "60s"
"""How long a program may leave a transaction without a word. One that hangs, or whose machine is gone, keeps heads
and readers locked; the server then ends it, and whoever takes over goes on. No transaction of ours thinks so long.
"""

REWRITING_WAITS = "10s"
"""How long the rewriting of a table waits for those who use it; everybody else waits behind it meanwhile."""


@lru_cache(maxsize=1024)
def _percent(sql: str) -> str:
    return sql.replace("%", "%%").replace("IN (?*)", "= ANY(%s)").replace("?", "%s")


class _PostgreSQLTransaction(Transaction):
    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(_percent(sql), parameters, binary=True).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(_percent(sql), parameters).rowcount

    def run_each(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        if not parameters:
            return 0
        with self._connection.cursor() as cursor:
            cursor.executemany(_percent(sql), parameters)
            changed = cursor.rowcount
            # After many statements at once the server does not count how long a transaction is idle until the next
            # one: a process that is frozen there would keep its locks.
            cursor.execute("SELECT 1")
            return changed

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
            self._connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(columns)} FROM json_to_recordset(%s::json) AS given ({typed}) "
                f"{on_conflict(columns, key)}",
                [to_json([dict(zip(columns, row, strict=True)) for row in rows]).decode()],
            )

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self.rows(sql, [list(values)])


class PostgreSQL(Database):
    """PostgreSQL through a pool of connections."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool: psycopg_pool.ConnectionPool[psycopg.Connection[Row]] = psycopg_pool.ConnectionPool(
            url,
            min_size=1,
            max_size=16,
            open=False,
            timeout=10,
            kwargs={"application_name": "makegood"},
            configure=_configure,
        )
        self._opened = False
        self._opening = threading.Lock()

    def clock(self) -> datetime:
        with self.reading() as transaction:
            found: datetime = transaction.rows("SELECT clock_timestamp()")[0][0]
        return found

    def in_dialect(self, ddl: str) -> str:
        return ddl.replace("BYTES", "BYTEA")

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._transaction(None) as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY") as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, first: str | None) -> Iterator[Transaction]:
        with _postgresql_errors(self.url), self._connection() as connection:
            try:
                if first is not None:
                    connection.execute(first)
                yield _PostgreSQLTransaction(connection)
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
            self._pool.putconn(connection)

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
    connection.commit()


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
    except (
        psycopg.OperationalError,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg_pool.PoolTimeout,
    ) as error:
        raise Unavailable(
            f"PostgreSQL at {redacted(url)} cannot be reached or failed: {error}; "
            "check --store or MAKEGOOD_STORE, and that the server runs"
        ) from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL error: {error}") from error


def create_database(url: str, beside: str) -> None:
    """Create a database where there is none, by way of a connection to `beside`."""
    name = urlsplit(url).path.lstrip("/")
    if not name:
        return
    with _postgresql_errors(beside), psycopg.connect(beside, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
