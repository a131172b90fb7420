"""The one-time link of an activation: made, and opened once (policy §8).

A link names its notice and when it expires, and bears a mark that only the customer's vault key can make: nothing has
to be stored for it, and it dies with the key. What it leads to is fetched when the customer asks for it, shown, and
kept nowhere.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from ledger.application.acts import Act, By, perform
from ledger.application.contention import try_again
from ledger.application.customers import customer_of, private_part
from ledger.application.ledger import Ledger
from ledger.application.notice_delivery import record
from ledger.application.retractions import retracted_in
from ledger.events import ActivationDue, CredentialsCollected, LedgerEvent, SubscriptionRegistered, message_key
from ledger.store.database import StoreError, Transaction
from ledger.store.notice_queue import ActivationLink, find_link, hold_link, keep_link
from ledger.store.reading.events import events_of_type, find_event
from ledger.store.reading.notice_queue import QueuedNotice, find_notice
from ledger.store.reading.vault import lost_of
from ledger.vault import Erased, Lost, Vault, customer_subject

VALID_FOR = timedelta(days=7)
TRIES_MAX = 5
TRIES_WITHIN = timedelta(hours=1)
MARK_LENGTH = 32
"""Half of the mark: 128 bits, which nobody guesses, in a link that still fits into a line."""

CUSTOMER = By("/makegood/activation", "link")
"""Who acts when somebody has the link: no more is known of them."""

_TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{32})", re.ASCII)

E = TypeVar("E", bound=LedgerEvent)

Why = Literal["wrong", "expired", "used", "erased", "lost", "in_doubt", "tried_too_often", "not_fetched"]
"""Why a link does not lead to a secret."""


class NotOpened(Exception):
    """The link does not lead to a secret now; `why` says what the customer is to be told.

    Their `locale` is known where the link is one that was sent, whatever became of it.
    """

    def __init__(self, why: Why, locale: str | None = None) -> None:
        super().__init__(why)
        self.why: Why = why
        self.locale = locale


class NotFetched(Exception):
    """The secret was not handed out, for certain: it may be asked for again."""


class FetchUnclear(Exception):
    """The secret may have been handed out, and did not arrive: asking again may find it gone."""


Fetch = Callable[[str], str]
"""Fetches the secret that a reference leads to. Raises NotFetched or FetchUnclear."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that is in order. `locale` is the customer's."""

    notice: QueuedNotice
    locale: str | None


@dataclass(frozen=True, slots=True)
class Collected:
    """What the customer came for. It is shown, and kept nowhere."""

    username: str
    server: str
    secret: str
    locale: str | None
    recorded: bool
    """False where the store failed after the fetch. The customer gets the secret all the same: nobody else has it."""


def link_token(vault: Vault, account: str, notice_id: str, expires_at: datetime) -> str:
    """What stands in a link. Raises Erased."""
    expiry = str(int(expires_at.timestamp()))
    return f"{notice_id}.{expiry}.{_mark(vault, account, notice_id, expiry)}"


def open_link(ledger: Ledger, token: str, now: datetime) -> Opened:
    """Whether a link is in order, without using it up: programs that scan mail open links too. Raises NotOpened."""
    opened = _checked(ledger, token, now)
    with ledger.database.reading() as transaction:
        link = find_link(transaction, opened.notice.notice_id)
    if link is not None and link.claimed_at is not None:
        raise NotOpened(_taken(link), opened.locale)
    return opened


def collect(ledger: Ledger, token: str, fetch: Fetch, now: datetime) -> Collected:
    """Use a link: fetch the secret once, for the customer, and record that they have it. Raises NotOpened.

    Whoever claims the link fetches; where the fetch fails for certain the claim is given back. Where nobody knows
    whether the secret was handed out the claim stays: asked a second time, its keeper may have nothing left to give.
    """
    opened = _checked(ledger, token, now)
    notice = opened.notice
    subscription_id, credentials = _credentials(ledger, notice)
    _claim(ledger, opened, now)
    try:
        secret = fetch(str(credentials.get("secret_ref", "")))
    except NotFetched:
        _give_back(ledger, notice)
        raise NotOpened("not_fetched", opened.locale) from None
    except FetchUnclear:
        raise NotOpened("in_doubt", opened.locale) from None
    return Collected(
        username=str(credentials.get("username", "")),
        server=str(credentials.get("server", "")),
        secret=secret,
        locale=opened.locale,
        recorded=_record_collected(ledger, notice, subscription_id, now),
    )


def _checked(ledger: Ledger, token: str, now: datetime) -> Opened:
    """The notice that a token was made for, while it is valid. Raises NotOpened."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise NotOpened("wrong")
    notice_id, expiry, mark = found.groups()
    with ledger.database.reading() as transaction:
        notice = find_notice(transaction, notice_id)
        if notice is None or notice.kind != "activation":
            raise NotOpened("wrong")
        try:
            if not hmac.compare_digest(_mark(ledger.vault, notice.account, notice_id, expiry), mark):
                raise NotOpened(_why_of(transaction, notice, "wrong"))
            customer = customer_of(ledger, transaction, notice.account)
        except Lost:
            raise NotOpened("lost") from None
        except Erased:
            raise NotOpened(_why_of(transaction, notice, "erased")) from None
    locale = customer.locale if customer is not None else None
    if now.timestamp() >= int(expiry):
        raise NotOpened("expired", locale)
    return Opened(notice, locale)


def _why_of(transaction: Transaction, notice: QueuedNotice, otherwise: Why) -> Why:
    """Why a link has not the mark that the customer's key makes: one of before its loss nobody can check."""
    return "lost" if lost_of(transaction, customer_subject(notice.account)) else otherwise


def _mark(vault: Vault, account: str, notice_id: str, expiry: str) -> str:
    return vault.mark(customer_subject(account), "activation link", f"{notice_id}.{expiry}".encode())[:MARK_LENGTH]


def _taken(link: ActivationLink) -> Why:
    return "used" if link.collected_at is not None else "in_doubt"


def _claim(ledger: Ledger, opened: Opened, now: datetime) -> None:
    """Take the link, unless somebody has it or had it, or it was tried too often. Raises NotOpened."""
    with ledger.database.writing() as transaction:
        link = hold_link(transaction, opened.notice.notice_id, now)
        if link.claimed_at is not None:
            raise NotOpened(_taken(link), opened.locale)
        if now - link.tries_since >= TRIES_WITHIN:
            link = replace(link, tries=0, tries_since=now)
        if link.tries >= TRIES_MAX:
            raise NotOpened("tried_too_often", opened.locale)
        keep_link(transaction, replace(link, tries=link.tries + 1, claimed_at=now))


def _give_back(ledger: Ledger, notice: QueuedNotice) -> None:
    """Have the link free again; nobody else gives it back."""

    def give_back() -> None:
        with ledger.database.writing() as transaction:
            link = hold_link(transaction, notice.notice_id, notice.queued_at)
            keep_link(transaction, replace(link, claimed_at=None))

    _insist(give_back)


def _credentials(ledger: Ledger, notice: QueuedNotice) -> tuple[str, dict[str, Any]]:
    """The subscription, and what its registration said of signing in. Raises NotOpened where that was taken back."""
    with ledger.database.reading() as transaction:
        due = found(transaction, notice.event_id, ActivationDue)
        registration = registration_for(transaction, due)
        if registration is None:
            raise NotOpened("wrong")
        try:
            said = private_part(ledger, transaction, notice.account, registration.data.sealed)
        except Lost:
            raise NotOpened("lost") from None
    return due.data.subscription_id, said.get("credentials", {})


def registration_for(transaction: Transaction, due: ActivationDue) -> SubscriptionRegistered | None:
    """The registration that an activation tells of: the one by which it became due, or where that one was retracted
    the first of its subscription that stands; None where none does.
    """
    named = found(transaction, due.data.registration, SubscriptionRegistered)
    gone = retracted_in(transaction, due.account)
    if message_key(named) not in gone:
        return named
    registrations = [event for _, event in events_of_type(transaction, due.account, SubscriptionRegistered)]
    standing = (
        event
        for event in registrations
        if event.data.subscription_id == due.data.subscription_id and message_key(event) not in gone
    )
    return min(standing, key=lambda event: event.order, default=None)


def found(transaction: Transaction, event_id: str, event_class: type[E]) -> E:
    """The event with an id, which is of a class. Raises StoreError where the store lacks it."""
    envelope = find_event(transaction, event_id)
    event = envelope.event() if envelope is not None else None
    if not isinstance(event, event_class):
        raise StoreError(f"event {event_id} is missing: the store is damaged; restore it from a backup")
    return event


def _record_collected(ledger: Ledger, notice: QueuedNotice, subscription_id: str, now: datetime) -> bool:
    data = CredentialsCollected.Data(notice_id=notice.notice_id, subscription_id=subscription_id)

    def decide(act: Act) -> None:
        link = find_link(act.transaction, notice.notice_id)
        if link is None or link.collected_at is None:  # else by a commit whose answer was lost
            act.writes.collected[notice.notice_id] = now
            record(act, notice, CredentialsCollected, data, CUSTOMER)

    try:
        _insist(lambda: perform(ledger, {notice.account}, decide))
    except StoreError:
        return False
    return True


def _insist(do: Callable[[], None]) -> None:
    """Do what nobody else can do, also where the store fails for a moment. Raises StoreError in the end."""
    for again in try_again(StoreError):
        with again:
            do()
