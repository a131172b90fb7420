"""Payouts (policy §7, "A refund's life"): how a refund stands, when the agreement approves it, and its way back.

Pure functions: of what settlement says is owed, what people decided, what was submitted, and what the payment
processor said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256

from ledger.agreement import Agreement
from ledger.events import (
    HeldBy,
    PartStatus,
    PaymentCaptured,
    RefundApproved,
    RefundStatus,
    RefundStatusChanged,
    Return,
    ReturnStanding,
)
from ledger.policy.facts import AccountFacts
from ledger.policy.facts.refunds import Attempt
from ledger.policy.settlement import proportion, refund_before
from ledger.values import unit, value, zero


@value
class Owed:
    """A refund as it is owed or has gone out: by settlement, or as what is left of a credit."""

    refund_id: str
    claim_id: str | None
    credit_id: str | None
    charge_id: str | None
    invoice_id: str | None
    """The invoice that its claim is on."""
    currency: str
    net: Decimal
    tax: Decimal
    status: PartStatus
    set_by: str
    """The id of the event that set its amount."""
    rests_since: datetime
    """When its claim or its amount changed last."""
    terms: Agreement

    @property
    def total(self) -> Decimal:
        """Gross."""
        return self.net + self.tax

    @property
    def is_within_limit(self) -> bool:
        """Whether the agreement approves it once it has rested."""
        limit = self.terms.approval.automatic_up_to.get(self.currency)
        return limit is not None and self.total <= limit

    @property
    def rested_at(self) -> datetime:
        """When it has rested for the agreement's hold."""
        return self.rests_since + self.terms.approval.hold


@value
class Approval:
    """By whom a refund is approved, and since when."""

    by: str
    at: datetime


def standing(
    facts: AccountFacts, owed: Owed, before: RefundStatusChanged.Data | None, now: datetime
) -> RefundStatusChanged.Data:
    """How a refund stands now; `before` is how it was recorded last, None where it was not.

    What a person approved, or the agreement, holds for the amount that they saw.
    """
    attempts = facts.refunds.attempts(owed.refund_id)
    last = attempts[-1] if attempts else None
    approval = _approval(facts, owed, before, now)
    status = _status(facts, owed, approval, attempts)
    if status not in ("approved", "submitted", "succeeded"):
        approval = None
    if status in ("submitted", "succeeded") and last is not None:
        approval = Approval(
            last.submitted.data.approved_by, before.approved_at if before and before.approved_at else now
        )
    settled_at, reference = _settled(facts, owed.refund_id, attempts) if status == "succeeded" else (None, None)
    return RefundStatusChanged.Data(
        refund_id=owed.refund_id,
        claim_id=owed.claim_id,
        credit_id=owed.credit_id,
        charge_id=owed.charge_id,
        currency=owed.currency,
        before=before.after if before is not None else None,
        after=status,
        net=owed.net,
        tax=owed.tax,
        set_by=owed.set_by,
        attempt=len(attempts),
        approved_by=approval.by if approval is not None else None,
        approved_at=approval.at if approval is not None else None,
        submitted_at=last.submitted.data.now if last is not None else None,
        settled_at=settled_at,
        processor_reference=reference,
        returns=_returns(last) if last is not None else (),
        held_by=_held_by(facts, owed) if status in ("due", "approved", "failed") else None,
        now=now,
    )


def _held_by(facts: AccountFacts, owed: Owed) -> HeldBy | None:
    """Why a refund may not go out, whoever approves it."""
    if facts.contradicted(owed.charge_id, owed.invoice_id):
        return "contradiction"
    return "payment" if way_back(facts, owed) is None else None


def _status(facts: AccountFacts, owed: Owed, approval: Approval | None, attempts: Sequence[Attempt]) -> RefundStatus:
    """A submitted refund has succeeded once every return that did not fail has."""
    if owed.status == "gone_out":
        under_way = any(each.status == "submitted" for attempt in attempts for each in attempt.returns)
        return "submitted" if under_way else "succeeded"
    if owed.status == "rejected":
        return "rejected"
    if owed.status == "failed" and not facts.refund_acts.is_retried(owed.refund_id, owed.set_by):
        return "failed"
    return "approved" if approval is not None else "due"


def _approval(
    facts: AccountFacts, owed: Owed, before: RefundStatusChanged.Data | None, now: datetime
) -> Approval | None:
    """A person's, the agreement's, or that of the refund of which this one is the part that failed."""
    verdict = facts.refund_acts.verdict(owed.refund_id, owed.set_by)
    if isinstance(verdict, RefundApproved):
        return Approval(verdict.data.decided_by, verdict.recorded_at)
    stands = before is not None and before.set_by == owed.set_by
    if stands and before is not None and before.after == "approved" and before.approved_by and before.approved_at:
        return Approval(before.approved_by, before.approved_at)
    attempts = facts.refunds.attempts(owed.refund_id)
    if attempts and attempts[-1].submitted.data.set_by == owed.set_by:
        return Approval(attempts[-1].submitted.data.approved_by, now)
    earlier = facts.refunds.attempts(refund_before(owed.refund_id) or "")
    if owed.status == "failed" and earlier and earlier[-1].failed == owed.total:
        return Approval(earlier[-1].submitted.data.approved_by, now)
    if owed.is_within_limit and owed.rested_at <= now:
        return Approval(f"agreement {owed.terms.name} v{owed.terms.version}", now)
    return None


def _settled(facts: AccountFacts, refund_id: str, attempts: Sequence[Attempt]) -> tuple[datetime | None, str | None]:
    """When the last of it arrived, and the processor's reference of that."""
    words = [facts.refunds.word(refund_id), *(each.word for attempt in attempts for each in attempt.returns)]
    arrived = [word.succeeded[-1] for word in words if word is not None and word.succeeded]
    last = max(arrived, key=lambda fact: (fact.data.succeeded_at, *fact.order), default=None)
    return (last.data.succeeded_at, last.data.processor_reference) if last is not None else (None, None)


def _returns(attempt: Attempt) -> tuple[ReturnStanding, ...]:
    return tuple(
        ReturnStanding(
            return_id=each.returned.return_id,
            payment_id=each.returned.payment_id,
            method=each.returned.method,
            amount=attempt.amount_out(each) if each.status != "failed" else each.amount,
            status=each.status,
            processor_reference=each.word.succeeded[-1].data.processor_reference
            if each.word is not None and each.word.succeeded
            else None,
        )
        for each in attempt.returns
    )


# --- The way back ---------------------------------------------------------------------------------------------------


@value
class Left:
    """What is left of a payment: what was captured less what was returned."""

    payment: PaymentCaptured
    amount: Decimal


def payments_of_invoice(facts: AccountFacts, invoice_id: str) -> list[Left]:
    """What is left on an invoice's standing payments by card, bank or other, by payment id."""
    invoice = facts.invoices.get(invoice_id)
    payments = invoice.payments.values() if invoice is not None else ()
    return [left for p in sorted(payments, key=lambda p: p.data.payment_id) if (left := _left(facts, p)) is not None]


def payment_for_credit(facts: AccountFacts, amount: Decimal) -> Left | None:
    """The latest payment with enough left for a credit's refund; None where there is none, and it is paid by hand."""
    latest_first = sorted(facts.payments.standing.values(), key=lambda p: (p.order, p.data.payment_id), reverse=True)
    lefts = (_left(facts, payment) for payment in latest_first)
    return next((left for left in lefts if left is not None and left.amount >= amount), None)


def way_back(facts: AccountFacts, owed: Owed) -> tuple[str, list[tuple[Left, Decimal]]] | None:
    """The invoice and the payments that a refund goes back to; None where none has enough left on it."""
    if owed.credit_id is not None:
        left = payment_for_credit(facts, owed.total)
        return (left.payment.data.invoice_id, [(left, owed.total)]) if left is not None else None
    if owed.invoice_id is None:
        return None
    shares = split(owed.total, payments_of_invoice(facts, owed.invoice_id), owed.currency)
    return (owed.invoice_id, shares) if shares else None


def _left(facts: AccountFacts, payment: PaymentCaptured) -> Left | None:
    if payment.data.method == "balance":
        return None
    left = payment.data.amount - facts.refunds.returned(payment.data.payment_id)
    return Left(payment, left) if left > 0 else None


def split(amount: Decimal, lefts: Sequence[Left], currency: str) -> list[tuple[Left, Decimal]] | None:
    """Divide a refund over payments, in proportion to what is left on each: largest remainder, then payment id.

    None where less is left on them all.
    """
    whole = sum((left.amount for left in lefts), Decimal(0))
    if amount > whole:
        return None
    smallest = unit(currency)
    exact = [Fraction(amount) * Fraction(left.amount) / Fraction(whole) / Fraction(smallest) for left in lefts]
    parts = [int(each) for each in exact]
    missing = int(amount / smallest) - sum(parts)
    by_remainder = sorted(
        range(len(lefts)), key=lambda at: (parts[at] - exact[at], lefts[at].payment.data.payment_id)
    )
    for at in by_remainder[:missing]:
        parts[at] += 1
    return [(left, part * smallest) for left, part in zip(lefts, parts, strict=True) if part]


def returns_of(account: str, owed: Owed, attempt: int, shares: Sequence[tuple[Left, Decimal]]) -> tuple[Return, ...]:
    """The returns of an attempt; net and tax in the refund's proportion, so that they add up to it."""
    returns = []
    so_far, given = Decimal(0), zero(owed.currency)
    for left, amount in shares:
        so_far += amount
        of_tax = proportion(so_far, owed.total, owed.tax, owed.currency)[1] - given
        given += of_tax
        payment = left.payment.data
        assert payment.method != "balance", "what was paid from balance goes back as credit"
        returns.append(
            Return(
                return_id=return_id(account, owed.refund_id, attempt, payment.payment_id),
                payment_id=payment.payment_id,
                method=payment.method,
                net=amount - of_tax,
                tax=of_tax,
            )
        )
    return tuple(returns)


def return_id(account: str, refund_id: str, attempt: int, payment_id: str) -> str:
    """The id of a return (contract §3b)."""
    return "ret-" + sha256("\n".join((account, refund_id, str(attempt), payment_id)).encode()).hexdigest()[:32]
