"""The tree is that of RFC 6962 and RFC 9162: their words, their example, published roots, and proofs that lead to one
root only.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import (
    EMPTY_ROOT,
    CompactRange,
    OutsideTree,
    ProofInvalid,
    compact_range,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    node_digest,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# Entries and roots that every implementation of RFC 6962 tests itself with (github.com/transparency-dev/merkle,
# testonly/constants.go); the first root is that of no entries.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Leaves:
    """A tree with all its leaves at hand; whatever is asked for is hashed from them."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    @property
    def size(self) -> int:
        return len(self._leaves)

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        width = 1 << level
        assert (first + count) * width <= self.size
        return [root(self._leaves[at * width : (at + 1) * width]) for at in range(first, first + count)]


def leaves(count: int) -> list[bytes]:
    return [leaf_digest(bytes((number,))) for number in range(count)]


# --- RFC 6962 §2.1, word for word, over the digests of leaves -----------------------------------------------------


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root(d: Sequence[bytes]) -> bytes:
    """MTH."""
    if not d:
        return EMPTY_ROOT
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return node_digest(root(d[:k]), root(d[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PATH."""
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*path(m, d[:k]), root(d[k:])]
    return [*path(m - k, d[k:]), root(d[:k])]


def proof(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PROOF."""
    return subproof(m, d, known=True)


def subproof(m: int, d: Sequence[bytes], *, known: bool) -> list[bytes]:
    """SUBPROOF."""
    if m == len(d):
        return [] if known else [root(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], known=known), root(d[k:])]
    return [*subproof(m - k, d[k:], known=False), root(d[:k])]


# --- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_are_the_published_ones(size: int) -> None:
    digests = [leaf_digest(entry) for entry in ENTRIES]
    assert root_of(digests[:size]).hex() == ROOTS[size]
    assert root_at(Leaves(digests), size).hex() == ROOTS[size]


def test_the_example_of_the_standard() -> None:
    """RFC 9162 §2.1.5: a tree of seven leaves, whose nodes have letters (its l is called m here)."""
    a, b, c, d, e, f, j = leaves(7)
    g, h, i = node_digest(a, b), node_digest(c, d), node_digest(e, f)
    k, m = node_digest(g, h), node_digest(i, j)
    tree = Leaves((a, b, c, d, e, f, j))
    assert root_at(tree, 7) == node_digest(k, m)

    assert inclusion_proof(tree, 0, 7) == [b, h, m]
    assert inclusion_proof(tree, 3, 7) == [c, g, m]
    assert inclusion_proof(tree, 4, 7) == [f, j, k]
    assert inclusion_proof(tree, 6, 7) == [i, k]

    assert root_at(tree, 3) == node_digest(g, c)
    assert root_at(tree, 4) == k
    assert root_at(tree, 6) == node_digest(k, i)
    assert consistency_proof(tree, 3, 7) == [c, d, g, m]
    assert consistency_proof(tree, 4, 7) == [m]
    assert consistency_proof(tree, 6, 7) == [i, j, k]


# --- every small tree, and some that are larger --------------------------------------------------------------------


def test_every_proof_of_small_trees_is_that_of_the_standard_and_is_accepted() -> None:
    digests = leaves(17)
    for size in range(len(digests) + 1):
        tree = Leaves(digests)
        assert root_at(tree, size) == root(digests[:size])
        for index in range(size):
            shown = inclusion_proof(tree, index, size)
            assert shown == path(index, digests[:size])
            verify_inclusion(digests[index], index, size, shown, root(digests[:size]))
        for old in range(size + 1):
            shown = consistency_proof(tree, old, size)
            assert shown == (proof(old, digests[:size]) if old else [])
            verify_consistency(old, size, root(digests[:old]), root(digests[:size]), shown)


@given(st.data())
def test_proofs_of_larger_trees_are_those_of_the_standard(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    digests = leaves(size)
    tree = Leaves(digests)
    assert inclusion_proof(tree, index, size) == path(index, digests)
    assert consistency_proof(tree, old, size) == proof(old, digests)


def changed(data: st.DataObject, shown: list[bytes]) -> list[bytes]:
    """A proof with one thing about it changed."""
    other = data.draw(st.binary(min_size=32, max_size=32))
    at = data.draw(st.integers(0, max(0, len(shown) - 1)))
    ways = ["added"] if not shown else ["added", "replaced", "left out", "swapped"]
    match data.draw(st.sampled_from(ways)):
        case "added":
            made = [*shown[:at], other, *shown[at:]]
        case "replaced":
            made = [*shown[:at], other, *shown[at + 1 :]]
        case "left out":
            made = [*shown[:at], *shown[at + 1 :]]
        case _:
            made = [*shown[:at], *reversed(shown[at:])]
    return made


@given(st.data())
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    index = data.draw(st.integers(0, size - 1))
    digests = leaves(size)
    shown = inclusion_proof(Leaves(digests), index, size)
    made = changed(data, shown)
    if made != shown:
        with pytest.raises(ProofInvalid):
            verify_inclusion(digests[index], index, size, made, root(digests))
    for other in {index - 1, index + 1, size, size * 2 + 1}:
        with pytest.raises(ProofInvalid):
            verify_inclusion(digests[index], other, size, shown, root(digests))
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaf_digest(b"another entry"), index, size, shown, root(digests))


@given(st.data())
def test_a_changed_consistency_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    old = data.draw(st.integers(1, size))
    digests = leaves(size)
    roots = root(digests[:old]), root(digests)
    shown = consistency_proof(Leaves(digests), old, size)
    made = changed(data, shown)
    if made != shown:
        with pytest.raises(ProofInvalid):
            verify_consistency(old, size, *roots, made)
    fork = root([*digests[: old - 1], leaf_digest(b"another entry"), *digests[old:]])
    for wrong in ((fork, roots[1]), (roots[0], fork), (roots[0], EMPTY_ROOT)):
        with pytest.raises(ProofInvalid):
            verify_consistency(old, size, *wrong, shown)


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root", "shown"),
    [
        pytest.param(0, 0, EMPTY_ROOT, leaf_digest(b"x"), [], id="an empty tree with the root of another"),
        pytest.param(0, 0, leaf_digest(b"x"), leaf_digest(b"x"), [], id="two empty trees that are not"),
        pytest.param(0, 2, leaf_digest(b"x"), root(leaves(2)), [], id="an empty tree that is not"),
        pytest.param(0, 2, EMPTY_ROOT, root(leaves(2)), leaves(1), id="a proof where none is needed"),
        pytest.param(2, 2, root(leaves(2)), leaf_digest(b"x"), [], id="one size, two roots"),
        pytest.param(2, 2, root(leaves(2)), root(leaves(2)), leaves(1), id="a proof that it did not grow"),
        pytest.param(3, 2, root(leaves(3)), root(leaves(2)), [], id="a tree that shrank"),
        pytest.param(-1, 2, EMPTY_ROOT, root(leaves(2)), [], id="less than no leaves"),
        pytest.param(3, 7, root(leaves(3)), root(leaves(7)), [], id="no proof"),
        pytest.param(1, 2, leaves(1)[0], root(leaves(2)), [b"short"], id="a hash that is none"),
    ],
)
def test_these_show_no_consistency(old: int, new: int, old_root: bytes, new_root: bytes, shown: list[bytes]) -> None:
    with pytest.raises(ProofInvalid):
        verify_consistency(old, new, old_root, new_root, shown)


def test_a_proof_has_hashes_of_32_bytes() -> None:
    with pytest.raises(ProofInvalid, match="32 bytes"):
        verify_inclusion(leaves(2)[0], 0, 2, [b"short"], root(leaves(2)))


# --- the right edge ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 40), max_size=5))
def test_a_tree_that_grows_in_batches_has_the_root_of_all_leaves(batches: list[int]) -> None:
    digests = leaves(sum(batches))
    edge, done = CompactRange(), 0
    for batch in batches:
        edge.extend(digests[done : done + batch])
        done += batch
        assert edge.root() == root(digests[:done])
        assert len(edge.nodes) == done.bit_count()
    found = compact_range(Leaves(digests), len(digests))
    assert (found.size, found.nodes) == (edge.size, edge.nodes)


def test_a_right_edge_has_a_subtree_for_each_bit_of_its_size() -> None:
    with pytest.raises(OutsideTree, match="2 subtrees, not 1"):
        CompactRange(3, leaves(1))


def test_what_the_tree_does_not_have_is_not_shown() -> None:
    tree = Leaves(leaves(3))
    with pytest.raises(OutsideTree, match="3 leaves, and 4 are asked for"):
        root_at(tree, 4)
    with pytest.raises(OutsideTree, match="leaf 2 is not in a tree of 2 leaves"):
        inclusion_proof(tree, 2, 2)
    with pytest.raises(OutsideTree, match="leaf -1"):
        inclusion_proof(tree, -1, 2)
    with pytest.raises(OutsideTree, match="not the beginning"):
        consistency_proof(tree, 3, 2)
