"""What processors' files list of payouts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date

from ledger.reconciliation import Occurrence
from ledger.store.database import Transaction


def occurrences_of(transaction: Transaction, names: Collection[str]) -> dict[str, list[Occurrence]]:
    """Where payouts are listed, by the names that rows and payouts have; nothing of a name that no row has."""
    found: dict[str, list[Occurrence]] = defaultdict(list)
    for name, file, line, digest, day, status in transaction.rows_in(
        "SELECT name, file, line, digest, day, status FROM listed_payouts WHERE name IN (?*)", sorted(names)
    ):
        found[name].append(Occurrence(file, line, digest, date.fromisoformat(day), status))
    return found
