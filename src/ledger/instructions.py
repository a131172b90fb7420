"""Instructions: what billing and provisioning must carry out, derived from what is recorded (contract §1a).

An instruction is nothing that is stored. It follows from a recorded decision, its id too, so that it is the same one
however often it is derived or sent, by whomever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Literal, get_args

from ledger.events import (
    SETTLING,
    ClaimAssessedV1,
    CreditApplied,
    CreditAppliedV1,
    InvoiceStanding,
    LedgerEvent,
    SettledPart,
    SettlementChanged,
    Settling,
    SubscriptionStatusChanged,
    claims_settled,
    course_since,
)
from ledger.values import value, zero

Kind = Literal["cancellation.scheduled", "cancellation.withdrawn", "invoice.reduced", "credit.applied"]
KINDS: tuple[Kind, ...] = get_args(Kind)
INSTRUCTING: tuple[type[LedgerEvent], ...] = (
    SubscriptionStatusChanged,
    *SETTLING,
    CreditApplied,
    CreditAppliedV1,
)
"""The events that instructions follow from."""


@value
class Instruction:
    """Something that another system must carry out, and answer. It holds no personal data."""

    instruction_id: str
    kind: Kind
    account: str
    data: Mapping[str, str]
    """What exactly is to be done: dates and amounts as texts, as they go out."""
    issued_at: datetime


def instructions_of(event: LedgerEvent, effective_on: date | None) -> Iterator[Instruction]:
    """The instructions that follow from an event.

    `effective_on` is the date on which the subscription was to end before a change of its status.
    """
    match event:
        case SubscriptionStatusChanged():
            yield from _cancellation(event, effective_on)
        case SettlementChanged() | ClaimAssessedV1():
            yield from _reductions(event)
        case CreditApplied() | CreditAppliedV1():
            yield _application(event)


def _cancellation(event: SubscriptionStatusChanged, effective_on: date | None) -> Iterator[Instruction]:
    data = event.data
    about = {"subscription_id": data.subscription_id}
    match course_since(effective_on, event):
        case "scheduled" if data.effective_on is not None:
            about |= {"effective_on": data.effective_on.isoformat()}
            yield _instruction(event, "cancellation.scheduled", about, data.subscription_id)
        case "withdrawn":
            yield _instruction(event, "cancellation.withdrawn", about, data.subscription_id)


def _reductions(event: Settling) -> Iterator[Instruction]:
    """By how much a claim reduces an invoice now, in all, and by how much that differs from before.

    What all claims together take off the invoice, and what it asks for then, is said where it was recorded.
    """
    currency = event.data.currency
    nothing = zero(currency)
    for claim in claims_settled(event):
        before, after = _reduced(claim.before), _reduced(claim.after)
        for invoice_id in sorted({*before, *after}):
            was_net, was_tax = before.get(invoice_id, (nothing, nothing))
            net, tax = after.get(invoice_id, (nothing, nothing))
            if (net, tax) == (was_net, was_tax):
                continue
            about = {
                "invoice_id": invoice_id,
                "claim_id": claim.claim_id,
                "net": str(net),
                "tax": str(tax),
                "total": str(net + tax),
                "change_net": str(net - was_net),
                "change_tax": str(tax - was_tax),
                "change_total": str(net + tax - was_net - was_tax),
                "currency": currency,
            }
            stands = _standing(event, invoice_id)
            if stands is not None:
                about |= {"invoice_total": str(stands.reduced), "asks_for": str(stands.asks_for)}
            named = (invoice_id,) if isinstance(event, ClaimAssessedV1) else (invoice_id, claim.claim_id)
            yield _instruction(event, "invoice.reduced", about, *named)


def _standing(event: Settling, invoice_id: str) -> InvoiceStanding | None:
    if isinstance(event, SettlementChanged) and event.data.invoice_id == invoice_id:
        return event.data.after
    return None


def _reduced(parts: Iterable[SettledPart]) -> dict[str, tuple[Decimal, Decimal]]:
    return {part.id: (part.net, part.tax) for part in parts if part.into == "invoice_reduction"}


def _application(event: CreditApplied | CreditAppliedV1) -> Instruction:
    """Known by the application's own id, which the payment that confirms it bears."""
    data = event.data
    about = {
        "credit_id": data.credit_id,
        **({"claim_id": data.claim_id} if data.claim_id is not None else {}),
        "charge_id": data.charge_id,
        "invoice_id": data.invoice_id,
        "amount": str(data.amount),
        "currency": data.currency,
    }
    return Instruction(data.application_id, "credit.applied", event.account, about, event.recorded_at)


def _instruction(event: LedgerEvent, kind: Kind, data: Mapping[str, str], *about: str) -> Instruction:
    """An event gives one instruction of a kind about one thing: that tells it from every other."""
    instruction_id = sha256("\x00".join((event.event_id, kind, *about)).encode()).hexdigest()[:32]
    return Instruction(instruction_id, kind, event.account, data, event.recorded_at)


class Issued:
    """The ids of the instructions that an account's events gave, followed one after the other from the first."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._effective_on: dict[str, date | None] = {}

    def follow(self, event: LedgerEvent) -> None:
        """Take in the account's next event."""
        if not isinstance(event, INSTRUCTING):
            return
        effective_on = None
        if isinstance(event, SubscriptionStatusChanged):
            effective_on = self._effective_on.get(event.data.subscription_id)
            self._effective_on[event.data.subscription_id] = event.data.effective_on
        self.ids.update(instruction.instruction_id for instruction in instructions_of(event, effective_on))
