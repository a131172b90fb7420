"""The refunds that were requested in a history that was given up, when the store was restored from a backup."""

from __future__ import annotations

from ledger.events import RefundRequestsFound, RequestFound
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type
from ledger.store.reading.generations import FIRST, newest_generation
from ledger.values import SYSTEM_ACCOUNT


def requests_found(transaction: Transaction) -> dict[tuple[str, str, int], RequestFound]:
    """Each by account, refund and attempt."""
    if newest_generation(transaction) == FIRST:
        return {}
    return {
        (found.account_id, found.refund_id, found.attempt): found
        for _, event in events_of_type(transaction, SYSTEM_ACCOUNT, RefundRequestsFound)
        for found in event.data.requests
    }
