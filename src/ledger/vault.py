"""The vault: personal data and secrets, encrypted with a key per subject, so that erasing a key erases them.

A subject is a customer's account, or a single message that is kept. Ciphertext is written with the ledger's own
transaction; keys are kept elsewhere and handed in (design rule 6). What the ledger stores openly is a reference and a
commitment.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import from_json, to_json

from ledger.events import Sealed
from ledger.finding import Kind, words_of
from ledger.values import value

KEY_BYTES = 32
ERASED = "erased"
"""What stands in place of a commitment where nothing was sealed, because the subject had been erased."""
NONCE_BYTES = 12
WARM_KEYS_MAX = 50_000
STORE_SUBJECT = "store"
"""The subject of the store's own key, under which the inbox digests what messages say. It is made with the store."""


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


def discrepancy_subject(discrepancy_id: str) -> str:
    """The subject of what people say of a discrepancy between a processor's file and the ledger."""
    return f"discrepancy/{discrepancy_id}"


def generation_subject(generation: int) -> str:
    """The subject of what people say of a restored store."""
    return f"generation/{generation}"


def log_origin_subject(shard: int, number: int) -> str:
    """The subject of what people say of a shard's new log."""
    return f"log-origin/{shard}/{number}"


def erasure_subject(account: str) -> str:
    """The subject of the basis on which an account was erased. It is not the customer's, and is not erased."""
    return f"erasure/{account}"


def lost_keys_subject(loss_id: str) -> str:
    """The subject of the reason for which a person accepted that keys are lost."""
    return f"lost-keys/{loss_id}"


class Gone(Exception):
    """What was encrypted cannot be read by anyone any more."""


class Erased(Gone):
    """The subject's key was erased."""


class Lost(Gone):
    """The key was lost with its database, and a person accepted that."""


class Damaged(Exception):
    """A vault entry does not decrypt under its subject's key, or says something else than its commitment."""


# --- which vault is a store's (design rule 15) --------------------------------------------------------------------


@value
class Serial:
    """Which of a vault's keys one is: `number` counts them from 1, in the order in which they were made.

    `mark` is random, because two copies of a vault that went on apart give one number to two keys.
    """

    number: int
    mark: str


@value
class Key:
    """A subject's key."""

    secret: bytes
    serial: Serial


@value
class Bound:
    """A store and its vault, by their ids, and the last of the vault's keys with which the store has anything."""

    store_id: str
    vault_id: str
    last: Serial


@value
class Ring:
    """What a vault's key database says of itself: the two ids, how many keys were made (the last one's number), and
    the subject of the store's own key."""

    vault_id: str
    store_id: str
    made: int
    store_subject: str


class InStore(Protocol):
    """What a store says of its vault, in one of its states."""

    def bound(self) -> Bound:
        """Which vault is the store's, and how far it had come."""

    def with_ciphertext(self, subjects: Collection[str]) -> Collection[str]:
        """Those of some subjects of whom the store has anything that their key is to decrypt."""

    def erased(self, subjects: Collection[str]) -> Collection[str]:
        """Those of some subjects whose erasure is recorded."""


class Keys(Protocol):
    """Where keys are kept. A key that was returned once has been committed.

    All raise an error of the store's where this is not the vault that the store is bound to, or an older copy of it.
    """

    def begin(self, store_id: str) -> Bound:
        """Have a vault, and in it the store's own key, for a store that is yet to be made under the id returned."""

    def of(self, subjects: Iterable[str], in_store: InStore) -> Mapping[str, Key]:
        """The keys of subjects; missing ones are made and committed, but none for whom the store has ciphertext.
        An erased subject is left out."""

    def existing(self, subject: str) -> Key | None:
        """A subject's key, None where it never had one. Raises Erased."""

    def erase(self, subjects: Collection[str], in_store: InStore) -> int:
        """Destroy the keys of subjects for good, and have none made for them again; how many there were."""

    def erased(self, subjects: Collection[str] | None = None) -> set[str]:
        """Those of some subjects whose key was erased; all of them where none are named."""

    def store_subject(self) -> str:
        """The subject of the store's own key: another one than at first where that key was lost."""

    def check(self) -> Ring:
        """Look whether this is the store's vault, and as new as the store."""


# --- sealing and opening ------------------------------------------------------------------------------------------


@value
class VaultEntry:
    """What the vault stores for one reference.

    `serial` is that of the key which encrypted it just now; one that was read does not tell. One whose key was lost
    is known as `lost`.
    """

    ref: str
    subject: str
    nonce: bytes
    ciphertext: bytes
    serial: Serial | None = None
    lost: bool = False


@value
class IndexEntry:
    """That an account is found by a word: a keyed hash of it, its kind, and the vault's entry that has it."""

    token: bytes
    kind: Kind
    account: str
    ref: str


class Vault:
    """Seals and opens with the keys it is handed; `randomness` gives nonces (os.urandom, but for golden tests)."""

    def __init__(self, keys: Keys, randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._randomness = randomness
        self._warm: dict[str, Key] = {}
        self._erased: set[str] = set()
        """Subjects that are known to be erased: what is said of them is left out."""

    def begin(self, store_id: str) -> Bound:
        """Have a vault for a store that is yet to be made, under the id that comes back."""
        return self._keys.begin(store_id)

    def check(self) -> Ring:
        """Look whether it is the store's vault, and as new as the store; what is raised says what to restore."""
        return self._keys.check()

    def prepare(self, subjects: Iterable[str], in_store: InStore) -> None:
        """Have the keys of all subjects committed before anything is encrypted with them.

        Also where this process knows them all, it is asked whether the vault is still the store's. Which of them are
        erased the store is asked each time, so that a key that this process still knows encrypts nothing more; an
        erased subject gets no key again, also where only the key database knows of it.
        """
        wanted = set(subjects)
        if not wanted:
            return
        self._forget(in_store.erased(wanted))
        missing = sorted(subject for subject in wanted if subject not in self._warm and subject not in self._erased)
        found = self._keys.of(missing, in_store)
        self._forget(set(missing) - found.keys())
        if len(self._warm) > WARM_KEYS_MAX:
            self._warm = {subject: key for subject, key in self._warm.items() if subject in wanted}
        self._warm.update(found)

    def erase(self, subjects: Collection[str], in_store: InStore) -> int:
        """Destroy the keys of subjects whose erasure is recorded; how many there were."""
        self._forget(subjects)
        return self._keys.erase(subjects, in_store)

    def erased_keys(self) -> set[str]:
        """The subjects whose key was erased, whether the store knows of it or not."""
        return self._keys.erased()

    def erased_among(self, subjects: Collection[str], in_store: InStore) -> set[str]:
        """Those of some subjects that are erased, by what the store says or by what the key database does."""
        found = {*in_store.erased(subjects), *self._keys.erased(subjects)} if subjects else set()
        self._forget(found)
        return found

    def _forget(self, subjects: Collection[str]) -> None:
        """Know no key of subjects any more; they are erased."""
        for subject in subjects:
            self._erased.add(subject)
            self._warm.pop(subject, None)

    def seal(self, ref: str, subject: str, content: Mapping[str, Any]) -> tuple[Sealed, list[VaultEntry]]:
        """Encrypt JSON content; returns what the envelope says of it and what the vault stores.

        Of an erased subject nothing is stored, and the envelope says so: the content is left out for good.
        """
        if subject in self._erased:
            return Sealed(ref=ref, nonce="", commitment=ERASED), []
        plaintext = to_json(content)
        entry = self.encrypt(ref, subject, plaintext)
        nonce = self._randomness(NONCE_BYTES)
        commitment = _commitment(self._key(subject).secret, nonce, plaintext)
        return Sealed(ref=ref, nonce=nonce.hex(), commitment=commitment), [entry]

    def encrypt(self, ref: str, subject: str, plaintext: bytes) -> VaultEntry:
        """Encrypt bytes under a subject's key, bound to their reference (AES-256-GCM, RFC 5116)."""
        key, nonce = self._key(subject), self._randomness(NONCE_BYTES)
        ciphertext = AESGCM(key.secret).encrypt(nonce, plaintext, ref.encode())
        return VaultEntry(ref, subject, nonce, ciphertext, key.serial)

    def index(self, ref: str, account: str, content: Mapping[str, Any]) -> list[IndexEntry]:
        """The entries of the index for what a message of an account has for the vault."""
        words = dict.fromkeys(words_of(content))
        if not words:
            return []
        key = self._index_key()
        return [IndexEntry(_token(key, kind, word), kind, account, ref) for kind, word in words]

    def token(self, kind: Kind, word: str) -> bytes:
        """What stands in the index for a word: HMAC-SHA-256 under a key that is derived from the store's own."""
        return _token(self._index_key(), kind, word)

    def _index_key(self) -> bytes:
        return _derived(self._store_key(), b"index")

    def index_key_name(self) -> str:
        """Which key the index is under: another one where the store's own key was lost, and all is indexed anew."""
        return self._store_subject()

    def decrypt(self, entry: VaultEntry) -> bytes:
        """Read an entry. Raises Erased, Lost, or Damaged where it does not decrypt."""
        return decrypted(entry, self._key_for(entry))

    def open(self, sealed: Sealed, entry: VaultEntry) -> dict[str, Any]:
        """Read what an envelope's `sealed` refers to. Raises Erased, Lost or Damaged."""
        key = self._key_for(entry)
        plaintext = decrypted(entry, key)
        if not hmac.compare_digest(_commitment(key, bytes.fromhex(sealed.nonce), plaintext), sealed.commitment):
            raise Damaged(f"vault entry {entry.ref} does not match its commitment in the ledger")
        content: dict[str, Any] = from_json(plaintext)
        return content

    def digest(self, content: bytes) -> str:
        """A keyed digest of content that is not kept."""
        return hmac.digest(_derived(self._store_key(), b"inbox"), content, "sha256").hex()

    def digest_to_keep(self, content: bytes) -> str:
        """The keyed digest by which the inbox tells a repetition from a conflict (`may_be_same`)."""
        of_which = self._store_subject().removeprefix(STORE_SUBJECT).removeprefix("/")
        return f"{of_which}:{self.digest(content)}" if of_which else self.digest(content)

    def snapshot_mac(self, content: bytes) -> str:
        """What only the store itself can say of a snapshot: HMAC-SHA-256 under a key derived from the store's own."""
        return hmac.digest(_derived(self._store_key(), b"snapshot"), content, "sha256").hex()

    def is_snapshot_mac(self, mac: str, content: bytes) -> bool:
        """Whether the store said so of a snapshot."""
        return hmac.compare_digest(self.snapshot_mac(content).encode(), mac.encode())

    def still_opens(self, subject: str) -> None:
        """Ask whether a subject's key is still there, whatever this process remembers. Raises Erased."""
        try:
            self._keys.existing(subject)
        except Erased:
            self._forget({subject})
            raise

    def mark(self, subject: str, purpose: str, content: bytes) -> str:
        """What only this vault can say of some content: a keyed digest under a key derived for one purpose.

        The keys are asked each time: when a subject's key is erased, what was marked with it is worth nothing at
        once, in every process. Raises Erased, also where the subject never had a key.
        """
        key = self._keys.existing(subject)
        if key is None:
            raise Erased(f"{subject} has no key")
        return hmac.digest(_derived(key.secret, purpose.encode()), content, "sha256").hex()

    def _store_subject(self) -> str:
        return self._keys.store_subject()

    def _store_key(self) -> bytes:
        return self._key(self._store_subject()).secret

    def _key(self, subject: str) -> Key:
        key = self._warm.get(subject)
        if key is None:  # it was erased, or other threads have asked for very many others since
            key = self._keys.existing(subject)
        if key is None:
            raise Damaged(_NO_KEY.format(subject))
        self._warm.setdefault(subject, key)
        return key

    def _key_for(self, entry: VaultEntry) -> bytes:
        if entry.lost:
            raise Lost(f"{entry.ref} cannot be read any more: its key was lost with the vault's key database")
        key = self._warm.get(entry.subject) or self._keys.existing(entry.subject)
        if key is None:
            raise Damaged(_NO_KEY.format(entry.ref))
        return key.secret


_NO_KEY = "the vault has no key for {}; check that MAKEGOOD_VAULT is this store's key database"


def decrypted(entry: VaultEntry, secret: bytes) -> bytes:
    """What an entry says by a key. Raises Damaged where it is not the entry's."""
    try:
        return AESGCM(secret).decrypt(entry.nonce, entry.ciphertext, entry.ref.encode())
    except InvalidTag:
        raise Damaged(f"vault entry {entry.ref} does not decrypt under its key") from None


def may_be_same(kept: str, digest: str) -> bool:
    """Whether two digests can be of one content.

    Digests under two keys of a store, one of which was lost, do not tell: whoever knows a message by its id then
    takes it for the same one.
    """
    (of, said), (of_other, said_now) = (each.rpartition(":")[::2] for each in (kept, digest))
    return of != of_other or hmac.compare_digest(said, said_now)


def _token(key: bytes, kind: Kind, word: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{word}".encode(errors="surrogatepass"), "sha256")


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"makegood " + purpose, "sha256")


def _commitment(key: bytes, nonce: bytes, plaintext: bytes) -> str:
    return hmac.digest(_derived(key, b"commitment"), nonce + plaintext, "sha256").hex()
