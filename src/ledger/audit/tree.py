"""The Merkle tree of RFC 6962 and RFC 9162 §2.1: its root, and proofs that a leaf or an older tree is in it.

The tree itself is wherever somebody has its hashes: all that is asked of it is `Tree`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from ledger.audit.leaf import DIGEST_BYTES, node_digest
from ledger.audit.unproven import Unproven

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""


class ProofInvalid(Unproven):
    """A proof does not lead to the root."""


class OutsideTree(Unproven):
    """A leaf or a size was asked for that the tree does not have."""


class Tree(Protocol):
    """A Merkle tree whose hashes can be looked up."""

    @property
    def size(self) -> int:
        """How many leaves it has."""

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """The digests of `count` neighbouring complete subtrees of 2**level leaves, from the one with number `first`.

        They lie within the first `size` leaves. Raises Unproven where hashes are missing or damaged.
        """


@dataclass(slots=True)
class CompactRange:
    """The right edge of a growing tree: all that is needed to append to it and to know its root.

    `nodes` are the digests of the complete subtrees that make up `size` leaves, the largest first (it is
    leftmost): one for each bit that is set in `size`.
    """

    size: int = 0
    nodes: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.nodes) != self.size.bit_count():
            raise OutsideTree(f"{self.size} leaves have {self.size.bit_count()} subtrees, not {len(self.nodes)}")

    def append(self, leaf: bytes) -> None:
        """Append one leaf, by its digest."""
        node, size = leaf, self.size
        while size & 1:
            node = node_digest(self.nodes.pop(), node)
            size >>= 1
        self.nodes.append(node)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaves, by their digests."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root of all leaves so far."""
        return _folded(self.nodes)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of the tree with these leaves, by their digests."""
    edge = CompactRange()
    edge.extend(leaves)
    return edge.root()


def compact_range(tree: Tree, size: int) -> CompactRange:
    """The right edge of a tree when it had `size` leaves. Raises OutsideTree."""
    _within(tree, size)
    return CompactRange(size, _edge(tree, 0, size))


def root_at(tree: Tree, size: int) -> bytes:
    """The root of a tree when it had `size` leaves. Raises OutsideTree."""
    return compact_range(tree, size).root()


def inclusion_proof(tree: Tree, index: int, size: int) -> list[bytes]:
    """That the leaf with this index, counted from 0, is in the tree of `size` leaves: RFC 6962 §2.1.1.

    The leaf's sibling comes first, the root's child last. Raises OutsideTree.
    """
    _within(tree, size)
    if not 0 <= index < size:
        raise OutsideTree(f"leaf {index} is not in a tree of {size} leaves")
    begin, end = 0, size
    siblings: list[tuple[int, int]] = []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((begin, middle))
            begin = middle
    return [_folded(_edge(tree, *sibling)) for sibling in reversed(siblings)]


def consistency_proof(tree: Tree, old_size: int, new_size: int) -> list[bytes]:
    """That the tree of `old_size` leaves is the beginning of the one of `new_size`: RFC 6962 §2.1.2.

    Nothing has to be shown of a tree without leaves, nor of one that did not grow. Raises OutsideTree.
    """
    _within(tree, new_size)
    if not 0 <= old_size <= new_size:
        raise OutsideTree(f"a tree of {old_size} leaves is not the beginning of one of {new_size}")
    if old_size in (0, new_size):
        return []
    begin, end = 0, new_size
    parts: list[tuple[int, int]] = []
    while old_size != end:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    if begin > 0:
        parts.append((begin, end))
    return [_folded(_edge(tree, *part)) for part in reversed(parts)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Follow an inclusion proof from a leaf's digest to the root: RFC 9162 §2.1.3.2. Raises ProofInvalid."""
    if not 0 <= index < size:
        raise ProofInvalid(f"leaf {index} is not in a tree of {size} leaves")
    _digests(proof)
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the inclusion proof has more hashes than the tree has levels")
        if position & 1 or position == last:
            node = node_digest(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_digest(node, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofInvalid("the inclusion proof has fewer hashes than the tree has levels")
    if node != root:
        raise ProofInvalid(f"the inclusion proof of leaf {index} does not lead to the root of {size} leaves")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Follow a consistency proof to both roots: RFC 9162 §2.1.4.2. Raises ProofInvalid."""
    if not 0 <= old_size <= new_size:
        raise ProofInvalid(f"a tree of {old_size} leaves is not the beginning of one of {new_size}")
    _digests(proof)
    if old_size in (0, new_size):
        if proof:
            raise ProofInvalid("a tree that is empty or did not grow needs no consistency proof, and one is given")
        if old_size == new_size and old_root != new_root:
            raise ProofInvalid(f"two trees of {old_size} leaves have different roots")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise ProofInvalid("a tree without leaves has the root of another one")
        return
    path = list(proof)
    if old_size.bit_count() == 1:
        path.insert(0, old_root)
    if not path:
        raise ProofInvalid("the consistency proof has no hashes")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof has more hashes than the tree has levels")
        if position & 1 or position == last:
            old_node = node_digest(sibling, old_node)
            new_node = node_digest(sibling, new_node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_digest(new_node, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofInvalid("the consistency proof has fewer hashes than the tree has levels")
    if old_node != old_root:
        raise ProofInvalid(f"the consistency proof does not lead to the root of {old_size} leaves")
    if new_node != new_root:
        raise ProofInvalid(f"the consistency proof does not lead to the root of {new_size} leaves")


def _within(tree: Tree, size: int) -> None:
    if not 0 <= size <= tree.size:
        raise OutsideTree(f"the tree has {tree.size} leaves, and {size} are asked for")


def _digests(proof: Sequence[bytes]) -> None:
    if any(len(digest) != DIGEST_BYTES for digest in proof):
        raise ProofInvalid(f"a proof's hashes have {DIGEST_BYTES} bytes each")


def _split(count: int) -> int:
    """The largest power of two below `count`: how many leaves lie in the left subtree."""
    return 1 << ((count - 1).bit_length() - 1)


def _edge(tree: Tree, begin: int, end: int) -> list[bytes]:
    """The complete subtrees that make up leaves `begin` to `end`, the largest first."""
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes += tree.nodes(level, begin >> level, 1)
        begin += 1 << level
    return nodes


def _folded(nodes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, the largest first."""
    if not nodes:
        return EMPTY_ROOT
    node = nodes[-1]
    for left in reversed(nodes[:-1]):
        node = node_digest(left, node)
    return node
