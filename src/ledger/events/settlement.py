"""Events of settlement: the amount due on an invoice, and the settled parts of its claims (policy §7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import AwareDatetime

from ledger.events.billing_account import ClaimAssessedV1, ClaimStateV1
from ledger.events.envelope import Amount, Decision, LedgerEvent, SignedAmount, Stored

Into = Literal[
    "invoice_reduction", "offset", "refund", "credit", "recovered", "written_off", "overpaid", "correction"
]
PartStatus = Literal["open", "gone_out", "failed", "rejected"]
SettlementReason = Literal["charged", "paid", "claimed", "gone_out", "rested", "decided", "rules"]
"""Why a settlement changed: what the invoice was charged, or paid; a claim on it; a refund or credit that went out,
bounced or was given back; its excess has rested for the agreement's hold; a person decided about a refund or about
what went out too much; the rules are newer than those that it was settled by."""


class SettledPart(Stored):
    """A settled part of a claim; net and tax of all its parts add up to the claim's.

    `id` is the refund's, the credit's or the invoice's, and for what stays within the invoice (`offset`, `overpaid`,
    `correction`) the way and the claim's id. What has `gone_out` has left: a refund that was submitted or arrived,
    the used part of a credit. A `failed` refund is open again, a `rejected` one is not until its amount changes. What
    went out too much was `recovered` from a later credit, or `written_off`.
    """

    into: Into
    id: str
    net: SignedAmount
    tax: SignedAmount
    status: PartStatus


class ClaimSettlement(Stored):
    """The settlement of one claim, before and after."""

    claim_id: str
    charge_id: str | None
    before: tuple[SettledPart, ...]
    after: tuple[SettledPart, ...]


class InvoiceStanding(Stored):
    """The charges, payments and balance of an invoice: the rows of policy §7's table, gross.

    `charged` is C, `paid_in_money` M, `paid_from_balance` B, `excess_used` E; `reduced` is R, `asks_for` what the
    customer is still to pay, `excess` X less what was set off. `excess_credit` is the credit for the excess, E + X;
    null while the excess has not rested for long enough.
    """

    charged: Amount
    paid_in_money: Amount
    paid_from_balance: Amount
    excess_used: Amount
    reduced: Amount
    asks_for: Amount
    excess: Amount
    excess_credit: Amount | None


class SettlementChanged(Decision):
    """The amount due on an invoice changed, or the settlement of its claims (policy §7).

    `invoice_id` is null for a claim that is on no invoice: a goodwill credit, and what went out for a claim whose
    charge is not known. `claims` are those that are settled otherwise than before. `before` and `after` are null
    where the invoice has no charge.
    """

    stored_as = "settlement-changed.v1"

    class Data(Stored):
        invoice_id: str | None
        currency: str
        reasons: tuple[SettlementReason, ...]
        before: InvoiceStanding | None
        after: InvoiceStanding | None
        claims: tuple[ClaimSettlement, ...]
        rules: int
        now: AwareDatetime

    data: Data


class SettledAnew(Decision):
    """All claims of an account were settled again, once, after a change of the rules."""

    stored_as = "settled-anew.v1"

    class Data(Stored):
        rules: int
        now: AwareDatetime

    data: Data


class CreditUse(Decision):
    """The fields that all versions of a credit's application share."""


class CreditApplied(CreditUse):
    """Part of a credit was applied to a later charge (policy §7).

    `amount` is gross, `net` and `tax` what of the claim went out with it. `claim_id` is null for the credit of an
    invoice's excess. Billing confirms it by a payment from balance whose id is `application_id`.
    """

    stored_as = "credit-applied.v2"

    class Data(Stored):
        application_id: str
        credit_id: str
        claim_id: str | None
        charge_id: str
        invoice_id: str
        amount: Amount
        net: SignedAmount
        tax: SignedAmount
        currency: str
        rules: int
        now: AwareDatetime

    data: Data


class CreditAppliedV1(CreditUse):
    """Part of a credit was applied to a later charge: the older form, without net and tax."""

    stored_as = "credit-applied.v1"

    class Data(Stored):
        application_id: str
        credit_id: str
        claim_id: str
        charge_id: str
        invoice_id: str
        amount: Amount
        currency: str
        now: AwareDatetime

    data: Data


def excess_credit_id(invoice_id: str) -> str:
    """The id of the credit for an invoice's excess (contract §3b)."""
    return f"excess/{invoice_id}"


def claim_of(id_: str) -> str:
    """The claim that an id belongs to: `refund/unused/c-1/2`, `credit/…` and `refund/credit/…` name theirs."""
    of = credit_of(id_)
    kind, _, rest = of.partition("/")
    return rest.rpartition("/")[0] if kind in ("refund", "credit") else of


def credit_of(id_: str) -> str:
    """The credit that the refund of one pays out, such as `refund/excess/inv-1/1`; any other id as it is."""
    kind, _, rest = id_.partition("/")
    of = rest.rpartition("/")[0]
    return of if kind == "refund" and of.startswith(("credit/", excess_credit_id(""))) else id_


Settling = SettlementChanged | ClaimAssessedV1
SETTLING: tuple[type[Settling], ...] = (SettlementChanged, ClaimAssessedV1)
"""The events that record settlement."""


def claims_settled(event: LedgerEvent) -> Iterator[ClaimSettlement]:
    """The claims whose settlement an event changes, in any version of the event."""
    match event:
        case SettlementChanged():
            yield from event.data.claims
        case ClaimAssessedV1():
            before, after = _parts(event.data.before), _parts(event.data.after)
            if before != after:
                yield ClaimSettlement(
                    claim_id=event.data.claim_id, charge_id=event.data.charge_id, before=before, after=after
                )


def _parts(state: ClaimStateV1 | None) -> tuple[SettledPart, ...]:
    """What an older version recorded did not say what had gone out."""
    settled = state.settled if state is not None else ()
    return tuple(SettledPart(into=p.into, id=p.id, net=p.net, tax=p.tax, status="open") for p in settled)
