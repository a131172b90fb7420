"""Who a customer is, by what stands of what was said of them, and the vault: asked when they are written to, and not
kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.application.ledger import Ledger
from ledger.application.retractions import retracted_in
from ledger.events import AccountRegistered, CustomerChanged, Sealed, message_key
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type
from ledger.store.reading.vault import opened
from ledger.vault import Lost, customer_subject


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer: each of name, address and language as upstream said last."""

    name: str
    email: str
    locale: str | None
    time_zone: str


def registration_of(transaction: Transaction, account: str) -> AccountRegistered | None:
    """The registration that stands, the first by its message; None where the account is not registered."""
    gone = retracted_in(transaction, account)
    registrations = [event for _, event in events_of_type(transaction, account, AccountRegistered)]
    standing = (event for event in registrations if message_key(event) not in gone)
    return min(standing, key=lambda event: event.order, default=None)


def customer_of(ledger: Ledger, transaction: Transaction, account: str) -> Customer | None:
    """The customer of an account; None where none is registered. Raises Erased, and Lost.

    Of the registration and the changes that stand the one with the latest `time` holds (ties: id, then source), for
    each thing that it names; what it does not name is as one before it said, unless what came between is lost.
    """
    registration = registration_of(transaction, account)
    if registration is None:
        return None
    gone = retracted_in(transaction, account)
    changes = [event for _, event in events_of_type(transaction, account, CustomerChanged)]
    facts = [registration, *(event for event in changes if message_key(event) not in gone)]
    said: dict[str, Any] = {}
    lost: Lost | None = None
    for fact in sorted(facts, key=lambda event: event.order):
        try:
            said |= private_part(ledger, transaction, account, fact.data.sealed).get("customer", {})
        except Lost as error:
            said, lost = {}, error
    if lost is not None and "email" not in said:
        raise lost
    return Customer(
        name=str(said.get("name", "")),
        email=str(said.get("email", "")),
        locale=said.get("locale"),
        time_zone=registration.data.time_zone,
    )


def private_part(ledger: Ledger, transaction: Transaction, account: str, sealed: Sealed | None) -> dict[str, Any]:
    """What the vault has of a customer's message; nothing where it said nothing private.

    Raises Erased, Lost or Damaged.

    The key is asked for anew: one that was erased meanwhile opens nothing, whatever this process remembers.
    """
    if sealed is None:
        return {}
    ledger.vault.still_opens(customer_subject(account))
    return opened(transaction, ledger.vault, account, sealed)
