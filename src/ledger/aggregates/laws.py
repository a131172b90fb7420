"""The laws that an account's books keep, whatever happens (policy §7): one that does not hold stops its payouts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Literal

from ledger.aggregates.billing_account import BillingAccount
from ledger.events import InvoiceStanding, RefundSubmitted, SettlementChanged, excess_credit_id
from ledger.policy.facts import EVERYTHING, AccountFacts
from ledger.policy.invoices import invoice_to_settle
from ledger.policy.settlement import credit_id
from ledger.values import value, zero

Law = Literal["charged", "granted", "settled", "credits", "returned", "submitted once", "projections"]
"""`charged`: charged − reduced − applied − captured = open, or in excess. `granted`: what is granted is reduced,
offset, refunded, due, credited, recovered or written off, less what is overpaid. `settled`: what is recorded follows
from what is known. `credits`: issued − used − refunded = left. `returned`: no payment had more returned than was
captured when a refund was submitted. `submitted once`: no return twice, and attempts in their order. `projections`:
every row is what the events make of it."""

NAMED_MAX = 20
"""So many settlements of one account that do not follow are named; nothing is recorded, so more would follow."""


@value
class Broken:
    """A law that does not hold: for what, what it should come to, and what it does."""

    law: Law
    about: str
    currency: str | None
    expected: str
    found: str


def broken_laws(facts: AccountFacts, billing: BillingAccount, now: datetime) -> Iterator[Broken]:
    """The laws of an account's books as they stand that do not hold. `now` is that of its last decision."""
    currency = facts.currency
    if currency is None:
        return
    yield from _charged(facts, billing, currency)
    yield from _granted(billing)
    yield from _credits(facts, billing, currency)
    if not billing.settlements.is_by_older_rules:
        yield from _settled(billing, now)


def _charged(facts: AccountFacts, billing: BillingAccount, currency: str) -> Iterator[Broken]:
    settlements, nothing = billing.settlements, zero(currency)
    for invoice_id, known in facts.invoices.items():
        standing = settlements.invoices.get((invoice_id, currency))
        if not known.charge_facts or standing is None:
            continue
        of = invoice_to_settle(facts, settlements.outgoings, invoice_id, nothing, currency)
        set_off = sum(
            (
                part.net + part.tax
                for (_, in_), settled in settlements.claims.items()
                for part in settled.parts
                if settled.invoice_id == invoice_id and in_ == currency and part.into == "offset"
            ),
            nothing,
        )
        expected = of.charged - standing.reduced - of.paid
        found = standing.asks_for - standing.excess + set_off
        if expected != found:
            yield Broken("charged", f"invoice {invoice_id}", currency, str(expected), str(found))


def _granted(billing: BillingAccount) -> Iterator[Broken]:
    granted: dict[tuple[str, str], tuple[Decimal, Decimal]] = {
        (claim_id, claim.currency): (claim.state.amount, claim.state.tax)
        for claim_id, claim in billing.claims.items()
        if claim.state.outcome == "granted"
    }
    for claim_id, currency in sorted({*granted, *billing.settlements.claims}):
        settled = billing.settlements.claims.get((claim_id, currency))
        parts = settled.parts if settled is not None else ()
        nothing = zero(currency)
        found = sum((part.net for part in parts), nothing), sum((part.tax for part in parts), nothing)
        expected = granted.get((claim_id, currency), (nothing, nothing))
        if expected != found:
            yield Broken("granted", f"claim {claim_id}", currency, *map(_net_and_tax, (expected, found)))


def _net_and_tax(amounts: tuple[Decimal, Decimal]) -> str:
    return f"{amounts[0]} + {amounts[1]} tax"


def _credits(facts: AccountFacts, billing: BillingAccount, currency: str) -> Iterator[Broken]:
    settlements, nothing = billing.settlements, zero(currency)
    issued: dict[str, Decimal] = {}
    used: dict[str, Decimal] = {}
    for (claim_id, in_), settled in settlements.claims.items():
        if in_ == currency:
            gone = settlements.outgoings.of_claim(claim_id, currency, settled.invoice_id)
            id_ = credit_id(claim_id)
            issued[id_] = sum((p.net + p.tax for p in settled.parts if p.into == "credit"), nothing)
            used[id_] = sum((each.gross for each in gone if each.into == "credit"), nothing)
    for (invoice_id, in_), standing in settlements.invoices.items():
        if in_ == currency and standing.excess_credit is not None and facts.invoices[invoice_id].charge_facts:
            id_ = excess_credit_id(invoice_id)
            issued[id_] = standing.excess_credit
            used[id_] = settlements.outgoings.used_of_excess(invoice_id, currency)
    for id_, amount in issued.items():
        credit = billing.credits.get(id_)
        left = credit.left if credit is not None and credit.currency == currency else nothing
        if amount - used[id_] != left:
            yield Broken("credits", f"credit {id_}", currency, str(amount - used[id_]), str(left))


def _settled(billing: BillingAccount, now: datetime) -> Iterator[Broken]:
    for data in islice(billing.settlements.differences(EVERYTHING, (), now), NAMED_MAX):
        yield from _differing(data)


def _differing(data: SettlementChanged.Data) -> Iterator[Broken]:
    """What settlement would record: the first amount of the invoice, or of a claim, that is not what follows."""
    for name in InvoiceStanding.model_fields:
        found, expected = getattr(data.before, name, None), getattr(data.after, name, None)
        if found != expected:
            yield Broken("settled", f"invoice {data.invoice_id}: {name}", data.currency, str(expected), str(found))
            return
    for claim in data.claims:
        parts = [", ".join(f"{p.into} {p.net + p.tax} {p.status}" for p in of) for of in (claim.after, claim.before)]
        yield Broken(
            "settled", f"claim {claim.claim_id}", data.currency, parts[0] or "nothing", parts[1] or "nothing"
        )


class Submitted:
    """The submissions of one account in their order, each looked at as things stood when it was made."""

    def __init__(self) -> None:
        self._returns: set[str] = set()
        self._attempts: dict[str, int] = {}

    def check(self, facts: AccountFacts, event: RefundSubmitted) -> Iterator[Broken]:
        """The laws that a submission breaks; `facts` are those that were known before it."""
        data, currency = event.data, event.data.currency
        attempt = self._attempts.get(data.refund_id, 0) + 1
        self._attempts[data.refund_id] = data.attempt
        if data.attempt != attempt:
            about = f"refund {data.refund_id}: its attempt"
            yield Broken("submitted once", about, currency, str(attempt), str(data.attempt))
        for each in data.returns:
            if each.return_id in self._returns:
                yield Broken("submitted once", f"return {each.return_id}", currency, "once", "again")
            self._returns.add(each.return_id)
            payment = facts.payments.standing.get(each.payment_id)
            captured = payment.data.amount if payment is not None else zero(currency)
            left = captured - facts.refunds.returned(each.payment_id)
            if each.net + each.tax > left:
                about = f"payment {each.payment_id}: returned for {data.refund_id}"
                yield Broken("returned", about, currency, f"at most {left}", str(each.net + each.tax))
        whole = sum((each.net + each.tax for each in data.returns), zero(currency))
        if whole != data.net + data.tax:
            about = f"refund {data.refund_id}: its returns"
            yield Broken("returned", about, currency, str(data.net + data.tax), str(whole))
