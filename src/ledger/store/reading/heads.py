"""Accounts' heads: how much is recorded of each, and when time alone changes it next."""

from __future__ import annotations

from datetime import datetime

from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.left_for_people import Left, left


def account_version(transaction: Transaction, account: str) -> int:
    """How many events an account has; 0 where nothing was ever recorded about it."""
    rows = transaction.rows("SELECT version FROM heads WHERE account = ?", (account,))
    return int(rows[0][0]) if rows else 0


def last_recorded_at(transaction: Transaction) -> datetime | None:
    """When the last event was recorded; None where nothing was."""
    found = transaction.rows("SELECT MAX(recorded_at) FROM heads")[0][0]
    return from_microseconds(found) if found is not None else None


def due_by(transaction: Transaction, now: datetime) -> Left:
    """The accounts that had fallen due by an instant and were not assessed since, the first by when it fell due."""
    return left(transaction, "SELECT COUNT(*), MIN(due_at) FROM heads WHERE due_at <= ?", (to_microseconds(now),))


def accounts_by_code_point(transaction: Transaction, after: str, limit: int) -> list[str]:
    """The next accounts that have events, ordered alike on every database; the first after an empty name."""
    rows = transaction.rows(
        'SELECT account FROM heads WHERE account COLLATE "C" > ? ORDER BY account COLLATE "C" LIMIT ?', (after, limit)
    )
    return [row[0] for row in rows]


def how_many_heads(transaction: Transaction) -> int:
    """How many accounts have events, the ledger's own account among them."""
    return int(transaction.rows("SELECT COUNT(*) FROM heads")[0][0])


def head_of(transaction: Transaction, account: str) -> tuple[int, str | None] | None:
    """How many events an account has, and the last one's leaf hash; None where nothing was ever recorded about it."""
    rows = transaction.rows("SELECT version, leaf_hash FROM heads WHERE account = ?", (account,))
    return (int(rows[0][0]), rows[0][1]) if rows else None
