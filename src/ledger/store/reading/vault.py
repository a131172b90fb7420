"""What the vault stores, encrypted, and which vault's keys decrypt it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.events import Sealed
from ledger.store.column_types import as_bytes
from ledger.store.database import Database, Row, StoreError, Transaction
from ledger.store.reading.erasures import erased_among, erased_at
from ledger.vault import ERASED, Bound, Damaged, Erased, Serial, Vault, VaultEntry

BATCH = 500
"""So many entries are in memory at once where all are looked at; a kept message's may have 60 KiB."""


def vault_entry(transaction: Transaction, ref: str) -> VaultEntry | None:
    """What the vault stores under a reference."""
    rows = transaction.rows(
        "SELECT vault.ref, subject, nonce, ciphertext, loss_id FROM vault "
        "LEFT JOIN vault_lost ON vault_lost.ref = vault.ref WHERE vault.ref = ?",
        (ref,),
    )
    return _entry(rows[0]) if rows else None


def opened(transaction: Transaction, vault: Vault, account: str, sealed: Sealed) -> dict[str, Any]:
    """What an account's event refers to. Raises Erased, Lost or Damaged."""
    entry = vault_entry(transaction, sealed.ref)
    if entry is not None:
        return vault.open(sealed, entry)
    if sealed.commitment == ERASED or erased_at(transaction, account) is not None:
        raise Erased(f"what was said under {sealed.ref} was erased: nobody can read it any more")
    raise Damaged(f"the vault has nothing under {sealed.ref}; restore the store from a backup")


def opened_body(database: Database, vault: Vault, subject: str) -> bytes | None:
    """The body of a kept message, by its subject; None where the vault has none. Raises Erased, Lost or Damaged."""
    with database.reading() as transaction:
        entry = vault_entry(transaction, subject)
        if entry is None and erased_among(transaction, [subject]):
            raise Erased("the account of this message was erased, and its body with it: nobody can read it any more")
    return vault.decrypt(entry) if entry is not None else None


def every_entry(transaction: Transaction) -> Iterator[Sequence[VaultEntry]]:
    """All that is not known as lost, in parts, the entries of a subject one after the other."""
    last: VaultEntry | None = None
    while entries := entries_after(transaction, last):
        yield entries
        last = entries[-1]


def entries_after(transaction: Transaction, last: VaultEntry | None) -> list[VaultEntry]:
    """The next of them after one; the first where none is given."""
    rows = transaction.rows(
        "SELECT ref, subject, nonce, ciphertext, NULL FROM vault WHERE (subject, ref) > (?, ?) "
        "AND NOT EXISTS (SELECT 1 FROM vault_lost WHERE vault_lost.ref = vault.ref) "
        "ORDER BY subject, ref LIMIT ?",
        (*((last.subject, last.ref) if last is not None else ("", "")), BATCH),
    )
    return [_entry(row) for row in rows]


def entries_under(transaction: Transaction, subjects: Collection[str]) -> list[VaultEntry]:
    """All that the vault has of some subjects, by reference; what is lost is known as such."""
    rows = transaction.rows_in(
        "SELECT vault.ref, subject, nonce, ciphertext, loss_id FROM vault "
        "LEFT JOIN vault_lost ON vault_lost.ref = vault.ref WHERE subject IN (?*)",
        sorted(subjects),
    )
    return sorted(map(_entry, rows), key=lambda entry: entry.ref)


def lost_of(transaction: Transaction, subject: str) -> bool:
    """Whether anything of a subject is lost."""
    return bool(
        transaction.rows(
            "SELECT 1 FROM vault JOIN vault_lost ON vault_lost.ref = vault.ref WHERE subject = ? LIMIT 1", (subject,)
        )
    )


def find_bound(transaction: Transaction) -> Bound | None:
    """Which vault is the store's, and how far it had come; None in a store of an older version."""
    rows = transaction.rows("SELECT value, vault_id, serial, mark FROM vault_bound JOIN store ON store.name = 'id'")
    if not rows:
        return None
    of_store, vault_id, number, mark = rows[0]
    return Bound(of_store, vault_id, Serial(number, mark))


def vault_of(database: Database) -> Bound | None:
    """The same, in the state in which a store is now."""
    with database.reading() as transaction:
        return find_bound(transaction)


@dataclass(frozen=True, slots=True)
class VaultInStore:
    """What the store says of its vault, in the state that a transaction sees."""

    transaction: Transaction

    def bound(self) -> Bound:
        """Which vault is the store's, and how far it had come. Raises StoreError in a store of an older version."""
        found = find_bound(self.transaction)
        if found is None:
            raise StoreError("the store knows no vault yet: run `makegood migrate`")
        return found

    def with_ciphertext(self, subjects: Collection[str]) -> Collection[str]:
        """Those of some subjects of whom the store has anything that is not known as lost."""
        rows = self.transaction.rows_in(
            "SELECT DISTINCT subject FROM vault WHERE subject IN (?*) "
            "AND NOT EXISTS (SELECT 1 FROM vault_lost WHERE vault_lost.ref = vault.ref)",
            list(subjects),
        )
        return {subject for (subject,) in rows}

    def erased(self, subjects: Collection[str]) -> Collection[str]:
        """Those of some subjects that are an erased account's."""
        return erased_among(self.transaction, subjects)


def _entry(row: Row) -> VaultEntry:
    ref, subject, nonce, ciphertext, loss_id = row
    what = f"what the vault has under {ref}"
    return VaultEntry(ref, subject, as_bytes(nonce, what), as_bytes(ciphertext, what), lost=loss_id is not None)
