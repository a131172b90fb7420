"""Which refunds an account owes or has had, and how each stands: settlement and payouts put together (policy §7)."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime
from decimal import Decimal
from functools import partial

from ledger.aggregates.billing_account import BillingAccount
from ledger.aggregates.recording import Cause
from ledger.aggregates.refund import Refund
from ledger.agreement import Agreement
from ledger.events import PartStatus, RefundRejected, RefundStatus, RefundSubmitted, excess_credit_id
from ledger.policy.facts import AccountFacts, Touched, claim_of_refund, credit_of_refund
from ledger.policy.invoices import charge_of, first_charge, terms_of
from ledger.policy.payout import Owed, returns_of, standing, way_back


class OwedRefunds:
    """The refunds of one account, with their aggregates."""

    def __init__(self, facts: AccountFacts, billing: BillingAccount) -> None:
        self._facts = facts
        self._billing = billing
        self._recorded: dict[str, Refund] = {}

    def aggregate(self, refund_id: str) -> Refund:
        """The aggregate of a refund, empty where nothing was recorded of it yet."""
        if refund_id not in self._recorded:
            self._recorded[refund_id] = Refund.empty(self._billing.account, refund_id)
        return self._recorded[refund_id]

    # --- what is owed --------------------------------------------------------------------------------------------

    def owed(self, refund_id: str, now: datetime) -> Owed | None:
        """A refund as it is owed or went out; None where it is neither."""
        if credit_of_refund(refund_id) is not None:
            return self._of_credit(refund_id, now)
        claim_id, currency = claim_of_refund(refund_id), self._facts.currency
        settlements = self._billing.settlements
        settled = settlements.claims.get((claim_id or "", currency or ""))
        set_by = settlements.amounts_set.get(refund_id)
        if settled is None or set_by is None or claim_id is None or currency is None:
            return None
        part = next((part for part in settled.parts if part.into == "refund" and part.id == refund_id), None)
        if part is None:
            return None
        claim = self._billing.claims.get(claim_id)
        changed_at = claim.changed_at if claim is not None else set_by.now
        return Owed(
            refund_id=refund_id,
            claim_id=claim_id,
            credit_id=None,
            charge_id=settled.charge_id,
            invoice_id=settled.invoice_id,
            currency=currency,
            net=part.net,
            tax=part.tax,
            status=part.status,
            set_by=set_by.event_id,
            rests_since=max(changed_at, set_by.now),
            terms=self._terms(settled.charge_id),
        )

    def _of_credit(self, refund_id: str, now: datetime) -> Owed | None:
        """What is left of a credit, as a person asked for it to be refunded; or what was paid out of it."""
        acts, credit_id, currency = self._facts.refund_acts, credit_of_refund(refund_id), self._facts.currency
        if credit_id is None or currency is None or acts.credit_of(refund_id) != credit_id:
            return None
        found = self._amounts_of_credit(refund_id, credit_id, currency)
        if found is None:
            return None
        net, tax, status = found
        refund, claim_id = self.aggregate(refund_id), claim_of_credit(credit_id)
        stands = refund.stands
        same = stands is not None and stands.after is not None and (stands.net, stands.tax) == (net, tax)
        set_by = stands.set_by if same and stands is not None and stands.set_by else refund.next_decision_id
        rejected = isinstance(acts.verdict(refund_id, set_by), RefundRejected) and status != "gone_out"
        charge_id = charge_of(self._facts, claim_id) if claim_id is not None else None
        return Owed(
            refund_id=refund_id,
            claim_id=claim_id,
            credit_id=credit_id,
            charge_id=charge_id,
            invoice_id=None,
            currency=currency,
            net=net,
            tax=tax,
            status="rejected" if rejected else status,
            set_by=set_by,
            rests_since=refund.amount_since if same and refund.amount_since is not None else now,
            terms=self._terms_of_credit(credit_id, charge_id),
        )

    def _amounts_of_credit(
        self, refund_id: str, credit_id: str, currency: str
    ) -> tuple[Decimal, Decimal, PartStatus] | None:
        """Net and tax of a credit's refund: of what went out, else of what is left."""
        out = self._billing.settlements.outgoings.paid_out(refund_id, currency)
        if out is not None:
            return *out, "gone_out"
        credit = self._billing.credits.get(credit_id)
        if credit is None or credit.currency != currency or credit.left <= 0:
            return None
        reported = self._facts.refunds.attempts(refund_id) or self._facts.refunds.word(refund_id) is not None
        return credit.net, credit.tax, "failed" if reported else "open"

    def _terms_of_credit(self, credit_id: str, charge_id: str | None) -> Agreement:
        """The terms of its claim's charge; of an excess those of the invoice's first charge."""
        invoice = self._facts.invoices.get(credit_id.removeprefix(excess_credit_id("")))
        if charge_id is None and credit_id.startswith(excess_credit_id("")) and invoice is not None:
            return terms_of(self._facts, first_charge(self._facts, invoice))
        return self._terms(charge_id)

    def _terms(self, charge_id: str | None) -> Agreement:
        return terms_of(self._facts, self._facts.charges.named(charge_id) if charge_id is not None else None)

    def status(self, owed: Owed) -> RefundStatus:
        """How a refund stands as it is recorded; by settlement alone where nobody has decided about it."""
        refund = self._recorded.get(owed.refund_id)
        if refund is not None and refund.stands is not None and refund.stands.after is not None:
            return refund.stands.after
        by_settlement: dict[PartStatus, RefundStatus] = {
            "open": "due",
            "failed": "failed",
            "rejected": "rejected",
            "gone_out": "succeeded",
        }
        return by_settlement[owed.status]

    @property
    def any_is_known(self) -> bool:
        """Whether any refund of the account is owed, or was ever decided about, submitted or recorded."""
        facts = self._facts
        known = self._recorded or self._billing.settlements.open_refunds
        return bool(known or facts.refund_acts.refunds or facts.refunds.submitted())

    # --- how they stand ------------------------------------------------------------------------------------------

    def stand(self, touched: Touched, cause: Cause) -> Iterator[Refund]:
        """Note how each refund stands that may stand otherwise now; the aggregates that recorded something.

        One that is merely due is noted first when the agreement approves it.
        """
        changed, self._billing.settlements.changed = self._billing.settlements.changed, set()
        if not self.any_is_known:
            return
        for refund_id in self._decided_about(touched, changed):
            yield self._note(refund_id, cause)
        for refund_id in sorted(self._billing.settlements.open_refunds - self._recorded.keys()):
            owed = self.owed(refund_id, cause.now)
            if owed is not None and owed.status == "open" and owed.is_within_limit and owed.rested_at <= cause.now:
                yield self._note(refund_id, cause)

    def _decided_about(self, touched: Touched, changed: Set[str]) -> list[str]:
        """The refunds that have a life of their own, but for those that came to an end and that nothing touches."""
        facts = self._facts
        return [
            refund_id
            for refund_id in sorted({*facts.refund_acts.refunds, *facts.refunds.submitted(), *self._recorded})
            if touched.everything
            or refund_id in touched.refunds
            or claim_of_refund(refund_id) in changed
            or (stands := self.aggregate(refund_id).stands) is None
            or stands.after not in (None, "succeeded")
        ]

    def _note(self, refund_id: str, cause: Cause) -> Refund:
        refund, owed = self.aggregate(refund_id), self.owed(refund_id, cause.now)
        if owed is None:
            refund.fall_away(cause)
        else:
            refund.stand(partial(standing, self._facts, owed, now=cause.now), cause)
        return refund

    def next_approval(self, now: datetime) -> datetime | None:
        """The next instant after `now` at which the agreement approves a refund."""
        if not self.any_is_known:
            return None
        asked = {*self._billing.settlements.open_refunds, *self._facts.refund_acts.refunds}
        owed = (self.owed(refund_id, now) for refund_id in asked if not self._is_approved(refund_id))
        rested = (
            each.rested_at for each in owed if each is not None and each.status == "open" and each.is_within_limit
        )
        return min((instant for instant in rested if instant > now), default=None)

    def _is_approved(self, refund_id: str) -> bool:
        refund = self._recorded.get(refund_id)
        return refund is not None and refund.is_approved

    # --- paying them out -----------------------------------------------------------------------------------------

    def approved(self) -> dict[str, datetime]:
        """The refunds that are approved and not submitted, and since when."""
        return {
            refund_id: refund.stands.approved_at
            for refund_id, refund in self._recorded.items()
            if refund.is_approved and refund.stands is not None and refund.stands.approved_at is not None
        }

    def submit(self, refund_id: str, cause: Cause) -> RefundSubmitted | None:
        """Hand an approved refund over to be paid; None where it has to wait."""
        owed, refund = self.owed(refund_id, cause.now), self.aggregate(refund_id)
        if owed is None or not refund.is_approved or refund.stands is None or refund.stands.held_by is not None:
            return None
        way = way_back(self._facts, owed)
        if way is None:
            return None
        invoice_id, shares = way
        attempt = len(self._facts.refunds.attempts(refund_id)) + 1
        returns = returns_of(self._billing.account, owed, attempt, shares)
        return refund.submit(owed, invoice_id, attempt, returns, cause)


def claim_of_credit(credit_id: str) -> str | None:
    """The claim that a credit is for; None for the credit of an invoice's excess."""
    return claim_of_refund(f"refund/{credit_id.removeprefix('credit/')}") if credit_id.startswith("credit/") else None
