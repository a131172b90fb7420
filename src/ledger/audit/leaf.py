"""The hash of one stored event, which serves the account's chain and the Merkle tree alike."""

from __future__ import annotations

from hashlib import sha256


def leaf_hash(envelope: bytes) -> str:
    """RFC 6962 §2.1: SHA-256 over a zero byte and the leaf, here an envelope's bytes as stored; in hexadecimal."""
    return sha256(b"\x00" + envelope).hexdigest()
