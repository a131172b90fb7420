"""What a journal books: movements, each with whether the refund that it is of had been submitted by then."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.store.database import Database, Transaction
from ledger.store.reading.page import Listed, Page
from projections import moved
from projections.asking import accounts_of
from projections.movements import MOVEMENTS, MOVEMENTS_MADE
from projections.narrowing import Narrowing
from projections.projection import Row


class JournalEntry(moved.Movement):
    """A movement as it is booked."""

    submitted: bool


_Refund = tuple[str, str | None, str]
"""A refund by account, id and currency."""


def listed(database: Database, narrowing: Narrowing, by: moved.By, page: Page | None = None) -> Listed[JournalEntry]:
    """The movements of a period, in the order in which they were recorded or became true."""
    with database.reading() as transaction:
        found = moved.rows_moved(transaction, narrowing, by, page)
        first = _first_submissions(transaction, accounts_of(found))
    return found.told({**moved.shown(row), "submitted": _submitted(row, first)} for row in found)


def _first_submissions(transaction: Transaction, accounts: Iterable[str]) -> dict[_Refund, int]:
    """The position of each refund's first submission in its account's shard."""
    statement = (
        f"SELECT account, item_id, currency, MIN(position) FROM {MOVEMENTS.stored_name(MOVEMENTS_MADE)} "
        "WHERE account IN (?*) AND kind = 'submitted' GROUP BY account, item_id, currency"
    )
    rows = transaction.rows_in(statement, sorted(accounts))
    return {(account, item_id, currency): int(position) for account, item_id, currency, position in rows}


def _submitted(movement: Row, first: dict[_Refund, int]) -> bool:
    at = first.get((movement["account"], movement["item_id"], movement["currency"]))
    return at is not None and at <= movement["position"]
