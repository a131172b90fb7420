"""What the ledger's stories may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ledger.books import Books
from tests.parts.postgres import Postgres

STORES = ("in memory", "SQLite file", "PostgreSQL")
Opener = Callable[..., Books]
NUMBERS = count(1)


@pytest.fixture(scope="session")
def shared_pg_url(postgres: Postgres) -> Iterator[str]:
    """One database for many stories, each in a schema of its own: that takes a tenth of the time of a database."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def pg_store(shared_pg_url: str) -> str:
    """The URL of a PostgreSQL store with nothing in it."""
    schema = f"story_{next(NUMBERS)}"
    with psycopg.connect(shared_pg_url, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(schema)))
    return f"{shared_pg_url}{'&' if '?' in shared_pg_url else '?'}options=-csearch_path%3D{schema}"


@pytest.fixture(params=STORES)
def open_books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens a new store of each kind in turn."""
    if request.param == "PostgreSQL":
        url = request.getfixturevalue("pg_store")
    else:
        url = "sqlite:///:memory:" if request.param == "in memory" else f"sqlite:///{tmp_path / 'books.db'}"
    with ExitStack() as closing:

        def opener(**asked: Any) -> Books:
            books = Books.open(url, **asked)
            closing.callback(books.close)
            return books

        yield opener


@pytest.fixture
def books(open_books: Opener) -> Books:
    """A new store with the agreement `standard`, of each kind in turn."""
    return open_books()


@pytest.fixture
def pg_books(pg_store: str) -> Iterator[Books]:
    """A new store on PostgreSQL, for what only a server can do."""
    books = Books.open(pg_store)
    yield books
    books.close()
