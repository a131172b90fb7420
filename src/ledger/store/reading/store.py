"""What the store says of itself."""

from __future__ import annotations

from ledger.store.database import Transaction


def store_id(transaction: Transaction) -> str:
    """What tells this store's events from another's, where both are published to one topic."""
    return str(transaction.rows("SELECT value FROM store WHERE name = 'id'")[0][0])


def clock_is_set(transaction: Transaction) -> bool:
    """Whether a sandbox's clock was set: until then it is the system's."""
    return bool(transaction.rows("SELECT 1 FROM store WHERE name = 'clock'"))
