"""Billing errors (policy §4): reported, investigated, confirmed or rejected. Only a confirmation moves money."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from ledger.events import BillingErrorReported, Fact, Outcome, OverchargeConfirmed, OverchargeRejected, Reason
from ledger.policy.facts import AccountFacts
from ledger.policy.facts.charge import Charge
from ledger.policy.tax import TaxInStep
from ledger.values import value, zero


@value
class DisputeFinding:
    """What one dispute comes to: `granted_before` is what earlier confirmations on the charge were granted."""

    dispute_id: str
    charge_id: str
    report: BillingErrorReported | None
    verdict: OverchargeConfirmed | OverchargeRejected | None
    outcome: Outcome
    reason: Reason | None
    amount: Decimal
    currency: str
    granted_before: Decimal | None = None
    waits_for_terms: bool = False
    """Whether the charge's subscription is bound to no agreement yet, so that nothing is decided."""

    def investigate_by(self, within: timedelta) -> datetime | None:
        """Until when the investigation is in time; None where nobody reported it or a verdict was given."""
        if self.report is None or self.verdict is not None:
            return None
        return self.report.data.reported_at + within


@value
class NetPrice:
    """What overcharges leave of a charge's price, the confirmations granted on it, and the tax returned with them."""

    charge: Charge
    amount: Decimal
    confirmations: tuple[Fact, ...]
    tax: TaxInStep

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The charge and what came off its price."""
        return (self.charge.fact, *self.confirmations)

    def less(self, finding: DisputeFinding) -> NetPrice:
        """What one more dispute leaves."""
        granted = (finding.verdict,) if finding.verdict is not None and finding.outcome == "granted" else ()
        confirmations = (*self.confirmations, *granted)
        return NetPrice(self.charge, self.amount - finding.amount, confirmations, self.tax.grant(finding.amount))


def confirmations_on(facts: AccountFacts, charge_id: str) -> list[OverchargeConfirmed]:
    """The verdicts that hold and confirm an overcharge on a charge, in the order in which they are taken."""
    verdicts = (facts.disputes.verdict(dispute_id) for dispute_id in facts.disputes.on(charge_id))
    return sorted(
        (v for v in verdicts if isinstance(v, OverchargeConfirmed) and v.data.charge_id == charge_id),
        key=lambda fact: fact.order,
    )


def overcharges(facts: AccountFacts, charge: Charge) -> list[DisputeFinding]:
    """Every confirmation on a charge: granted whole where it fits into the price with those granted before it."""
    if not facts.disputes.on(charge.charge_id):
        return []
    granted = zero(charge.currency)
    findings = []
    for confirmation in confirmations_on(facts, charge.charge_id):
        amount = confirmation.data.amount
        fits = granted + amount <= charge.price
        findings.append(
            DisputeFinding(
                dispute_id=confirmation.data.dispute_id,
                charge_id=charge.charge_id,
                report=facts.disputes.report(confirmation.data.dispute_id),
                verdict=confirmation,
                outcome="granted" if fits else "declined",
                reason=None if fits else "amount_exceeds_charge",
                amount=amount if fits else zero(charge.currency),
                currency=charge.currency,
                granted_before=granted,
            )
        )
        if fits:
            granted += amount
    return findings


def unconfirmed(facts: AccountFacts, dispute_ids: Iterable[str]) -> list[DisputeFinding]:
    """Disputes without money: rejected, under investigation, or confirmed for a charge that is not known yet."""
    findings = []
    for dispute_id in sorted(dispute_ids):
        report, verdict = facts.disputes.report(dispute_id), facts.disputes.verdict(dispute_id)
        named = verdict if verdict is not None else report
        if named is None or (
            isinstance(verdict, OverchargeConfirmed) and verdict.data.charge_id in facts.charges.assessed
        ):
            continue
        currency = (
            facts.currency or getattr(named.data, "currency", None) or (report.data.currency if report else None)
        )
        if currency is None:
            continue
        rejected = isinstance(verdict, OverchargeRejected) and facts.registration is not None
        findings.append(
            DisputeFinding(
                dispute_id=dispute_id,
                charge_id=named.data.charge_id,
                report=report,
                verdict=verdict,
                outcome="declined" if rejected else "pending",
                reason="rejected" if rejected else None,
                amount=zero(currency),
                currency=currency,
            )
        )
    return findings


def dispute_lines(finding: DisputeFinding, charge: Charge | None) -> tuple[str, ...]:
    """The working in sentences."""
    lines = []
    if finding.report is None:
        lines.append("nobody reported it: the provider's own finding")
    if finding.verdict is None:
        lines.append("under investigation")
    elif charge is None and finding.outcome == "pending":
        lines.append(f"charge {finding.charge_id} is not known yet")
    if finding.reason == "rejected":
        lines.append("the investigator rejected it; their words are in the vault")
    if charge is not None and finding.granted_before is not None and isinstance(finding.verdict, OverchargeConfirmed):
        asked, left = finding.verdict.data.amount, charge.price - finding.granted_before
        compared = "fits into" if finding.outcome == "granted" else f"exceeds by {asked - left}"
        lines.append(
            f"confirmed {asked} {compared} what is left of the charge: "
            f"{charge.price} − {finding.granted_before} = {left}"
        )
    if finding.waits_for_terms:
        lines.append("no agreement is bound yet")
    return tuple(lines)
