"""The Merkle trees over the shards' envelopes, the logs under whose names they are signed, and their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ledger.audit import TileInvalid, TileTree, compact_range, leaf_digest, tile_path
from ledger.store.column_types import as_bytes, as_integer, as_text
from ledger.store.database import Row, Transaction
from ledger.store.instants import from_microseconds
from ledger.store.positions import numbered
from ledger.store.reading.events import PositionMissing, check_without_holes
from ledger.store.reading.readers import reader_position
from ledger.store.reading.shards import shard_end, shards_of
from ledger.store.reading.store import store_id


def tree_reader(shard: int) -> str:
    """Who follows a shard's events and builds its tree; its position is the tree's size."""
    return numbered("checkpoints", shard, between="/")


# --- logs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """A name under which a shard's tree is signed: the `number`-th, from 1, and the note of what it follows."""

    shard: int
    number: int
    origin: str
    follows: str | None = None


def origin_for(store: str, shard: int, number: int = 1) -> str:
    """What the `number`-th log of a shard is called; one line without spaces and plus signs, as C2SP asks."""
    first = f"makegood/{store}/{shard}"
    return first if number == 1 else f"{first}/{number}"


def logs_of(transaction: Transaction, shard: int) -> list[Log]:
    """All logs of a shard, the first one first, which every shard has, whether or not anything was signed."""
    rows = transaction.rows(
        "SELECT shard, number, origin, follows FROM audit_logs WHERE shard = ? ORDER BY number", (shard,)
    )
    return [Log(shard, 1, origin_for(store_id(transaction), shard)), *(Log(*row) for row in rows)]


def log_of(transaction: Transaction, shard: int) -> Log:
    """The log under whose name a shard's tree is signed now."""
    return logs_of(transaction, shard)[-1]


def origin_of(transaction: Transaction, shard: int) -> str:
    """The origin of the checkpoints that are signed over a shard's tree now."""
    return log_of(transaction, shard).origin


def log_called(transaction: Transaction, origin: str) -> Log | None:
    """The log of an origin, which may be one that another follows; None where it is none of this store's."""
    logs = (log for shard in shards_of(transaction) for log in logs_of(transaction, shard))
    return next((log for log in logs if log.origin == origin), None)


# --- trees ----------------------------------------------------------------------------------------------------------


def tree_size(transaction: Transaction, shard: int) -> int:
    """How many leaves a shard's tree has: it covers the events up to this position."""
    return reader_position(transaction, tree_reader(shard))


class StoredTree(TileTree):
    """A shard's tree as a transaction sees it; its hashes are read from the store's tiles."""

    def __init__(self, transaction: Transaction, shard: int) -> None:
        super().__init__(tree_size(transaction, shard), lambda level, number: tile(transaction, shard, level, number))


def tile(transaction: Transaction, shard: int, level: int, number: int) -> bytes:
    """The hashes of a tile, as many as there are yet; empty where there is none. Raises TileInvalid."""
    rows = transaction.rows(
        "SELECT hashes FROM audit_tiles WHERE shard = ? AND level = ? AND number = ?", (shard, level, number)
    )
    return _hashes(level, number, rows[0][0]) if rows else b""


def tiles_from(transaction: Transaction, shard: int, level: int, number: int, limit: int) -> list[tuple[int, bytes]]:
    """The tiles of a level from a number on, each with its number, in order. Raises TileInvalid."""
    rows = transaction.rows(
        "SELECT number, hashes FROM audit_tiles WHERE shard = ? AND level = ? AND number >= ? "
        "ORDER BY number LIMIT ?",
        (shard, level, number, limit),
    )
    return [(int(found), _hashes(level, found, hashes)) for found, hashes in rows]


def _hashes(level: int, number: int, stored: object) -> bytes:
    if not isinstance(stored, (bytes, memoryview)):
        raise TileInvalid(f"{tile_path(level, number)} is not stored as bytes")
    return bytes(stored)


class Leaf(NamedTuple):
    """What becomes a leaf: an event's envelope, and its stored type."""

    type: str
    envelope: bytes


def leaves_after(transaction: Transaction, shard: int, position: int, limit: int) -> list[Leaf]:
    """What comes next after a position, in order and without holes. Raises PositionMissing and ColumnChanged."""
    rows = transaction.rows(
        "SELECT position, type, envelope FROM events WHERE shard = ? AND position > ? ORDER BY position LIMIT ?",
        (shard, position, limit),
    )
    check_without_holes(shard, position, [found for found, _, _ in rows])
    return [Leaf(type_, as_bytes(envelope, f"the envelope at {shard}:{found}")) for found, type_, envelope in rows]


LEAVES_AT_ONCE = 10_000


def root_of_first(transaction: Transaction, shard: int, size: int) -> bytes | None:
    """The root of a shard's first `size` envelopes; None where it has fewer.

    It is read from the tree as far as that was built, and made of the envelopes beyond.
    """
    if size > shard_end(transaction, shard):
        return None
    tree = StoredTree(transaction, shard)
    edge = compact_range(tree, min(size, tree.size))
    while edge.size < size:
        limit = min(LEAVES_AT_ONCE, size - edge.size)
        leaves = leaves_after(transaction, shard, edge.size, limit)
        if not leaves:
            raise PositionMissing(
                f"position {shard}:{edge.size + 1} is missing: stop all writers and restore the store from a backup"
            )
        edge.extend(leaf_digest(leaf.envelope) for leaf in leaves)
    return edge.root()


# --- checkpoints ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A signed checkpoint: a note with the log's own signatures. Its size is the position up to which it covers."""

    origin: str
    size: int
    note: str
    signed_at: datetime


_CHECKPOINT = "origin, size, note, signed_at"


def is_signed(transaction: Transaction) -> bool:
    """Whether any checkpoint was ever signed."""
    return bool(transaction.rows("SELECT 1 FROM audit_checkpoints LIMIT 1"))


def latest_checkpoint(transaction: Transaction, origin: str) -> StoredCheckpoint | None:
    """The checkpoint of a log that covers most."""
    rows = transaction.rows(
        f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE origin = ? ORDER BY size DESC LIMIT 1", (origin,)
    )
    return _checkpoint(rows[0]) if rows else None


def checkpoint_of(transaction: Transaction, origin: str, size: int) -> StoredCheckpoint | None:
    """The checkpoint of a log at a size."""
    rows = transaction.rows(
        f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE origin = ? AND size = ?", (origin, size)
    )
    return _checkpoint(rows[0]) if rows else None


def checkpoints_after(transaction: Transaction, origin: str, size: int, limit: int) -> list[StoredCheckpoint]:
    """The checkpoints of a log that cover more than a size, the smallest first."""
    rows = transaction.rows(
        f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE origin = ? AND size > ? ORDER BY size LIMIT ?",
        (origin, size, limit),
    )
    return [_checkpoint(row) for row in rows]


def cosignature_lines(transaction: Transaction, origin: str, size: int) -> list[str]:
    """The witnesses' signature lines of a checkpoint, each without a newline, in an order that stays."""
    rows = transaction.rows(
        "SELECT line FROM audit_cosignatures WHERE origin = ? AND size = ? "
        'ORDER BY name COLLATE "C", key_id COLLATE "C"',
        (origin, size),
    )
    return [line for (line,) in rows]


def cosigned_by(transaction: Transaction, origin: str, size: int) -> set[tuple[str, str]]:
    """Who cosigned a checkpoint: the names of the keys, and their ids in hexadecimal."""
    rows = transaction.rows(
        "SELECT name, key_id FROM audit_cosignatures WHERE origin = ? AND size = ?", (origin, size)
    )
    return {(name, key_id) for name, key_id in rows}


def checkpoint_note(transaction: Transaction, origin: str, size: int) -> str | None:
    """The signed note of a checkpoint, with the cosignatures that were collected for it; None where it has none."""
    found = checkpoint_of(transaction, origin, size)
    return None if found is None else with_lines(found.note, cosignature_lines(transaction, origin, size))


def with_lines(note: str, lines: Sequence[str]) -> str:
    """A note with further signature lines."""
    return note + "".join(f"{line}\n" for line in lines)


def _checkpoint(row: Row) -> StoredCheckpoint:
    origin, size, note, signed_at = row
    what = f"of a checkpoint of {origin}"
    return StoredCheckpoint(
        origin,
        as_integer(size, f"the size {what}"),
        as_text(note, f"the note {what}"),
        from_microseconds(as_integer(signed_at, f"the instant {what}")),
    )
