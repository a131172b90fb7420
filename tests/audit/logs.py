"""Small logs to try things on: made from entries alone, kept as tiles, signed with keys that are always the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from consumers.checkpoints.signing import checkpoint_now, grow_to_end, sign
from ledger.audit import (
    TILE_WIDTH,
    Checkpoint,
    Note,
    SignatureType,
    SigningKey,
    TileTree,
    bundles_of,
    entry_bundle,
    leaf_digest,
    root_at,
    signed,
    tiles_after,
    tiles_of,
)
from ledger.audit.leaf import DIGEST_BYTES
from ledger.store.database import Database
from ledger.store.positions import FIRST_SHARD

ORIGIN = "makegood.example/0"
NOW = 1_775_000_000
ED25519, COSIGNATURE, MLDSA44 = SignatureType


def key(type_: SignatureType, name: str = ORIGIN, seed: int = 1) -> SigningKey:
    return SigningKey(name, type_, bytes((seed,)) * 32)


KEYS = (key(ED25519), key(MLDSA44))


def entries(count: int) -> list[bytes]:
    """So many entries, no two alike and of many lengths."""
    return [f"entry {number}".encode() * (number % 7 + 1) for number in range(count)]


class Log:
    """The log of some entries, which came in batches."""

    def __init__(self, *batches: Sequence[bytes]) -> None:
        self.entries: list[bytes] = []
        self.tiles: dict[tuple[int, int], bytes] = {}
        for batch in batches:
            self.append(batch)

    def append(self, batch: Iterable[bytes]) -> None:
        added = list(batch)
        grown = tiles_after(len(self.entries), [leaf_digest(entry) for entry in added], self.read)
        for level, number, hashes in list(grown):
            self.tiles[level, number] = hashes
        self.entries += added

    def read(self, level: int, number: int) -> bytes:
        return self.tiles.get((level, number), b"")

    @property
    def tree(self) -> TileTree:
        return TileTree(len(self.entries), self.read)

    def checkpoint(self, size: int | None = None, keys: Sequence[SigningKey] = KEYS) -> Note:
        size = len(self.entries) if size is None else size
        return signed(Checkpoint(ORIGIN, size, root_at(self.tree, size)), keys, NOW)

    def write(self, folder: Path) -> Path:
        """The log as C2SP's tlog-tiles has it in a folder."""
        (folder / "checkpoint").write_text(str(self.checkpoint()), encoding="utf-8")
        for tile in tiles_of(len(self.entries)):
            assert tile.level != "entries"
            _write(folder / tile.path, self.read(tile.level, tile.number)[: tile.width * DIGEST_BYTES])
        for bundle in bundles_of(len(self.entries)):
            first = bundle.number * TILE_WIDTH
            _write(folder / bundle.path, entry_bundle(self.entries[first : first + bundle.width]))
        return folder


def keys_of(origin: str) -> list[SigningKey]:
    """The keys with which `signed_now` signs a store's log."""
    return [key(ED25519, origin), key(MLDSA44, origin)]


def signed_now(database: Database, at: datetime) -> Note:
    """Have a store's tree grow over all its events, and sign it."""
    epoch = grow_to_end(database, FIRST_SHARD)
    with database.reading() as transaction:
        checkpoint = checkpoint_now(transaction, FIRST_SHARD)
    return sign(database, FIRST_SHARD, epoch, checkpoint, keys_of(checkpoint.origin), at)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
