"""What has gone out for an account's claims: the only thing that settlement remembers (policy §7, design rule 14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ledger.events import PaymentCaptured, excess_credit_id
from ledger.policy.facts import AccountFacts
from ledger.policy.settlement import GoneOut, proportion
from ledger.values import unit, zero


@dataclass(frozen=True, slots=True)
class DueRefund:
    """A refund as it was due last, under its id."""

    claim_id: str
    currency: str
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Application:
    """A credit that was applied to a charge: `net` and `tax` of its claim went out with it."""

    application_id: str
    credit_id: str
    claim_id: str | None
    """None for the credit of an invoice's excess."""
    invoice_id: str
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
        self._applied_to: dict[str, list[Application]] = defaultdict(list)

    # --- remembering ---------------------------------------------------------------------------------------------

    def note_due(self, refund_id: str, due: DueRefund) -> None:
        """Remember what a refund is due with."""
        self.due[refund_id] = due
        self._due_for[due.claim_id].add(refund_id)

    def note_application(self, application: Application) -> None:
        """Remember that a credit was applied."""
        self.applications[application.application_id] = application
        self._applied_for[application.claim_id].append(application)
        self._applied_to[application.invoice_id].append(application)

    # --- what has gone out -----------------------------------------------------------------------------------------

    def refund(self, refund_id: str) -> tuple[GoneOut, str] | None:
        """What has gone out under a refund's id, and its currency; None where nothing has, or nobody is registered.

        Where the report names an amount, that went out, and nobody knows its net and tax; where it names none, what
        was due last under the id, with its net and tax.
        """
        word = self._facts.refunds.word(refund_id)
        if word is None or not word.succeeded:
            return None
        due, currency = self.due.get(refund_id), self._facts.currency
        if currency is None:
            return None
        if word.amount is not None:
            return GoneOut("refund", refund_id, word.amount.quantize(unit(currency)), None, None), currency
        if due is None:
            return None
        return GoneOut("refund", refund_id, due.net + due.tax, due.net, due.tax), due.currency

    def of_claim(self, claim_id: str, currency: str) -> tuple[GoneOut, ...]:
        """What has gone out for a claim in a currency, by id."""
        found = [gone for gone, in_ in self._refunds(claim_id) if in_ == currency]
        used: dict[str, tuple[Decimal, Decimal]] = {}
        for application in self._applied_for.get(claim_id, ()):
            if application.currency == currency:
                net, tax = self._used(application)
                before = used.get(application.credit_id, (zero(currency), zero(currency)))
                used[application.credit_id] = (before[0] + net, before[1] + tax)
        found += [GoneOut("credit", id_, net + tax, net, tax) for id_, (net, tax) in sorted(used.items())]
        return tuple(gone for gone in found if gone.gross)

    def failed(self, claim_id: str) -> frozenset[str]:
        """The refunds of a claim that failed, by the latest word on each."""
        return frozenset(id_ for id_ in self._refund_ids(claim_id) if self._has_failed(id_))

    def _has_failed(self, refund_id: str) -> bool:
        word = self._facts.refunds.word(refund_id)
        return word is not None and not word.succeeded

    def _refund_ids(self, claim_id: str) -> set[str]:
        return self._due_for.get(claim_id, set()) | set(self._facts.refunds.of_claim(claim_id))

    def currencies_of(self, claim_id: str) -> set[str]:
        """The currencies in which something has gone out for a claim."""
        return {currency for _, currency in self._refunds(claim_id)} | {
            application.currency for application in self._applied_for.get(claim_id, ())
        }

    def _refunds(self, claim_id: str) -> Iterator[tuple[GoneOut, str]]:
        for refund_id in sorted(self._refund_ids(claim_id)):
            gone = self.refund(refund_id)
            if gone is not None:
                yield gone

    # --- credits ---------------------------------------------------------------------------------------------------

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
        unconfirmed = (
            application
            for application in self._applied_to.get(invoice_id, ())
            if application.currency == currency and self._confirmation(application) is None
        )
        return sum((self._amount(application) for application in unconfirmed), zero(currency))

    def _confirmation(self, application: Application) -> PaymentCaptured | None:
        payment = self._facts.payments.standing.get(application.application_id)
        return payment if payment is not None and payment.data.method == "balance" else None

    def used_of_excess(self, invoice_id: str, currency: str) -> Decimal:
        """`E`: what of the credit for an invoice's excess was used."""
        used = (
            self._amount(application)
            for application in self._applied_for.get(None, ())
            if application.credit_id == excess_credit_id(invoice_id) and application.currency == currency
        )
        return sum(used, zero(currency))
