"""A shard's log as C2SP's tlog-tiles has it: the last checkpoint, the tree's tiles, and entries, as they are stored.

What was signed is served from the tree's tiles and what was recorded from the events, neither judged here: whoever
fetches them hashes the entries, and finds where one does not lead to the checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from ledger.audit import TILE_WIDTH, Checkpoint, Note, Tile, Unproven, entry_bundle
from ledger.audit.leaf import DIGEST_BYTES
from ledger.audit.note import NOTE_BYTES_MAX
from ledger.store.column_types import ColumnChanged
from ledger.store.database import Transaction
from ledger.store.reading.audit import (
    checkpoint_note,
    latest_checkpoint,
    leaves_after,
    origin_of,
    tile,
    tree_size,
)
from ledger.store.reading.events import PositionMissing
from makegood.answers.unknown import Unknown
from makegood.house.stop import Stop


class Contradicted(Stop):
    """What is stored does not lead to a checkpoint: one of the two was changed. The message names them."""


CHANGED = (Contradicted, ColumnChanged, PositionMissing)
"""What is raised where the store is not as it was recorded: a mismatch, and nothing that could not be checked."""


def last_checkpoint(transaction: Transaction, shard: int) -> Note:
    """The signed checkpoint of a shard's log that covers most, with its cosignatures. Raises Stop for none."""
    origin = origin_of(transaction, shard)
    last = latest_checkpoint(transaction, origin)
    if last is None:
        raise Stop(
            f"no checkpoint of {origin} is signed yet: make a key with `makegood audit key new`, and sign one with "
            "`makegood audit checkpoint`"
        )
    return note_of(transaction, origin, last.size)


def note_of(transaction: Transaction, origin: str, size: int) -> Note:
    """The signed checkpoint of a log over so many events, with its cosignatures. Raises Unknown for none."""
    note = checkpoint_note(transaction, origin, size)
    if note is None:
        raise Unknown(f"no checkpoint of {origin} over {size} events is kept")
    return Note.parse(note)


def checkpoint_in(note: Note) -> Checkpoint:
    """The checkpoint that a note is of."""
    return Checkpoint.parse(note.text)


def note_in(file: Path) -> Note:
    """The signed checkpoint in a file, which nobody has verified yet. Raises OSError, and ValueError for another."""
    with file.open("rb") as content:
        written = content.read(NOTE_BYTES_MAX + 1)
    try:
        note = Note.parse(written.decode("utf-8"))
        Checkpoint.parse(note.text)
    except (Unproven, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, Unproven) else "it is not UTF-8"
        raise ValueError(f"{file} is not a signed checkpoint: {why}") from None
    return note


def resource(transaction: Transaction, shard: int, asked: Tile) -> bytes:
    """A tile of a shard's tree, or a bundle of entries. Raises Unknown where the tree has not grown so far.

    Raises PositionMissing where an event is missing, and TileInvalid where one is too long for a bundle.
    """
    if asked.level == "entries":
        first = asked.number * TILE_WIDTH
        if first + asked.width > tree_size(transaction, shard):
            raise _not_there(asked)
        leaves = leaves_after(transaction, shard, first, asked.width)
        if len(leaves) < asked.width:
            raise Contradicted(
                f"the tree of shard {shard} covers {tree_size(transaction, shard)} events, and the last ones are not "
                "stored: the store is damaged, restore it from a backup"
            )
        return entry_bundle(leaf.envelope for leaf in leaves)
    hashes = tile(transaction, shard, asked.level, asked.number)
    if len(hashes) < asked.width * DIGEST_BYTES:
        raise _not_there(asked)
    return hashes[: asked.width * DIGEST_BYTES]


def _not_there(asked: Tile) -> Unknown:
    return Unknown(f"the tree has not grown so far as {asked.path}")
