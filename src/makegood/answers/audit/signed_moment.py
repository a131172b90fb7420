"""The moment at which checkpoints were signed: what they cover was known then, and nothing else (contract §3).

That a store's tree has the root which was signed shows that its events up to there are those of the signed history.
Whose signatures a checkpoint bears is not asked here; `makegood audit verify` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.audit import Checkpoint
from ledger.store.database import Transaction
from ledger.store.positions import Position, Reached
from ledger.store.reading.audit import log_called, root_of_first
from ledger.store.reading.shards import shard_end
from makegood.answers.audit.logs import checkpoint_in, note_in


class NotThisHistory(Exception):
    """A checkpoint was signed over another history than the store's; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SignedMoment:
    """What some checkpoints cover, one of each shard that is asked about."""

    checkpoints: tuple[Checkpoint, ...]


def signed_moment(files: Sequence[Path]) -> SignedMoment:
    """The moment of checkpoints in files, a signed note each. Raises OSError, and ValueError for another file."""
    return SignedMoment(tuple(checkpoint_in(note_in(file)) for file in files))


def reached_by(transaction: Transaction, moment: SignedMoment) -> Reached:
    """How far the checkpoints' shards had come. Raises NotThisHistory."""
    reached = Reached({})
    for checkpoint in moment.checkpoints:
        log = log_called(transaction, checkpoint.origin)
        if log is None:
            raise NotThisHistory(
                f"the checkpoint is of the log {checkpoint.origin}, and this store has no such log: open the store "
                "that it was signed for, or give a checkpoint of this one"
            )
        if log.shard in reached:
            raise NotThisHistory(f"two checkpoints are of shard {log.shard}: give one of each shard")
        root = root_of_first(transaction, log.shard, checkpoint.size)
        if root is None:
            raise NotThisHistory(
                f"the checkpoint covers {checkpoint.size} events of shard {log.shard}, and this store has "
                f"{shard_end(transaction, log.shard)}: the end of its history is missing, or it is another one; "
                "compare it with a backup"
            )
        if root != checkpoint.root:
            raise NotThisHistory(
                f"the first {checkpoint.size} events of shard {log.shard} are not those that were signed: this "
                "store's history is another one; compare it with a backup"
            )
        reached = reached.moved(Position(log.shard, checkpoint.size))
    return reached
