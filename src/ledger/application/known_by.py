"""By which fact an account knows something that people name: one of its subscriptions, charges, outages and so on."""

from __future__ import annotations

from typing import Literal

from ledger.application.customers import registration_of
from ledger.application.retractions import retracted_in
from ledger.events import (
    BillingErrorReported,
    ChargePosted,
    CycleStarted,
    Fact,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    OutageReopened,
    OutageReported,
    OutageResolved,
    OverchargeConfirmed,
    OverchargeRejected,
    message_key,
)
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_stream, events_of_types
from ledger.values import stream_name

Kind = Literal["subscription", "complaint", "charge", "outage", "dispute", "goodwill"]

_STREAMS = ("subscription", "complaint")
"""What has a stream of its own is known by whatever was recorded there first."""
_NAMED_IN: dict[str, dict[type[Fact], str]] = {
    "charge": {CycleStarted: "cycle_id", ChargePosted: "charge_id"},
    "outage": {OutageReported: "outage_id"},
    "dispute": {BillingErrorReported: "dispute_id"},
    "goodwill": {GoodwillProposed: "credit_id"},
}
"""The facts that make other things known, and the field in which each names them."""
_SAID_OF: dict[str, dict[type[Fact], str]] = {
    "outage": {OutageResolved: "outage_id", OutageReopened: "outage_id"},
    "dispute": {OverchargeConfirmed: "dispute_id", OverchargeRejected: "dispute_id"},
    "goodwill": {GoodwillApproved: "credit_id", GoodwillRejected: "credit_id"},
}
"""The facts that may come before those, likewise."""


def known_by(transaction: Transaction, account: str, kind: Kind, id_: str) -> Fact | None:
    """The fact by which something is known; of several the one that the policy takes first. None where it is not.

    What was retracted makes nothing known.
    """
    gone = retracted_in(transaction, account)
    if kind in _STREAMS:
        # Where nothing is retracted the first event will do; streams may be long.
        events = _in_stream(transaction, account, kind, id_, None if gone else 1)
    else:
        events = _naming(transaction, account, _NAMED_IN[kind], id_)
    facts = (event for event in events if message_key(event) not in gone)
    return min(facts, key=lambda fact: fact.order, default=None)


def taken_by(transaction: Transaction, account: str, kind: Kind, id_: str) -> Fact | None:
    """The fact, recorded first, by which an id is in use; None where it is free for something new.

    A verdict or a resolution takes an id too, because its report may still come; and so does what was retracted,
    because a retraction may be retracted.
    """
    if kind in _STREAMS:
        events = _in_stream(transaction, account, kind, id_, 1)
    else:
        events = _naming(transaction, account, _NAMED_IN[kind] | _SAID_OF.get(kind, {}), id_)
    return next(iter(events), None)


def _in_stream(transaction: Transaction, account: str, kind: Kind, id_: str, limit: int | None) -> list[Fact]:
    """The facts of a stream in order, or so many of them from the first on."""
    envelopes = events_of_stream(transaction, stream_name(kind, account, id_), limit)
    return [event for envelope in envelopes if isinstance(event := envelope.event(), Fact)]


def _naming(transaction: Transaction, account: str, named_in: dict[type[Fact], str], id_: str) -> list[Fact]:
    """The facts of some types that name an id, in order."""
    envelopes = events_of_types(transaction, account, [fact.stored_as for fact in named_in])
    facts = [event for envelope in envelopes if isinstance(event := envelope.event(), Fact)]
    return [fact for fact in facts if getattr(fact.data, named_in[type(fact)]) == id_]


def currency_of(transaction: Transaction, account: str) -> str | None:
    """The currency that an account is kept in, by the registration that stands; None before there is one."""
    standing = registration_of(transaction, account)
    return standing.data.currency if standing is not None else None


def verdict_on(transaction: Transaction, proposal: GoodwillProposed) -> Fact | None:
    """A verdict on a goodwill credit by another person than the one who proposed it; None while there is none."""
    types = [GoodwillApproved.stored_as, GoodwillRejected.stored_as]
    for envelope in events_of_types(transaction, proposal.account, types):
        verdict = envelope.event()
        if (
            isinstance(verdict, GoodwillApproved | GoodwillRejected)
            and verdict.data.credit_id == proposal.data.credit_id
            and verdict.data.decided_by != proposal.data.proposed_by
        ):
            return verdict
    return None
