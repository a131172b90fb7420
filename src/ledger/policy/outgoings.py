"""What has gone out for an account's claims: the only thing that settlement remembers (policy §7, design rule 14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from ledger.events import PaymentCaptured, excess_credit_id
from ledger.policy.facts import AccountFacts, credit_of_refund
from ledger.policy.settlement import GoneOut, next_refund_id, proportion
from ledger.policy.settlement import credit_id as credit_of_claim
from ledger.values import unit, value, zero


@value
class DueRefund:
    """A refund as it was due last, under its id. `claim_id` is None for the refund of a credit."""

    claim_id: str | None
    currency: str
    net: Decimal
    tax: Decimal


@value
class _Out:
    """What has gone out under a refund's id; `net` and `tax` are None where only an amount was reported.

    `invoice_id` is the invoice to whose payments it was returned, None where we had not submitted it.
    """

    gross: Decimal
    net: Decimal | None
    tax: Decimal | None
    currency: str
    invoice_id: str | None


@value
class Application:
    """A credit that was applied to a charge, or kept back for what went out too much for another claim: `net` and
    `tax` of its claim went out with it."""

    application_id: str
    credit_id: str
    claim_id: str | None
    """None for the credit of an invoice's excess."""
    invoice_id: str | None
    """None for what was kept back."""
    net: Decimal
    tax: Decimal
    currency: str

    @property
    def amount(self) -> Decimal:
        """Gross, as it was applied."""
        return self.net + self.tax


class Outgoings:
    """Refunds as they were due last, and credits as they were applied; the facts say what became of both."""

    def __init__(self, facts: AccountFacts) -> None:
        self._facts = facts
        self.due: dict[str, DueRefund] = {}
        self.applications: dict[str, Application] = {}
        self._due_for: dict[str, set[str]] = defaultdict(set)
        self._applied_for: dict[str | None, list[Application]] = defaultdict(list)
        self._applied_to: dict[str | None, list[Application]] = defaultdict(list)
        self._due_of_credit: dict[str, set[str]] = defaultdict(set)
        self._recovered: dict[str, list[tuple[Decimal, Decimal, str]]] = defaultdict(list)

    # --- remembering ---------------------------------------------------------------------------------------------

    def note_due(self, refund_id: str, due: DueRefund) -> None:
        """Remember what a refund is due with."""
        self.due[refund_id] = due
        credit_id = credit_of_refund(refund_id)
        if credit_id is not None:
            self._due_of_credit[credit_id].add(refund_id)
        elif due.claim_id is not None:
            self._due_for[due.claim_id].add(refund_id)

    def note_application(self, application: Application) -> None:
        """Remember that a credit was applied."""
        self.applications[application.application_id] = application
        self._applied_for[application.claim_id].append(application)
        self._applied_to[application.invoice_id].append(application)

    def note_recovery(self, claim_id: str, net: Decimal, tax: Decimal, currency: str) -> None:
        """Remember what came back of what had gone out too much for a claim."""
        self._recovered[claim_id].append((net, tax, currency))

    # --- what has gone out -----------------------------------------------------------------------------------------

    def concern(self, claim_id: str) -> bool:
        """Whether a refund or a credit of a claim was ever due, used or reported: else nothing can have gone out."""
        return (
            claim_id in self._due_for
            or claim_id in self._applied_for
            or claim_id in self._recovered
            or self._facts.refunds.any_of(claim_id, credit_id := credit_of_claim(claim_id))
            or credit_id in self._due_of_credit
        )

    def has_gone_out(self, refund_id: str) -> bool:
        """Whether anything has gone out under a refund's id."""
        return any(True for _ in self._out(refund_id))

    def _out(self, refund_id: str) -> Iterator[_Out]:
        """What has gone out under a refund's id; nothing where nobody is registered.

        Where it was submitted, the returns of which the latest word is no failure. Where it was only reported, the
        amount that the report names, and nobody knows its net and tax; where it names none, what was due last under
        the id, with its net and tax.
        """
        currency = self._facts.currency
        if currency is None:
            return
        yield from self._reported(refund_id, currency)
        for attempt in self._facts.refunds.attempts(refund_id):
            data = attempt.submitted.data
            if attempt.as_submitted:
                net = sum((each.returned.net for each in attempt.as_submitted), zero(data.currency))
                tax = sum((each.returned.tax for each in attempt.as_submitted), zero(data.currency))
                yield _Out(net + tax, net, tax, data.currency, data.invoice_id)
            if otherwise := sum(attempt.otherwise.values(), zero(data.currency)):
                yield _Out(otherwise, None, None, data.currency, data.invoice_id)

    def _reported(self, refund_id: str, currency: str) -> Iterator[_Out]:
        """What went out without our having submitted it: nobody knows to which payments, so that it counts with the
        invoice of its claim's charge."""
        word = self._facts.refunds.word(refund_id)
        if word is None or not word.succeeded:
            return
        due = self.due.get(refund_id)
        if word.amount is not None:
            yield _Out(word.amount.quantize(unit(currency)), None, None, currency, None)
        elif due is not None:
            yield _Out(due.net + due.tax, due.net, due.tax, due.currency, None)

    def of_claim(self, claim_id: str, currency: str, invoice_id: str | None) -> tuple[GoneOut, ...]:
        """What has gone out for a claim in a currency, by id. `invoice_id` is the invoice that it is settled on."""
        if not self.concern(claim_id):
            return ()
        found = []
        for refund_id, out in self._refunds(claim_id):
            if out.currency == currency:
                here = out.invoice_id in (None, invoice_id)
                found.append(GoneOut("refund", refund_id, out.gross, out.net, out.tax, to_invoice=here))
        for credit_id, (net, tax) in sorted(self._used_of(claim_id, currency).items()):
            found.append(GoneOut("credit", credit_id, net + tax, net, tax))
        for net, tax, in_ in self._recovered.get(claim_id, ()):
            if in_ == currency:
                found.append(GoneOut("recovered", f"recovered/{claim_id}", -net - tax, -net, -tax))
        return tuple(gone for gone in found if gone.gross)

    def refunded_to(self, invoice_id: str, claims: Iterable[str], currency: str) -> Decimal:
        """All that has gone out to the payments of an invoice, gross.

        What was submitted for return to them, for whatever; and what was only reported of the claims on it.
        """
        refunded = zero(currency)
        for refund_id in self._facts.refunds.submitted_to(invoice_id):
            for out in self._out(refund_id):
                if out.invoice_id == invoice_id and out.currency == currency:
                    refunded += out.gross
        for claim_id in claims:
            for _, out in self._refunds(claim_id):
                if out.invoice_id is None and out.currency == currency:
                    refunded += out.gross
        return refunded

    def failed(self, claim_id: str) -> frozenset[str]:
        """The refunds of a claim that failed, by the latest word on each; with the one that is owed for the part of
        another that failed (contract §3b)."""
        failed = {id_ for id_ in self._refund_ids(claim_id) if self._has_failed(id_)}
        for refund_id in self._refund_ids(claim_id):
            attempts = self._facts.refunds.attempts(refund_id)
            next_id = next_refund_id(refund_id)
            if attempts and attempts[-1].out and attempts[-1].failed and not self._facts.refunds.attempts(next_id):
                failed.add(next_id)
        return frozenset(id_ for id_ in failed if not self._facts.refund_acts.is_turned_into_credit(id_))

    def _has_failed(self, refund_id: str) -> bool:
        attempts = self._facts.refunds.attempts(refund_id)
        if attempts:
            return not attempts[-1].out
        word = self._facts.refunds.word(refund_id)
        return word is not None and not word.succeeded

    def _refund_ids(self, claim_id: str) -> set[str]:
        return self._due_for.get(claim_id, set()) | set(self._facts.refunds.of_claim(claim_id))

    def currencies_of(self, claim_id: str) -> set[str]:
        """The currencies in which something has gone out for a claim."""
        if not self.concern(claim_id):
            return set()
        return {out.currency for _, out in self._refunds(claim_id)} | {
            application.currency for application in self._applied_for.get(claim_id, ())
        }

    def _refunds(self, claim_id: str) -> Iterator[tuple[str, _Out]]:
        for refund_id in sorted(self._refund_ids(claim_id)):
            for out in self._out(refund_id):
                yield refund_id, out

    # --- credits ---------------------------------------------------------------------------------------------------

    def _used_of(self, claim_id: str, currency: str) -> dict[str, tuple[Decimal, Decimal]]:
        """Net and tax of what was applied, kept back or paid out of a claim's credits, by credit."""
        used: dict[str, tuple[Decimal, Decimal]] = {}

        def use(credit_id: str, net: Decimal, tax: Decimal) -> None:
            before = used.get(credit_id, (zero(currency), zero(currency)))
            used[credit_id] = (before[0] + net, before[1] + tax)

        for application in self._applied_for.get(claim_id, ()):
            if application.currency == currency:
                use(application.credit_id, *self._used(application))
        credit_id = credit_of_claim(claim_id)
        for net, tax in self._paid_out(credit_id, currency):
            use(credit_id, net, tax)
        return used

    def _paid_out(self, credit_id: str, currency: str) -> Iterator[tuple[Decimal, Decimal]]:
        """Net and tax of each refund that was paid out of a credit, as people had asked."""
        for refund_id in sorted(self._refunds_of_credit(credit_id)):
            paid = self.paid_out(refund_id, currency)
            if paid is not None:
                yield paid

    def _refunds_of_credit(self, credit_id: str) -> set[str]:
        return {*self._facts.refunds.of_credit(credit_id), *self._due_of_credit.get(credit_id, ())}

    def paid_out(self, refund_id: str, currency: str) -> tuple[Decimal, Decimal] | None:
        """Net and tax of what went out as the refund of a credit, in its proportion where another amount went out
        than was due; None where nothing did, or where nobody had asked for it."""
        due, net, tax = self.due.get(refund_id), zero(currency), zero(currency)
        for out in self._out(refund_id):
            if due is not None and out.currency == currency:
                of_net, of_tax = out.net, out.tax
                if of_net is None or of_tax is None:
                    of_net, of_tax = proportion(out.gross, due.net + due.tax, due.tax, currency)
                net, tax = net + of_net, tax + of_tax
        return (net, tax) if net or tax else None

    def _used(self, application: Application) -> tuple[Decimal, Decimal]:
        """Net and tax that an application took: by the payment that confirms it, where there is one."""
        amount = self._amount(application)
        if amount == application.amount:
            return application.net, application.tax
        return proportion(amount, application.amount, application.tax, application.currency)

    def _amount(self, application: Application) -> Decimal:
        confirmation = self._confirmation(application)
        if confirmation is not None:
            return confirmation.data.amount
        if self._facts.payments.has_failed(application.application_id):
            return zero(application.currency)
        return application.amount

    def applied_to(self, invoice_id: str, currency: str) -> Decimal:
        """The credits applied to an invoice which no payment confirms yet: a confirmation is a payment of its own."""
        applied = zero(currency)
        for application in self._applied_to.get(invoice_id, ()):
            if application.currency == currency and self._confirmation(application) is None:
                applied += self._amount(application)
        return applied

    def _confirmation(self, application: Application) -> PaymentCaptured | None:
        payment = self._facts.payments.standing.get(application.application_id)
        return payment if payment is not None and payment.data.method == "balance" else None

    def used_of_excess(self, invoice_id: str, currency: str) -> Decimal:
        """`E`: what of the credit for an invoice's excess was used or paid out."""
        credit_id, used = excess_credit_id(invoice_id), zero(currency)
        for application in self._applied_for.get(None, ()):
            if application.credit_id == credit_id and application.currency == currency:
                used += self._amount(application)
        for net, tax in self._paid_out(credit_id, currency):
            used += net + tax
        return used
