"""SQLite: the store in a file, or in memory."""

from __future__ import annotations

import os
import queue
import shlex
import sqlite3
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.store.database import (
    Conflict,
    Database,
    NotPermitted,
    Row,
    StoreError,
    Transaction,
    Unavailable,
    each_is,
    on_conflict,
)

_BY_CODE_POINT = ' COLLATE "C"'


def _as_sqlite(sql: str) -> str:
    return sql.replace(_BY_CODE_POINT, "").removesuffix(" FOR UPDATE")


class _SQLiteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(_as_sqlite(sql), parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def _run_each(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        return self._connection.executemany(sql, parameters).rowcount if parameters else 0

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, new_only: bool = False
    ) -> int:
        marks, ending = ", ".join("?" * len(columns)), "ON CONFLICT DO NOTHING" if new_only else ""
        return self._run_each(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {ending}", rows)

    def update(self, table: str, columns: Mapping[str, str], key: Mapping[str, str], rows: Sequence[Row]) -> int:
        settings = each_is(columns, ", ")
        conditions = each_is(key)
        return self._run_each(f"UPDATE {table} SET {settings} WHERE {conditions}", rows)

    def upsert(
        self, table: str, columns: Mapping[str, str], key: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        marks = ", ".join("?" * len(columns))
        self._run_each(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {on_conflict(columns, key)}", rows
        )

    def delete(self, table: str, key: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        conditions = each_is(key)
        return self._run_each(f"DELETE FROM {table} WHERE {conditions}", rows)

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
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
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

    def rewrite(self, table: str) -> None:
        """SQLite rewrites the whole file; its log, which has the pages as they were, is emptied."""
        if self._in_memory:
            return
        with self._connection() as connection, _sqlite_errors():
            self._make_sure_of_files()
            connection.execute("VACUUM")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Unavailable(
                f"the log of {self._path} is being read and could not be emptied: run the command again"
            )

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
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten in the file
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
