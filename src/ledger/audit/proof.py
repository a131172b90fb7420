"""Proofs as files: that an entry is in the log (C2SP's tlog-proof), and that one checkpoint continues another."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from ledger.audit.checkpoint import Checkpoint, CheckpointInvalid, number_in
from ledger.audit.encoding import decoded
from ledger.audit.leaf import DIGEST_BYTES
from ledger.audit.note import Note
from ledger.audit.tree import ProofInvalid, verify_consistency, verify_inclusion
from ledger.audit.trust_policy import Trusted, TrustPolicy

HEADER = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 63
"""How many hashes a proof has at most: one for each level of the tallest tree."""


@dataclass(frozen=True, slots=True)
class LogProof:
    """That an entry is in the log: its index, counted from 0, the way to the root, and the checkpoint that has it.

    `extra` is whatever goes with it; nobody signed that.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def to_text(self) -> str:
        """The file."""
        extra = () if self.extra is None else (f"extra {b64encode(self.extra).decode()}",)
        return "\n".join((HEADER, *extra, f"index {self.index}", *_lines(self.hashes), "", str(self.checkpoint)))

    @classmethod
    def from_text(cls, text: str) -> LogProof:
        """A proof from its file. Raises ProofInvalid and NoteInvalid; verifies nothing."""
        head, checkpoint = _parted(text)
        if head[0] != HEADER:
            raise ProofInvalid(f"a proof begins with the line {HEADER}")
        del head[0]
        extra = None
        if head and head[0].startswith("extra "):
            extra = decoded(head.pop(0).removeprefix("extra "))
            if extra is None:
                raise ProofInvalid("the line `extra` of a proof is base64")
        if not head:
            raise ProofInvalid("a proof has a line `index`")
        return cls(_number("index", head[0]), _hashes(head[1:]), checkpoint, extra)

    def verify(self, leaf: bytes, policy: TrustPolicy) -> Trusted:
        """Verify the checkpoint's signatures, and that the leaf with this digest is in its tree at the index.

        Raises ProofInvalid, and what TrustPolicy.check raises.
        """
        trusted = policy.check(self.checkpoint)
        verify_inclusion(leaf, self.index, trusted.checkpoint.size, self.hashes, trusted.checkpoint.root)
        return trusted


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That a checkpoint continues the tree of `old_size` leaves.

    Its text is the body of C2SP's tlog-witness request `add-checkpoint`, there being no file format of its own.
    """

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint: Note

    def to_text(self) -> str:
        """The file, and the request to a witness."""
        return "\n".join((f"old {self.old_size}", *_lines(self.hashes), "", str(self.checkpoint)))

    @classmethod
    def from_text(cls, text: str) -> ConsistencyProof:
        """A proof from its file. Raises ProofInvalid and NoteInvalid; verifies nothing."""
        head, checkpoint = _parted(text)
        return cls(_number("old", head[0]), _hashes(head[1:]), checkpoint)

    def verify(self, old: Note, policy: TrustPolicy) -> tuple[Trusted, Trusted]:
        """Verify both checkpoints' signatures, and that the later one continues the older, both of one log.

        Raises ProofInvalid, and what TrustPolicy.check raises.
        """
        older, newer = policy.check(old), policy.check(self.checkpoint)
        before, after = older.checkpoint, newer.checkpoint
        if before.origin != after.origin:
            raise ProofInvalid(f"a checkpoint of {after.origin} continues none of {before.origin}")
        if before.size != self.old_size:
            raise ProofInvalid(f"the proof continues {self.old_size} leaves, the older checkpoint has {before.size}")
        verify_consistency(before.size, after.size, before.root, after.root, self.hashes)
        return older, newer


def _parted(text: str) -> tuple[list[str], Note]:
    head, gap, checkpoint = text.partition("\n\n")
    if not gap:
        raise ProofInvalid("a proof has an empty line between its hashes and its checkpoint")
    note = Note.parse(checkpoint)
    try:
        Checkpoint.parse(note.text)
    except CheckpointInvalid as invalid:
        raise ProofInvalid(str(invalid)) from None
    return head.split("\n"), note


def _number(word: str, line: str) -> int:
    try:
        if not line.startswith(f"{word} "):
            raise ProofInvalid(f"a proof has a line `{word}` with a number")
        return number_in(line.removeprefix(f"{word} "))
    except CheckpointInvalid as invalid:
        raise ProofInvalid(str(invalid)) from None


def _lines(hashes: Iterable[bytes]) -> list[str]:
    return [b64encode(digest).decode() for digest in hashes]


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > HASHES_MAX:
        raise ProofInvalid(f"a proof has at most {HASHES_MAX} hashes")
    hashes = [decoded(line) for line in lines]
    if any(digest is None or len(digest) != DIGEST_BYTES for digest in hashes):
        raise ProofInvalid("a proof's hashes are SHA-256 in base64, a line each")
    return tuple(digest for digest in hashes if digest is not None)
