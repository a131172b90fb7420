"""Keys that are lost for good: wherever accepting it is cut short, it can be done again, and nothing is made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.application.acts import By
from ledger.application.lost_keys import accept_loss, unreadable
from ledger.store.connecting import connect
from ledger.store.database import Database
from ledger.store.reading.vault import vault_of
from ledger.store.vault_keys import KeyDatabase, VaultMismatch
from ledger.vault import Lost, VaultEntry
from tests.ledger.books import Books, Killed, StandingClock, killed
from tests.ledger.conftest import Opener
from tests.ledger.messages import Upstream

BY = By("/makegood/test", "command line")


@pytest.fixture
def key_store() -> Iterator[Database]:
    database = connect("sqlite:///:memory:")
    yield database
    database.close()


@pytest.fixture
def books(open_books: Opener, key_store: Database) -> Books:
    """A store with two customers, of whom one's key is lost, and all that was made after it."""
    books = open_books(keys=KeyDatabase(key_store, StandingClock()))
    books.take(Upstream("acct-1").customer())
    kept = _content(key_store)
    books.take(Upstream("acct-2").customer())
    _put_back(key_store, kept)
    return books


def started_again(books: Books, key_store: Database) -> Books:
    """Another process on the store, which knows nothing of before."""
    keys = KeyDatabase(key_store, StandingClock())
    bound = vault_of(books.database)
    assert bound is not None
    keys.belongs_to(bound)
    return Books(books.database, keys, books.clock)


def test_until_it_is_accepted_nobody_gets_a_key(books: Books, key_store: Database) -> None:
    before, keys = books.content(), _content(key_store)
    for process in (books, started_again(books, key_store)):
        for messages in (Upstream("acct-3").customer(), Upstream("acct-2", source="/2").customer()):
            with pytest.raises(VaultMismatch, match="the last 1 of 3 keys are missing"):
                process.take(messages)
    assert (books.content(), _content(key_store)) == (before, keys)


@pytest.mark.parametrize("place", ["before_writing", "before_commit"])
def test_cut_short_between_the_two_commits_it_is_refused_and_accepted_again(
    books: Books, key_store: Database, place: str
) -> None:
    process = started_again(books, key_store)
    getattr(process.database, place).append(killed)
    with pytest.raises(Killed):
        accept_loss(process.ledger, process.keys, "burnt", BY)  # type: ignore[arg-type]
    process = started_again(books, key_store)
    with pytest.raises(VaultMismatch):
        process.take(Upstream("acct-3").customer())
    found, recorded = accept_loss(process.ledger, process.keys, "burnt", BY)  # type: ignore[arg-type]
    assert (found.accounts, recorded) == (["acct-2"], True)
    process = started_again(books, key_store)
    process.ledger.vault.check()
    assert process.take([*Upstream("acct-2", source="/2").customer(), *Upstream("acct-3").customer()]).accepted == 8
    assert not unreadable(process.ledger, process.keys)  # type: ignore[arg-type]


def test_a_program_that_was_running_must_be_started_again(books: Books, key_store: Database) -> None:
    """It still has the keys that are lost: what it encrypted with them nobody could read."""
    process = started_again(books, key_store)
    accept_loss(process.ledger, process.keys, "burnt", BY)  # type: ignore[arg-type]
    with pytest.raises(VaultMismatch, match="start it again"):
        books.take([Upstream("acct-2", source="/2").complaint_opened(description="Noise")])


def test_what_is_lost_is_told_from_what_came_after(books: Books, key_store: Database) -> None:
    process = started_again(books, key_store)
    accept_loss(process.ledger, process.keys, "burnt", BY)  # type: ignore[arg-type]
    process = started_again(books, key_store)
    before = {ref for (ref,) in process.rows("SELECT ref FROM vault WHERE subject = 'account/acct-2'")}
    process.take([Upstream("acct-2", source="/2").complaint_opened(description="Noise")])
    for ref, subject, nonce, ciphertext, loss in process.rows(
        "SELECT vault.ref, subject, nonce, ciphertext, loss_id FROM vault "
        "LEFT JOIN vault_lost ON vault_lost.ref = vault.ref WHERE subject LIKE 'account/%'"
    ):
        entry = VaultEntry(ref, subject, nonce, ciphertext, lost=loss is not None)
        if ref in before:
            with pytest.raises(Lost):
                process.ledger.vault.decrypt(entry)
        else:
            assert process.ledger.vault.decrypt(entry)


def test_the_row_of_the_last_key_is_only_touched_for_a_newer_one(open_books: Opener, key_store: Database) -> None:
    """Else every two writers would wait for each other."""
    books = open_books(keys=KeyDatabase(key_store, StandingClock()))
    books.take(Upstream("acct-1").customer())
    written = books.database.written["vault_bound"]
    books.take([Upstream("acct-1", source="/2").complaint_opened(description="Noise")])
    assert books.database.written["vault_bound"] == written
    books.take(Upstream("acct-2").customer())
    assert books.database.written["vault_bound"] == written + 1


_TABLES = {"vault_keys": 4, "key_ring": 5, "key_serials": 3}


def _content(key_store: Database) -> dict[str, list[tuple[object, ...]]]:
    with key_store.reading() as transaction:
        return {table: transaction.rows(f"SELECT * FROM {table}") for table in _TABLES}


def _put_back(key_store: Database, content: dict[str, list[tuple[object, ...]]]) -> None:
    with key_store.writing() as transaction:
        for table, columns in _TABLES.items():
            transaction.run(f"DELETE FROM {table}")
            for row in content[table]:
                transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", row)
