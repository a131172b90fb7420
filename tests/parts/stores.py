"""Stores for tests: how a store begins is made once, and each test has what was made then, and nothing of the others.

Making a store's tables takes ten times as long as most of what is tested with them. A store on SQLite is a copy of a
file. Stores on PostgreSQL are schemas of one database, and one that a test is done with is put back for the next.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Literal, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from ledger.store.connecting import connect
from ledger.store.database import beside
from ledger.store.schema import TABLES
from projections.follower import Follower
from tests.parts.citus import Citus
from tests.parts.postgres import Postgres

Kind = Literal["sqlite", "postgresql"]
Beginning = Callable[[str], None]
"""Makes in an empty store, whose address it is given, what tests find there."""

_SHAPE: LiteralString = (
    "SELECT relname, relkind, relnatts FROM pg_class WHERE relnamespace = %s::regnamespace ORDER BY relname"
)
_WRITTEN_TO: LiteralString = """
    SELECT relname FROM pg_class
    WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""
"""Tables with a file that is not empty: the others, which are most of them, never had a row."""
_OTHERS: LiteralString = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def nothing(store: str) -> None:
    """An empty store: not even the tables are there."""


def tables(store: str) -> None:
    """The tables of a store and of its projections, with nothing in them."""
    with closing(connect(store)) as database:
        database.create(TABLES)
        Follower(database).create()


class Stores:
    """Stores of both kinds; one that is given back may be given out again."""

    def __init__(self, folder: Path, postgres: Callable[[], Postgres]) -> None:
        """`folder` is for what SQLite's stores are copied from."""
        self._folder = folder
        self._postgres = postgres
        self._files: dict[Beginning, Path] = {}
        self._schemas: _Schemas | None = None

    def new(self, kind: Kind, folder: Path, beginning: Beginning = nothing) -> str:
        """The address of a store that begins like that; SQLite's is a file in `folder`."""
        if kind == "sqlite":
            return self._file(folder / "books.db", beginning)
        if self._schemas is None:
            self._schemas = _Schemas(self._postgres())
        return self._schemas.new(beginning)

    def give_back(self, store: str) -> None:
        """A test is done with a store: whoever is still connected to it is cut off."""
        if self._schemas is not None and store.startswith("postgresql"):
            self._schemas.give_back(store)

    def close(self) -> None:
        """All tests are done."""
        if self._schemas is not None:
            self._schemas.close()

    def _file(self, file: Path, beginning: Beginning) -> str:
        if beginning is nothing:
            return f"sqlite:///{file}"
        if beginning not in self._files:
            made = self._folder / f"{len(self._files)}.db"
            beginning(f"sqlite:///{made}")
            self._files[beginning] = made
        made = self._files[beginning]
        shutil.copy(made, file)
        vaults = [Path(beside(f"sqlite:///{each}", "vault").removeprefix("sqlite:///")) for each in (made, file)]
        if vaults[0].exists():
            shutil.copy(*vaults)
        return f"sqlite:///{file}"


class _Schemas:
    """One database, and its vault, with a schema for each store."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._url = postgres.new_database()
        postgres.new_database(urlsplit(beside(self._url, "vault")).path[1:])
        self._connections: dict[str, psycopg.Connection] = {}
        """A connection to each, kept: making one takes as long as putting a schema back."""
        self._numbers = count(1)
        self._first: dict[Beginning, str] = {}
        """For each beginning the schema that nobody is given: the others get its rows."""
        self._begun: dict[str, Beginning] = {}
        self._free: defaultdict[Beginning, list[str]] = defaultdict(list)

    def new(self, beginning: Beginning) -> str:
        if beginning is not nothing and beginning not in self._first:
            self._first[beginning] = self._made(beginning)
        while self._free[beginning]:
            schema = self._free[beginning].pop()
            if self._put_back(schema, self._first[beginning]):
                return self._address(schema)
        schema = self._made(beginning)
        self._begun[self._address(schema)] = beginning
        return self._address(schema)

    def give_back(self, store: str) -> None:
        beginning = self._begun[store]
        for connection in self._connected():
            connection.execute(_OTHERS)
        if beginning is not nothing and not isinstance(self._postgres, Citus):  # whose tables here are empty shells
            self._free[beginning].append(self._schema(store))

    def close(self) -> None:
        """Dropping so many tables takes long; with a server that ends with the run they go anyway."""
        for connection in self._connections.values():
            connection.close()
        if self._postgres.goes_on:
            for url in self._databases():
                self._postgres.drop_database(url)

    def _made(self, beginning: Beginning) -> str:
        schema = f"store_{next(self._numbers)}"
        for connection in self._connected():
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        beginning(self._address(schema))
        return schema

    def _put_back(self, schema: str, first: str) -> bool:
        """Have a schema hold what it began with; False where a test changed its tables, so that it is of no use."""
        for connection in self._connected():
            shape, wanted = (connection.execute(_SHAPE, (each,)).fetchall() for each in (schema, first))
            if shape != wanted:
                return False
            used, full = (
                [sql.Identifier(table) for (table,) in connection.execute(_WRITTEN_TO, (each,)).fetchall()]
                for each in (schema, first)
            )
            ours, theirs = sql.Identifier(schema), sql.Identifier(first)
            emptying = [sql.SQL("DELETE FROM {}.{}").format(ours, table) for table in used]
            filling = [
                sql.SQL("INSERT INTO {0}.{2} SELECT * FROM {1}.{2}").format(ours, theirs, table) for table in full
            ]
            if statements := [*emptying, *filling]:
                connection.execute(sql.SQL("; ").join(statements))
        return True

    def _connected(self) -> list[psycopg.Connection]:
        """A connection to the database and one to its vault; where a test cut one off, another."""
        for url in self._databases():
            if url not in self._connections or not _answers(self._connections[url]):
                self._connections[url] = psycopg.connect(url, autocommit=True)
        return [self._connections[url] for url in self._databases()]

    def _databases(self) -> tuple[str, str]:
        return self._url, beside(self._url, "vault")

    def _address(self, schema: str) -> str:
        return f"{self._url}{'&' if '?' in self._url else '?'}options=-csearch_path%3D{schema}"

    def _schema(self, store: str) -> str:
        return store.rpartition("%3D")[2]


def _answers(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
