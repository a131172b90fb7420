"""The refunds that are approved and not submitted yet, and the accounts whose payouts wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.left_for_people import Left, left

_SET_ASIDE = (
    "EXISTS (SELECT 1 FROM set_aside s LEFT JOIN closures c ON c.kept = 'set-aside' AND c.kept_id = s.set_aside_id "
    "WHERE c.kept_id IS NULL AND s.account = {account})"
)


@dataclass(frozen=True, slots=True)
class ApprovedRefund:
    """A refund that is approved and not submitted. It is held while a message of its account is set aside."""

    account: str
    refund_id: str
    since: datetime
    is_held: bool


def approved_refunds(transaction: Transaction, after: ApprovedRefund | None, limit: int) -> list[ApprovedRefund]:
    """The next approved refunds, those first that have waited longest."""
    since, account, refund_id = (
        (to_microseconds(after.since), after.account, after.refund_id) if after is not None else (-1, "", "")
    )
    rows = transaction.rows(
        f"SELECT account, refund_id, since, {_SET_ASIDE.format(account='a.account')} FROM approved_refunds a "
        'WHERE since > ? OR (since = ? AND (account COLLATE "C" > ? OR (account = ? AND refund_id COLLATE "C" > ?))) '
        'ORDER BY since, account COLLATE "C", refund_id COLLATE "C" LIMIT ?',
        (since, since, account, account, refund_id, limit),
    )
    return [ApprovedRefund(row[0], row[1], from_microseconds(row[2]), bool(row[3])) for row in rows]


def approved_left(transaction: Transaction) -> Left:
    """How many refunds are approved and not submitted, and since when the first of them is."""
    return left(transaction, "SELECT COUNT(*), MIN(since) FROM approved_refunds")


def has_set_aside(transaction: Transaction, account: str) -> bool:
    """Whether a message of an account is set aside for repair."""
    return bool(transaction.rows(f"SELECT 1 WHERE {_SET_ASIDE.format(account='?')}", (account,)))
