"""Signing: one more checkpoint over a shard's tree, where it goes on from all that was signed before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consumers.part import Explained
from ledger.audit import Checkpoint, Note, SigningKey, leaf_digest, root_at, signed
from ledger.store.audit import keep_checkpoint, write_leaves
from ledger.store.database import Database, Transaction
from ledger.store.reading.audit import (
    StoredCheckpoint,
    StoredTree,
    checkpoint_of,
    leaves_after,
    log_of,
    tree_reader,
)
from ledger.store.reading.readers import reader_stands
from ledger.store.writing import ReaderFenced, ReaderMove, move_reader, take_over_reader

GROWS_BY = 2_048
"""So many leaves are appended to a tree in one transaction."""

KeysOf = Callable[[str], Sequence[SigningKey]]
"""Gives the keys of a log, by its origin; none where there are none. Raises KeysUnusable."""


class KeysUnusable(Explained):
    """The signing keys cannot be read; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a checkpoint is due: after so many events, or after so much time, whichever comes first."""

    events: int = 10_000
    after: timedelta = timedelta(seconds=300)

    def is_due(self, last: StoredCheckpoint | None, size: int, closed_at: int, now: datetime) -> bool:
        """Whether a tree of a size is to be signed; `closed_at` is the position of the last month's close, or 0."""
        if last is None:
            return size > 0
        if size <= last.size:
            return False
        return size - last.size >= self.events or closed_at > last.size or now - last.signed_at >= self.after


def checkpoint_now(transaction: Transaction, shard: int) -> Checkpoint:
    """What is to be signed of a shard's tree as a transaction sees it. Raises TileInvalid."""
    tree = StoredTree(transaction, shard)
    return Checkpoint(log_of(transaction, shard).origin, tree.size, root_at(tree, tree.size))


def sign(
    database: Database, shard: int, epoch: int, checkpoint: Checkpoint, keys: Sequence[SigningKey], now: datetime
) -> Note:
    """Sign a checkpoint over a shard's tree with each key that has not signed it yet, and keep it.

    Raises ReaderFenced where another process has the tree, or it is not of that size any more.
    """
    origin, size = checkpoint.origin, checkpoint.size
    with database.reading() as transaction:
        kept = checkpoint_of(transaction, origin, size)
    before = Note.parse(kept.note) if kept is not None else Note(checkpoint.body(), ())
    new = [key for key in keys if not any(key.vkey.made(signature) for signature in before.signatures)]
    note = before.with_signatures(signed(checkpoint, new, int(now.timestamp())).signatures)
    if new:
        with database.writing() as transaction:
            move_reader(transaction, ReaderMove(tree_reader(shard), epoch, size, size))
            keep_checkpoint(transaction, origin, size, str(note), now)
    return note


def grow_to_end(database: Database, shard: int, grew: Callable[[int], None] = lambda _: None) -> int:
    """Append all events that are there to a shard's tree, beside a part that may be doing so; its epoch.

    `grew` is told of the size again and again. Raises Conflict, Unavailable, PositionMissing and TileInvalid.
    """
    reader = tree_reader(shard)
    while True:
        with database.reading() as transaction:
            stands = reader_stands(transaction, reader)
            size, epoch = stands or (0, 0)
            digests = [leaf_digest(leaf.envelope) for leaf in leaves_after(transaction, shard, size, GROWS_BY)]
        try:
            with database.writing() as transaction:
                if stands is None:
                    size, epoch = take_over_reader(transaction, reader)
                    continue
                if not digests:
                    return epoch
                move_reader(transaction, ReaderMove(reader, epoch, size, size + len(digests)))
                write_leaves(transaction, shard, size, digests)
        except ReaderFenced:
            continue  # a part was faster
        grew(size + len(digests))
