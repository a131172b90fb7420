"""What was signed and published before, compared with what the store's trees have (decision 0045).

A log signs nothing that contradicts what it signed: where a checkpoint covers more events than the store has, or has
another root, nothing more is signed before a person says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from consumers.part import Explained
from ledger.audit import Checkpoint, Note, Unproven, root_at
from ledger.store.database import Transaction
from ledger.store.reading.audit import StoredTree, latest_checkpoint, log_of
from ledger.store.reading.shards import shard_end

THE_STORE = "the store itself"


class PlaceUnusable(Explained):
    """A place for checkpoints cannot be read or written to; the message says what to do next."""


class Place(Protocol):
    """Where checkpoints are published."""

    @property
    def name(self) -> str:
        """What it is called in a sentence."""

    def last(self, origin: str) -> Note | None:
        """The checkpoint of a log that covers most of those that are there. Raises PlaceUnusable, BrokerError."""

    def publish(self, note: Note) -> None:
        """Put a signed checkpoint there; it has arrived when this returns. Raises PlaceUnusable, BrokerError."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was found somewhere."""

    where: str
    checkpoint: Checkpoint
    note: Note


def said_by(published: Published) -> str:
    """Where a checkpoint was found, and over what, as a sentence begins."""
    checkpoint = published.checkpoint
    return f"{published.where} has a checkpoint of {checkpoint.origin} over {checkpoint.size} events"


def found_in(places: Iterable[Place], origin: str) -> list[Published]:
    """The last checkpoint of a log in each of some places. Raises PlaceUnusable, BrokerError."""
    found = ((place.name, place.last(origin)) for place in places)
    return [Published(name, Checkpoint.parse(note.text), note) for name, note in found if note is not None]


def found_in_store(transaction: Transaction, shard: int) -> list[Published]:
    """The last checkpoint that was signed of a shard's log, if there is one."""
    last = latest_checkpoint(transaction, log_of(transaction, shard).origin)
    if last is None:
        return []
    note = Note.parse(last.note)
    return [Published(THE_STORE, Checkpoint.parse(note.text), note)]


def is_too_small_yet(transaction: Transaction, shard: int, found: Iterable[Published]) -> bool:
    """Whether a shard's tree has to grow on before it can be compared with these checkpoints."""
    size, end = StoredTree(transaction, shard).size, shard_end(transaction, shard)
    return any(size < each.checkpoint.size <= end for each in found)


def contradictions(transaction: Transaction, shard: int, found: Iterable[Published]) -> list[str]:
    """Where checkpoints of a shard's log say otherwise than its events and its tree, in words that say what to do.

    One that covers more than the tree has so far is compared with the number of events only. Raises TileInvalid.
    """
    tree, end = StoredTree(transaction, shard), shard_end(transaction, shard)
    told = []
    for each in found:
        checkpoint = each.checkpoint
        said = said_by(each)
        if checkpoint.size > end:
            told.append(f"{said}, and the store has {end}: {NEXT}")
        elif checkpoint.size <= tree.size and root_at(tree, checkpoint.size) != checkpoint.root:
            told.append(f"{said}, and the store's first {checkpoint.size} events have another root: {NEXT}")
    return told


NEXT = (
    "no checkpoint is signed. If the store was restored from a backup, begin a new log with "
    "`makegood audit origin new --as NAME --reason …`; if not, events were removed or changed, or the tree was: "
    "`makegood audit rebuild-tree` makes the tree anew, and refuses where it is the events; then restore the newest "
    "backup"
)


class TreeDamaged(Unproven):
    """A shard's stored tree cannot be read or grown; the message says what to do next."""

    def __init__(self, error: Unproven) -> None:
        super().__init__(
            f"the stored Merkle tree is damaged ({error}): make it anew from the events with `makegood audit "
            "rebuild-tree`"
        )
