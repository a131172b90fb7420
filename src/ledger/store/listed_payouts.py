"""What processors' files list of payouts is noted, so that no payout is listed twice unseen."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ledger.reconciliation import FILE_LENGTH, ListedPayout
from ledger.store.database import Transaction


def note_listed(transaction: Transaction, file: str, rows: Iterable[tuple[ListedPayout, Collection[str]]]) -> None:
    """Note rows of a file under their names. One that is noted already stays as it is."""
    transaction.upsert(
        "listed_payouts",
        {"name": "TEXT", "file": "TEXT", "line": "BIGINT", "digest": "TEXT", "day": "TEXT", "status": "TEXT"},
        ("name", "file", "line"),
        [
            (name, file[:FILE_LENGTH], row.line, row.digest, row.day.isoformat(), row.status)
            for row, names in rows
            for name in sorted(names)
        ],
    )
