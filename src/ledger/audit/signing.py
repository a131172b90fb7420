"""Checkpoints signed by their log and cosigned by witnesses, and the signatures verified."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.audit.checkpoint import Checkpoint
from ledger.audit.note import Note, SigningKey, VerifierKey
from ledger.audit.unproven import Unproven


class NotSigned(Unproven):
    """No key that is known signed this."""


class Verified(NamedTuple):
    """A signature that was verified. `at` is a cosignature's instant in seconds since 1970, None for another one."""

    key: VerifierKey
    at: int | None


def signed(checkpoint: Checkpoint, keys: Iterable[SigningKey], at: int) -> Note:
    """A checkpoint with its log's own signatures, one by each key, made at an instant in seconds since 1970.

    Raises CheckpointInvalid where a key cannot sign it.
    """
    return Note(checkpoint.body(), tuple(key.sign(checkpoint.body(), at) for key in keys))


def verified_signatures(note: Note, keys: Iterable[VerifierKey]) -> list[Verified]:
    """The signatures of those keys, each verified; those of other keys count for nothing.

    Raises SignatureInvalid where one of these keys is said to have signed and did not: such a note is damaged.
    """
    return [
        Verified(key, key.verify(note.text, signature.value))
        for key in keys
        for signature in note.signatures
        if key.made(signature)
    ]


def verified_log_signatures(note: Note, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, list[Verified]]:
    """The checkpoint of a note, and the signatures by keys of its log, of which there is at least one.

    A key is its log's whose name is the origin. Raises CheckpointInvalid, SignatureInvalid and NotSigned.
    """
    checkpoint = Checkpoint.parse(note.text)
    verified = verified_signatures(note, (key for key in keys if key.name == checkpoint.origin))
    if not verified:
        raise NotSigned(f"no known key of the log {checkpoint.origin} signed this checkpoint")
    return checkpoint, verified
