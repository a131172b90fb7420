"""What a notice has to say, gathered when it is sent: figures from recorded events, the customer from the vault.

Nothing is worked out here that the policy decides, and nothing that is gathered is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from consumers.mail.about import (
    About,
    CancellationTakenBack,
    Cancelled,
    ComplaintReceived,
    ComplaintSettled,
    Credited,
    Money,
    Refunded,
    ServiceReady,
    SignIn,
    Way,
)
from consumers.mail.writing import one_line
from ledger.application.activation import VALID_FOR, link_token, registration_for
from ledger.application.customers import Customer, customer_of, private_part
from ledger.application.ledger import Ledger
from ledger.application.retractions import retracted_in
from ledger.events import (
    ActivationDue,
    ClaimAssessed,
    ClaimState,
    ComplaintFact,
    Fact,
    RefundSucceeded,
    SettledPart,
    Status,
    SubscriptionStatusChanged,
    message_key,
)
from ledger.store.database import StoreError, Transaction
from ledger.store.notices import NOT_REGISTERED, QueuedNotice
from ledger.store.reading import StoredEnvelope, events_of_type, find_event
from ledger.values import local_date, time_zone, zero

_WAYS: tuple[Way, ...] = ("refund", "credit", "invoice_reduction")


class NotYet(Exception):
    """What the notice tells of is not known yet; `code` says what is missing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Moot(Exception):
    """What the notice would tell of is gone again, and nobody had been told."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """To whom, and about what."""

    customer: Customer
    about: About


@dataclass(frozen=True, slots=True)
class Links:
    """What links in e-mails begin with, and the instant from which they are valid."""

    public_url: str
    now: datetime


def gather(ledger: Ledger, notice: QueuedNotice, links: Links) -> Gathered:
    """What a notice has to say. Raises NotYet, Moot, and Erased where the customer's key is gone."""
    with ledger.database.reading() as transaction:
        envelope = find_event(transaction, notice.event_id)
        if envelope is None:
            raise StoreError(f"event {notice.event_id} is missing: the store is damaged; restore it from a backup")
        customer = customer_of(ledger, transaction, notice.account)
        if customer is None:
            raise NotYet(NOT_REGISTERED)
        return Gathered(customer, _about(ledger, transaction, customer, envelope, notice, links))


def _about(
    ledger: Ledger,
    transaction: Transaction,
    customer: Customer,
    envelope: StoredEnvelope,
    notice: QueuedNotice,
    links: Links,
) -> About:
    event = envelope.event()
    if isinstance(event, Fact) and message_key(event) in retracted_in(transaction, event.account):
        raise Moot
    match event:
        case ActivationDue():
            return _service_ready(ledger, transaction, customer, event, notice, links)
        case SubscriptionStatusChanged():
            if event.data.effective_on is None:
                return CancellationTakenBack(event.data.subscription_id)
            return _cancelled(transaction, event, envelope.account_version)
        case ClaimAssessed():
            return Credited(event.data.clause, event.data.subscription_id, _credit_left(transaction, event))
        case RefundSucceeded():
            return Refunded(
                _refund(transaction, event),
                local_date(event.data.succeeded_at, customer.time_zone),
                event.data.processor_reference,
            )
        case ComplaintFact():
            on = local_date(event.occurred_at, customer.time_zone)
            if notice.kind == "complaint_opened":
                return ComplaintReceived(event.data.complaint_id, on)
            return ComplaintSettled(event.data.complaint_id, on)
    raise TypeError(f"nobody is written to about a {event.type}")


def _service_ready(
    ledger: Ledger,
    transaction: Transaction,
    customer: Customer,
    event: ActivationDue,
    notice: QueuedNotice,
    links: Links,
) -> ServiceReady:
    if _status(transaction, event.account, event.data.subscription_id) in ("terminated", "cancelled"):
        raise Moot
    registration = registration_for(transaction, event)
    if registration is None:
        raise Moot
    said = private_part(ledger, transaction, notice.account, registration.data.sealed).get("credentials")
    plan = one_line(registration.data.plan)
    if said is None:
        return ServiceReady(event.data.subscription_id, plan, None)
    expires_at = (links.now + VALID_FOR).replace(microsecond=0)
    link = None
    if said.get("secret_ref") is not None:
        token = link_token(ledger.vault, notice.account, notice.notice_id, expires_at)
        link = f"{links.public_url.rstrip('/')}/activate/{token}"
    until = expires_at.astimezone(time_zone(customer.time_zone))
    return ServiceReady(
        event.data.subscription_id, plan, SignIn(one_line(said["username"]), one_line(said["server"]), link, until)
    )


def _status(transaction: Transaction, account: str, subscription_id: str) -> Status | None:
    """How a subscription stands by now."""
    changes = [e.data for _, e in events_of_type(transaction, account, SubscriptionStatusChanged)]
    return next((data.after for data in reversed(changes) if data.subscription_id == subscription_id), None)


def _cancelled(transaction: Transaction, event: SubscriptionStatusChanged, version: int) -> Cancelled:
    """A cancellation, and what its claims had come to when it was recorded."""
    assert event.data.effective_on is not None
    claims: dict[str, ClaimAssessed] = {}
    for at, assessed in events_of_type(transaction, event.account, ClaimAssessed):
        data = assessed.data
        if at < version and data.clause == "unused_period" and data.subscription_id == event.data.subscription_id:
            claims[data.claim_id] = assessed
    standing = [claim.data.after for claim in claims.values() if claim.data.after is not None]
    parts = [part for state in standing if state.outcome == "granted" for part in state.settled]
    currency = next((claim.data.currency for claim in claims.values()), "")
    returns = []
    for way in _WAYS:
        of_this_way = [part for part in parts if part.into == way]
        if of_this_way:
            returns.append((way, _sum(of_this_way, currency)))
    return Cancelled(
        event.data.subscription_id,
        event.data.effective_on,
        _status(transaction, event.account, event.data.subscription_id) in ("terminated", "cancelled"),
        tuple(returns),
        undecided=any(state.outcome == "pending" for state in standing),
    )


def _refund(transaction: Transaction, event: RefundSucceeded) -> Money:
    """What a refund came to. Raises NotYet where no claim has it: nobody is told of money that we cannot name."""
    for _, assessed in reversed(events_of_type(transaction, event.account, ClaimAssessed)):
        settled = assessed.data.after.settled if assessed.data.after is not None else ()
        for part in settled:
            if (part.into, part.id) == ("refund", event.data.refund_id):
                return Money(part.net, part.tax, assessed.data.currency)
    raise NotYet("refund_not_known")


def _credit_left(transaction: Transaction, event: ClaimAssessed) -> Money:
    """What is still there of the credit that a change added: later facts may have lowered it before this is sent.

    What they raised it by after that is theirs to tell. Raises Moot where nothing is left.
    """
    told = [e for _, e in events_of_type(transaction, event.account, ClaimAssessed) if _same_claim(e, event)]
    since = told[next(i for i, e in enumerate(told) if e.event_id == event.event_id) :]
    nets, taxes = zip(*(_credit(each.data.after) for each in since), strict=True)
    added, before, nothing = credit_added(event), _credit(event.data.before), zero(event.data.currency)
    left = Money(
        max(nothing, min(added.net, min(nets) - before[0])),
        max(nothing, min(added.tax, min(taxes) - before[1])),
        event.data.currency,
    )
    if not left.total:
        raise Moot
    return left


def _same_claim(one: ClaimAssessed, other: ClaimAssessed) -> bool:
    return one.data.claim_id == other.data.claim_id


def _credit(state: ClaimState | None) -> tuple[Decimal, Decimal]:
    """Net and tax of all credit parts of a claim."""
    parts = _credits(state.settled if state is not None else ()).values()
    return sum((part.net for part in parts), Decimal(0)), sum((part.tax for part in parts), Decimal(0))


def credit_added(event: ClaimAssessed) -> Money:
    """How much credit a claim's change added: of parts that are new, and of those that grew."""
    before = _credits(event.data.before.settled if event.data.before is not None else ())
    after = _credits(event.data.after.settled if event.data.after is not None else ())
    net = tax = zero(event.data.currency)
    for part_id, part in after.items():
        was = before.get(part_id)
        more_net = part.net - (was.net if was is not None else 0)
        more_tax = part.tax - (was.tax if was is not None else 0)
        if more_net + more_tax > 0:
            net, tax = net + more_net, tax + more_tax
    return Money(net, tax, event.data.currency)


def _credits(settled: tuple[SettledPart, ...]) -> dict[str, SettledPart]:
    return {part.id: part for part in settled if part.into == "credit"}


def _sum(parts: list[SettledPart], currency: str) -> Money:
    net: Decimal = sum((part.net for part in parts), zero(currency))
    return Money(net, sum((part.tax for part in parts), zero(currency)), currency)
