"""What people wrote, out of the vault."""

from __future__ import annotations

from typing import Any

from ledger.events import Sealed
from ledger.store.reading.vault import opened
from ledger.vault import Damaged, Gone
from makegood.house.one_state import StandingHouse
from makegood.house.opening import House


class WithoutWords(StandingHouse):
    """A house in which nobody reads what people wrote: its vault is not asked."""


def sealed_content(house: House, account: str, sealed: Sealed) -> dict[str, Any]:
    """The personal data that an account's event refers to. Raises Erased, Lost or Damaged."""
    with house.database.reading() as transaction:
        content = opened(transaction, house.vault, account, sealed)
    house.looked("words", account)
    return content


def words_or_why_not(house: House, account: str, sealed: Sealed, name: str) -> str | None:
    """One field of what people wrote, or in parentheses why it cannot be read."""
    if isinstance(house, WithoutWords):
        return "(in the vault)"
    try:
        return sealed_content(house, account, sealed).get(name)
    except (Gone, Damaged) as error:
        return f"({error})"
