"""The vault's keys, in a database of their own (design rule 6), which is bound to one store (rule 15).

Keys are counted in the transaction that makes them, under the lock of the one row of `key_ring`. A store remembers
the last key with which it has anything; a vault that lacks that key is older than its store, or not its own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from ledger.store.column_types import as_bytes
from ledger.store.database import Database, NotPermitted, StoreError, Transaction, Unavailable, redacted
from ledger.store.instants import to_microseconds
from ledger.store.schema import KEY_TABLES
from ledger.vault import KEY_BYTES, STORE_SUBJECT, Bound, Erased, InStore, Key, Ring, Serial

RESTORE = (
    "restore the newest backup of the key database, or correct MAKEGOOD_VAULT; if keys are lost for good, see "
    "`makegood vault accept-loss --help`"
)


class VaultMismatch(Unavailable):
    """The key database is not the one that the store goes with, or an older copy of it: what to restore.

    Whoever works waits until the right one is there; nothing is made in its place. `found` and `next` are the two
    halves of the sentence.
    """

    def __init__(self, found: str, what_next: str | None = None) -> None:
        self.found, self.next = found, what_next or RESTORE
        super().__init__(f"{self.found}; {self.next}")


@dataclass(frozen=True, slots=True)
class _Row:
    """A subject's key as it is stored: an erased one has no secret, one that a former version made no serial."""

    secret: bytes | None
    serial: Serial | None


class KeyDatabase:
    """Makes, keeps and hands out keys; what it returns has been committed.

    Every use is held to what the store says of its vault (`belongs_to`, `of`).
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._bound: Bound | None = None
        self._store_subject: str | None = None

    @property
    def address(self) -> str:
        """Where it is, without passwords."""
        return redacted(self._database.url)

    # --- whose vault it is ---------------------------------------------------------------------------------------

    def begin(self, store_id: str) -> Bound:
        """Have a vault, and in it the store's own key, for a store that is yet to be made under the id returned.

        One that was made for a store which did not come to be is taken over with its id. Raises VaultMismatch where
        there are more keys than that.
        """
        self._database.create(KEY_TABLES)
        with self._database.writing() as transaction:
            ring = _held_ring(transaction)
            others = ring.made - 1 if ring is not None else _count(transaction)
            if others > 0:
                owner = f"the store {ring.store_id}" if ring is not None else "another store"
                raise VaultMismatch(
                    f"the key database at {self.address} has the keys of {owner}",
                    "set MAKEGOOD_VAULT to another place for the new store's keys, or move it away",
                )
            ring = ring or _new_ring(transaction, secrets.token_hex(8), store_id, STORE_SUBJECT)
            last = self._make(transaction, [STORE_SUBJECT])[STORE_SUBJECT].serial
        self._bound = Bound(ring.store_id, ring.vault_id, last)
        return self._bound

    def bind(self, store_id: str, *, new_store_key: bool = False) -> Bound:
        """Have the vault go with a store that is there, under a new id; whoever asks has seen that it has the keys,
        or accepts that some are lost. With `new_store_key` the store's own is made anew, under another subject.

        Raises VaultMismatch for the vault of another store.
        """
        self._database.create(KEY_TABLES)
        with self._database.writing() as transaction:
            ring = _held_ring(transaction) or _new_ring(transaction, "", store_id, STORE_SUBJECT)
            if ring.store_id != store_id:
                raise VaultMismatch(self._of_another(ring, store_id))
            vault_id = secrets.token_hex(8)
            subject = f"{STORE_SUBJECT}/{vault_id}" if new_store_key else ring.store_subject
            transaction.run("UPDATE key_ring SET vault_id = ?, store_subject = ?", (vault_id, subject))
            self._make(transaction, _without_serial(transaction) | {subject})
            [(number, mark)] = transaction.rows("SELECT serial, mark FROM key_serials ORDER BY serial DESC LIMIT 1")
        self._bound, self._store_subject = Bound(store_id, vault_id, Serial(number, mark)), None
        return self._bound

    def belongs_to(self, bound: Bound) -> None:
        """Hold every use from now on to what a store says of its vault."""
        self._bound = bound

    def check(self) -> Ring:
        """Look whether it is the store's vault, and as new as the store. Raises VaultMismatch, and StoreError."""
        with self._reading() as transaction:
            transaction.rows("SELECT 1 FROM vault_keys LIMIT 1")
            ring = _ring(transaction)
            if ring is None:
                raise VaultMismatch(self._unbound(transaction))
            return ring

    def _verify(self, transaction: Transaction) -> None:
        bound = self._bound
        if bound is None:
            return
        rows = transaction.rows(
            "SELECT vault_id, store_id, made, store_subject, mark FROM key_ring "
            "LEFT JOIN key_serials ON key_serials.serial = ?",
            (bound.last.number,),
        )
        if not rows:
            raise VaultMismatch(self._unbound(transaction))
        *told, mark = rows[0]
        ring = Ring(*told)
        if ring.store_id != bound.store_id:
            raise VaultMismatch(self._of_another(ring, bound.store_id))
        if ring.vault_id != bound.vault_id:
            raise VaultMismatch(
                f"the key database at {self.address} has the id {ring.vault_id}, and the store goes with "
                f"{bound.vault_id}: it is from before or after a loss of keys was accepted"
            )
        if ring.made < bound.last.number:
            raise VaultMismatch(
                f"the key database at {self.address} is older than the store: the last "
                f"{bound.last.number - ring.made} of {bound.last.number} keys are missing"
            )
        if mark != bound.last.mark:
            raise VaultMismatch(
                f"the key database at {self.address} is a copy that went on apart from the store: key "
                f"{bound.last.number} is not the one that the store used"
            )

    def _of_another(self, ring: Ring, store_id: str) -> str:
        return (
            f"the key database at {self.address} is another store's: it goes with the store {ring.store_id}, and "
            f"this is the store {store_id}"
        )

    def _unbound(self, transaction: Transaction) -> str:
        if _count(transaction):
            return (
                f"the key database at {self.address} is another store's, or from before `makegood migrate` brought "
                "the store up to date"
            )
        return self._empty()

    def _empty(self) -> str:
        return f"the key database at {self.address} is empty"

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        """A transaction on the store's vault. Raises VaultMismatch."""
        self._must_be_there()
        try:
            with self._database.reading(by_keys=True) as transaction:
                self._verify(transaction)
                yield transaction
        except (VaultMismatch, NotPermitted):
            raise
        except StoreError as error:
            if self._database.dialect != "sqlite" and isinstance(error, Unavailable):
                raise  # the server, which would be asked in vain what is there
            raise self._explained(error) from error

    def _must_be_there(self) -> None:
        if not self._database.may_be_there():
            raise VaultMismatch(f"the key database {self.address} is missing")

    def _explained(self, error: StoreError) -> StoreError:
        """What a failure comes from, if it is that tables are missing."""
        lacking = self._database.lacking(KEY_TABLES)
        if len(lacking) == len(KEY_TABLES):
            return VaultMismatch(self._empty())
        if lacking:
            with self._database.reading() as transaction:
                return VaultMismatch(self._unbound(transaction))
        return error

    # --- keys ----------------------------------------------------------------------------------------------------

    def of(self, subjects: Iterable[str], in_store: InStore) -> Mapping[str, Key]:
        """The keys of subjects; missing ones are made and committed. An erased subject is left out.

        Raises VaultMismatch, also where the store has ciphertext of somebody whose key is missing.
        """
        self._follow(in_store.bound())
        wanted = sorted(set(subjects))
        with self._reading() as transaction:
            rows = _rows(transaction, wanted)
        if missing := [subject for subject in wanted if subject not in rows]:
            self._refuse_to_replace(in_store.with_ciphertext(missing))
        keys = {subject: Key(row.secret, row.serial) for subject, row in rows.items() if row.secret and row.serial}
        erased = {subject for subject, row in rows.items() if row.secret is None}
        if lacking := [subject for subject in wanted if subject not in keys and subject not in erased]:
            with self._database.writing() as transaction:
                _held_ring(transaction)
                self._verify(transaction)
                keys |= self._make(transaction, lacking)
        return keys

    def _follow(self, bound: Bound) -> None:
        """Go by what the store says now."""
        known = self._bound
        if known is not None and known.vault_id != bound.vault_id:
            raise VaultMismatch(
                "a loss of keys was accepted for this store since the program was started", "start it again"
            )
        if known is None or known.last.number < bound.last.number:
            self._bound = bound

    def _refuse_to_replace(self, subjects: Collection[str]) -> None:
        if subjects:
            raise VaultMismatch(
                f"the key database at {self.address} lacks keys that the store needs ({len(subjects)} of those asked "
                "for now), and none is made in their place"
            )

    def existing(self, subject: str) -> Key | None:
        """A subject's key, None where it never had one. Raises Erased and VaultMismatch."""
        with self._reading() as transaction:
            row = _rows(transaction, [subject]).get(subject)
        if row is not None and row.secret is None:
            raise Erased(f"the key of {subject} was erased: its data can no longer be read")
        if row is None or row.secret is None:
            return None
        return Key(row.secret, row.serial or Serial(0, ""))

    def erase(self, subjects: Collection[str], in_store: InStore) -> int:
        """Destroy keys for good; how many there were. Each subject keeps a tombstone, also one that had no key, so
        that none is made for it again. The database is rewritten, so that its file has nothing of the keys either.

        Raises VaultMismatch.
        """
        self._follow(in_store.bound())
        self._must_be_there()
        wanted, now = sorted(set(subjects)), to_microseconds(self._clock())
        with self._database.writing() as transaction:
            _held_ring(transaction)
            self._verify(transaction)
            destroyed = sum(
                transaction.run(
                    "UPDATE vault_keys SET key = NULL, erased_at = ? WHERE subject = ? AND key IS NOT NULL",
                    (now, subject),
                )
                for subject in wanted
            )
            tombstones = [(subject, now, now) for subject in wanted]
            transaction.insert("vault_keys", ("subject", "created_at", "erased_at"), tombstones, new_only=True)
        self._database.rewrite("vault_keys")
        return destroyed

    def erased(self, subjects: Collection[str] | None = None) -> set[str]:
        """Those of some subjects whose key was erased; all of them where none are named. Raises VaultMismatch."""
        with self._reading() as transaction:
            if subjects is None:
                rows = transaction.rows("SELECT subject FROM vault_keys WHERE key IS NULL")
            else:
                rows = transaction.rows_in(
                    "SELECT subject FROM vault_keys WHERE key IS NULL AND subject IN (?*)", sorted(subjects)
                )
        return {subject for (subject,) in rows}

    def store_subject(self) -> str:
        """The subject of the store's own key. Raises VaultMismatch."""
        if self._store_subject is None:
            self._store_subject = self.check().store_subject
        return self._store_subject

    def is_there(self) -> bool:
        """Whether there is a key database, whosever it is."""
        return self._database.may_be_there() and "vault_keys" not in self._database.lacking(KEY_TABLES)

    def ring(self) -> Ring | None:
        """What the key database says of itself, whosever it is; None where it says nothing."""
        if not self._database.may_be_there() or "key_ring" in self._database.lacking(KEY_TABLES):
            return None
        with self._database.reading() as transaction:
            return _ring(transaction)

    def kept(self, subjects: Collection[str]) -> dict[str, bytes | None]:
        """The keys that are there, whosever vault it is; None for an erased one."""
        if not self.is_there():
            return {}
        with self._database.reading(by_keys=True) as transaction:
            rows = transaction.rows_in("SELECT subject, key FROM vault_keys WHERE subject IN (?*)", sorted(subjects))
        return {subject: as_bytes(key, f"the key of {subject}") if key is not None else None for subject, key in rows}

    def _make(self, transaction: Transaction, subjects: Collection[str]) -> dict[str, Key]:
        """Give a key and a serial to those who have none, under the ring's lock."""
        had = _rows(transaction, sorted(subjects))
        new = sorted(subject for subject in subjects if subject not in had)
        now = to_microseconds(self._clock())
        made = [(subject, os.urandom(KEY_BYTES), now) for subject in new]
        transaction.insert("vault_keys", ("subject", "key", "created_at"), made)
        counted = [*sorted(subject for subject, row in had.items() if row.secret and row.serial is None), *new]
        [(last,)] = transaction.rows("UPDATE key_ring SET made = made + ? RETURNING made", (len(counted),))
        first = int(last) - len(counted) + 1
        transaction.insert(
            "key_serials",
            ("serial", "subject", "mark"),
            [(number, subject, secrets.token_hex(8)) for number, subject in enumerate(counted, first)],
        )
        rows = _rows(transaction, sorted(subjects))
        return {subject: Key(row.secret, row.serial) for subject, row in rows.items() if row.secret and row.serial}


def _ring(transaction: Transaction) -> Ring | None:
    rows = transaction.rows("SELECT vault_id, store_id, made, store_subject FROM key_ring")
    return Ring(*rows[0]) if rows else None


def _held_ring(transaction: Transaction) -> Ring | None:
    """The ring, which nobody else counts in until commit; None where there is none yet."""
    transaction.run("UPDATE key_ring SET made = made")
    return _ring(transaction)


def _new_ring(transaction: Transaction, vault_id: str, store_id: str, store_subject: str) -> Ring:
    transaction.run(
        "INSERT INTO key_ring (ring, vault_id, store_id, made, store_subject) VALUES (1, ?, ?, 0, ?)",
        (vault_id, store_id, store_subject),
    )
    return Ring(vault_id, store_id, 0, store_subject)


def _rows(transaction: Transaction, subjects: Collection[str]) -> dict[str, _Row]:
    if not subjects:
        return {}
    found = transaction.rows_in(
        "SELECT vault_keys.subject, key, serial, mark FROM vault_keys "
        "LEFT JOIN key_serials ON key_serials.subject = vault_keys.subject WHERE vault_keys.subject IN (?*)",
        list(subjects),
    )
    return {
        subject: _Row(
            as_bytes(secret, f"the key of {subject}") if secret is not None else None,
            Serial(serial, mark) if serial is not None else None,
        )
        for subject, secret, serial, mark in found
    }


def _without_serial(transaction: Transaction) -> set[str]:
    rows = transaction.rows(
        "SELECT subject FROM vault_keys WHERE key IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM key_serials WHERE key_serials.subject = vault_keys.subject)"
    )
    return {subject for (subject,) in rows}


def _count(transaction: Transaction) -> int:
    return int(transaction.rows("SELECT COUNT(*) FROM vault_keys WHERE key IS NOT NULL")[0][0])
