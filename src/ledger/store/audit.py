"""The Merkle trees over the shards' envelopes, and their checkpoints: how they grow.

A tree grows with its reader's position, in one transaction (design rule 7): what was built twice is built once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ledger.audit import tiles_after, tiles_of
from ledger.store.database import Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.audit import tile


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's signature line of a checkpoint, without a newline. `key_id` is in hexadecimal."""

    name: str
    key_id: str
    line: str


_TILE_COLUMNS = {"shard": "INTEGER", "level": "INTEGER", "number": "BIGINT", "hashes": "BYTES"}
_TILE_KEY = ("shard", "level", "number")


def write_leaves(transaction: Transaction, shard: int, size: int, digests: Sequence[bytes]) -> None:
    """Write the tiles that change as leaves are appended to a shard's tree of a size, in the transaction that moves
    its reader on by as many. Raises TileInvalid where the tree does not have that size.
    """
    read = partial(tile, transaction, shard)
    tiles = [(shard, level, number, hashes) for level, number, hashes in tiles_after(size, digests, read)]
    transaction.upsert("audit_tiles", _TILE_COLUMNS, _TILE_KEY, tiles)


def mend_tiles(transaction: Transaction, shard: int, tiles: Iterable[tuple[int, int, bytes]]) -> int:
    """Write those of some tiles (level, number, hashes) that a shard's tree has otherwise or not; how many."""
    differing = []
    for level, number, hashes in tiles:
        stored = transaction.rows(
            "SELECT hashes FROM audit_tiles WHERE shard = ? AND level = ? AND number = ?", (shard, level, number)
        )
        # Of another type it is another, too.
        if not stored or not isinstance(stored[0][0], (bytes, memoryview)) or bytes(stored[0][0]) != hashes:
            differing.append((shard, level, number, hashes))
    transaction.upsert("audit_tiles", _TILE_COLUMNS, _TILE_KEY, differing)
    return len(differing)


def remove_tiles_beyond(transaction: Transaction, shard: int, size: int) -> int:
    """Remove the tiles that a shard's tree of a size does not have; how many there were."""
    there = transaction.rows("SELECT level, number FROM audit_tiles WHERE shard = ?", (shard,))
    belong = {(tile.level, tile.number) for tile in tiles_of(size)}
    strange = [(shard, level, number) for level, number in there if (level, number) not in belong]
    return transaction.delete("audit_tiles", _TILE_KEY, strange)


def keep_checkpoint(transaction: Transaction, origin: str, size: int, note: str, signed_at: datetime) -> None:
    """Keep a signed checkpoint; of one that is there already the note that has more signatures."""
    transaction.run(
        "INSERT INTO audit_checkpoints (origin, size, note, signed_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (origin, size) DO UPDATE SET note = excluded.note",
        (origin, size, note, to_microseconds(signed_at)),
    )


def keep_cosignatures(transaction: Transaction, origin: str, size: int, cosignatures: Iterable[Cosignature]) -> None:
    """Keep what witnesses signed of a checkpoint. The first of each key stays."""
    rows = [(origin, size, each.name, each.key_id, each.line) for each in cosignatures]
    transaction.insert("audit_cosignatures", ("origin", "size", "name", "key_id", "line"), rows, new_only=True)
