"""The tree in tiles is the same tree, however it grew; paths and bundles are those of C2SP's tlog-tiles."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import (
    OutsideTree,
    Tile,
    TileInvalid,
    TileTree,
    bundles_of,
    consistency_proof,
    entries_in,
    entry_bundle,
    inclusion_proof,
    leaf_digest,
    root_at,
    root_of,
    tile_at,
    tile_path,
    tiles_after,
    tiles_of,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.logs import Log, entries
from tests.audit.test_tree import Leaves

PATHS = [
    (Tile(0, 0), "tile/0/000"),
    (Tile(0, 999), "tile/0/999"),
    (Tile(0, 1000), "tile/0/x001/000"),
    (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
    (Tile(63, 0, 1), "tile/63/000.p/1"),
    (Tile(1, 1234, 255), "tile/1/x001/234.p/255"),
    (Tile("entries", 0), "tile/entries/000"),
    (Tile("entries", 12, 7), "tile/entries/012.p/7"),
]


@pytest.mark.parametrize(("tile", "path"), PATHS)
def test_where_a_tile_lies(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tile_at(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0",
        "tile/0/0",
        "tile/0/1234",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/٠٠٠",
        "tile/0/../0/000",
    ],
)
def test_no_tile_lies_there(path: str) -> None:
    assert tile_at(path) is None


@given(st.integers(0, (1 << 55) - 1), st.one_of(st.just("entries"), st.integers(0, 63)), st.integers(1, 256))
def test_every_tile_is_found_at_its_path(number: int, level: int, width: int) -> None:
    assert tile_at(tile_path(level, number, width)) == Tile(level, number, width)


def test_the_tiles_of_the_specification_s_example() -> None:
    found = Counter((tile.level, tile.width) for tile in tiles_of(70_000))
    assert found == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert [tile.path for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []
    assert [tile.path for tile in bundles_of(300)] == ["tile/entries/000", "tile/entries/001.p/44"]


# --- growing -------------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.integers(0, 20), st.integers(200, 600)), max_size=3), st.data())
def test_a_log_that_grew_in_batches_is_that_of_all_its_entries(batches: list[int], data: st.DataObject) -> None:
    all_entries = entries(sum(batches))
    log, done = Log(), 0
    for batch in batches:
        log.append(all_entries[done : done + batch])
        done += batch
    assert log.tiles == Log(all_entries).tiles

    digests = [leaf_digest(entry) for entry in all_entries]
    size = data.draw(st.integers(0, len(digests)))
    assert root_at(log.tree, size) == root_of(digests[:size])
    if size > 0:
        index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
        plain = Leaves(digests)
        assert inclusion_proof(log.tree, index, size) == inclusion_proof(plain, index, size)
        assert consistency_proof(log.tree, old, size) == consistency_proof(plain, old, size)


def test_a_tree_of_three_levels() -> None:
    digests = [leaf_digest(b"%d" % number) for number in range(70_000)]
    tiles: dict[tuple[int, int], bytes] = {}
    reads: list[tuple[int, int]] = []

    def read(level: int, number: int) -> bytes:
        reads.append((level, number))
        return tiles.get((level, number), b"")

    for begin, end in ((0, 65_535), (65_535, 65_537), (65_537, 70_000)):
        written = [(level, number) for level, number, _ in tiles_after(begin, digests[begin:end], read)]
        assert len(set(written)) == len(written), "a tile is written once"
        for level, number, hashes in tiles_after(begin, digests[begin:end], read):
            tiles[level, number] = hashes
    assert {(tile.level, tile.number): tile.width * 32 for tile in tiles_of(70_000)} == {
        place: len(hashes) for place, hashes in tiles.items()
    }
    assert len(reads) < 20, "only the right edge is read"

    tree = TileTree(70_000, read)
    root = root_of(digests)
    assert root_at(tree, 70_000) == root
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        verify_inclusion(digests[index], index, 70_000, inclusion_proof(tree, index, 70_000), root)
    for old in (1, 256, 65_535, 65_536, 69_888):
        shown = consistency_proof(tree, old, 70_000)
        verify_consistency(old, 70_000, root_of(digests[:old]), root, shown)


def test_a_tile_may_have_more_than_the_tree() -> None:
    """A reader of a stored tree goes on from the size that it read, while tiles grow."""
    log = Log(entries(300))
    assert root_at(TileTree(200, log.read), 200) == root_of(leaf_digest(entry) for entry in log.entries[:200])
    with pytest.raises(OutsideTree):
        TileTree(200, log.read).nodes(0, 200, 1)


@pytest.mark.parametrize("hashes", [b"", b"x" * 31, b"x" * 32 * 99, b"x" * (32 * 100 + 1)])
def test_a_tile_that_is_too_short_or_damaged_is_named(hashes: bytes) -> None:
    with pytest.raises(TileInvalid, match=r"tile/0/000 has \d+ bytes where 100 hashes"):
        root_at(TileTree(100, lambda level, number: hashes), 100)
    with pytest.raises(TileInvalid, match="tile/0/000"):
        list(tiles_after(100, [leaf_digest(b"x")], lambda level, number: hashes))


# --- entries -------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_bundle_has_its_entries(of: list[bytes]) -> None:
    assert entries_in(entry_bundle(of)) == of


def test_a_bundle_in_bytes() -> None:
    assert entry_bundle([b"", b"ab", b"c" * 258]) == b"\x00\x00" + b"\x00\x02ab" + b"\x01\x02" + b"c" * 258


def test_the_longest_entry_has_65_535_bytes() -> None:
    assert entries_in(entry_bundle([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(TileInvalid, match="65536 bytes"):
        entry_bundle([b"x" * 65_536])


@pytest.mark.parametrize("bundle", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01ab"])
def test_a_bundle_that_ends_within_an_entry_is_refused(bundle: bytes) -> None:
    with pytest.raises(TileInvalid, match="ends within an entry"):
        entries_in(bundle)
