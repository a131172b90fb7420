"""By which fact an account knows something that people name: one of its subscriptions, charges, outages and so on."""

from __future__ import annotations

from typing import Literal

from ledger.aggregates.recording import stream_name
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
    OutageReported,
    message_key,
)
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_stream, events_of_types

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


def known_by(transaction: Transaction, account: str, kind: Kind, id_: str) -> Fact | None:
    """The fact by which something is known; of several the one that the policy takes first. None where it is not.

    What was retracted makes nothing known.
    """
    gone = retracted_in(transaction, account)
    if kind in _STREAMS:
        # Where nothing is retracted the first event will do; streams may be long.
        stream = stream_name(kind, account, id_)
        events = [envelope.event() for envelope in events_of_stream(transaction, stream, None if gone else 1)]
    else:
        named_in = _NAMED_IN[kind]
        types = [fact.stored_as for fact in named_in]
        of_types = [envelope.event() for envelope in events_of_types(transaction, account, types)]
        events = [event for event in of_types if getattr(event.data, named_in[type(event)]) == id_]  # type: ignore[index]
    facts = (event for event in events if isinstance(event, Fact) and message_key(event) not in gone)
    return min(facts, key=lambda fact: fact.order, default=None)


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
