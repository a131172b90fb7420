"""The access data of an account's subscriptions, for its customer: how far each activation is, and what it has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

from typing_extensions import TypedDict

from ledger.application.activation import link_token, registration_for
from ledger.application.customers import private_part
from ledger.events import ActivationDue
from ledger.store.database import Transaction
from ledger.store.notice_queue import find_link
from ledger.store.reading.events import events_of_type
from ledger.store.reading.notice_queue import NoticeStatus, QueuedNotice, notices_in
from ledger.vault import Gone
from makegood.access.sight import Sight
from makegood.house.opening import House

ActivationState = Literal["not_yet", "waiting", "sent", "collected"]
"""Not due yet; the e-mail is on its way, or was sent; the secret was shown."""

LINK_VALID_FOR = timedelta(hours=1)
"""How long a link is valid that somebody who is signed in as the customer is given."""


class Activation(TypedDict):
    """The access data of a subscription."""

    subscription_id: str
    state: ActivationState
    username: str | None
    server: str | None
    token: str | None


def activations(house: House, sight: Sight, account: str, now: datetime) -> dict[str, Activation]:
    """The activations of an account, by subscription; those that are not due yet are not among them.

    The `token` of a secret that was not shown yet leads to it, once, by the same claim as the link that was sent by
    e-mail: whoever is signed in as the customer has that mailbox. `now` is the world's time. Raises UnknownAccount.
    """
    sight.check(account)
    with house.database.reading() as transaction:
        due = [event for _, event in events_of_type(transaction, account, ActivationDue)]
        if not due:
            return {}
        notices = {
            each.event_id: each
            for each in notices_in(transaction, get_args(NoticeStatus), account)
            if each.kind == "activation"
        }
        return {
            event.data.subscription_id: _activation(house, transaction, event, notices.get(event.event_id), now)
            for event in due
        }


def _activation(
    house: House, transaction: Transaction, due: ActivationDue, notice: QueuedNotice | None, now: datetime
) -> Activation:
    said = _credentials(house, transaction, due)
    link = find_link(transaction, notice.notice_id) if notice is not None else None
    state: ActivationState = "waiting" if notice is None or notice.status != "sent" else "sent"
    if link is not None and link.claimed_at is not None:
        state = "collected"
    token = None
    if notice is not None and said.get("secret_ref") and state != "collected":
        token = link_token(house.vault, due.account, notice.notice_id, now + LINK_VALID_FOR)
    return {
        "subscription_id": due.data.subscription_id,
        "state": state,
        "username": said.get("username"),
        "server": said.get("server"),
        "token": token,
    }


def _credentials(house: House, transaction: Transaction, due: ActivationDue) -> dict[str, str]:
    registration = registration_for(transaction, due)
    if registration is None:
        return {}
    try:
        said: dict[str, str] = private_part(house.ledger, transaction, due.account, registration.data.sealed).get(
            "credentials", {}
        )
    except Gone:
        return {}
    return said
