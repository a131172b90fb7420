"""What the vault stores, encrypted."""

from __future__ import annotations

from ledger.store.database import Database, Transaction
from ledger.vault import Vault, VaultEntry


def vault_entry(transaction: Transaction, ref: str) -> VaultEntry | None:
    """What the vault stores under a reference."""
    rows = transaction.rows("SELECT ref, subject, nonce, ciphertext FROM vault WHERE ref = ?", (ref,))
    return VaultEntry(rows[0][0], rows[0][1], bytes(rows[0][2]), bytes(rows[0][3])) if rows else None


def opened_bytes(database: Database, vault: Vault, ref: str) -> bytes | None:
    """What lies under a reference, None where the vault has nothing of it. Raises Erased or Damaged."""
    with database.reading() as transaction:
        entry = vault_entry(transaction, ref)
    return vault.decrypt(entry) if entry is not None else None
