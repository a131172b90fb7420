"""The files of a store on SQLite: who can read them, what becomes of a program whose files are taken away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.store.database import Database, connect
from tests.door.conftest import Door


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {file.name: f"{file.stat().st_mode & 0o777:o}" for file in sorted(folder.iterdir())}


@pytest.fixture
def books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """An empty store of production in a folder of its own."""
    door = Door(f"sqlite:///{tmp_path}/books.db", capsys)
    with umask(0):
        door("init")
    return door


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one table, open and written to."""
    database = connect(f"sqlite:///{tmp_path}/books.db")
    database.create(["CREATE TABLE IF NOT EXISTS kept (word TEXT)"])
    yield database
    database.close()


def test_a_new_store_and_its_keys_are_their_owners_only(books: Door, tmp_path: Path) -> None:
    assert modes(tmp_path) == {"books-vault.db": "600", "books.db": "600"}


@pytest.mark.parametrize("mask", [0, 0o022, 0o277])
def test_so_are_the_files_that_stand_beside_it_while_it_is_open(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        database = connect(f"sqlite:///{tmp_path}/books.db")
        database.create(["CREATE TABLE kept (word TEXT)"])
        assert modes(tmp_path) == {"books.db": "600", "books.db-shm": "600", "books.db-wal": "600"}
        database.close()


def test_files_that_others_can_read_are_told_of_and_left_as_they_are(books: Door, tmp_path: Path) -> None:
    (tmp_path / "books-vault.db").chmod(0o640)
    books("claims")
    file = tmp_path / "books-vault.db"
    assert books.errors == (
        f"makegood: other users of this machine can read or write {file}; run: chmod 600 {file}\n"
    )
    assert modes(tmp_path)["books-vault.db"] == "640"
    file.chmod(0o600)
    books("claims")
    assert books.errors == ""
