"""A shard's log in a folder, as C2SP's tlog-tiles has it: `checkpoint`, `tile/…` and `tile/entries/…`.

The folder of an earlier export is continued: what its checkpoint covers must be what would be written. The new
checkpoint is written last, so that at every instant the folder has what its checkpoint covers.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Container, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.audit import Checkpoint, Tile, TileInvalid, Unproven, bundles_of, root_at, tiles_of
from ledger.store.reading.audit import StoredTree
from makegood.answers.audit.logs import Contradicted, checkpoint_in, last_checkpoint, note_in, resource
from makegood.house.opening import House
from makegood.house.stop import Stop

AT_ONCE = 32
"""So many tiles or bundles are read in one transaction; what a checkpoint covers never changes."""
CHECKPOINT = "checkpoint"


class LogExported(TypedDict):
    """A log in a folder: `makegood audit export-log`."""

    folder: str
    origin: Annotated[str, Field(description="The log.")]
    size: Annotated[int, Field(description="The events that its checkpoint covers, and that are in the folder.")]
    root: Annotated[str, Field(description="The root of the Merkle tree over them, SHA-256 in base64.")]
    tiles: Annotated[int, Field(description="The tiles of the tree.")]
    bundles: Annotated[int, Field(description="The bundles of entries, of 256 each.")]
    written: Annotated[int, Field(description="How many of both were not in the folder before.")]


def export_log(house: House, shard: int, folder: Path, told: Callable[[int, int], None]) -> LogExported:
    """Write a shard's log up to its last checkpoint into a folder, which is made where there is none.

    `told` is told how many tiles and bundles are done, of how many. Raises Stop where the folder has something else,
    and Contradicted where it or the stored tree does not lead to the checkpoint.
    """
    with house.database.reading() as transaction:
        note = last_checkpoint(transaction, shard)
        checkpoint, tree = checkpoint_in(note), StoredTree(transaction, shard)
        _check_root(tree, checkpoint, "the last checkpoint")
        covered = _prepare(folder, tree, checkpoint)
    tiles, bundles = list(tiles_of(checkpoint.size)), list(bundles_of(checkpoint.size))
    written, done = 0, 0
    for some in _some(chain(tiles, bundles)):
        with house.database.reading() as transaction:
            try:
                contents = [(each, resource(transaction, shard, each)) for each in some]
            except TileInvalid as error:
                raise Stop(f"the log cannot be written as tiles: {error}") from None
        written += sum(_put(folder / each.path, content, each in covered) for each, content in contents)
        done += len(some)
        told(done, len(tiles) + len(bundles))
    _replace(folder / CHECKPOINT, str(note).encode())
    return {
        "folder": str(folder),
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "tiles": len(tiles),
        "bundles": len(bundles),
        "written": written,
    }


def _prepare(folder: Path, tree: StoredTree, checkpoint: Checkpoint) -> Container[Tile]:
    """Make the folder, or see that it has this log as it was at an earlier checkpoint, and nothing else.

    The tiles and bundles that the earlier checkpoint covers; others are left from an export that was cut short.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = [name for name in os.listdir(folder) if name not in (CHECKPOINT, "tile") and not name.startswith(".")]
    if others:
        raise Stop(f"{folder} has other files than a log's: name an empty folder, or that of an earlier export")
    earlier = _checkpoint_in(folder / CHECKPOINT)
    if earlier is None:
        return ()
    if earlier.origin != checkpoint.origin:
        raise Stop(f"{folder} has the log {earlier.origin}, and this is {checkpoint.origin}: name another folder")
    if earlier.size > checkpoint.size:
        raise Contradicted(
            f"the checkpoint in {folder} covers {earlier.size} events, and the last one of this store "
            f"{checkpoint.size}: the store has lost some, or is not the one that was exported"
        )
    _check_root(tree, earlier, f"the checkpoint in {folder}")
    return frozenset(chain(tiles_of(earlier.size), bundles_of(earlier.size)))


def _checkpoint_in(file: Path) -> Checkpoint | None:
    try:
        return checkpoint_in(note_in(file))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Stop(f"{error}; name another folder") from None


def _check_root(tree: StoredTree, checkpoint: Checkpoint, which: str) -> None:
    try:
        if root_at(tree, checkpoint.size) == checkpoint.root:
            return
        reason = "their tree has another root"
    except Unproven as error:
        reason = str(error)
    raise Contradicted(
        f"{which}, over {checkpoint.size} events, is not of the events stored here ({reason}): one of the two was "
        "changed"
    )


def _some(every: Iterator[Tile]) -> Iterator[list[Tile]]:
    while some := list(islice(every, AT_ONCE)):
        yield some


def _put(file: Path, content: bytes, covered: bool) -> bool:
    """Write a tile or a bundle; whether it was not there. One that a checkpoint covers never changes."""
    there = file.read_bytes() if file.exists() else None
    if there == content:
        return False
    if covered:
        raise Contradicted(
            f"{file} is {'missing' if there is None else 'not what the store has in its place'}: it was changed "
            "since it was exported, or the store was"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    _replace(file, content)
    return True


def _replace(file: Path, content: bytes) -> None:
    """Write a file whole, or leave what is there."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
