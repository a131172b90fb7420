"""What the vault holds for a reference, for those who may see it."""

from __future__ import annotations

from typing import Any

from ledger.events import Sealed
from ledger.store.reading import vault_entry
from ledger.vault import Damaged, VaultEntry
from makegood.house import House


def entry(house: House, ref: str) -> VaultEntry | None:
    """The vault's entry under a reference."""
    with house.database.reading() as transaction:
        return vault_entry(transaction, ref)


def sealed_content(house: House, sealed: Sealed) -> dict[str, Any]:
    """The personal data that an event refers to. Raises Erased or Damaged."""
    found = entry(house, sealed.ref)
    if found is None:
        raise Damaged(f"the vault has no entry {sealed.ref}")
    return house.vault.open(sealed, found)
