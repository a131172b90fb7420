"""The returns that a processor is asked for one by one: how each stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ledger.store.database import Row, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.left_for_people import Left, left


@dataclass(frozen=True, slots=True)
class AskedReturn:
    """One return of a refund, and what is known of asking for it.

    `amount` is gross, in major units. `next_attempt_at` is when it is asked for, or looked at again where the
    processor has it under way, which `reference` says; None once it is answered. `last_error` is a code of ours.
    """

    return_id: str
    account: str
    refund_id: str
    payment_id: str
    amount: Decimal
    currency: str
    queued_at: datetime
    attempts: int = 0
    next_attempt_at: datetime | None = None
    reference: str | None = None
    last_error: str | None = None


COLUMNS = (
    "return_id",
    "account",
    "refund_id",
    "payment_id",
    "amount",
    "currency",
    "queued_at",
    "attempts",
    "next_attempt_at",
    "reference",
    "last_error",
)
"""The columns of `asked_returns` that `asked_return` reads, in their order."""


def returns_due(transaction: Transaction, now: datetime, limit: int) -> list[AskedReturn]:
    """The returns whose time has come, the one that has waited longest first."""
    rows = transaction.rows(
        f"SELECT {', '.join(COLUMNS)} FROM asked_returns WHERE next_attempt_at <= ? "
        f"ORDER BY next_attempt_at, return_id LIMIT {limit}",
        (to_microseconds(now),),
    )
    return [asked_return(row) for row in rows]


def find_asked_return(transaction: Transaction, return_id: str) -> AskedReturn | None:
    """The return with an id."""
    rows = transaction.rows(f"SELECT {', '.join(COLUMNS)} FROM asked_returns WHERE return_id = ?", (return_id,))
    return asked_return(rows[0]) if rows else None


def returns_unasked(transaction: Transaction) -> Left:
    """The returns that the processor did not take yet; since when, by the world's time."""
    return left(
        transaction,
        "SELECT COUNT(*), MIN(queued_at) FROM asked_returns WHERE next_attempt_at IS NOT NULL AND reference IS NULL",
    )


def asked_return(row: Row) -> AskedReturn:
    """A row of the table."""
    return_id, account, refund_id, payment_id, amount, currency, queued_at, attempts, next_at, reference, error = row
    return AskedReturn(
        return_id=return_id,
        account=account,
        refund_id=refund_id,
        payment_id=payment_id,
        amount=Decimal(amount),
        currency=currency,
        queued_at=from_microseconds(queued_at),
        attempts=int(attempts),
        next_attempt_at=None if next_at is None else from_microseconds(next_at),
        reference=reference,
        last_error=error,
    )
