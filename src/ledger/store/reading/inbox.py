"""Which messages were taken."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.store.database import Transaction


def taken_of(transaction: Transaction, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Source and id of each message that was taken under one of some ids."""
    return {
        (source, id_) for source, id_ in transaction.rows_in("SELECT source, id FROM inbox WHERE id IN (?*)", ids)
    }
