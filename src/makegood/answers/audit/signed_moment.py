"""The moment at which checkpoints were signed: what they cover was known then, and nothing else (contract §3).

That a store's tree has the root which was signed shows that its events up to there are those of the signed history.
Whose signatures a checkpoint bears is not asked here; `makegood audit verify` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.audit import Checkpoint
from ledger.store.database import Database, Transaction
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


def reached_by(databases: Sequence[Database], moment: SignedMoment) -> Reached:
    """How far the checkpoints' shards had come, which are in these databases. Raises NotThisHistory."""
    reached = Reached({})
    for checkpoint in moment.checkpoints:
        covered = _covered(databases, checkpoint)
        if covered.shard in reached:
            raise NotThisHistory(f"two checkpoints are of shard {covered.shard}: give one of each shard")
        reached = reached.moved(covered)
    return reached


def _covered(databases: Sequence[Database], checkpoint: Checkpoint) -> Position:
    """The last event that a checkpoint covers. Raises NotThisHistory."""
    for database in databases:
        with database.reading() as transaction:
            log = log_called(transaction, checkpoint.origin)
            if log is not None:
                _check_signed(transaction, log.shard, checkpoint)
                return Position(log.shard, checkpoint.size)
    raise NotThisHistory(
        f"the checkpoint is of the log {checkpoint.origin}, and this store has no such log: open the store that it "
        "was signed for, or give a checkpoint of this one"
    )


def _check_signed(transaction: Transaction, shard: int, checkpoint: Checkpoint) -> None:
    """Raises NotThisHistory where a shard does not begin with what was signed."""
    root = root_of_first(transaction, shard, checkpoint.size)
    if root is None:
        raise NotThisHistory(
            f"the checkpoint covers {checkpoint.size} events of shard {shard}, and this store has "
            f"{shard_end(transaction, shard)}: the end of its history is missing, or it is another one; compare it "
            "with a backup"
        )
    if root != checkpoint.root:
        raise NotThisHistory(
            f"the first {checkpoint.size} events of shard {shard} are not those that were signed: this store's "
            "history is another one; compare it with a backup"
        )
