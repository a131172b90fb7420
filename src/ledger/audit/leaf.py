"""The hashes of RFC 6962 §2.1: a stored event's, which serves the account's chain and the Merkle tree alike, and that
of two subtrees together.
"""

from __future__ import annotations

from hashlib import sha256

DIGEST_BYTES = 32
"""The length of a digest, which is SHA-256's."""


def leaf_digest(envelope: bytes) -> bytes:
    """SHA-256 over a zero byte and the leaf, here an envelope's bytes as stored."""
    return sha256(b"\x00" + envelope).digest()


def leaf_hash(envelope: bytes) -> str:
    """The same in hexadecimal, as an envelope's `previous` has it."""
    return sha256(b"\x00" + envelope).hexdigest()


def node_digest(left: bytes, right: bytes) -> bytes:
    """SHA-256 over a byte of one and the digests of two neighbouring subtrees."""
    return sha256(b"\x01" + left + right).digest()
