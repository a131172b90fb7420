"""What an invoice's settlement is made from (policy §7): its claims in order, and what it was charged and paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from ledger.agreement import DEFAULTS, Agreement
from ledger.events import OverchargeConfirmed, SettleAs
from ledger.policy.facts import AccountFacts
from ledger.policy.facts.charge import Charge, Cycle
from ledger.policy.facts.invoice import Invoice
from ledger.policy.outgoings import Outgoings
from ledger.policy.settlement import ClaimToSettle, InvoiceToSettle
from ledger.values import local_date, zero


def invoice_of(facts: AccountFacts, claim_id: str) -> str | None:
    """The invoice that a claim is on, by its charge; None for one that is on none, or whose charge is not known."""
    charge_id = charge_of(facts, claim_id)
    charge = facts.charges.named(charge_id) if charge_id is not None else None
    return charge.invoice_id if charge is not None else None


def charge_of(facts: AccountFacts, claim_id: str) -> str | None:
    """The charge that a claim is for: of a dispute the one that its verdict names, else its report."""
    kind, _, id_ = claim_id.partition("/")
    if kind in ("disruption", "unused"):
        return id_
    if kind != "billing-error":
        return None
    named = facts.disputes.verdict(id_) or facts.disputes.report(id_)
    return named.data.charge_id if named is not None else None


def claims_on(facts: AccountFacts, invoice_id: str) -> list[str]:
    """All claims that there can be on an invoice, in the policy's order.

    By charge, those left out as contradictions included: a cycle's first day, a one-off's local date, then the id.
    Within a charge overcharges by their verdict, those without one after them, then disruption, then the unused part.
    """
    charges = _charges_named_on(facts, invoice_id)
    if len(charges) > 1:
        charges.sort(key=partial(_charge_order, facts))
    return [claim_id for charge in charges for claim_id in _claims_for(facts, charge.charge_id)]


def invoice_order(facts: AccountFacts, invoice_id: str) -> tuple[date, str]:
    """By what invoices are taken: by the first charge of each. One that no charge names comes last."""
    orders = (_charge_order(facts, charge) for charge in _charges_named_on(facts, invoice_id))
    return min(orders, default=(date.max, invoice_id))


def _charges_named_on(facts: AccountFacts, invoice_id: str) -> list[Charge]:
    """The charges of an invoice, those left out as contradictions included."""
    invoice = facts.invoices.get(invoice_id)
    if invoice is None:
        return []
    named = map(facts.charges.named, invoice.charge_ids)
    return [charge for charge in named if charge is not None and charge.invoice_id == invoice_id]


def _charge_order(facts: AccountFacts, charge: Charge) -> tuple[date, str]:
    """By what charges are taken: a cycle's first day, a one-off's local date, then the id."""
    if isinstance(charge, Cycle):
        return charge.starts_on, charge.charge_id
    zone = facts.time_zone
    assert zone is not None, "nothing is settled before the account is registered"
    return local_date(charge.fact.data.message.time, zone), charge.charge_id


def _claims_for(facts: AccountFacts, charge_id: str) -> Iterator[str]:
    disputes = [id_ for id_ in facts.disputes.on(charge_id) if charge_of(facts, f"billing-error/{id_}") == charge_id]
    if disputes:
        decided = [(verdict.order, id_) for id_ in disputes if (verdict := facts.disputes.verdict(id_)) is not None]
        yield from (f"billing-error/{id_}" for _, id_ in sorted(decided))
        yield from (f"billing-error/{id_}" for id_ in sorted(set(disputes) - {id_ for _, id_ in decided}))
    yield f"disruption/{charge_id}"
    yield f"unused/{charge_id}"


def claim_to_settle(
    facts: AccountFacts,
    outgoings: Outgoings,
    claim_id: str,
    granted: tuple[Decimal, Decimal],
    currency: str,
    rejected: Mapping[str, tuple[Decimal, Decimal]],
) -> ClaimToSettle | None:
    """A claim with the net and tax that are granted, what has gone out for it, and what people decided about that;
    None where nothing is granted and nothing has gone out. `rejected` are its refunds that a person rejected."""
    net, tax = granted
    out = outgoings.of_claim(claim_id, currency, invoice_of(facts, claim_id))
    if not net and not tax and not out:
        return None
    return ClaimToSettle(
        claim_id=claim_id,
        net=net,
        tax=tax,
        settle_as=way_back(facts, claim_id),
        gone_out=out,
        failed=outgoings.failed(claim_id),
        rejected=rejected,
        turned=facts.refund_acts.turned_into_credit(claim_id, currency),
        written_off=facts.refund_acts.written_off(claim_id, currency),
    )


def way_back(facts: AccountFacts, claim_id: str) -> SettleAs:
    """How a claim's open part goes back: as the confirmation asks, else as the agreement says for its clause."""
    kind, _, id_ = claim_id.partition("/")
    if kind == "goodwill":
        return "credit"
    charge_id = charge_of(facts, claim_id)
    terms = terms_of(facts, facts.charges.named(charge_id) if charge_id is not None else None)
    if kind == "disruption":
        return terms.disruption.settle_as
    if kind == "unused":
        return terms.cancellation.settle_as
    verdict = facts.disputes.verdict(id_)
    asked = verdict.data.settle_as if isinstance(verdict, OverchargeConfirmed) else None
    return asked or terms.billing_error.settle_as


def terms_of(facts: AccountFacts, charge: Charge | None) -> Agreement:
    """The terms of a charge: its subscription's; the defaults without one, or where none is bound."""
    known = (
        facts.subscriptions.by_id.get(charge.subscription_id)
        if charge is not None and charge.subscription_id
        else None
    )
    return (known.terms if known is not None else None) or DEFAULTS


def invoice_to_settle(
    facts: AccountFacts, outgoings: Outgoings, invoice_id: str, refunded: Decimal, currency: str
) -> InvoiceToSettle:
    """What an invoice was charged and paid; `refunded` is all that has gone out to its payments."""
    invoice = facts.invoices[invoice_id]
    charged = in_money = zero(currency)
    from_balance = outgoings.applied_to(invoice_id, currency)
    for charge in invoice.charges.values():
        charged += charge.price + charge.tax
    for payment in invoice.payments.values():
        if payment.data.method == "balance":
            from_balance += payment.data.amount
        else:
            in_money += payment.data.amount
    return InvoiceToSettle(
        invoice_id=invoice_id,
        currency=currency,
        charged=charged,
        paid_in_money=in_money,
        paid_from_balance=from_balance,
        excess_used=outgoings.used_of_excess(invoice_id, currency),
        refunded=refunded,
    )


def rested_at(facts: AccountFacts, invoice_id: str) -> datetime:
    """When an invoice's excess becomes a credit: `hold` after a charge or payment of it was recorded last.

    The hold is that of the agreement of its first charge's subscription, the default without one.
    """
    invoice = facts.invoices[invoice_id]
    hold: timedelta = terms_of(facts, first_charge(facts, invoice)).approval.hold
    return invoice.rests_since + hold


def first_charge(facts: AccountFacts, invoice: Invoice) -> Charge | None:
    """The first charge of an invoice, in the policy's order."""
    return min(invoice.charges.values(), key=partial(_charge_order, facts), default=None)
