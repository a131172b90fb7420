"""Checkpoints: what a log says its tree is, as C2SP's tlog-checkpoint has it, and what is signed of one."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass

from ledger.audit.encoding import decoded
from ledger.audit.leaf import DIGEST_BYTES
from ledger.audit.unproven import Unproven

SIZE_MAX = (1 << 63) - 1
NAME_BYTES_MAX = 255
"""The longest origin or name of a cosigner that an ML-DSA-44 cosignature can hold, in bytes of UTF-8."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class CheckpointInvalid(Unproven):
    """A text is not that of a checkpoint."""


def number_in(text: str) -> int:
    """A size, an index or an instant as checkpoints and proofs have them: decimal, no zero before it, below 2**63.

    Raises CheckpointInvalid.
    """
    if not _NUMBER.fullmatch(text) or int(text) > SIZE_MAX:
        raise CheckpointInvalid("a number is not written in decimal, without zeros before it and below 2^63")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` has `size` leaves, and this is their root.

    `extension` are further lines, each with its newline. Ours have none, because nobody could audit them.
    """

    origin: str
    size: int
    root: bytes
    extension: str = ""

    def __str__(self) -> str:
        return self.body()

    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n{self.extension}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """A checkpoint from the text of its note. Raises CheckpointInvalid."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise CheckpointInvalid("a checkpoint has an origin, a size and a root, a line each")
        root = decoded(lines[2])
        if root is None or len(root) != DIGEST_BYTES:
            raise CheckpointInvalid("a checkpoint's root is a SHA-256 in base64")
        return cls(lines[0], number_in(lines[1]), root, "".join(f"{line}\n" for line in lines[3:-1]))

    def ed25519_cosigned(self, at: int) -> bytes:
        """What an Ed25519 cosignature (type 0x04) signs, at an instant in seconds since 1970."""
        return f"cosignature/v1\ntime {at}\n{self.body()}".encode()

    def mldsa44_cosigned(self, cosigner: str, at: int) -> bytes:
        """What an ML-DSA-44 cosignature (type 0x06) signs, at an instant in seconds since 1970.

        Raises CheckpointInvalid where a name is too long for it.
        """
        return b"".join(
            (
                b"subtree/v1\n\x00",
                _short(cosigner),
                at.to_bytes(8, "big"),
                _short(self.origin),
                bytes(8),
                self.size.to_bytes(8, "big"),
                self.root,
            )
        )


def _short(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_BYTES_MAX:
        raise CheckpointInvalid(f"an ML-DSA-44 cosignature holds names of 1 to {NAME_BYTES_MAX} bytes")
    return bytes((len(encoded),)) + encoded
