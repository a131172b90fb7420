"""How an account's claims are settled, as recorded, and what of it differs from what follows now (policy §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from ledger.events import (
    ClaimAssessedV1,
    ClaimSettlement,
    CreditApplied,
    CreditAppliedV1,
    InvoiceStanding,
    LedgerEvent,
    OverpaidRecovered,
    PaymentCaptured,
    RefundRejected,
    RefundStatusChanged,
    SettledAnew,
    SettledPart,
    SettlementChanged,
    SettlementReason,
    claims_settled,
    excess_credit_id,
    unchecked,
)
from ledger.policy.facts import AccountFacts, Touched, claim_of_refund, credit_of_refund
from ledger.policy.invoices import (
    charge_of,
    claim_to_settle,
    claims_on,
    invoice_of,
    invoice_order,
    invoice_to_settle,
    rested_at,
)
from ledger.policy.outgoings import Application, DueRefund, Outgoings
from ledger.policy.rules import RULES
from ledger.policy.settlement import ClaimToSettle, proportion, settle, settle_without_invoice
from ledger.values import value, zero

_changed = unchecked(SettlementChanged.Data)
_settled = unchecked(ClaimSettlement)
_stands = unchecked(InvoiceStanding)

_DUE = ("due", "approved", "failed", "rejected")
"""How a refund stands that is owed and has not gone out."""


class Granted(Protocol):
    """What is granted, by the claim rows that stand."""

    def amount(self, claim_id: str, currency: str) -> tuple[Decimal, Decimal]:
        """Net and tax of a claim in a currency; nothing where it is not granted."""

    def all(self) -> Iterable[str]:
        """The claims that have a row."""


@value
class Credit:
    """What a customer has to their credit: `net` and `tax` are what is left of it."""

    claim_id: str | None
    """None for the credit of an invoice's excess."""
    currency: str
    net: Decimal
    tax: Decimal

    @property
    def left(self) -> Decimal:
        """What can still be used, gross."""
        return self.net + self.tax


@value
class RecordedSettlement:
    """How a claim is settled, as it was last recorded, and on which invoice."""

    invoice_id: str | None
    charge_id: str | None
    parts: tuple[SettledPart, ...]


@value
class AmountSet:
    """The event that set what a refund is due with, when that was, and on which invoice and charge."""

    event_id: str
    now: datetime
    invoice_id: str | None
    charge_id: str | None


class Settlements:
    """Every claim's settlement and every invoice's standing as recorded, and what has gone out.

    `granted` is the aggregate's own view of its claim rows.
    """

    def __init__(self, facts: AccountFacts, granted: Granted) -> None:
        self._facts = facts
        self._granted = granted
        self.outgoings = Outgoings(facts)
        self.invoices: dict[tuple[str, str], InvoiceStanding] = {}
        """By invoice and currency."""
        self.claims: dict[tuple[str, str], RecordedSettlement] = {}
        """By claim and currency."""
        self.credits: dict[str, Credit] = {}
        """By id, in the order in which they were granted."""
        self._currencies: dict[str, set[str]] = defaultdict(set)
        """The currencies in which a claim was ever settled."""
        self._on: dict[tuple[str | None, str], dict[str, None]] = defaultdict(dict)
        self._rests: set[tuple[str, str]] = set()
        """The invoices with an excess that is no credit yet."""
        self._rested: set[str] = set()
        """The invoices whose excess has become a credit, which follows it from then on."""
        self._by_older_rules = False
        self.amounts_set: dict[str, AmountSet] = {}
        """By which event each refund's amount was set last."""
        self.open_refunds: set[str] = set()
        """The refunds that are due, and not failed."""
        self.changed: set[str] = set()
        """The claims that were settled otherwise since somebody looked."""

    # --- remembering ---------------------------------------------------------------------------------------------

    def remember(self, event: LedgerEvent) -> None:
        """Take in what was recorded."""
        match event:
            case SettlementChanged(data=data):
                for claim in data.claims:
                    self._remember_amounts(claim, data.invoice_id, event.event_id, data.now)
                    self._remember_claim(claim, data.invoice_id, data.currency)
                if data.invoice_id is not None:
                    self._remember_invoice(data.invoice_id, data.currency, data.after)
            case ClaimAssessedV1():
                self._by_older_rules = True
                for claim in claims_settled(event):
                    invoice_id = invoice_of(self._facts, claim.claim_id)
                    self._remember_amounts(claim, invoice_id, event.event_id, event.data.now)
                    self._remember_claim(claim, invoice_id, event.data.currency)
            case CreditApplied(data=data):
                self.outgoings.note_application(
                    Application(
                        data.application_id,
                        data.credit_id,
                        data.claim_id,
                        data.invoice_id,
                        data.net,
                        data.tax,
                        data.currency,
                    )
                )
            case CreditAppliedV1(data=data):
                self._by_older_rules = True
                self._remember_older_application(data)
            case RefundStatusChanged(data=data) if data.credit_id is not None and data.after in _DUE:
                self.outgoings.note_due(data.refund_id, DueRefund(None, data.currency, data.net, data.tax))
            case OverpaidRecovered(data=data):
                self.outgoings.note_application(
                    Application(
                        data.application_id, data.credit_id, data.of_claim_id, None, data.net, data.tax, data.currency
                    )
                )
                self.outgoings.note_recovery(data.claim_id, data.recovered_net, data.recovered_tax, data.currency)
            case SettledAnew():
                self._by_older_rules = False

    def _remember_amounts(self, claim: ClaimSettlement, invoice_id: str | None, event_id: str, now: datetime) -> None:
        """What a person approves is what an event set: net and tax of a refund, and where its claim is."""
        before = {part.id: part for part in claim.before if part.into == "refund"}
        for part in claim.after:
            if part.into != "refund":
                continue
            was, set_by = before.get(part.id), self.amounts_set.get(part.id)
            same = was is not None and set_by is not None and (was.net, was.tax) == (part.net, part.tax)
            if not same or set_by is None or (set_by.invoice_id, set_by.charge_id) != (invoice_id, claim.charge_id):
                self.amounts_set[part.id] = AmountSet(event_id, now, invoice_id, claim.charge_id)

    def _remember_claim(self, claim: ClaimSettlement, invoice_id: str | None, currency: str) -> None:
        key = (claim.claim_id, currency)
        before = self.claims.pop(key, None)
        if before is not None:
            self._on[before.invoice_id, currency].pop(claim.claim_id, None)
        self._currencies[claim.claim_id].add(currency)
        self.changed.add(claim.claim_id)
        if claim.after:
            self.claims[key] = RecordedSettlement(invoice_id, claim.charge_id, claim.after)
            self._on[invoice_id, currency][claim.claim_id] = None
        self.open_refunds -= {part.id for part in claim.before}
        self.open_refunds |= {part.id for part in claim.after if part.into == "refund" and part.status == "open"}
        for part in claim.after:
            if part.into == "refund" and part.status != "gone_out":
                self.outgoings.note_due(part.id, DueRefund(claim.claim_id, currency, part.net, part.tax))
        self._remember_credits(claim, currency)

    def _remember_credits(self, claim: ClaimSettlement, currency: str) -> None:
        """A credit that was used up stays in its place: what is added to it later is as old as it is."""
        nothing = zero(currency)
        left = {part.id: (nothing, nothing) for part in claim.after if part.into == "credit"}
        left |= {p.id: (p.net, p.tax) for p in claim.after if p.into == "credit" and p.status != "gone_out"}
        for id_ in {part.id for part in claim.before if part.into == "credit"} - left.keys():
            self._forget_credit(id_, currency)
        for id_, (net, tax) in left.items():
            known = self.credits.get(id_)
            if known is None or known.currency == currency or net + tax:
                self.credits[id_] = Credit(claim.claim_id, currency, net, tax)

    def _forget_credit(self, credit_id: str, currency: str) -> None:
        """What falls away in a currency that is the account's no more leaves the credit that took its place."""
        known = self.credits.get(credit_id)
        if known is not None and known.currency == currency:
            del self.credits[credit_id]

    def _remember_invoice(self, invoice_id: str, currency: str, standing: InvoiceStanding | None) -> None:
        credit_id = excess_credit_id(invoice_id)
        self._rests.discard((invoice_id, currency))
        if standing is None:
            self.invoices.pop((invoice_id, currency), None)
        else:
            self.invoices[invoice_id, currency] = standing
            if standing.excess and standing.excess_credit is None:
                self._rests.add((invoice_id, currency))
        if standing is None or standing.excess_credit is None:
            self._forget_credit(credit_id, currency)
        else:
            self._rested.add(invoice_id)
            self.credits[credit_id] = Credit(None, currency, standing.excess, zero(currency))

    def _remember_older_application(self, data: CreditAppliedV1.Data) -> None:
        """Older versions recorded no net and tax; a credit's parts said all of it, used or not."""
        settled = self.claims.get((data.claim_id, data.currency))
        of = next((p for p in settled.parts if p.id == data.credit_id), None) if settled is not None else None
        net, tax = data.amount, zero(data.currency)
        if of is not None:
            net, tax = proportion(data.amount, of.net + of.tax, of.tax, data.currency)
        self.outgoings.note_application(
            Application(data.application_id, data.credit_id, data.claim_id, data.invoice_id, net, tax, data.currency)
        )
        left = self.credits.get(data.credit_id)
        if left is not None:
            self.credits[data.credit_id] = Credit(data.claim_id, data.currency, left.net - net, left.tax - tax)

    # --- what is known of it --------------------------------------------------------------------------------------

    @property
    def is_by_older_rules(self) -> bool:
        """Whether an older version recorded how the account was settled, so that all is to be settled anew, once."""
        currency = self._facts.currency
        return self._by_older_rules or (
            currency is not None
            and any(
                invoice.charge_facts and (invoice_id, currency) not in self.invoices
                for invoice_id, invoice in self._facts.invoices.items()
            )
        )

    def next_rested(self, now: datetime) -> datetime | None:
        """The next instant after `now` at which an excess becomes a credit."""
        return min((rested for _, rested in self._resting() if rested > now), default=None)

    def _resting(self) -> Iterator[tuple[str, datetime]]:
        for invoice_id, currency in self._rests:
            if currency == self._facts.currency:
                yield invoice_id, rested_at(self._facts, invoice_id)

    def asks_for(self, invoice_id: str, currency: str) -> Decimal:
        """What an invoice still asks for."""
        standing = self.invoices.get((invoice_id, currency))
        return standing.asks_for if standing is not None else zero(currency)

    def is_application(self, payment: PaymentCaptured) -> bool:
        """Whether a payment is a credit of ours that was applied, and no payment besides (policy §7)."""
        return payment.data.method == "balance" and payment.data.payment_id in self.outgoings.applications

    def is_paid_without_payment(self, invoice_id: str, now: datetime) -> bool:
        """Whether an invoice counts as paid without one: its charges come to nothing, or credits pay it (§8).

        As it was settled last; by the facts where newer rules are still to settle it.
        """
        currency, invoice = self._facts.currency, self._facts.invoices[invoice_id]
        if currency is None or not invoice.charges:
            return False
        standing = self.invoices.get((invoice_id, currency))
        if standing is None or self._by_older_rules:
            standing, _ = self._settle(invoice_id, currency, now)
        if standing is None or not standing.charged:
            return standing is not None
        by_credit = self.outgoings.applied_to(invoice_id, currency) or any(
            payment.data.amount and self.is_application(payment) for payment in invoice.payments.values()
        )
        return bool(by_credit) and not standing.asks_for

    # --- settling -------------------------------------------------------------------------------------------------

    def differences(
        self, touched: Touched, changed: Iterable[str], now: datetime, *, anew: bool = False
    ) -> Iterator[SettlementChanged.Data]:
        """What differs now, invoice by invoice; each is to be recorded before the next is asked for.

        `changed` are the claims whose rows changed. A refund that was reported before it was due has gone out as
        soon as it is. With `anew` all is settled by newer rules than before.
        """
        groups = self._groups(touched, changed, now)
        while groups:
            due: set[str] = set()
            for group in sorted(groups, key=self._order) if len(groups) > 1 else groups:
                data = self._difference(group, now, anew)
                if data is not None:
                    yield data
                    due.update(self._reported_early(data))
            groups = {group for claim_id in due for group in self._groups_of(claim_id)}

    def _order(self, group: _Group) -> tuple[int, tuple[date, str], str, str]:
        """An invoice that a claim leaves before the one that it goes to, then by their first charges."""
        first = (date.max, "")
        if group.invoice_id is not None and self._facts.time_zone is not None:
            first = invoice_order(self._facts, group.invoice_id)
        return group.rank, first, group.currency, f"{group.invoice_id} {group.claim_id}"

    def _groups(self, touched: Touched, changed: Iterable[str], now: datetime) -> set[_Group]:
        """All that is to be settled after a fact, or because time passed."""
        currency = self._facts.currency
        claims = {*changed, *touched.claims, *filter(None, map(claim_of_refund, touched.refunds))}
        invoices = {(invoice_id, currency) for invoice_id in touched.invoices}
        for refund_id in touched.refunds:
            for attempt in self._facts.refunds.attempts(refund_id):
                invoices.add((attempt.submitted.data.invoice_id, attempt.submitted.data.currency))
            credit_id = credit_of_refund(refund_id) or ""
            credit = self.credits.get(credit_id)
            if credit is not None and credit.claim_id is not None:
                claims.add(credit.claim_id)
            elif credit is not None:
                invoices.add((credit_id.removeprefix(excess_credit_id("")), credit.currency))
        if self._rests:
            invoices.update((invoice_id, currency) for invoice_id, rested in self._resting() if rested <= now)
        for payment_id in touched.payments:
            application = self.outgoings.applications.get(payment_id)
            if application is None:
                continue
            if application.invoice_id is not None:
                invoices.add((application.invoice_id, application.currency))
            if application.claim_id is not None:
                claims.add(application.claim_id)
            else:
                invoices.add((application.credit_id.removeprefix(excess_credit_id("")), application.currency))
        if touched.everything:
            invoices.update((invoice_id, currency) for invoice_id in self._facts.invoices)
            invoices.update(self.invoices)
            claims.update(self._currencies)
            claims.update(self._granted.all())
            claims.update(filter(None, map(claim_of_refund, self._facts.refunds.by_id)))
        groups = {_Group(1, invoice_id, in_, None) for invoice_id, in_ in invoices if in_ is not None}
        for claim_id in claims:
            groups.update(self._groups_of(claim_id))
        return groups

    def _groups_of(self, claim_id: str) -> Iterator[_Group]:
        """What a claim is settled with: its invoice, and the one that it was on."""
        currency = self._facts.currency
        for in_ in {currency, *self._currencies.get(claim_id, ()), *self.outgoings.currencies_of(claim_id)}:
            if in_ is None:
                continue
            on = invoice_of(self._facts, claim_id) if in_ == currency else None
            recorded = self.claims.get((claim_id, in_))
            if recorded is not None and recorded.invoice_id is not None and recorded.invoice_id != on:
                yield _Group(0, recorded.invoice_id, in_, None)
            yield _Group(1, on, in_, None) if on is not None else _Group(2, None, in_, claim_id)

    def _difference(self, group: _Group, now: datetime, anew: bool) -> SettlementChanged.Data | None:
        """What differs for one group; None where nothing does."""
        before = self.invoices.get((group.invoice_id, group.currency)) if group.invoice_id is not None else None
        after, parts = None, {}
        if group.claim_id is not None:
            claim = self._to_settle(group.claim_id, group.currency)
            parts[group.claim_id] = settle_without_invoice(claim, group.currency) if claim is not None else ()
        elif group.invoice_id is not None:
            after, parts = self._settle(group.invoice_id, group.currency, now)
            left = self._on[group.invoice_id, group.currency].keys() - parts.keys()
            parts |= {claim_id: self._taken_along(claim_id, group.currency) for claim_id in sorted(left)}
        claims = [
            change
            for claim_id, of in parts.items()
            if (change := self._change(claim_id, group.invoice_id, group.currency, of)) is not None
        ]
        if before == after and not claims:
            return None
        return _changed(
            invoice_id=group.invoice_id,
            currency=group.currency,
            reasons=("rules",) if anew else tuple(_reasons(before, after, claims)),
            before=before,
            after=after,
            claims=tuple(claims),
            rules=RULES,
            now=now,
        )

    def _settle(
        self, invoice_id: str, currency: str, now: datetime
    ) -> tuple[InvoiceStanding | None, dict[str, tuple[SettledPart, ...]]]:
        """Where an invoice stands, and the parts of its claims; nothing where no charge names it in this currency.

        Where the charges were retracted of one whose excess was used, it asks for what its payments do not cover.
        """
        known = self._facts.invoices.get(invoice_id)
        is_charged = known is not None and bool(known.charge_facts)
        if currency != self._facts.currency or not (
            is_charged or self.outgoings.used_of_excess(invoice_id, currency)
        ):
            return None, {}
        on_it = (self._to_settle(claim_id, currency) for claim_id in claims_on(self._facts, invoice_id))
        claims = [claim for claim in on_it if claim is not None]
        refunded = self.outgoings.refunded_to(invoice_id, (claim.claim_id for claim in claims), currency)
        invoice = invoice_to_settle(self._facts, self.outgoings, invoice_id, refunded, currency)
        settlement = settle(invoice, claims)
        excess = settlement.excess if is_charged else zero(currency)
        credit = invoice.excess_used + excess
        rested = invoice_id in self._rested or (bool(credit) and rested_at(self._facts, invoice_id) <= now)
        standing = _stands(
            charged=invoice.charged,
            paid_in_money=invoice.paid_in_money,
            paid_from_balance=invoice.paid_from_balance,
            excess_used=invoice.excess_used,
            reduced=settlement.reduced,
            asks_for=settlement.asks_for,
            excess=excess,
            excess_credit=credit if rested and credit else None,
        )
        return standing, dict(settlement.parts)

    def _to_settle(self, claim_id: str, currency: str) -> ClaimToSettle | None:
        """A claim with what is granted and what has gone out; nothing of an account that is not registered."""
        if self._facts.currency is None:
            return None
        granted = self._granted.amount(claim_id, currency)
        if not any(granted) and not self.outgoings.concern(claim_id):
            return None
        rejected = self._rejected(claim_id, currency)
        return claim_to_settle(self._facts, self.outgoings, claim_id, granted, currency, rejected)

    def _rejected(self, claim_id: str, currency: str) -> dict[str, tuple[Decimal, Decimal]]:
        """The refunds of a claim that were rejected as they are due, and where the claim still is."""
        recorded = self.claims.get((claim_id, currency))
        if recorded is None or recorded.invoice_id != invoice_of(self._facts, claim_id):
            return {}
        acts = self._facts.refund_acts
        return {
            part.id: (part.net, part.tax)
            for part in recorded.parts
            if part.into == "refund" and (set_by := self.amounts_set.get(part.id)) is not None
            if isinstance(acts.verdict(part.id, set_by.event_id), RefundRejected)
        }

    def _taken_along(self, claim_id: str, currency: str) -> tuple[SettledPart, ...]:
        """What a claim takes along that left its invoice, until it is settled where it is now: what goes back."""
        if self._to_settle(claim_id, currency) is None:
            return ()
        return tuple(part for part in self.claims[claim_id, currency].parts if part.into in ("refund", "credit"))

    def _change(
        self, claim_id: str, invoice_id: str | None, currency: str, parts: tuple[SettledPart, ...]
    ) -> ClaimSettlement | None:
        recorded = self.claims.get((claim_id, currency))
        before = recorded.parts if recorded is not None else ()
        charge_id = charge_of(self._facts, claim_id)
        moved = (
            recorded is not None and parts and (recorded.invoice_id, recorded.charge_id) != (invoice_id, charge_id)
        )
        if before == parts and not moved:
            return None
        return _settled(claim_id=claim_id, charge_id=charge_id, before=before, after=parts)

    def _reported_early(self, data: SettlementChanged.Data) -> Iterator[str]:
        """The claims with a refund due that the payment processor had reported before."""
        for claim in data.claims:
            for part in claim.after:
                if part.into == "refund" and part.status != "gone_out" and self.outgoings.has_gone_out(part.id):
                    yield claim.claim_id


class _Group(NamedTuple):
    """What is settled together: the claims of an invoice, or one claim that is on none; in one currency.

    An invoice that a claim leaves comes before the one that it goes to.
    """

    rank: int
    invoice_id: str | None
    currency: str
    claim_id: str | None


def _reasons(
    before: InvoiceStanding | None, after: InvoiceStanding | None, claims: Iterable[ClaimSettlement]
) -> Iterator[SettlementReason]:
    """Why a settlement differs, by what differs in it."""

    def differs(name: str) -> bool:
        return getattr(before, name, None) != getattr(after, name, None)

    gone_out = any(_gone_out(claim.before) != _gone_out(claim.after) for claim in claims)
    rested = after is not None and after.excess_credit is not None and before is not None
    found: dict[SettlementReason, bool] = {
        "charged": differs("charged"),
        "paid": _paid(before) != _paid(after),
        "gone_out": gone_out or (before is not None and differs("excess_used")),
        "decided": any(_decided(claim.before) != _decided(claim.after) for claim in claims),
        "rested": rested and differs("excess_credit") and not (differs("excess") or differs("excess_used")),
    }
    worth = any(_worth(claim.before) != _worth(claim.after) for claim in claims)
    # What is left is the way in which a claim goes back, which is the claim's.
    found["claimed"] = worth or not any(found.values())
    yield from (reason for reason, holds in found.items() if holds)


def _paid(standing: InvoiceStanding | None) -> tuple[Decimal, Decimal]:
    nothing = Decimal(0)
    return (standing.paid_in_money, standing.paid_from_balance) if standing is not None else (nothing, nothing)


def _gone_out(parts: Iterable[SettledPart]) -> list[tuple[str, Decimal]]:
    """What has gone out, under each id; of a refund that failed, that nothing has."""
    return sorted(
        (part.id, part.net + part.tax if part.status == "gone_out" else Decimal(0))
        for part in parts
        if part.status in ("gone_out", "failed")
    )


def _decided(parts: Iterable[SettledPart]) -> list[tuple[str, Decimal]]:
    """What a person decided about: rejected, or written off."""
    decided = (part for part in parts if part.status == "rejected" or part.into == "written_off")
    return sorted((part.id, part.net + part.tax) for part in decided)


def _worth(parts: Iterable[SettledPart]) -> tuple[Decimal, Decimal]:
    """What all parts add up to: net and tax of the claim."""
    settled = tuple(parts)
    return sum((p.net for p in settled), Decimal(0)), sum((p.tax for p in settled), Decimal(0))
