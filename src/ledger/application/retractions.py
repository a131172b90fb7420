"""Which of an account's recorded messages count as never said (contract §1): asked when it matters, and not kept."""

from __future__ import annotations

from ledger.events import FactRetracted, MessageKey, Retraction, retracted
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type


def retracted_in(transaction: Transaction, account: str) -> dict[MessageKey, Retraction]:
    """The messages of an account that count as never said, each with the retraction that takes it back."""
    return retracted(event.retraction for _, event in events_of_type(transaction, account, FactRetracted))
