"""Who a customer is and how they are reached, for those who may read people's words."""

from __future__ import annotations

from typing_extensions import TypedDict

from ledger.events import SubscriptionRegistered, message_key
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type
from ledger.vault import Damaged, Gone
from makegood.access.sight import Sight
from makegood.house.opening import House


class Contact(TypedDict):
    """A customer's name, e-mail address and telephone numbers: null or left out where they are gone."""

    name: str | None
    email: str | None
    numbers: list[str]


def contact(house: House, sight: Sight, account: str) -> Contact | None:
    """Who the customer of an account is; None for those who may not read words, and where all of it is gone.

    This opens the vault, and counts as a look at words. Raises UnknownAccount.
    """
    sight.check(account)
    if not sight.words:
        return None
    with house.database.reading() as transaction:
        name, email = name_and_email(house, sight, transaction, account)
        numbers = _numbers(house, transaction, account)
    if not (name or email or numbers):
        return None
    house.looked("words", account)
    return {"name": name, "email": email, "numbers": numbers}


def name_and_email(
    house: House, sight: Sight, transaction: Transaction, account: str
) -> tuple[str | None, str | None]:
    """The name and the e-mail address of an account's customer; None of each where it is gone or not for them."""
    if not sight.words:
        return None, None
    from ledger.application.customers import customer_of  # only here: whoever imports a row's type needs no writing

    try:
        found = customer_of(house.ledger, transaction, account)
    except (Gone, Damaged):
        return None, None
    return (found.name, found.email) if found is not None else (None, None)


def _numbers(house: House, transaction: Transaction, account: str) -> list[str]:
    """The telephone numbers of the registrations that stand, in their order."""
    from ledger.application.customers import private_part
    from ledger.application.retractions import retracted_in

    gone = retracted_in(transaction, account)
    found: dict[str, None] = {}
    for _, event in events_of_type(transaction, account, SubscriptionRegistered):
        if message_key(event) in gone:
            continue
        try:
            said = private_part(house.ledger, transaction, account, event.data.sealed).get("numbers", [])
        except (Gone, Damaged):
            continue
        found |= dict.fromkeys(map(str, said))
    return list(found)
