"""What the ledger's stories may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.books import Books

STORES = ("in memory", "SQLite file", "PostgreSQL")
Opener = Callable[..., Books]


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


@pytest.fixture
def deciding_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide about few accounts as about many: before anything is held, so that others may be faster."""
    monkeypatch.setattr("ledger.application.record.HELD_MAX", 0)
