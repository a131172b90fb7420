"""Trees and checkpoints, held to the leaves that were hashed anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ledger.application.verification.entries import History
from ledger.application.verification.found import Mismatch, turn_of
from ledger.application.verification.snapshot import UNREADABLE, Snapshot
from ledger.audit import (
    TILE_WIDTH,
    Checkpoint,
    Note,
    NotTrusted,
    Signature,
    TileTree,
    Trusted,
    TrustPolicy,
    Unproven,
    Verified,
    VerifierKey,
    root_at,
    tile_path,
    tiles_after,
    verified_signatures,
)
from ledger.audit.leaf import DIGEST_BYTES
from ledger.store.positions import Position

_AT_ONCE = 100 * TILE_WIDTH
"""So many leaves are put into the tree together."""
_TILE_LEVELS = 8

Tiles = Mapping[tuple[int, int], bytes]
"""The hashes of tiles, by level and number."""


@dataclass(slots=True)
class Covered:
    """The checkpoint that covers most of a shard, of those that hold, and who is known to have signed it."""

    shard: int
    checkpoint: Checkpoint
    log_keys: list[VerifierKey] = field(default_factory=list)
    """Those of the log's keys whose signatures were verified: none where no key of it is known."""
    witnesses: dict[str, Verified] = field(default_factory=dict)


def tiles_of_leaves(digests: bytes | bytearray) -> dict[tuple[int, int], bytes]:
    """The tiles of the tree with these leaf hashes, which stand one after the other."""
    tiles: dict[tuple[int, int], bytes] = {}
    step = _AT_ONCE * DIGEST_BYTES
    for begin in range(0, len(digests), step):
        part = digests[begin : begin + step]
        leaves = [bytes(part[at : at + DIGEST_BYTES]) for at in range(0, len(part), DIGEST_BYTES)]
        for level, number, hashes in tiles_after(begin // DIGEST_BYTES, leaves, lambda level, n: tiles[level, n]):
            tiles[level, number] = hashes
    return tiles


def tree_of(tiles: Tiles, size: int) -> TileTree:
    """The tree of `size` leaves that tiles make up."""
    return TileTree(size, lambda level, number: tiles.get((level, number), b""))


def changed_leaves(digests: bytes | bytearray, tiles: Tiles, size: int) -> Iterator[int]:
    """The positions of the first `size` entries whose hashes are not those that the tiles of level 0 have."""
    for number in range(-(-size // TILE_WIDTH)):
        first = number * TILE_WIDTH
        until = min(size, first + TILE_WIDTH)
        ours = digests[first * DIGEST_BYTES : until * DIGEST_BYTES]
        theirs = tiles.get((0, number), b"")[: len(ours)]
        if ours != theirs and len(ours) == len(theirs) == (until - first) * DIGEST_BYTES:
            for at in range(0, len(ours), DIGEST_BYTES):
                if ours[at : at + DIGEST_BYTES] != theirs[at : at + DIGEST_BYTES]:
                    yield first + at // DIGEST_BYTES + 1


def against_tiles(expected: Tiles, found: Tiles, size: int, leaves_told: bool) -> Iterator[str]:
    """How stored tiles of a tree of `size` leaves differ from those that the leaves make.

    Where changed leaves are told of already (`leaves_told`), what follows from them is not.
    """
    for level in range(_TILE_LEVELS):
        hashes = size >> (level * _TILE_LEVELS)
        for number in range(-(-hashes // TILE_WIDTH)):
            width = min(TILE_WIDTH, hashes - number * TILE_WIDTH) * DIGEST_BYTES
            theirs, ours = found.get((level, number), b""), expected.get((level, number), b"")[:width]
            if len(theirs) != width:
                yield f"{tile_path(level, number)} has {len(theirs)} bytes, and {width} belong there"
            elif theirs != ours and not leaves_told:
                yield f"{tile_path(level, number)} has other hashes than the events make"
    for level, number in sorted(found.keys(), key=str):
        is_place = isinstance(level, int) and isinstance(number, int) and level >= 0 <= number
        if not is_place or number >= -(-(size >> (level * _TILE_LEVELS)) // TILE_WIDTH):
            yield f"there is a tile {number} of level {level}, more than the tree of {size} events has"


def against_trees(
    snapshot: Snapshot, histories: Mapping[int, History], policy: TrustPolicy | None, given: Note | None
) -> tuple[list[Mismatch], dict[int, set[int]], Covered | None]:
    """What of a snapshot's trees and checkpoints does not hold, the positions by shard whose events the tree shows to
    be changed, and what is covered: by the checkpoint that was `given`, else by the last one that is trusted.
    """
    found: list[Mismatch] = []
    changed: dict[int, set[int]] = {}
    shown: Covered | None = None
    origins = {log.origin: shard for shard, logs in snapshot.logs.items() for log in logs}
    for origin, size, _ in snapshot.checkpoints:
        if origin not in origins:
            found.append(
                Mismatch(None, None, f"there is a checkpoint over {size} events of {origin}, no log of ours")
            )
    kept = {(origin, size) for origin, size, _ in snapshot.checkpoints}
    for origin, size in sorted(snapshot.cosignatures.keys() - kept, key=str):
        found.append(
            Mismatch(None, None, f"there is a cosignature of a checkpoint that is not kept: {origin} {size}")
        )
    for shard, history in histories.items():
        of_shard = _OfShard(shard, history, snapshot)
        changed[shard] = of_shard.tiles()
        of_shard.checkpoints(snapshot, {o for o, s in origins.items() if s == shard}, policy)
        if given is not None and origins.get(_origin(given), shard) == shard and shown is None:
            shown = of_shard.given(given, policy, origins)
        elif given is None and of_shard.covered is not None and shown is None:
            shown = of_shard.covered
        found += of_shard.found
    return found, changed, shown


def _origin(note: Note) -> str:
    return note.text.partition("\n")[0]


class _OfShard:
    """The tree of a shard, and what does not hold of it."""

    def __init__(self, shard: int, history: History, snapshot: Snapshot) -> None:
        self.found: list[Mismatch] = []
        self.covered: Covered | None = None
        self._shard = shard
        self._history = history
        self._expected = tiles_of_leaves(history.digests)
        self._tree = tree_of(self._expected, history.entries)
        self._size = snapshot.tree_sizes.get(shard, 0)
        self._stored = snapshot.tiles[shard]
        self._sound_until = 0

    def tiles(self) -> set[int]:
        """Hold the stored tiles to the events; the positions of events that are not what the tree has."""
        end = self._history.entries
        if self._size > end:
            at = Position(self._shard, self._size)
            self._tell(at, f"the tree has {self._size} leaves, and there are {end} events: the last ones are gone")
        size = min(self._size, end)
        changed = list(changed_leaves(self._history.digests, self._stored, size))
        for position in changed:
            self._tell(Position(self._shard, position), "has another hash than the tree has for it")
        if self._size <= end:
            for what in against_tiles(self._expected, self._stored, self._size, bool(changed)):
                self._tell(None, what)
        return set(changed)

    def checkpoints(self, snapshot: Snapshot, origins: set[str], policy: TrustPolicy | None) -> None:
        """Hold every checkpoint that is kept, with its cosignatures, to the events and to the keys that are known."""
        rows = [row for row in snapshot.checkpoints if row[0] in origins]
        for origin, size, written in sorted(rows, key=lambda row: turn_of(row[1])):
            what = f"the checkpoint over {size} events"
            try:
                note, cosignatures = Note.parse(written), snapshot.cosignatures.get((origin, size), [])
                checkpoint = Checkpoint.parse(note.text)
                signatures = [_signature(*row) for row in cosignatures]
            except (Unproven, *UNREADABLE) as error:
                self._tell(None, f"{what} of {origin} cannot be read: {error}")
                continue
            if (checkpoint.origin, checkpoint.size) != (origin, size):
                self._tell(None, f"{what} of {origin} is kept as another one than its note says")
            elif self._holds(checkpoint, what):
                self._signed(Note(note.text, (*note.signatures, *signatures)), checkpoint, policy, what)

    def given(self, note: Note, policy: TrustPolicy | None, origins: Mapping[str, int]) -> Covered | None:
        """Hold a checkpoint that was given to the events and to the keys that are known."""
        what = "the checkpoint that was given"
        self.covered = None
        try:
            checkpoint = Checkpoint.parse(note.text)
        except Unproven as error:
            self._tell(None, f"{what} cannot be read: {error}")
            return None
        if checkpoint.origin not in origins:
            self._tell(None, f"{what} is of {checkpoint.origin}, and no log of this store is")
        elif self._holds(checkpoint, what):
            self._signed(note, checkpoint, policy, what, must_be_trusted=True)
        return self.covered

    def _holds(self, checkpoint: Checkpoint, what: str) -> bool:
        """Whether the events have the root that a checkpoint says they had."""
        if checkpoint.size > self._history.entries:
            at = Position(self._shard, checkpoint.size)
            self._tell(at, f"{what} covers more than the {self._history.entries} events that there are")
            return False
        if root_at(self._tree, checkpoint.size) == checkpoint.root:
            self._sound_until = max(self._sound_until, checkpoint.size)
            return True
        after = f"after {self._shard}:{self._sound_until} " if self._sound_until < checkpoint.size else ""
        self._tell(
            None, f"{what} has another root than the events make: what was recorded {after}is not what it covers"
        )
        return False

    def _signed(
        self,
        note: Note,
        checkpoint: Checkpoint,
        policy: TrustPolicy | None,
        what: str,
        *,
        must_be_trusted: bool = False,
    ) -> None:
        if policy is None:
            self.covered = Covered(self._shard, checkpoint)
            return
        keys = [log.key for log in policy.logs if log.key.name == checkpoint.origin]
        if not keys and not must_be_trusted:
            return
        try:
            verified = verified_signatures(note, keys)
            trusted: Trusted | None = policy.check(note) if verified else None
        except NotTrusted as error:
            if must_be_trusted:
                self._tell(None, f"{what} is not trusted: {error}")
            return
        except Unproven as error:
            self._tell(None, f"{what}: {error}")
            return
        if trusted is None:
            self._tell(None, f"{what} is signed by none of the keys that are known of {checkpoint.origin}")
            return
        self.covered = Covered(self._shard, checkpoint, [each.key for each in verified], dict(trusted.cosigned))

    def _tell(self, at: Position | None, what: str) -> None:
        self.found.append(Mismatch(at, None, what))


def _signature(name: str, key_id: str, line: str) -> Signature:
    """A cosignature from its row. Raises NoteInvalid, and Unproven where the columns say otherwise than the line."""
    signature = Signature.parse(line)
    if (signature.name, signature.key_id.hex()) != (name, key_id):
        raise Unproven(f"a cosignature is kept under the key {name}, and another made it")
    return signature
