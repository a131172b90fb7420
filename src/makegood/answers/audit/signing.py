"""How far the Merkle trees are signed, and whether they go on from what was published: for status and doctor."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.checkpoints.comparing import (
    Place,
    PlaceUnusable,
    Published,
    TreeDamaged,
    contradictions,
    found_in,
    found_in_store,
)
from consumers.checkpoints.signing import KeysUnusable
from consumers.lag import Lag, next_recorded_at
from ledger.audit import Note, TrustPolicy, Unproven
from ledger.store.database import Transaction
from ledger.store.positions import Position
from ledger.store.reading.audit import (
    StoredCheckpoint,
    checkpoint_note,
    cosigned_by,
    latest_checkpoint,
    log_of,
    tree_size,
)
from ledger.store.reading.shards import shard_ends
from ledger.store.reading.store import is_sandbox
from makegood.house.audit_keys import keys_of, policy_of
from makegood.house.audit_places import folder_of
from makegood.house.settings import Settings
from makegood.house.stop import Stop


@dataclass(frozen=True, slots=True)
class Signing:
    """How far a shard's tree has come, and the last checkpoint of its log."""

    shard: int
    origin: str
    tree: Lag
    last: StoredCheckpoint | None
    cosigned_by: tuple[str, ...]
    keys: int
    """How many keys of the log are in the key file."""
    trusted: bool | None
    """Whether the trust policy trusts that checkpoint; none without a policy, or without a checkpoint."""

    @property
    def uncovered(self) -> int:
        """How many events came after the last checkpoint."""
        return self.tree.position + self.tree.behind - (self.last.size if self.last is not None else 0)


def signing_of(transaction: Transaction, settings: Settings) -> tuple[list[Signing], list[str]]:
    """How far each shard's tree is signed, and what is wrong with that, in words that say what to do next."""
    found, problems = [], []
    policy = None
    try:
        policy = policy_of(settings)
    except Stop as error:
        problems.append(str(error))
    for shard, end in sorted(shard_ends(transaction).items()):
        origin = log_of(transaction, shard).origin
        size, last = tree_size(transaction, shard), latest_checkpoint(transaction, origin)
        keys = 0
        try:
            keys = len(keys_of(settings, origin))
        except KeysUnusable as error:
            problems.append(str(error))
        behind = max(0, end - size)
        # Of a sandbox nobody tells: its clock may have been set by months since, and nothing waited for so long.
        tells = behind > 0 and not is_sandbox(transaction)
        oldest_at = next_recorded_at(transaction, Position(shard, size)) if tells else None
        witnesses = {name for name, _ in cosigned_by(transaction, origin, last.size)} if last is not None else ()
        tree = Lag("checkpoints", "events", shard, size, behind, oldest_at)
        trusted = _trusts(policy, transaction, last) if policy is not None and last is not None else None
        found.append(Signing(shard, origin, tree, last, tuple(sorted(witnesses)), keys, trusted))
        folder = folder_of(settings)
        problems += contradicting(transaction, shard, found_in_store(transaction, shard))
        problems += contradicting_places(transaction, shard, origin, [folder] if folder is not None else [])
    return found, problems


def _trusts(policy: TrustPolicy, transaction: Transaction, last: StoredCheckpoint) -> bool:
    try:
        policy.check(Note.parse(str(checkpoint_note(transaction, last.origin, last.size))))
    except Unproven:
        return False
    return True


def contradicting_places(transaction: Transaction, shard: int, origin: str, places: list[Place]) -> list[str]:
    """What some places have of a log that its tree contradicts, and which cannot be read. Raises BrokerError."""
    try:
        return contradicting(transaction, shard, found_in(places, origin))
    except PlaceUnusable as error:
        return [str(error)]


def contradicting(transaction: Transaction, shard: int, found: list[Published]) -> list[str]:
    """What was published of a log and its tree contradicts."""
    try:
        return contradictions(transaction, shard, found)
    except Unproven as error:
        return [str(TreeDamaged(error))]
