"""The index of the vault says what the vault says: from the same commit on, until the words are gone, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.application.acts import By
from ledger.application.erasure import erase
from ledger.application.indexing import check_index, fill_if_not_whole, fill_index
from ledger.application.lost_keys import accept_loss
from ledger.application.verification import read_snapshot
from ledger.finding import sought_by
from ledger.store.connecting import connect
from ledger.store.database import Database
from ledger.store.reading.vault import vault_of
from ledger.store.reading.vault_index import accounts_found, index_is_whole
from ledger.store.vault_keys import KeyDatabase
from tests.ledger.books import Books, Killed, StandingClock, killed
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream
from tests.ledger.test_vault import found_in

BY = By("/makegood/test", "command line")
NUMBER = "+493023125000"


def lena(account: str = "acct-1", **customer: str) -> list[Message]:
    upstream = Upstream(account)
    return [
        upstream.account_registered(customer={"name": "Lena Müller", "email": "Lena@Example.com"} | customer),
        upstream.subscription_registered(numbers=[NUMBER]),
    ]


def found(books: Books, text: str, from_account: str = "", limit: int = 100) -> list[str]:
    with books.database.reading() as transaction:
        return sorted(
            {
                account
                for sought in sought_by(text)
                for account in accounts_found(
                    transaction, books.ledger.vault, sought, from_account=from_account, limit=limit
                )
            }
        )


def is_right(books: Books) -> bool:
    differs = check_index(books.ledger)
    return not differs.missing and not differs.unfounded


def test_a_customer_is_found_by_address_name_and_number(books: Books) -> None:
    books.take([*lena(), *Upstream("acct-2").customer()])
    for text in ("lena@example.com", "muller", "Müller, Lena", "030 23125-000", NUMBER):
        assert found(books, text) == ["acct-1"], text
    assert found(books, "nobody") == []
    assert is_right(books)


def test_what_changes_is_added_and_what_was_finds_still(books: Books) -> None:
    """Who calls by the name of before a marriage is the same customer."""
    upstream = Upstream("acct-1")
    books.take([upstream.account_registered(customer={"name": "Lena Müller", "email": "a@example.com"})])
    books.take([upstream.customer_changed(name="Lena Vogt")])
    assert found(books, "lena vogt") == found(books, "lena muller") == ["acct-1"]
    assert is_right(books)


def test_accounts_come_in_order_and_page_by_page(books: Books) -> None:
    accounts = ["A-1", "a-1", "a-10", "a-2", "b", "Ä"]
    books.take([message for account in accounts for message in lena(account)])
    everyone = sorted(accounts)
    for text in ("muller", "lena müller", "lena@example.com"):
        assert found(books, text) == everyone
        assert found(books, text, everyone[2], 2) == everyone[2:4]


def test_words_and_index_are_of_one_commit(books: Books) -> None:
    books.database.before_commit.append(killed)
    with pytest.raises(Killed):
        books.take(lena())
    assert books.rows("SELECT * FROM vault_index") == []
    books.take(lena())
    books.take(lena())
    assert found(books, "muller") == ["acct-1"]
    assert is_right(books)


def test_the_store_has_no_word_and_no_number(books: Books) -> None:
    books.take(lena())
    for token, kind, account, _ in books.rows("SELECT token, kind, account, ref FROM vault_index"):
        assert len(bytes(token)) == 32
        assert kind in ("email", "name", "number")
        assert account == "acct-1"
    content = repr(books.content()).encode()
    assert found_in(content, ["Lena", "lena", "Müller", "muller", "example.com", NUMBER, NUMBER[3:]]) == []


def test_two_stores_have_nothing_in_common(open_books: Opener, tmp_path) -> None:
    books, other = open_books(), Books.open(f"sqlite:///{tmp_path / 'other.db'}")
    tokens = []
    for each in (books, other):
        each.take(lena())
        tokens.append({bytes(token) for (token,) in each.rows("SELECT token FROM vault_index")})
    assert not tokens[0] & tokens[1]
    other.close()


class TestErasing:
    def test_takes_the_account_out_and_leaves_the_others(self, books: Books) -> None:
        books.take([*lena(), *lena("acct-2")])
        erase(books.ledger, "acct-1", "their letter", BY)
        assert found(books, "muller") == found(books, NUMBER) == ["acct-2"]
        assert books.rows("SELECT 1 FROM vault_index WHERE account = 'acct-1'") == []
        assert is_right(books)

    def test_and_what_is_said_later_finds_nobody(self, books: Books) -> None:
        books.take(lena())
        erase(books.ledger, "acct-1", "their letter", BY)
        books.take([Upstream("acct-1", source="/2").subscription_registered("sub-2", numbers=["+493023125001"])])
        assert found(books, "+493023125001") == []

    def test_while_the_index_is_filled_brings_nothing_back(self, books: Books) -> None:
        """The words were read before another process erased the account, and this one still knows the key."""
        books.take([*lena(), *lena("acct-2")])
        other = Books(books.database, books.keys, books.clock)
        with books.database.writing() as transaction:
            transaction.run("DELETE FROM vault_index")
        books.database.before_writing.append(lambda: erase(other.ledger, "acct-1", "their letter", BY))
        indexed: list[object] = []
        fill_index(books.ledger, lambda _: indexed.append(books.rows("SELECT DISTINCT account FROM vault_index")))
        assert indexed[0] == [("acct-2",)]


class TestFilling:
    @pytest.fixture
    def older(self, books: Books) -> Books:
        """A store whose words were recorded before there was an index."""
        books.take([*lena(), *lena("acct-2"), Upstream("acct-3").account_registered(currency="XXXX")])
        with books.database.writing() as transaction:
            transaction.run("DELETE FROM vault_index")
            transaction.run("DELETE FROM store WHERE name = 'vault_index'")
        return books

    def test_an_older_store_is_filled_once(self, older: Books) -> None:
        told: list[int] = []
        differed = fill_if_not_whole(older.ledger, told.append)
        assert differed is not None
        assert (differed.missing, differed.unfounded) == (2 * 6, 0)
        assert told[-1] == differed.entries
        assert found(older, "muller") == ["acct-1", "acct-2"]
        assert is_right(older)
        assert fill_if_not_whole(older.ledger) is None

    def test_cut_short_it_is_filled_by_the_next(self, older: Books) -> None:
        older.database.before_commit.append(killed)
        with pytest.raises(Killed):
            fill_if_not_whole(older.ledger)
        with older.database.reading() as transaction:
            assert not index_is_whole(transaction)
        fill_if_not_whole(older.ledger)
        assert is_right(older)

    def test_messages_that_come_meanwhile_are_there_once(self, older: Books) -> None:
        older.database.before_writing.append(lambda: older.take(lena("acct-0")))
        fill_if_not_whole(older.ledger)
        assert found(older, "muller") == ["acct-0", "acct-1", "acct-2"]
        assert is_right(older)

    def test_what_somebody_changed_in_it_is_found_and_put_right(self, books: Books) -> None:
        books.take([*lena(), *lena("acct-2")])
        with books.database.writing() as transaction:
            transaction.run("DELETE FROM vault_index WHERE account = 'acct-1' AND kind = 'email'")
            transaction.run("UPDATE vault_index SET account = 'acct-1' WHERE account = 'acct-2' AND kind = 'number'")
            transaction.insert(
                "vault_index", ("token", "kind", "account", "ref"), [(bytes(32), "name", "acct-9", "no such entry")]
            )
        with books.database.reading() as transaction:
            [mismatch] = read_snapshot(transaction).mismatches
        assert mismatch.what == "words in the vault's index that the vault does not have: 1"
        differs = check_index(books.ledger)
        assert (differs.missing, differs.unfounded) == (3, 3)
        differed = fill_index(books.ledger)
        assert (differed.missing, differed.unfounded) == (3, 3)
        assert is_right(books)


class TestLostKeys:
    @pytest.fixture
    def key_store(self) -> Iterator[Database]:
        database = connect("sqlite:///:memory:")
        yield database
        database.close()

    def after_losing(self, open_books: Opener, key_store: Database, subject: str) -> Books:
        books = open_books(keys=KeyDatabase(key_store, StandingClock()))
        books.take([*lena(), *lena("acct-2")])
        with key_store.writing() as transaction:
            transaction.run("DELETE FROM vault_keys WHERE subject = ?", (subject,))
            transaction.run("DELETE FROM key_serials WHERE subject = ?", (subject,))
            transaction.run("UPDATE key_ring SET vault_id = 'another'")
        process = started_again(books, key_store)
        accept_loss(process.ledger, process.keys, "burnt", BY)  # type: ignore[arg-type]
        return started_again(process, key_store)

    def test_a_customer_whose_key_is_lost_is_found_no_more(self, open_books: Opener, key_store: Database) -> None:
        books = self.after_losing(open_books, key_store, "account/acct-2")
        assert found(books, "muller") == ["acct-1"]
        assert is_right(books)
        books.take([Upstream("acct-2", source="/2").customer_changed(name="Lena Müller")])
        assert found(books, "muller") == ["acct-1", "acct-2"]

    def test_where_the_stores_own_key_is_lost_all_are_found_again_once_it_is_filled(
        self, open_books: Opener, key_store: Database
    ) -> None:
        books = self.after_losing(open_books, key_store, "store")
        assert books.rows("SELECT * FROM vault_index") == []
        assert fill_if_not_whole(books.ledger) is not None
        assert found(books, "muller") == ["acct-1", "acct-2"]
        assert is_right(books)


def started_again(books: Books, key_store: Database) -> Books:
    keys = KeyDatabase(key_store, StandingClock())
    bound = vault_of(books.database)
    assert bound is not None
    keys.belongs_to(bound)
    return Books(books.database, keys, books.clock)
