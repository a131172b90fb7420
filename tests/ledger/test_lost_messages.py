"""Ranges of messages that were lost, on each kind of store: noticed once, and closed once, by somebody."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.application.acts import By
from ledger.application.lost_messages import NoSuchRange, RangeClosed, close, pass_over
from ledger.events import LostRange
from ledger.store.reading.events import follow_account
from ledger.store.reading.lost import LostMessages, lost_ranges
from ledger.store.reading.page import Page
from ledger.store.reading.vault import vault_entry
from ledger.store.writing import ReaderFenced, ReaderMove, take_over_reader
from ledger.vault import lost_range_subject
from tests.ledger.books import Books

BOB = By("/makegood/cli/bob", "cli")
INTAKE = By("/makegood/intake", "kafka")


def lost(first: int, last: int) -> LostRange:
    return LostRange(
        cluster="a-cluster", topic="t", topic_id="a-topic", partition=2, first=first, last=last, cause="deleted"
    )


def found(books: Books, **asked: Any) -> list[LostMessages]:
    with books.database.reading() as transaction:
        return lost_ranges(transaction, **asked)


def taken_over(books: Books, position: int = 0) -> ReaderMove:
    with books.database.writing() as transaction:
        position, epoch = take_over_reader(transaction, "intake/there")
    return ReaderMove("intake/there", epoch, position, position)


def stands_at(books: Books) -> int:
    with books.database.reading() as transaction:
        return int(transaction.rows("SELECT position FROM readers WHERE reader = 'intake/there'")[0][0])


def test_a_range_is_lost_and_passed_in_one_transaction(books: Books) -> None:
    stands = taken_over(books)
    pass_over(books.ledger, lost(0, 4), ReaderMove(stands.reader, stands.epoch, 0, 5), INTAKE)
    assert stands_at(books) == 5
    [row] = found(books)
    assert (row.position, row.range, row.closed_at) == (1, lost(0, 4), None)


def test_who_lost_the_partition_records_no_loss(books: Books) -> None:
    stands = taken_over(books)
    taken_over(books)
    with pytest.raises(ReaderFenced):
        pass_over(books.ledger, lost(0, 4), ReaderMove(stands.reader, stands.epoch, 0, 5), INTAKE)
    assert found(books) == []
    assert stands_at(books) == 0


def test_it_stands_until_somebody_closes_it_with_a_reason_that_no_event_holds(books: Books) -> None:
    for first in (0, 10, 20):
        pass_over(books.ledger, lost(first, first + 4), None, INTAKE)
    first, second, third = (row.lost_id for row in found(books))
    close(books.ledger, second, "Ada sent them again", BOB)
    assert [row.lost_id for row in found(books, closed=False)] == [first, third]
    assert [row.lost_id for row in found(books, page=Page(1, (1,)))] == [second]
    closed = found(books)[1]
    assert closed.closed_by == BOB.actor
    assert not any(b"Ada" in stored.envelope for stored in follow_account(books.database, "system"))
    subject = lost_range_subject(second)
    with books.database.reading() as transaction:
        entry = vault_entry(transaction, f"{subject}/closing")
    assert entry is not None
    assert books.ledger.vault.decrypt(entry) == b'{"reason":"Ada sent them again"}'


def test_it_is_closed_once_and_only_what_there_is(books: Books) -> None:
    pass_over(books.ledger, lost(0, 4), None, INTAKE)
    [row] = found(books)
    close(books.ledger, row.lost_id, "sent again", BOB)
    with pytest.raises(RangeClosed, match="bob"):
        close(books.ledger, row.lost_id, "sent again", By("/makegood/cli/eve", "cli"))
    with pytest.raises(NoSuchRange, match="makegood lost list"):
        close(books.ledger, "there-is-none", "sent again", BOB)
