"""Who a customer is, by the registration that stands and the vault: asked when they are written to, and not kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.application.ledger import Ledger
from ledger.events import AccountRegistered, Sealed
from ledger.store.database import Transaction
from ledger.store.reading import events_of_type, vault_entry
from ledger.vault import Damaged, customer_subject


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, as upstream registered them."""

    name: str
    email: str
    locale: str | None
    time_zone: str


def registration_of(transaction: Transaction, account: str) -> AccountRegistered | None:
    """The registration that stands, the first by its message; None where the account is not registered."""
    registrations = [event for _, event in events_of_type(transaction, account, AccountRegistered)]
    return min(registrations, key=lambda event: event.order, default=None)


def customer_of(ledger: Ledger, transaction: Transaction, account: str) -> Customer | None:
    """The customer of an account; None where none is registered. Raises Erased."""
    standing = registration_of(transaction, account)
    if standing is None:
        return None
    said = private_part(ledger, transaction, account, standing.data.sealed).get("customer", {})
    return Customer(
        name=str(said.get("name", "")),
        email=str(said.get("email", "")),
        locale=said.get("locale"),
        time_zone=standing.data.time_zone,
    )


def private_part(ledger: Ledger, transaction: Transaction, account: str, sealed: Sealed | None) -> dict[str, Any]:
    """What the vault has of a customer's message; nothing where it said nothing private. Raises Erased or Damaged.

    The key is asked for anew: one that was erased meanwhile opens nothing, whatever this process remembers.
    """
    if sealed is None:
        return {}
    ledger.vault.still_opens(customer_subject(account))
    entry = vault_entry(transaction, sealed.ref)
    if entry is None:
        raise Damaged(f"the vault has nothing under {sealed.ref}; restore the store from a backup")
    return ledger.vault.open(sealed, entry)
