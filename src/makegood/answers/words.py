"""What people wrote, out of the vault."""

from __future__ import annotations

from ledger.events import Sealed
from ledger.store.reading.vault import vault_entry
from ledger.vault import Damaged, Gone
from makegood.house.opening import House


def sealed_content(house: House, sealed: Sealed) -> dict[str, str]:
    """The personal data that an event refers to. Raises Erased or Damaged."""
    with house.database.reading() as transaction:
        found = vault_entry(transaction, sealed.ref)
    if found is None:
        raise Damaged(f"the vault has no entry {sealed.ref}")
    return house.vault.open(sealed, found)


def words_or_why_not(house: House, sealed: Sealed, name: str) -> str | None:
    """One field of what people wrote, or in parentheses why it cannot be read."""
    try:
        return sealed_content(house, sealed).get(name)
    except (Gone, Damaged) as error:
        return f"({error})"
