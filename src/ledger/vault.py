"""The vault: personal data and secrets, encrypted with a key per subject, so that erasing a key erases them.

A subject is a customer's account, or a single message that is kept. Ciphertext is written with the ledger's own
transaction; keys are kept elsewhere and handed in (design rule 6). What the ledger stores openly is a reference and a
commitment.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from ledger.events import Sealed

KEY_BYTES = 32
NONCE_BYTES = 12
WARM_KEYS_MAX = 50_000
STORE_SUBJECT = "store"
"""The subject of the store's own key, under which the inbox digests what messages say."""


def customer_subject(account: str) -> str:
    """The subject of a customer's personal data. Upstream names accounts, so theirs are set apart from our own."""
    return f"account/{account}"


def dead_letter_subject(dead_letter_id: str) -> str:
    """The subject of a dead letter's body, and the reference that it lies under."""
    return f"dead-letter/{dead_letter_id}"


def set_aside_subject(set_aside_id: str) -> str:
    """The subject of the body of a message set aside, and the reference that it lies under."""
    return f"set-aside/{set_aside_id}"


def kept_subject(kept: Literal["dead-letter", "set-aside"], kept_id: str) -> str:
    """The subject of a kept message's body, and the reference that it lies under."""
    return (dead_letter_subject if kept == "dead-letter" else set_aside_subject)(kept_id)


def lost_range_subject(lost_id: str) -> str:
    """The subject of what people say of a lost range."""
    return f"lost-range/{lost_id}"


class Erased(Exception):
    """The subject's key was erased: what was encrypted with it cannot be read by anyone any more."""


class Damaged(Exception):
    """A vault entry does not decrypt under its subject's key, or says something else than its commitment."""


class Keys(Protocol):
    """Where keys are kept. A key that was returned once has been committed."""

    def of(self, subjects: Iterable[str]) -> Mapping[str, bytes]:
        """The keys of subjects; missing ones are made and committed. An erased subject is left out."""

    def existing(self, subject: str) -> bytes | None:
        """A subject's key, None where it never had one. Raises Erased."""


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What the vault stores for one reference."""

    ref: str
    subject: str
    nonce: bytes
    ciphertext: bytes


class Vault:
    """Seals and opens with the keys it is handed; `randomness` gives nonces (os.urandom, but for golden tests)."""

    def __init__(self, keys: Keys, randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._randomness = randomness
        self._warm: dict[str, bytes] = {}

    def prepare(self, subjects: Iterable[str]) -> None:
        """Have the keys of all subjects committed before anything is encrypted with them."""
        wanted = set(subjects)
        missing = [subject for subject in wanted if subject not in self._warm]
        if missing:
            if len(self._warm) > WARM_KEYS_MAX:
                self._warm = {subject: key for subject, key in self._warm.items() if subject in wanted}
            self._warm.update(self._keys.of(sorted(missing)))

    def seal(self, ref: str, subject: str, content: Mapping[str, Any]) -> tuple[Sealed, VaultEntry]:
        """Encrypt JSON content; returns what the envelope says of it and what the vault stores."""
        plaintext = to_json(content)
        entry = self.encrypt(ref, subject, plaintext)
        nonce = self._randomness(NONCE_BYTES)
        commitment = _commitment(self._key(subject), nonce, plaintext)
        return Sealed(ref=ref, nonce=nonce.hex(), commitment=commitment), entry

    def encrypt(self, ref: str, subject: str, plaintext: bytes) -> VaultEntry:
        """Encrypt bytes under a subject's key, bound to their reference (AES-256-GCM, RFC 5116)."""
        nonce = self._randomness(NONCE_BYTES)
        return VaultEntry(ref, subject, nonce, AESGCM(self._key(subject)).encrypt(nonce, plaintext, ref.encode()))

    def decrypt(self, entry: VaultEntry) -> bytes:
        """Read an entry. Raises Erased, or Damaged where it does not decrypt."""
        key = self._warm.get(entry.subject) or self._keys.existing(entry.subject)
        if key is None:
            raise Damaged(
                f"the vault has no key for {entry.ref}; check that MAKEGOOD_VAULT is this store's key database"
            )
        try:
            return AESGCM(key).decrypt(entry.nonce, entry.ciphertext, entry.ref.encode())
        except InvalidTag:
            raise Damaged(f"vault entry {entry.ref} does not decrypt under its key") from None

    def open(self, sealed: Sealed, entry: VaultEntry) -> dict[str, Any]:
        """Read what an envelope's `sealed` refers to. Raises Erased or Damaged."""
        plaintext = self.decrypt(entry)
        key = self._warm.get(entry.subject) or self._keys.existing(entry.subject) or b""
        if not hmac.compare_digest(_commitment(key, bytes.fromhex(sealed.nonce), plaintext), sealed.commitment):
            raise Damaged(f"vault entry {entry.ref} does not match its commitment in the ledger")
        content: dict[str, Any] = from_json(plaintext)
        return content

    def digest(self, content: bytes) -> str:
        """The keyed digest by which the inbox tells a repetition from a conflict without keeping the content."""
        self.prepare([STORE_SUBJECT])
        return hmac.new(_derived(self._key(STORE_SUBJECT), b"inbox"), content, sha256).hexdigest()

    def still_opens(self, subject: str) -> None:
        """Ask whether a subject's key is still there, whatever this process remembers. Raises Erased."""
        self._keys.existing(subject)

    def mark(self, subject: str, purpose: str, content: bytes) -> str:
        """What only this vault can say of some content: a keyed digest under a key derived for one purpose.

        The keys are asked each time: when a subject's key is erased, what was marked with it is worth nothing at
        once, in every process. Raises Erased, also where the subject never had a key.
        """
        key = self._keys.existing(subject)
        if key is None:
            raise Erased(f"{subject} has no key")
        return hmac.new(_derived(key, purpose.encode()), content, sha256).hexdigest()

    def _key(self, subject: str) -> bytes:
        key = self._warm.get(subject)
        if key is None:  # it was erased, or other threads have asked for very many others since
            key = self._keys.of([subject]).get(subject)
        if key is None:
            raise Erased(f"the key of {subject} was erased: no more data can be encrypted for it")
        return key


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, b"makegood " + purpose, sha256).digest()


def _commitment(key: bytes, nonce: bytes, plaintext: bytes) -> str:
    return hmac.new(_derived(key, b"commitment"), nonce + plaintext, sha256).hexdigest()
