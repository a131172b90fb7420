"""Everything that is held about a customer, for the customer: `makegood subject export` (contract §3)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NotRequired, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.application.customers import customer_of
from ledger.application.erasure import held_in_words
from ledger.store.database import Transaction
from ledger.store.reading.erasures import erased_at, subjects_of
from ledger.store.reading.events import account_events
from ledger.store.reading.heads import account_version
from ledger.store.reading.notice_queue import NoticeStatus, notices_in
from ledger.store.reading.vault import entries_under
from ledger.values import instant_to_text
from ledger.vault import (
    Damaged,
    Gone,
    VaultEntry,
    dead_letter_subject,
    discrepancy_subject,
    set_aside_subject,
)
from makegood.access.sight import EVERYTHING, Sight
from makegood.answers import account as answering
from makegood.answers.account import Account
from makegood.answers.notices import Notice, notice
from makegood.house.control_characters import visible
from makegood.house.one_state import one_state
from makegood.house.opening import House
from projections.asking import UnknownAccount
from projections.audit_trail import entry
from projections.shown_values import Instant, Position

Words = Annotated[
    dict[str, Any] | str | None, Field(description="The words as they came in; null where nothing was written.")
]
Unreadable = Annotated[str | None, Field(description="The cause if the words cannot be read.")]


class CustomerHeld(TypedDict):
    """The customer as the provider's systems said last."""

    name: str
    email: str
    locale: str | None
    time_zone: str


class EventHeld(TypedDict):
    """One event of the account, with the words that belong to it."""

    position: Position
    type: str
    summary: NotRequired[Annotated[str, Field(description="Not shown to customers, like the actor.")]]
    occurred_at: Instant
    recorded_at: Instant
    actor: NotRequired[str]
    words: Words
    unreadable: Unreadable


class WordsHeld(TypedDict):
    """Words about the account that belong to no event of it: a message that was refused or set aside, a reason."""

    about: str
    words: Words
    unreadable: Unreadable


class PersonalData(TypedDict):
    """Everything that is held about a customer: `makegood subject export`."""

    account_id: str
    made_at: Instant
    erased_at: Instant | None
    customer: CustomerHeld | None
    account: Annotated[Account | None, Field(description="The account as it stands; null where none is registered.")]
    history: list[EventHeld]
    other_words: NotRequired[list[WordsHeld]]
    emails: list[Notice]


def personal_data(house: House, account: str, sight: Sight = EVERYTHING) -> PersonalData:
    """Everything that is held about an account, as far as it may be seen. Raises NothingKnown, UnknownAccount,
    VaultMismatch and StoreError.

    Customers get their account as they see it, the facts about them, what they wrote and what was written to them;
    what the provider's people wrote about them they get from a person with the role privacy.
    """
    sight.check(account)
    with one_state(house) as still, still.database.reading() as transaction:
        held_in_words(transaction, account)
        at = erased_at(transaction, account)
        words = {
            each.ref: _read(house, each)
            for each in entries_under(transaction, subjects_of(transaction, [account])[account])
        }
        history = list(_history(transaction, account, words))
        emails = [notice(house, each) for each in notices_in(transaction, _EVERY_STATUS, account)]
        customer = _customer(house, transaction, account)
        stands = _account(still, sight, account)
        made_at = still.now()
    house.looked("personal_data", account, len(history) + len(words) + len(emails))
    if sight.accounts is not None:
        history = [_for_the_customer(event) for event in history if event["type"].partition(".")[0] in _OF_CUSTOMERS]
    held: PersonalData = {
        "account_id": account,
        "made_at": instant_to_text(made_at),
        "erased_at": instant_to_text(at) if at is not None else None,
        "customer": customer,
        "account": stands,
        "history": history,
        "other_words": [
            {"about": _about(ref), "words": said, "unreadable": why} for ref, (said, why) in sorted(words.items())
        ],
        "emails": emails,
    }
    return sight.row(PersonalData, held)


_THEIR_WORDS = frozenset(
    {
        "account-registered",
        "customer-changed",
        "charge-posted",
        "billing-error-reported",
        "overcharge-rejected",
        "cancellation-requested",
        "complaint-opened",
        "complaint-reopened",
    }
)
"""The facts whose words customers wrote, were written to, or that are about who they are."""
_OF_CUSTOMERS = _THEIR_WORDS | {
    "subscription-registered",
    "cycle-started",
    "payment-captured",
    "payment-failed",
    "outage-reported",
    "outage-resolved",
    "outage-reopened",
    "overcharge-confirmed",
    "cancellation-withdrawn",
    "subscription-suspended",
    "subscription-reinstated",
    "subscription-terminated",
    "complaint-resolved",
    "refund-succeeded",
    "refund-failed",
    "notice-sent",
    "credentials-collected",
}
"""The events that customers know of; what was decided of them stands in the account."""


def _for_the_customer(event: EventHeld) -> EventHeld:
    if event["type"].partition(".")[0] in _THEIR_WORDS:
        return event
    return {**event, "words": None, "unreadable": None}


_EVERY_STATUS: tuple[NoticeStatus, ...] = get_args(NoticeStatus)

Read = tuple[Words, str | None]


def _read(house: House, found: VaultEntry) -> Read:
    try:
        plain = house.vault.decrypt(found)
    except (Gone, Damaged) as error:
        return None, str(error)
    text = plain.decode(errors="backslashreplace")
    try:
        said = json.loads(text)
    except ValueError:
        return text, None
    return (said if isinstance(said, dict) else text), None


def _history(transaction: Transaction, account: str, words: dict[str, Read]) -> Iterator[EventHeld]:
    """The account's events in order; the words that belong to them are taken out of all."""
    for stored in account_events(transaction, account, 1, account_version(transaction, account)):
        told = entry(stored)
        sealed = told["data"].get("sealed")
        said, why = words.pop(sealed["ref"], (None, None)) if isinstance(sealed, Mapping) else (None, None)
        yield {
            "position": told["position"],
            "type": told["type"],
            "summary": told["summary"],
            "occurred_at": told["occurred_at"],
            "recorded_at": told["recorded_at"],
            "actor": told["actor"],
            "words": said,
            "unreadable": why,
        }


def _customer(house: House, transaction: Transaction, account: str) -> CustomerHeld | None:
    try:
        found = customer_of(house.ledger, transaction, account)
    except Gone:
        return None
    if found is None:
        return None
    return {"name": found.name, "email": found.email, "locale": found.locale, "time_zone": found.time_zone}


def _account(house: House, sight: Sight, account: str) -> Account | None:
    try:
        return answering.account(house, sight, account).answer
    except UnknownAccount:
        return None


def _about(ref: str) -> str:
    """What words are about that belong to no event of the account, by where they lie in the vault."""
    if ref.endswith("/closing"):
        return "The reason for which a kept message was closed"
    for subject_of, said in _ABOUT.items():
        if ref.startswith(subject_of):
            return said
    return "Words kept for the account"


_ABOUT = {
    dead_letter_subject(""): "A message that was refused",
    set_aside_subject(""): "A message that was set aside",
    discrepancy_subject(""): "The reason for which a discrepancy was settled",
}


def readable(held: PersonalData) -> str:
    """The same for people: who the customer is, everything that happened in one sentence each, and all words."""
    return "\n".join(map(visible, _lines(held))) + "\n"


def _lines(held: PersonalData) -> Iterator[str]:
    yield f"Data held about account {held['account_id']}, as of {held['made_at']}"
    yield ""
    if held["erased_at"] is not None:
        yield f"Personal data were erased at {held['erased_at']}."
    elif held["customer"] is None:
        yield "No customer is registered."
    else:
        yield from (f"{_label(name)}: {value}" for name, value in held["customer"].items() if value is not None)
    yield from ("", f"Events: {len(held['history'])}", "")
    for event in held["history"]:
        yield f"{event['occurred_at']}  {event['summary']}"
        yield from _words(event["words"], event["unreadable"])
    yield from ("", f"Other words: {len(held['other_words'])}", "")
    for other in held["other_words"]:
        yield other["about"]
        yield from _words(other["words"], other["unreadable"])
    yield from ("", f"E-mails: {len(held['emails'])}", "")
    for mail in held["emails"]:
        yield f"{mail['queued_at']}  {_label(mail['kind'])}: {mail['status'].replace('_', ' ')}"


def _words(words: Words, unreadable: str | None) -> Iterator[str]:
    if unreadable is not None:
        yield f"    ({unreadable})"
    if isinstance(words, dict):
        yield from (f"    {name}: {value}" for name, value in _flat(words))
    elif words is not None:
        yield from (f"    {line}" for line in words.splitlines())


def _flat(words: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in words.items():
        label = f"{before}{_label(name)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{label}, ")
        else:
            yield label, value


def _label(name: str) -> str:
    return name.replace("_", " ")
