"""The files of a store on SQLite: who can read them, what becomes of a program whose files are taken away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.store.database import Database, Unavailable, connect
from tests.door.conftest import SAMPLE, Door


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


def _write(database: Database, word: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    with database.writing() as transaction:
        transaction.run("INSERT INTO kept VALUES (?)", (word,))
        meanwhile()


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


@pytest.mark.parametrize("file", ["books.db", "books.db-wal"])
@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_recorded_into_a_file_that_was_taken_away(
    database: Database, tmp_path: Path, file: str, replaced: bool
) -> None:
    taken = tmp_path / file

    def take_away() -> None:
        content = taken.read_bytes()
        taken.unlink()
        if replaced:
            (tmp_path / "other").write_bytes(content)
            (tmp_path / "other").rename(taken)

    with pytest.raises(Unavailable, match=f"{file} was deleted or replaced"):
        _write(database, "lost", meanwhile=take_away)
    with pytest.raises(Unavailable, match="put the file back"):
        _write(database, "lost too")
    with pytest.raises(Unavailable, match="restore a backup"), database.reading() as transaction:
        transaction.rows("SELECT word FROM kept")
    assert taken.exists() is replaced  # none is made anew in its place


def test_a_file_that_is_put_back_goes_on(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "books.db"
    file.rename(tmp_path / "away.db")
    with pytest.raises(Unavailable):
        _write(database, "refused")
    (tmp_path / "away.db").rename(file)
    _write(database, "kept")
    with database.reading() as transaction:
        assert transaction.rows("SELECT word FROM kept") == [("kept",)]


def test_a_second_thread_does_not_go_on_in_the_file_that_took_its_place(database: Database, tmp_path: Path) -> None:
    def take_away() -> None:
        for name in ("books.db", "books.db-wal", "books.db-shm"):
            (tmp_path / name).unlink()
        with pytest.raises(Unavailable):
            _write(database, "lost")  # on a connection of its own
        assert not list(tmp_path.iterdir())

    with pytest.raises(Unavailable):
        _write(database, "refused", meanwhile=take_away)


def test_an_ingest_says_nothing_is_recorded_where_the_store_was_deleted_under_it(books: Door, tmp_path: Path) -> None:
    books("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    pipe = tmp_path / "messages"
    os.mkfifo(pipe)
    said = (SAMPLE / "events.jsonl").read_text().splitlines()[:3]

    def send() -> None:
        with pipe.open("w") as messages:  # opens once `ingest` has opened the store and reads
            (tmp_path / "books.db").unlink()
            messages.write("\n".join(said))

    sender = threading.Thread(target=send)
    sender.start()
    books("ingest", str(pipe), exits=1)
    sender.join()
    assert "books.db was deleted or replaced while it was in use" in books.errors
    assert not (tmp_path / "books.db").exists()
