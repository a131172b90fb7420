"""How far each reader has come."""

from __future__ import annotations

from ledger.store.database import Transaction


def reader_stands(transaction: Transaction, reader: str) -> tuple[int, int] | None:
    """A reader's position and the epoch under which it may be moved; None for one that never read."""
    rows = transaction.rows("SELECT position, epoch FROM readers WHERE reader = ?", (reader,))
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


def reader_position(transaction: Transaction, reader: str) -> int:
    """The last position that a reader has taken; 0 for one that never read."""
    stands = reader_stands(transaction, reader)
    return stands[0] if stands is not None else 0


def readers_below(transaction: Transaction, prefix: str) -> dict[str, int]:
    """The positions of all readers whose names begin alike, by the rest of the name."""
    rows = transaction.rows(
        "SELECT reader, position FROM readers WHERE substr(reader, 1, ?) = ?", (len(prefix), prefix)
    )
    return {reader.removeprefix(prefix): int(position) for reader, position in rows}
