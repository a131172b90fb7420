"""What a notice has to say, gathered when it is sent: figures from recorded events, the customer from the vault.

Nothing is worked out here that the policy decides, and nothing that is gathered is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

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
    SETTLING,
    ActivationDue,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimDecision,
    ComplaintFact,
    Fact,
    InvoiceStanding,
    RefundSucceeded,
    RefundSucceededV1,
    SettledPart,
    SettlementChanged,
    Settling,
    Status,
    SubscriptionStatusChanged,
    claims_settled,
    excess_credit_id,
    message_key,
)
from ledger.store.database import StoreError, Transaction
from ledger.store.notice_queue import NOT_REGISTERED
from ledger.store.reading.events import StoredEnvelope, events_of_type, find_event
from ledger.store.reading.notice_queue import QueuedNotice
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
    """What a notice has to say. Raises NotYet, Moot, and Erased or Lost where the customer's key is gone."""
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
        case SettlementChanged() | ClaimAssessedV1():
            return _credited(transaction, event, envelope.account_version, notice)
        case RefundSucceeded() | RefundSucceededV1():
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
    claims: dict[str, ClaimDecision] = {}
    for at, assessed in events_of_type(transaction, event.account, ClaimAssessed, ClaimAssessedV1):
        data = assessed.data
        if at < version and data.clause == "unused_period" and data.subscription_id == event.data.subscription_id:
            claims[data.claim_id] = assessed
    standing = {id_: claim.data.after for id_, claim in claims.items() if claim.data.after is not None}
    settled = {
        claim.claim_id: claim.after
        for at, changed in events_of_type(transaction, event.account, *SETTLING)
        if at < version
        for claim in claims_settled(changed)
    }
    granted = [claim_id for claim_id, state in standing.items() if state.outcome == "granted"]
    parts = [part for claim_id in granted for part in settled.get(claim_id, ())]
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
        undecided=any(state.outcome == "pending" for state in standing.values()),
    )


def _refund(transaction: Transaction, event: RefundSucceeded | RefundSucceededV1) -> Money:
    """What went out as a refund. Raises NotYet where no claim has it: nobody is told of money that we cannot name.

    Raises Moot where it bounced before anybody was told of it, also where nothing was owed any more by then.
    """
    for _, settled in reversed(events_of_type(transaction, event.account, *SETTLING)):
        for claim in claims_settled(settled):
            before, after = _refund_in(claim.before, event), _refund_in(claim.after, event)
            # Older versions did not say of a refund whether it had gone out.
            if after is not None and (after.status == "gone_out" or isinstance(settled, ClaimAssessedV1)):
                return Money(after.net, after.tax, settled.data.currency)
            if before is not None or after is not None:
                raise Moot
    raise NotYet("refund_not_known")


def _refund_in(parts: Iterable[SettledPart], event: RefundSucceeded | RefundSucceededV1) -> SettledPart | None:
    return next((part for part in parts if (part.into, part.id) == ("refund", event.data.refund_id)), None)


@dataclass(frozen=True, slots=True)
class CreditAdded:
    """A customer's credit grew: `of` is its claim, or the credit of an invoice's excess."""

    of: str
    before: Money
    after: Money

    @property
    def added(self) -> Money:
        """By how much."""
        return Money(self.after.net - self.before.net, self.after.tax - self.before.tax, self.after.currency)


def credits_added(event: Settling) -> list[CreditAdded]:
    """The credits that an event made greater, used or not: what is used of one is no less the customer's."""
    return [change for change in _credits_changed(event) if change.added.total > 0]


def _credits_changed(event: Settling) -> Iterator[CreditAdded]:
    """What an event makes of the credits that it says anything of, whether they grow by it or not."""
    currency = event.data.currency
    for claim in claims_settled(event):
        yield CreditAdded(claim.claim_id, _credit(claim.before, currency), _credit(claim.after, currency))
    if isinstance(event, SettlementChanged) and event.data.invoice_id is not None:
        before, after = (_excess(standing, currency) for standing in (event.data.before, event.data.after))
        yield CreditAdded(excess_credit_id(event.data.invoice_id), before, after)


def _credit(parts: Iterable[SettledPart], currency: str) -> Money:
    return _sum([part for part in parts if part.into == "credit"], currency)


def _excess(standing: InvoiceStanding | None, currency: str) -> Money:
    credit = standing.excess_credit if standing is not None else None
    return Money(zero(currency) + (credit or 0), zero(currency), currency)


def _credited(transaction: Transaction, event: Settling, version: int, notice: QueuedNotice) -> Credited:
    """What is still there of the credit that an event added: later facts may have lowered it before this is sent.

    What they raised it by after that is theirs to tell. A claim that goes to another invoice leaves the one and comes
    to the other by the same cause: what it brings along is nothing new. Raises Moot where nothing is left.
    """
    told = next(each for each in credits_added(event) if credit_notice_id(event, each.of) == notice.notice_id)
    had, later = told.before, {}
    for at, settled in events_of_type(transaction, event.account, *SETTLING):
        for change in (change for change in _credits_changed(settled) if change.of == told.of):
            if at > version:
                later[settled.causation_id or settled.event_id] = change.after
            elif event.causation_id is not None and settled.causation_id == event.causation_id:
                had = max(had, change.before, key=_total)
    left = CreditAdded(told.of, had, min([told.after, *later.values()], key=_total)).added
    if left.total <= 0:
        raise Moot
    if told.of.startswith(excess_credit_id("")):
        return Credited("excess", None, left)
    claims = events_of_type(transaction, event.account, ClaimAssessed, ClaimAssessedV1)
    claim = next(e.data for _, e in reversed(claims) if e.data.claim_id == told.of)
    return Credited(claim.clause, claim.subscription_id, left)


def _total(money: Money) -> Decimal:
    return money.total


def credit_notice_id(event: Settling, of: str) -> str:
    """A credit's notice is told by its event and by which credit it is; older events had one credit each."""
    identity = ("credit", event.event_id) if isinstance(event, ClaimAssessedV1) else ("credit", event.event_id, of)
    return sha256("\x00".join(identity).encode()).hexdigest()[:32]


def _sum(parts: list[SettledPart], currency: str) -> Money:
    net: Decimal = sum((part.net for part in parts), zero(currency))
    return Money(net, sum((part.tax for part in parts), zero(currency)), currency)
