"""Months that were closed, and the accounts in the order of a closing's manifest."""

from __future__ import annotations

from ledger.events import PeriodClosed
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type
from ledger.values import SYSTEM_ACCOUNT


def closed_periods(transaction: Transaction) -> list[PeriodClosed]:
    """The months that were closed, in the order in which they were."""
    return [event for _, event in events_of_type(transaction, SYSTEM_ACCOUNT, PeriodClosed)]
