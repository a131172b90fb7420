"""Signed notes, C2SP's signed-note: a text, signatures below it, and the keys of those who sign.

Three types of signature are known: Ed25519 (0x01) over any text, and over checkpoints the cosignatures with Ed25519
(0x04) and ML-DSA-44 (0x06), which say at which instant they were made.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from ledger.audit.checkpoint import SIZE_MAX, Checkpoint, CheckpointInvalid
from ledger.audit.encoding import decoded
from ledger.audit.unproven import Unproven

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
SEED_BYTES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8


class NoteInvalid(Unproven):
    """A text is not a signed note."""


class KeyInvalid(Unproven):
    """A text is not a key that can be used; it is quoted nowhere, because it may be a secret one."""


class SignatureInvalid(Unproven):
    """A known key's signature was not made by it over this text."""


class SignatureType(IntEnum):
    """The types of signature that are known, by C2SP's numbers."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    MLDSA44_COSIGNATURE = 0x06


_PUBLIC_BYTES = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.MLDSA44_COSIGNATURE: 1312,
}
_SIGNATURE_BYTES = {
    SignatureType.ED25519: 64,
    SignatureType.ED25519_COSIGNATURE: 64,
    SignatureType.MLDSA44_COSIGNATURE: 2420,
}


def is_key_name(name: str) -> bool:
    """Whether a key, and so an origin, may be called so: not empty, in UTF-8, without spaces, plus and control
    characters.
    """
    return bool(name) and not re.search(r"[\s+\x00-\x1f\ud800-\udfff]", name)


# --- notes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line. `value` is what follows the key's id: a cosignature's instant, and the signature."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        """The line, without its newline."""
        return f"— {self.name} {b64encode(self.key_id + self.value).decode()}"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """A signature from its line, without its newline. Raises NoteInvalid."""
        parts = line.split(" ")
        value = decoded(parts[2]) if len(parts) == 3 and parts[0] == "—" and is_key_name(parts[1]) else None
        if value is None or len(value) <= _KEY_ID_BYTES:
            raise NoteInvalid("a signature line has a dash, the name of a key and a signature in base64")
        return cls(parts[1], value[:_KEY_ID_BYTES], value[_KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text, with its last newline, and the signatures below it. Who reads it must verify them first."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(f"{signature}\n" for signature in self.signatures)

    @classmethod
    def parse(cls, written: str) -> Note:
        """A note from what was written. Raises NoteInvalid; verifies no signature."""
        if len(written.encode("utf-8", "surrogatepass")) > NOTE_BYTES_MAX:
            raise NoteInvalid(f"a signed note has at most {NOTE_BYTES_MAX} bytes")
        if re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", written):
            raise NoteInvalid("a signed note has no control characters but newlines")
        text, gap, below = written.rpartition("\n\n")
        if not gap or not below.endswith("\n"):
            raise NoteInvalid("a signed note is a text, an empty line, and signature lines, each with its newline")
        lines = below[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise NoteInvalid(f"a signed note has at most {SIGNATURES_MAX} signatures")
        return cls(text + "\n", tuple(Signature.parse(line) for line in lines))

    def with_signatures(self, added: Iterable[Signature]) -> Note:
        """The note with further signatures; one of a key that signed already takes the older one's place."""
        lines = {(signature.name, signature.key_id): signature for signature in (*self.signatures, *added)}
        return Note(self.text, tuple(lines.values()))


# --- keys ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    """A key by which a signature is verified: C2SP's vkey."""

    name: str
    type: SignatureType
    public: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise KeyInvalid("the name of a key has no spaces and no plus, and is not empty")
        if len(self.public) != _PUBLIC_BYTES[self.type]:
            raise KeyInvalid(f"a public key of type {self.type} has {_PUBLIC_BYTES[self.type]} bytes")

    def __str__(self) -> str:
        """The vkey as it is written."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes((self.type,)) + self.public).decode()}"

    @classmethod
    def from_text(cls, vkey: str) -> VerifierKey:
        """A key from its vkey. Raises KeyInvalid."""
        name, key_id, type_, public = _parts(vkey.split("+", 2))
        key = cls(name, type_, public)
        if key.key_id != key_id:
            raise KeyInvalid(f"the id of the key {name} does not follow from its name and key")
        return key

    @cached_property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name the key beside its name."""
        return sha256(f"{self.name}\n".encode() + bytes((self.type,)) + self.public).digest()[:_KEY_ID_BYTES]

    def made(self, signature: Signature) -> bool:
        """Whether a signature says that this key made it."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, text: str, value: bytes) -> int | None:
        """Verify what follows the key's id in a signature line over a note's text. Raises SignatureInvalid.

        Returns a cosignature's instant in seconds since 1970; None for a plain signature, which has none.
        """
        from cryptography.exceptions import InvalidSignature

        at, signature = _split(self.type, value)
        if len(signature) != _SIGNATURE_BYTES[self.type] or (at or 0) > SIZE_MAX:
            raise SignatureInvalid(f"the signature of {self.name} does not have the length of its type")
        try:
            self._public_key.verify(signature, _message(self.type, self.name, text, at))
        except InvalidSignature:
            raise SignatureInvalid(f"the signature of {self.name} was not made by its key over this text") from None
        except CheckpointInvalid as invalid:
            raise SignatureInvalid(f"{self.name} can have cosigned checkpoints only: {invalid}") from None
        return at

    @cached_property
    def _public_key(self) -> Ed25519PublicKey | MLDSA44PublicKey:
        if self.type is SignatureType.MLDSA44_COSIGNATURE:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            return MLDSA44PublicKey.from_public_bytes(self.public)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(self.public)


@dataclass(frozen=True)
class SigningKey:
    """A key that signs. Its seed is secret: it stands in the key file and is shown nowhere else."""

    name: str
    type: SignatureType
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise KeyInvalid("the name of a key has no spaces and no plus, and is not empty")
        if len(self.seed) != SEED_BYTES:
            raise KeyInvalid(f"the seed of a signing key has {SEED_BYTES} bytes")

    @classmethod
    def new(cls, name: str, type_: SignatureType) -> SigningKey:
        """A new key, from the system's randomness. Raises KeyInvalid where it cannot be called so."""
        return cls(name, type_, os.urandom(SEED_BYTES))

    @classmethod
    def from_text(cls, line: str) -> SigningKey:
        """A key from its line in a key file, in the form that Go's note package has. Raises KeyInvalid."""
        parts = line.strip().split("+", 4)
        if parts[:2] != ["PRIVATE", "KEY"]:
            raise KeyInvalid("a signing key begins with PRIVATE+KEY+")
        name, key_id, type_, seed = _parts(parts[2:])
        key = cls(name, type_, seed)
        if key.vkey.key_id != key_id:
            raise KeyInvalid(f"the id of the signing key {name} does not follow from its name and key")
        return key

    def secret_text(self) -> str:
        """The line of a key file, without its newline. Whoever has it can sign as this key."""
        encoded = b64encode(bytes((self.type,)) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.vkey.key_id.hex()}+{encoded}"

    @cached_property
    def vkey(self) -> VerifierKey:
        """The key by which its signatures are verified, which anybody may know."""
        return VerifierKey(self.name, self.type, self._private_key.public_key().public_bytes_raw())

    def sign(self, text: str, at: int) -> Signature:
        """Sign a note's text, a cosignature at an instant in seconds since 1970. Raises CheckpointInvalid."""
        cosignature = self.type is not SignatureType.ED25519
        message = _message(self.type, self.name, text, at if cosignature else None)
        instant = at.to_bytes(_TIME_BYTES, "big") if cosignature else b""
        return Signature(self.name, self.vkey.key_id, instant + self._private_key.sign(message))

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey | MLDSA44PrivateKey:
        if self.type is SignatureType.MLDSA44_COSIGNATURE:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

            return MLDSA44PrivateKey.from_seed_bytes(self.seed)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


def _parts(parts: list[str]) -> tuple[str, bytes, SignatureType, bytes]:
    """Name, id, type and key of a key's text."""
    if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1], re.ASCII):
        raise KeyInvalid("a key is a name, eight hexadecimal digits and base64, with a plus between them")
    key = decoded(parts[2])
    if not key or key[0] not in _PUBLIC_BYTES:
        known = ", ".join(f"0x{type_:02x}" for type_ in SignatureType)
        raise KeyInvalid(f"a key is written in base64 and has one of the types {known}")
    return parts[0], bytes.fromhex(parts[1]), SignatureType(key[0]), key[1:]


def _split(type_: SignatureType, value: bytes) -> tuple[int | None, bytes]:
    """A cosignature's instant, and the signature itself."""
    if type_ is SignatureType.ED25519:
        return None, value
    return int.from_bytes(value[:_TIME_BYTES], "big"), value[_TIME_BYTES:]


def _message(type_: SignatureType, name: str, text: str, at: int | None) -> bytes:
    """The bytes that are signed. Raises CheckpointInvalid where a cosignature is asked for over another text."""
    if at is None:
        return text.encode()
    checkpoint = Checkpoint.parse(text)
    if type_ is SignatureType.ED25519_COSIGNATURE:
        return checkpoint.ed25519_cosigned(at)
    return checkpoint.mldsa44_cosigned(name, at)
