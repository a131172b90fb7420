"""Auditors' questions of a long ledger are led to their events by an index, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import get_args

import pytest

from ledger.application.four_eyes import Approval
from ledger.application.looks import STREAM, record_looks
from ledger.events import Look, PeriodClosed, RecordsLookedAt, RoleGranted
from ledger.store.database import Database, Transaction
from ledger.store.reading.events import approvals_by_people, events_of_types, last_of_type, stream_between
from ledger.store.schema import APPROVED
from ledger.values import SYSTEM_ACCOUNT
from tests.ledger.books import Books
from tests.projections.many import plans
from tests.projections.test_pages import Watched

MANY = 10_000
LOOK = Look(by="pia", channel="http", kind="personal_data", account_id="acct-1", times=1, records=31)


@pytest.fixture
def long_ledger(books: Books) -> Database:
    """Many events that nobody reads: half of them looks, and of the others one in a thousand an approval."""
    columns = ("shard", "position", "account", "account_version", "stream", "stream_version", "type", "event_id")
    approval = sorted(each.stored_as for each in get_args(Approval))
    rows = []
    for n in range(MANY):
        of_system = n % 2 == 0
        account = SYSTEM_ACCOUNT if of_system else f"acct-{n}"
        type_ = RecordsLookedAt.stored_as if of_system else "cycle-started.v1"
        if n % 1000 == 1:
            type_ = approval[n // 1000 % 2]
        if n in (500, 700):
            type_ = RoleGranted.stored_as if n == 500 else PeriodClosed.stored_as
        rows.append((0, 1_000 + n, account, 1_000 + n, f"s/{n}", 1, type_, f"e-{n}", b"{}"))
    database = books.database.real
    with database.writing() as transaction:
        transaction.insert("events", (*columns, "envelope"), rows)
        transaction.run("ANALYZE events")
    return database


Ask = Callable[[Transaction], object]
QUESTIONS: dict[str, tuple[str, Ask]] = {
    "all approvals": ("events_approved", approvals_by_people),
    "roles granted": (
        "events_of_system",
        lambda transaction: events_of_types(
            transaction, SYSTEM_ACCOUNT, [RoleGranted.stored_as, "none.v1", "none.v2"]
        ),
    ),
    "the last month closed": (
        "events_of_system",
        lambda transaction: last_of_type(transaction, SYSTEM_ACCOUNT, PeriodClosed),
    ),
}


def test_an_index_leads_to_few_among_many(long_ledger: Database) -> None:
    for name, (index, ask) in QUESTIONS.items():
        watched = Watched(long_ledger)
        with watched.reading() as transaction:
            assert ask(transaction), name
        [plan] = plans(long_ledger, watched.asked, by_index=True)
        assert index in plan, f"{name}: {plan}"
        assert "Seq Scan" not in plan, f"{name}: {plan}"


def test_the_index_is_of_all_approvals() -> None:
    assert sorted(each.stored_as for each in get_args(Approval)) == APPROVED.split("'")[1::2]


def test_what_a_stream_has_between_two_instants_is_found_without_the_rest(books: Books) -> None:
    begin = books.clock.at
    for minutes in range(64):
        books.clock.at = begin + timedelta(minutes=minutes)
        record_looks(books.ledger, [LOOK], timedelta(seconds=1))

    def found(first: int, after: int) -> list[int]:
        """The versions between two minutes."""
        watched = Watched(books.database)
        with watched.reading() as transaction:
            stored = stream_between(
                transaction, STREAM, begin + timedelta(minutes=first), begin + timedelta(minutes=after)
            )
        assert sum(watched.fetched) <= len(stored) + 2 * 7 + 1, "twice to the middle, and so on"
        return [each.stream_version for each in stored]

    assert found(7, 9) == [8, 9]
    assert (found(-5, 2), found(62, 99)) == ([1, 2], [63, 64])
    assert (found(-9, 0), found(9, 9), found(64, 99)) == ([], [], [])
    with books.database.reading() as transaction:
        assert stream_between(transaction, "looks/none", begin, begin + timedelta(days=1)) == []
