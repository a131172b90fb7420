"""How far each reader has come."""

from __future__ import annotations

from ledger.store.column_types import as_integer
from ledger.store.database import Transaction


def reader_stands(transaction: Transaction, reader: str) -> tuple[int, int] | None:
    """A reader's position and the epoch under which it may be moved; None for one that never read."""
    rows = transaction.rows("SELECT position, epoch FROM readers WHERE reader = ?", (reader,))
    if not rows:
        return None
    position, epoch = rows[0]
    return as_integer(position, f"the position of {reader}"), as_integer(epoch, f"the epoch of {reader}")


def reader_position(transaction: Transaction, reader: str) -> int:
    """The last position that a reader has taken; 0 for one that never read."""
    stands = reader_stands(transaction, reader)
    return stands[0] if stands is not None else 0


def readers_below(transaction: Transaction, prefix: str) -> dict[str, int]:
    """The positions of all readers whose names begin alike, by the rest of the name."""
    rows = transaction.rows(
        "SELECT reader, position FROM readers WHERE substr(reader, 1, ?) = ?", (len(prefix), prefix)
    )
    return {
        reader.removeprefix(prefix): as_integer(position, f"the position of {reader}") for reader, position in rows
    }
