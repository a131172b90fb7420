"""Connections and dialects: one small face over SQLite and PostgreSQL.

SQL is written once, with `?` for parameters; column types that differ are named `BYTES` and `BIGINT`. Where text is
ordered by code point, `COLLATE "C"` says so: SQLite knows no other order, PostgreSQL goes by a language's otherwise.
Writing transactions begin with the intention to write, so that none fails half-way for having only read so far.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import shlex
import sqlite3
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
import psycopg.sql
import psycopg_pool
from pydantic_core import to_json

# The pool tells of every attempt to connect; what comes of them is in the error that is raised in the end.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

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
    "postgresql": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'i') AND pg_table_is_visible(oid)",
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
    def run_each(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run a statement for each set of parameters; the number of rows changed in all."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows at once, by the quickest way the database has."""

    @abstractmethod
    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows at once; one whose key is there already takes the place of that row.

        `columns` gives each column's type: TEXT, INTEGER or BIGINT. Rows go to PostgreSQL as one JSON document, which
        it takes in half the time of arrays. No key may come twice.
        """

    @abstractmethod
    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Run a statement with `IN (?*)` in it for any number of values."""


class Database(ABC):
    """One database; safe to use from several threads."""

    dialect: str
    url: str

    @abstractmethod
    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that writes; committed at its end, rolled back on an error.

        Raises Conflict (a unique key, a deadlock), Unavailable, or CommitUnknown.
        """
        yield from ()  # pragma: no cover

    @abstractmethod
    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database throughout."""
        yield from ()  # pragma: no cover

    def clock(self) -> datetime | None:
        """What time it is where the database runs; None where that is this machine."""
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


def connect(url: str) -> Database:
    """Open `sqlite:///FILE`, `sqlite:///:memory:` or `postgresql://…`. Raises StoreError for anything else."""
    if url.startswith("sqlite:///"):
        return SQLite(unquote(url.removeprefix("sqlite:///")))
    if urlsplit(url).scheme in ("postgresql", "postgres"):
        return PostgreSQL(url)
    raise StoreError(
        f"the store {redacted(url)!r} is neither sqlite:///FILE nor postgresql://USER@HOST/NAME; "
        "set --store or MAKEGOOD_STORE"
    )


def create_if_missing(url: str, beside: str) -> None:
    """Have a database exist: on PostgreSQL it is created by way of `beside`; SQLite makes its file by itself."""
    name = urlsplit(url).path.lstrip("/")
    if not url.startswith("postgres") or not name:
        return
    with _postgresql_errors(beside), psycopg.connect(beside, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


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


def _on_conflict(columns: Iterable[str], key: Sequence[str]) -> str:
    others = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO {f'UPDATE SET {others}' if others else 'NOTHING'}"


# --- SQLite -------------------------------------------------------------------------------------------------------


_BY_CODE_POINT = ' COLLATE "C"'


class _SQLiteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql.replace(_BY_CODE_POINT, ""), parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def run_each(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        return self._connection.executemany(sql, parameters).rowcount if parameters else 0

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ", ".join("?" * len(columns))
            self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if rows:
            marks = ", ".join("?" * len(columns))
            self._connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {_on_conflict(columns, key)}", rows
            )

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[Row]:
        found: list[Row] = []
        for start in range(0, len(values), 30_000):
            part = list(values[start : start + 30_000])
            found += self.rows(sql.replace("?*", ", ".join("?" * len(part))), part)
        return found


class SQLite(Database):
    """SQLite in a file, durable at every commit; or in memory, with one connection that writers take in turn.

    A file that is made can be read and written by its owner only; SQLite makes the files beside it alike.

    Where the file or its folder cannot be written to, it is opened to be read, anew for each transaction.

    A file that is deleted or replaced while it is open lives on unseen, and takes commits that nobody finds again.
    So each transaction looks, first and last, whether the path still leads to what is open: to the file, and to the
    log beside it, which holds what was committed last. A look takes some microseconds.
    """

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path
        self._in_memory = path == ":memory:"
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._turn = threading.RLock()
        self._open: list[sqlite3.Connection] = []
        self._files: dict[str, _FileIdentity] = {}

    def in_dialect(self, ddl: str) -> str:
        return ddl.replace("BYTES", "BLOB").replace("BIGINT", "INTEGER").replace(_BY_CODE_POINT, "")

    def may_be_there(self) -> bool:
        return self._in_memory or Path(self._path).exists()

    def warning(self) -> str | None:
        if self._in_memory:
            return None
        files = (self._path, f"{self._path}-wal", f"{self._path}-shm")
        wide = [shlex.quote(file) for file in files if _others_may_use(file)]
        if not wide:
            return None
        return f"other users of this machine can read or write {', '.join(wide)}; run: chmod 600 {' '.join(wide)}"

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._transaction(_TO_READ) as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        if self._can_only_be_read():
            if begin != _TO_READ:
                raise NotPermitted(
                    f"the store {self._path} can be read here and not written to: run this as the user who owns the "
                    "file, or give yourself the right to write to it and to its folder"
                )
            with self._connection_to_read() as connection, _sqlite_errors():
                connection.execute(begin)
                yield _SQLiteTransaction(connection)
            return
        with self._connection() as connection, _sqlite_errors():
            self._make_sure_of_files()
            connection.execute(begin)
            try:
                yield _SQLiteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._make_sure_of_files()

    def _can_only_be_read(self) -> bool:
        """Whether the file is there and cannot be written to by whoever runs the program."""
        if self._in_memory or self._open or not Path(self._path).exists():
            return False
        if not _may_write(self._path):
            return True
        beside = (f"{self._path}-wal", f"{self._path}-shm")
        return not _may_write(str(Path(self._path).absolute().parent)) and not all(map(_may_write, beside))

    @contextmanager
    def _connection_to_read(self) -> Iterator[sqlite3.Connection]:
        """A connection that makes no file beside the store's, because its owner could not write to that.

        Without a log nobody has the store open, and SQLite is told that nothing changes; whether that held is looked
        at in the end. With a log it needs the log's index, which whoever has the store open has made.
        """
        path, log = Path(self._path).absolute(), Path(f"{self._path}-wal")
        nobody_writes = not log.exists()
        if not nobody_writes and not Path(f"{self._path}-shm").exists():
            raise NotPermitted(
                f"the store {self._path} was not closed in good order, and cannot be repaired where it can only be "
                "read: run a command as the user who owns it, or copy it with its -wal file to a folder of yours"
            )
        before = _state(self._path)
        with _sqlite_errors():
            connection = sqlite3.connect(
                f"{path.as_uri()}?mode=ro{'&immutable=1' if nobody_writes else ''}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=30,
            )
        try:
            yield connection
        finally:
            connection.close()
        if nobody_writes and (log.exists() or _state(self._path) != before):
            raise Unavailable(f"the store {self._path} was written to while it was read; try again")

    def _make_sure_of_files(self) -> None:
        """Raise Unavailable where a file is not the one that is open any more."""
        for path, opened in self._files.items():
            if _identity(path) != opened:
                raise Unavailable(
                    f"the file {path} was deleted or replaced while it was in use, and what was recorded since is "
                    "lost: stop all programs that use it, put the file back or restore a backup, and start them again"
                )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._in_memory:
            with self._turn:
                if not self._open:
                    self._connect()
                yield self._open[0]
            return
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def _connect(self) -> sqlite3.Connection:
        if not self._in_memory and not Path(self._path).absolute().parent.is_dir():
            raise StoreError(f"the store's folder {Path(self._path).absolute().parent} does not exist; create it")
        if not self._in_memory and not self._files:
            try:
                _make_private(self._path)
            except PermissionError as error:
                raise NotPermitted(
                    f"{self._path} cannot be created: {error.strerror}; name another file with --store or "
                    "MAKEGOOD_STORE, or give yourself the right to write to its folder"
                ) from error
        self._make_sure_of_files()
        before = _identity(self._path)
        with _sqlite_errors():
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # Opens the log, which stays the same file until the last connection of all programs is closed.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._open.append(connection)
        if not self._in_memory and not self._files:
            self._files = {self._path: before, f"{self._path}-wal": _identity(f"{self._path}-wal")}
        self._make_sure_of_files()
        return connection

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._files = {}
        self._idle = queue.LifoQueue()


_TO_READ = "BEGIN"

_FileIdentity = tuple[int, int] | None
"""Device and inode of a file; None where there is none."""


def _identity(path: str) -> _FileIdentity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _state(path: str) -> tuple[int, ...]:
    """What changes when a file is written to or replaced."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _may_write(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _make_private(path: str) -> None:
    """Make a file that only its owner can read and write, where there is none."""
    with suppress(FileExistsError):
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.fchmod(file, 0o600)  # the umask may have taken the owner's own rights away
        finally:
            os.close(file)


def _others_may_use(path: str) -> bool:
    """Whether a file's group or others have rights to it; False where whoever asks cannot change that."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    may_mend = os.geteuid() in (0, found.st_uid)
    return may_mend and bool(stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO))


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Conflict(str(error)) from error
    except sqlite3.OperationalError as error:
        raise Unavailable(f"SQLite error: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"SQLite error: {error}; is the file a makegood store?") from error


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


IDLE_IN_TRANSACTION = "60s"
"""How long a program may leave a transaction without a word. One that hangs, or whose machine is gone, keeps heads
and readers locked; the server then ends it, and whoever takes over goes on. No transaction of ours thinks so long.
"""


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
            return cursor.rowcount

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
                f"{_on_conflict(columns, key)}",
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
