"""A shard's Merkle tree, made anew from its events where stored tiles are damaged or missing (decision 0046).

Before anything is written, the events are hashed and held to the last checkpoints that are known: where they
contradict one, they were changed, and the tree that shows it stays as it is. Only tiles that differ
are written, so that what is cut short is gone on with by doing it again. The part may grow the tree meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from consumers.checkpoints.comparing import Published, said_by
from consumers.checkpoints.signing import checkpoint_now, grow_to_end
from consumers.part import Explained
from ledger.audit import TILE_WIDTH, Checkpoint, CompactRange, leaf_digest, tiles_after
from ledger.audit.leaf import DIGEST_BYTES
from ledger.store.audit import mend_tiles, remove_tiles_beyond
from ledger.store.database import Database
from ledger.store.reading.audit import leaves_after, tree_reader, tree_size
from ledger.store.reading.events import PositionMissing
from ledger.store.reading.readers import reader_stands
from ledger.store.reading.shards import shard_end
from ledger.store.writing import ReaderFenced, ReaderMove, move_reader

AT_ONCE = 16 * TILE_WIDTH
"""So many leaves are read together: whole tiles, of which the part at work does not change any."""

Made = dict[tuple[int, int], bytes]
"""Tiles by level and number."""

Progress = Callable[[int, int], object]
"""Is told how many events are done, and of how many."""


class EventsContradict(Explained):
    """The events make another tree than was signed and published: they were changed, and no tree mends that."""


@dataclass(frozen=True, slots=True)
class TreeRebuilt:
    """The tree as it is now, and how many of its tiles were written anew or removed."""

    checkpoint: Checkpoint
    mended: int


def rebuild_tree(
    database: Database, shard: int, found: Sequence[Published], checked: Progress, built: Progress
) -> TreeRebuilt:
    """Make a shard's tree anew from its events, and let it grow over all of them.

    `found` are the last checkpoints of its log that are known. Raises EventsContradict before anything is written,
    PositionMissing, ColumnChanged and a Database's errors.
    """
    _hold_to_checkpoints(database, shard, found, checked)
    mended = _mend(database, shard, built)
    grow_to_end(database, shard)
    with database.reading() as transaction:
        return TreeRebuilt(checkpoint_now(transaction, shard), mended)


def _hold_to_checkpoints(database: Database, shard: int, found: Sequence[Published], checked: Progress) -> None:
    """Hash the events that checkpoints cover, and hold the roots that they make to these. Raises EventsContradict."""
    with database.reading() as transaction:
        end, covered = shard_end(transaction, shard), tree_size(transaction, shard)
    if covered > end:
        raise EventsContradict(
            f"the tree has {covered} events, and the store has {end}: the last ones are gone, and no tree was "
            f"written; {NEXT}"
        )
    for each in found:
        if each.checkpoint.size > end:
            raise EventsContradict(f"{said_by(each)}, and the store has {end}: no tree was written; {NEXT}")
    edge = CompactRange()
    for each in sorted(found, key=lambda each: each.checkpoint.size):
        for leaves in _leaves(database, shard, edge.size, each.checkpoint.size):
            edge.extend(leaves)
            checked(edge.size, end)
        if edge.root() != each.checkpoint.root:
            raise EventsContradict(
                f"{said_by(each)}, and the store's first {each.checkpoint.size} events have another root: they are "
                f"what was changed, and no tree was written; {NEXT}"
            )


def _leaves(database: Database, shard: int, after: int, end: int) -> Iterator[list[bytes]]:
    """The leaf digests after a position and up to another, some at a time. Raises PositionMissing."""
    while after < end:
        with database.reading() as transaction:
            leaves = leaves_after(transaction, shard, after, min(AT_ONCE, end - after))
        if not leaves:
            raise PositionMissing(
                f"position {shard}:{after + 1} is missing: stop all writers and restore the store from a backup"
            )
        after += len(leaves)
        yield [leaf_digest(leaf.envelope) for leaf in leaves]


def _mend(database: Database, shard: int, built: Progress) -> int:
    """Write the tiles that differ, up to where the tree has come; how many, with those that were removed."""
    made: Made = {}
    done = mended = 0
    while True:
        with database.reading() as transaction:
            size = tree_size(transaction, shard)
        if size - done < AT_ONCE:
            edge = _mend_edge(database, shard, done, made)
            if edge is not None:
                return mended + edge
            continue
        [leaves] = _leaves(database, shard, done, done + AT_ONCE)
        tiles = _tiles_after(made, done, leaves)
        made = _right_edge(made, tiles)
        full = [tile for tile in tiles if len(tile[2]) == TILE_WIDTH * DIGEST_BYTES]
        with database.writing() as transaction:
            mended += mend_tiles(transaction, shard, full)
        done += len(leaves)
        built(done, size)


def _tiles_after(made: Made, done: int, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
    return list(tiles_after(done, leaves, lambda level, number: made[level, number]))


def _mend_edge(database: Database, shard: int, done: int, made: Made) -> int | None:
    """Write what is at the right edge, where the part that builds the tree may not go on at the same time.

    None where it went on just now.
    """
    reader = tree_reader(shard)
    with database.reading() as transaction:
        size, epoch = reader_stands(transaction, reader) or (0, 0)
        leaves = leaves_after(transaction, shard, done, size - done) if size > done else []
    tiles = _tiles_after(made, done, [leaf_digest(leaf.envelope) for leaf in leaves])
    edge = made | {(level, number): hashes for level, number, hashes in tiles}
    try:
        with database.writing() as transaction:
            if size:
                move_reader(transaction, ReaderMove(reader, epoch, size, size))
            mended = mend_tiles(transaction, shard, [(*place, hashes) for place, hashes in edge.items()])
            return mended + remove_tiles_beyond(transaction, shard, size)
    except ReaderFenced:
        return None


def _right_edge(made: Made, tiles: Sequence[tuple[int, int, bytes]]) -> Made:
    """The tiles that have to be at hand to append more: of each level the last one, while it is not full."""
    last = {level: (number, hashes) for (level, number), hashes in made.items()}
    last |= {level: (number, hashes) for level, number, hashes in tiles}
    return {
        (level, number): hashes for level, (number, hashes) in last.items() if len(hashes) < TILE_WIDTH * DIGEST_BYTES
    }


NEXT = (
    "`makegood audit verify` names the events that were changed; where the store was restored from a backup, begin a "
    "new log with `makegood audit origin new --as NAME --reason …`, else restore the newest backup"
)
