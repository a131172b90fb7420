"""Erased for good: what a customer's account has in words is destroyed, its facts stay, and no words come after."""

from __future__ import annotations

import json

import pytest

from ledger.application.acts import By
from ledger.application.customers import customer_of
from ledger.application.erasure import NothingKnown, apply_recorded, erase
from ledger.store.vault_keys import KeyDatabase
from ledger.vault import Erased
from tests.ledger.books import Books
from tests.ledger.messages import Upstream

BY = By("/ops/priya", "cli")
BASIS = "their letter of 3 May"


def refused(upstream: Upstream) -> dict[str, object]:
    """A message with words in it that is refused."""
    return upstream.account_registered(currency="XXXX")


def told_once(books: Books) -> Upstream:
    upstream = Upstream()
    books.take([upstream.account_registered(), upstream.subscription_registered(), refused(upstream)])
    return upstream


def subjects(books: Books) -> list[str]:
    return sorted(subject for (subject,) in books.rows("SELECT subject FROM vault"))


def test_what_the_vault_has_is_destroyed_with_its_keys_and_the_envelopes_stay(books: Books) -> None:
    told_once(books)
    before = books.envelopes()
    done = erase(books.ledger, "acct-1", BASIS, BY)
    assert (done.now, done.keys, done.destroyed.entries, done.destroyed.dead_letters) == (True, 2, 2, 1)
    assert subjects(books) == ["erasure/acct-1"]
    after = books.envelopes()
    assert after[: len(before)] == before
    event = after[-1].event()
    assert (event.type, event.account, event.actor) == ("subject-erased.v1", "acct-1", "/ops/priya")
    assert event.previous == next(e for e in reversed(before) if e.account == "acct-1").leaf_hash
    with books.database.reading() as transaction, pytest.raises(Erased):
        customer_of(books.ledger, transaction, "acct-1")


def test_what_comes_later_is_recorded_without_words_also_where_another_process_knows_the_key(books: Books) -> None:
    upstream = told_once(books)
    other = books.another_process()
    other.take([upstream.customer_changed(name="Zoë Quux")])
    erase(books.ledger, "acct-1", BASIS, BY)
    taken = other.take([upstream.customer_changed(name="Zoë Again"), refused(upstream)])
    assert (taken.accepted, len(taken.refused)) == (1, 1)
    assert subjects(books) == ["erasure/acct-1"]
    (sealed,) = [e["data"]["sealed"] for e in books.stored("acct-1")[-1:]]
    assert (sealed["commitment"], sealed["nonce"]) == ("erased", "")


def test_a_repetition_of_what_was_said_before_stays_a_duplicate(books: Books) -> None:
    upstream = Upstream()
    said = upstream.account_registered()
    books.take([said])
    erase(books.ledger, "acct-1", BASIS, BY)
    assert books.take([said]).duplicates == 1


def test_doing_it_twice_says_that_it_was_done_and_nobody_is_erased_of_whom_nothing_is_known(books: Books) -> None:
    told_once(books)
    first = erase(books.ledger, "acct-1", BASIS, BY)
    again = erase(books.ledger, "acct-1", BASIS, BY)
    assert (again.now, again.keys, again.at, again.destroyed) == (False, 0, first.at, first.destroyed)
    for unknown in ("acct-none", "system"):
        with pytest.raises(NothingKnown):
            erase(books.ledger, unknown, BASIS, BY)


def test_keys_that_come_back_from_a_backup_are_destroyed_at_the_next_start(books: Books) -> None:
    told_once(books)
    assert isinstance(books.keys, KeyDatabase)
    backup = books.keys.kept(["account/acct-1"])["account/acct-1"]
    erase(books.ledger, "acct-1", BASIS, BY)
    with books.keys._database.writing() as transaction:
        transaction.run("UPDATE vault_keys SET key = ?, erased_at = NULL WHERE subject = 'account/acct-1'", (backup,))
    assert apply_recorded(books.ledger) == ["acct-1"]
    assert books.keys.kept(["account/acct-1"]) == {"account/acct-1": None}
    assert apply_recorded(books.ledger) == []


def test_a_store_from_before_an_erasure_erases_again_and_records_that(books: Books) -> None:
    upstream = told_once(books)
    assert isinstance(books.keys, KeyDatabase)
    with books.keys._database.writing() as transaction:
        transaction.run("UPDATE vault_keys SET key = NULL, erased_at = 1 WHERE subject = 'account/acct-1'")
    fresh = books.another_process()
    assert fresh.take([upstream.customer_changed(name="Zoë Again")]).accepted == 1
    assert apply_recorded(fresh.ledger) == ["acct-1"]
    assert subjects(books) == []
    data = json.loads(books.envelopes()[-1].envelope)["data"]
    assert (data["restored"], data["sealed"]) == (True, None)
