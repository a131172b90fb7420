"""What left of the Merkle tree, held to the events: whatever struck, each checkpoint is of them and goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from consumers.checkpoints.folder import SUFFIX
from ledger.application.verification.trees import tiles_of_leaves, tree_of
from ledger.audit import (
    Checkpoint,
    CompactRange,
    Note,
    Unproven,
    consistency_proof,
    leaf_digest,
    verify_consistency,
)
from tests.integration.world import Books


def in_folder(folder: Path) -> list[Checkpoint]:
    """The checkpoints in a folder, by what they cover."""
    found = [Checkpoint.parse(Note.parse(file.read_text()).text) for file in folder.glob(f"*{SUFFIX}")]
    return sorted(found, key=lambda checkpoint: (checkpoint.origin, checkpoint.size))


def tree_differs(books: Books, published: Mapping[str, Sequence[Checkpoint]], ended: Mapping[str, int]) -> list[str]:
    """Where the tree is not that of the events, and where what left for somewhere is not of it, in the order in which
    it left.

    `ended` are the logs that were given up when the store was restored, each with how many of the events that it
    signed are still the store's.
    """
    envelopes = books.rows("SELECT envelope FROM events WHERE shard = 0 ORDER BY position")
    digests = [leaf_digest(bytes(envelope)) for (envelope,) in envelopes]
    rows = books.rows("SELECT level, number, hashes FROM audit_tiles WHERE shard = 0")
    tiles = {(level, number): bytes(hashes) for level, number, hashes in rows}
    if tiles != (made := tiles_of_leaves(b"".join(digests))):
        differing = sorted(place for place in tiles.keys() | made.keys() if tiles.get(place) != made.get(place))
        return [f"the Merkle tree is not that of the {len(digests)} events: tiles {differing} differ"]
    told = []
    tree = tree_of(tiles, len(digests))
    for where, checkpoints in published.items():
        ours = [each for each in checkpoints if each.size <= ended.get(each.origin, each.size)]
        roots = _roots(digests, {each.size for each in ours})
        told += [
            f"{where}: the checkpoint of {each.origin} over {each.size} is not of the events"
            for each in ours
            if roots.get(each.size) != each.root
        ]
        for before, after in pairwise(ours):
            older, newer = sorted((before, after), key=lambda each: each.size)
            try:
                proof = consistency_proof(tree, older.size, newer.size)
                verify_consistency(older.size, newer.size, older.root, newer.root, proof)
            except Unproven as error:
                told.append(f"{where}: the checkpoint over {newer.size} does not continue {older.size}: {error}")
    return told


def not_in_folder(books: Books, there: Iterable[Checkpoint]) -> list[str]:
    """Checkpoints that were signed, and are not in the folder, which had one of the same log before."""
    sizes: dict[str, set[int]] = {}
    for each in there:
        sizes.setdefault(each.origin, set()).add(each.size)
    return [
        f"the checkpoint of {origin} over {size} was signed, and is not in the folder"
        for origin, size in books.rows("SELECT origin, size FROM audit_checkpoints ORDER BY origin, size")
        if origin in sizes and size > min(sizes[origin]) and size not in sizes[origin]
    ]


def _roots(digests: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The roots of the first so many events, for those sizes that there are."""
    edge, roots = CompactRange(), {}
    for size in sorted(sizes):
        edge.extend(digests[edge.size : size])
        if edge.size == size:
            roots[size] = edge.root()
    return roots
