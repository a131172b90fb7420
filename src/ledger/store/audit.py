"""The Merkle trees over the shards' envelopes, the logs that they are signed for, and checkpoints: how they grow.

A tree grows with its reader's position, in one transaction (design rule 7): what was built twice is built once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.store.database import Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.audit import Log, tree_reader
from ledger.store.writing import ReaderMove, move_reader


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's signature line of a checkpoint, without a newline. `key_id` is in hexadecimal."""

    name: str
    key_id: str
    line: str


def grow_tree(
    transaction: Transaction,
    shard: int,
    epoch: int,
    size: int,
    to: int,
    tiles: Iterable[tuple[int, int, bytes]],
) -> None:
    """Write tiles (level, number, hashes) that changed as a shard's tree grew from one size to another.

    Raises ReaderFenced where another process took the tree over, or it has not that size any more.
    """
    transaction.run_each(
        "INSERT INTO audit_tiles (shard, level, number, hashes) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (shard, level, number) DO UPDATE SET hashes = excluded.hashes",
        [(shard, level, number, hashes) for level, number, hashes in tiles],
    )
    move_reader(transaction, ReaderMove(tree_reader(shard), epoch, size, to))


def begin_log(transaction: Transaction, log: Log) -> None:
    """Begin a log. One that is there stays as it is."""
    transaction.run(
        "INSERT INTO audit_logs (shard, number, origin, follows) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (shard, number) DO NOTHING",
        (log.shard, log.number, log.origin, log.follows),
    )


def keep_checkpoint(transaction: Transaction, origin: str, size: int, note: str, signed_at: datetime) -> bool:
    """Keep a signed checkpoint; whether it is new. One that is there stays as it is: it was published."""
    return (
        transaction.run(
            "INSERT INTO audit_checkpoints (origin, size, note, signed_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (origin, size) DO NOTHING",
            (origin, size, note, to_microseconds(signed_at)),
        )
        == 1
    )


def keep_cosignatures(transaction: Transaction, origin: str, size: int, cosignatures: Iterable[Cosignature]) -> None:
    """Keep what witnesses signed of a checkpoint. The first of each key stays."""
    transaction.run_each(
        "INSERT INTO audit_cosignatures (origin, size, name, key_id, line) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (origin, size, name, key_id) DO NOTHING",
        [(origin, size, each.name, each.key_id, each.line) for each in cosignatures],
    )
