"""Facts that wait for another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Order, Page, Where, listed

ORDER: Order = {"account": str, "since": int, "id": str, "source": str}
"""Within an account those first that have waited longest."""


@dataclass(frozen=True, slots=True)
class WaitingFact:
    """A fact that is recorded and cannot be assessed until another one comes."""

    account: str
    type: str
    source: str
    id: str
    waits_for: str
    since: datetime
    event_id: str


_COLUMNS = ("account", "type", "source", "id", "waits_for", "since", "event_id")


def waiting_facts(
    transaction: Transaction, accounts: Collection[str] | None = None, page: Page | None = None
) -> Listed[WaitingFact]:
    """The facts that wait, by account and age."""
    where = Where().among("account", accounts)
    found = listed(transaction, _COLUMNS, "waiting", ORDER, where, page)
    facts = (WaitingFact(**{**row, "since": from_microseconds(row["since"])}) for row in found)
    return found.told(facts)


def waiting_left(transaction: Transaction) -> Left:
    """How many facts wait, and since when."""
    return left(transaction, "SELECT COUNT(*), MIN(since) FROM waiting")
