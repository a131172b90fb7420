"""The tree cut into tiles, as C2SP's tlog-tiles has it: 256 hashes side by side, from every eighth level.

A tile of level 0 has the digests of 256 leaves, one of level 1 those of 256 full tiles of level 0, and so on. A tile
at the right edge has fewer and grows. Hashes of a tile are one string of bytes, 32 for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from ledger.audit.leaf import DIGEST_BYTES, node_digest
from ledger.audit.tree import OutsideTree
from ledger.audit.unproven import Unproven

TILE_LEVELS = 8
TILE_WIDTH = 1 << TILE_LEVELS
"""How many hashes a full tile has."""
ENTRY_BYTES_MAX = (1 << 16) - 1
"""The longest entry that a bundle can hold, in bytes."""
KEPT_TILES = 256
"""How many tiles a TileTree keeps at hand, with the hashes between their levels: 16 KiB each."""

ReadTile = Callable[[int, int], bytes]
"""Reads a tile by level and number: its hashes, as many as there are."""


class TileInvalid(Unproven):
    """A tile or a bundle of entries is missing, too short or damaged."""


class Tile(NamedTuple):
    """One tile, or with the level `"entries"` one bundle of entries."""

    level: int | Literal["entries"]
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it lies below a log's address or folder: `tile/0/x001/234`, `tile/entries/000.p/12`."""
        return tile_path(self.level, self.number, self.width)


def tile_path(level: int | Literal["entries"], number: int, width: int = TILE_WIDTH) -> str:
    """Where a tile or a bundle of entries lies below a log's address or folder."""
    digits = f"{number:d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    folders = "".join(f"x{group}/" for group in groups[:-1])
    return f"tile/{level}/{folders}{groups[-1]}{'' if width == TILE_WIDTH else f'.p/{width}'}"


_PATH = re.compile(
    r"tile/(?P<level>entries|[1-5]?[0-9]|6[0-3])/(?P<folders>(?:x[0-9]{3}/){0,5})(?P<last>[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


def tile_at(path: str) -> Tile | None:
    """The tile or bundle that lies at a path, if the path is that of one, written as `tile_path` writes it."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = found["level"]
    number = int(found["folders"].replace("x", "").replace("/", "") + found["last"])
    tile = Tile("entries" if level == "entries" else int(level), number, int(found["width"] or TILE_WIDTH))
    return tile if tile.width <= TILE_WIDTH and tile.path == path else None


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles of a tree of `size` leaves, level by level, without bundles of entries."""
    for level in range(64):
        hashes = size >> (level * TILE_LEVELS)
        if hashes == 0:
            return
        yield from _cut(level, hashes)


def bundles_of(size: int) -> Iterator[Tile]:
    """All bundles of entries of a tree of `size` leaves."""
    yield from _cut("entries", size)


def _cut(level: int | Literal["entries"], count: int) -> Iterator[Tile]:
    for number in range(count // TILE_WIDTH):
        yield Tile(level, number)
    if count % TILE_WIDTH:
        yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)


class TileTree:
    """A tree of `size` leaves whose hashes are read from tiles, and kept at hand; a tile may have more than it needs.

    Raises TileInvalid where a tile has less than the size asks for.
    """

    def __init__(self, size: int, read: ReadTile) -> None:
        self._size = size
        self._read = read
        self._rows = lru_cache(maxsize=KEPT_TILES)(self._read_rows)

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self._size

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """The digests of complete subtrees of 2**level leaves; see `ledger.audit.tree.Tree`."""
        if first < 0 or (first + count) << level > self._size:
            raise OutsideTree(
                f"{count} subtrees of 2^{level} leaves from {first} go beyond a tree of {self._size} leaves"
            )
        tile_level, above = divmod(level, TILE_LEVELS)
        in_tile = TILE_WIDTH >> above
        found = []
        for number in range(first, first + count):
            tile, place = divmod(number, in_tile)
            found.append(self._rows(tile_level, tile)[above][place])
        return found

    def _read_rows(self, level: int, number: int) -> list[list[bytes]]:
        """A tile's hashes, and above them those of each two, up to below the next tile's."""
        expected = min(TILE_WIDTH, (self._size >> (level * TILE_LEVELS)) - number * TILE_WIDTH)
        row = _hashes(self._read(level, number), expected, level, number)
        rows = [row]
        for _ in range(TILE_LEVELS - 1):
            row = [node_digest(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
            rows.append(row)
        return rows


def tiles_after(old_size: int, leaves: Sequence[bytes], read: ReadTile) -> Iterator[tuple[int, int, bytes]]:
    """What must be written when leaves, given by their digests, are appended to a tree of `old_size` leaves.

    Yields level, number and all hashes of each tile that is new or grew. Of what is there already only the tiles at
    the right edge are read. Raises TileInvalid where one of those has less than `old_size` asks for.
    """
    level, added = 0, list(leaves)
    while added:
        before = old_size >> (level * TILE_LEVELS)
        number, width = divmod(before, TILE_WIDTH)
        hashes = b"".join(added)
        if width:
            hashes = b"".join(_hashes(read(level, number), width, level, number)) + hashes
        added = []
        for at in range(0, len(hashes), TILE_WIDTH * DIGEST_BYTES):
            tile = hashes[at : at + TILE_WIDTH * DIGEST_BYTES]
            yield level, number, tile
            if len(tile) == TILE_WIDTH * DIGEST_BYTES:
                added.append(_tile_root(tile))
            number += 1
        level += 1


def _tile_root(tile: bytes) -> bytes:
    row = [tile[at : at + DIGEST_BYTES] for at in range(0, len(tile), DIGEST_BYTES)]
    while len(row) > 1:
        row = [node_digest(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _hashes(tile: bytes, expected: int, level: int, number: int) -> list[bytes]:
    if len(tile) < expected * DIGEST_BYTES or len(tile) % DIGEST_BYTES:
        raise TileInvalid(
            f"{tile_path(level, number)} has {len(tile)} bytes where {expected} hashes of {DIGEST_BYTES} are needed"
        )
    return [tile[at : at + DIGEST_BYTES] for at in range(0, expected * DIGEST_BYTES, DIGEST_BYTES)]


def entry_bundle(envelopes: Iterable[bytes]) -> bytes:
    """A bundle of entries: each with its length before it, in two bytes. Raises TileInvalid where one is too long."""
    parts: list[bytes] = []
    for envelope in envelopes:
        if len(envelope) > ENTRY_BYTES_MAX:
            raise TileInvalid(
                f"an entry has {len(envelope)} bytes, and a bundle holds up to {ENTRY_BYTES_MAX} of each"
            )
        parts += (len(envelope).to_bytes(2, "big"), envelope)
    return b"".join(parts)


def entries_in(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises TileInvalid."""
    entries, at = [], 0
    while at < len(bundle):
        begin = at + 2
        at = begin + int.from_bytes(bundle[at:begin], "big")
        if at > len(bundle) or begin > len(bundle):
            raise TileInvalid("a bundle of entries ends within an entry")
        entries.append(bundle[begin:at])
    return entries
