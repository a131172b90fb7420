"""Claim rows: what each rule found, with the working that an auditor can follow, and the alarms that go with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from ledger.agreement import DEFAULTS, Agreement
from ledger.events import CLAUSES, Fact, OverchargeConfirmed, SettleAs
from ledger.policy.assessed import Alarm, Assessed, Found, Working, named, used
from ledger.policy.billing_error import DisputeFinding, NetPrice, dispute_lines
from ledger.policy.context import Context
from ledger.policy.disruption import DisruptionFinding, disruption_facts, disruption_formula, disruption_lines
from ledger.policy.ending import Ending
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.charge import Charge, Cycle
from ledger.policy.goodwill import GoodwillFinding, goodwill_formula, goodwill_lines
from ledger.policy.proration import reckoned_from, spelled
from ledger.policy.tax import TaxInStep
from ledger.policy.unused_period import (
    UnusedAmount,
    UnusedFinding,
    concerns,
    declined_for_nothing,
    unused_facts,
    unused_formula,
    unused_lines,
)
from ledger.values import value, zero

# --- overcharges --------------------------------------------------------------------------------------------------


@value
class Charged:
    """A charge, and the subscription that it is for."""

    charge: Charge
    subscription: SubscriptionFacts | None

    @property
    def terms(self) -> Agreement | None:
        """Its subscription's; the defaults without one, None where none is bound yet."""
        return self.subscription.terms if self.subscription is not None else DEFAULTS


def dispute_row(
    finding: DisputeFinding, of: Charged | None, before: tuple[Fact, ...] = (), tax: TaxInStep | None = None
) -> Iterator[Found]:
    """A dispute on a charge, if that is known. `before` are the confirmations granted on it before this one, and
    `tax` is what comes back with it."""
    charge = of.charge if of is not None else None
    subscription = of.subscription if of is not None else None
    terms = (of.terms if of is not None else None) or DEFAULTS
    verdict, decided = finding.verdict, not finding.waits_for_terms
    asked: SettleAs | None = verdict.data.settle_as if isinstance(verdict, OverchargeConfirmed) else None
    row = Assessed(
        claim_id=f"billing-error/{finding.dispute_id}",
        clause="billing_error",
        subscription_id=charge.subscription_id if charge is not None else None,
        charge_id=finding.charge_id,
        currency=finding.currency,
        outcome=finding.outcome if decided else "pending",
        reason=finding.reason if decided else None,
        amount=finding.amount if decided else zero(finding.currency),
        tax=tax.returned if tax is not None else zero(finding.currency),
        settle_as=asked or terms.billing_error.settle_as,
        investigate_by=finding.investigate_by(terms.billing_error.investigate_within),
        binding=subscription.binding if subscription is not None else None,
        working=lambda: Working(
            formula=f"{finding.amount} confirmed" if finding.outcome == "granted" and decided else None,
            inputs={} if charge is None else {"price": str(charge.price), "tax": str(charge.tax)},
            lines=(*dispute_lines(finding, charge), *(tax.lines() if tax is not None else ())),
            facts=used(finding.report, verdict, charge.fact if charge is not None else None, *before),
        ),
    )
    yield row
    if row.reason == "amount_exceeds_charge" and verdict is not None:
        about = (named(verdict),)
        yield Alarm("confirmation_exceeds_charge", about, row.claim_id, row.charge_id, row.subscription_id)


# --- goodwill -----------------------------------------------------------------------------------------------------


def goodwill_row(finding: GoodwillFinding) -> Iterator[Found]:
    """A goodwill credit rests on no agreement: two people answer for it."""
    proposal = finding.proposal
    data = proposal.data
    claim_id = f"goodwill/{data.credit_id}"
    yield Assessed(
        claim_id=claim_id,
        clause="complaint",
        subscription_id=data.subscription_id,
        charge_id=None,
        currency=data.currency,
        outcome=finding.outcome,
        reason=finding.reason,
        amount=finding.amount,
        tax=zero(data.currency),
        settle_as="credit",
        investigate_by=None,
        binding=None,
        working=lambda: Working(
            formula=goodwill_formula(finding),
            inputs={"proposed": str(data.amount)},
            lines=goodwill_lines(finding),
            facts=used(finding.complaint, proposal, *finding.own_verdicts, finding.verdict),
        ),
    )
    for verdict in finding.own_verdicts:
        about = (named(proposal), named(verdict))
        yield Alarm("decided_by_proposer", about, claim_id, subscription_id=data.subscription_id)


# --- cycles -------------------------------------------------------------------------------------------------------


@value
class CycleFinding:
    """What the rules find for one cycle, before the fee of a cancellation is known."""

    cycle: Cycle
    net_price: NetPrice
    disruption: DisruptionFinding | None
    unused: UnusedFinding | None
    unused_amount: UnusedAmount | None
    tax: TaxInStep
    """Where it stands after the disruption."""

    def reckoned_from(self, context: Context, *, taxed: bool = False) -> Iterator[Fact]:
        """The facts that the unused part's amount comes from, and its tax where it is `taxed`.

        The disruption's are among them where it left less of the charge than is unused, or was returned tax before.
        """
        yield from self.net_price.facts
        reckoned = self.unused_amount
        if self.disruption is None or reckoned is None or not reckoned.disrupted:
            return
        if taxed or reckoned.before_fee < reckoned.rounded:
            yield from disruption_facts(self.disruption, context.subscription)


def disruption_row(found: CycleFinding, finding: DisruptionFinding, context: Context) -> Assessed:
    """What a cycle is owed for its outages."""
    cycle, net_price, terms, tax = found.cycle, found.net_price, context.terms, found.tax
    rest = found.unused if finding.rest_is_unused is not None else None
    return Assessed(
        claim_id=f"disruption/{cycle.charge_id}",
        clause="service_disruption",
        subscription_id=cycle.subscription_id,
        charge_id=cycle.charge_id,
        currency=cycle.currency,
        outcome=finding.outcome,
        reason=finding.reason,
        amount=finding.amount,
        tax=tax.returned,
        settle_as=terms.disruption.settle_as,
        investigate_by=None,
        binding=context.subscription.binding,
        working=lambda: Working(
            formula=disruption_formula(finding, terms),
            inputs={
                "net_price": str(finding.net_price),
                "credited_time": spelled(finding.credited_time),
                "credited_days": str(finding.days),
                "cycle_days": str(cycle.days),
                "basis": terms.proration.basis,
                "rounding": terms.proration.rounding,
            },
            lines=(
                *reckoned_from(cycle, finding.net_price, terms.proration),
                *disruption_lines(finding, terms),
                *tax.lines(),
            ),
            facts=used(
                *net_price.facts,
                *disruption_facts(finding, context.subscription),
                *(unused_facts(rest, context) if rest is not None else ()),
                context.subscription.binding,
            ),
        ),
    )


def unused_rows(cycles: Sequence[CycleFinding], context: Context) -> Iterator[Assessed]:
    """What each cycle is owed for its unused part, after the fee is taken over all of them, the earliest first."""
    open_fee: Decimal | None = None
    bearing: list[CycleFinding] = []
    for found in cycles:
        if found.unused is None:
            continue
        currency, reckoned = found.cycle.currency, found.unused_amount
        fee, borne_before = zero(currency), tuple(bearing)
        if reckoned is not None:
            open_fee = context.terms.cancellation.fee_in(currency) if open_fee is None else open_fee
            fee = min(reckoned.before_fee, open_fee)
            open_fee -= fee
            if fee:
                bearing.append(found)
        others = borne_before if reckoned is not None and reckoned.before_fee else ()
        yield _unused_row(found, found.unused, fee, others, context)


def _unused_row(
    found: CycleFinding, finding: UnusedFinding, fee: Decimal, others: Sequence[CycleFinding], context: Context
) -> Assessed:
    """`others` are the cycles that bore a part of the fee before this one."""
    cycle, net_price, terms, reckoned = found.cycle, found.net_price, context.terms, found.unused_amount
    amount = reckoned.before_fee - fee if reckoned is not None else zero(cycle.currency)
    if finding.outcome == "granted" and not amount:
        finding = replace(finding, outcome="declined", reason=declined_for_nothing(finding))
    tax = found.tax.grant(amount)
    return Assessed(
        claim_id=f"unused/{cycle.charge_id}",
        clause="unused_period",
        subscription_id=cycle.subscription_id,
        charge_id=cycle.charge_id,
        currency=cycle.currency,
        outcome=finding.outcome,
        reason=finding.reason,
        amount=amount,
        tax=tax.returned,
        settle_as=terms.cancellation.settle_as,
        investigate_by=None,
        binding=context.subscription.binding,
        working=lambda: Working(
            formula=unused_formula(reckoned, fee, terms) if reckoned is not None else None,
            inputs={
                "net_price": str(net_price.amount),
                "unused_days": str(finding.days),
                "cycle_days": str(cycle.days),
                "fee": str(fee),
                "basis": terms.proration.basis,
                "rounding": terms.proration.rounding,
            },
            lines=(
                *reckoned_from(cycle, net_price.amount, terms.proration),
                *unused_lines(finding, reckoned, fee, context),
                *tax.lines(),
            ),
            facts=used(
                *found.reckoned_from(context, taxed=bool(amount and cycle.tax)),
                *unused_facts(finding, context),
                *(fact for other in others for fact in other.reckoned_from(context)),
                context.subscription.binding,
            ),
        ),
    )


def row_without_terms(
    subscription: SubscriptionFacts, cycle: Cycle, kind: Literal["disruption", "unused"]
) -> Assessed:
    """A row that will be decided once an agreement is bound: a fact is still missing."""
    way = DEFAULTS.disruption.settle_as if kind == "disruption" else DEFAULTS.cancellation.settle_as
    nothing = zero(cycle.currency)
    return Assessed(
        claim_id=f"{kind}/{cycle.charge_id}",
        clause=CLAUSES[kind],
        subscription_id=cycle.subscription_id,
        charge_id=cycle.charge_id,
        currency=cycle.currency,
        outcome="pending",
        reason=None,
        amount=nothing,
        tax=nothing,
        settle_as=way,
        investigate_by=None,
        binding=None,
        working=lambda: Working(
            formula=None,
            inputs={},
            lines=("no agreement is bound yet",),
            facts=used(cycle.fact, subscription.registration),
        ),
    )


def charged_after_end(cycle: Cycle, how: Ending) -> Iterator[Alarm]:
    """A cycle that starts after the service had ended, whoever ended it, should not have been charged.

    After a termination: at its instant or later, or on a later date.
    """
    ended_by: Fact | None = None
    if how.cancellation is not None and not how.cancellation.withdrawn:
        ended_by = how.cancellation.request if cycle.starts_on >= how.cancellation.effective_on else None
    if ended_by is None and how.termination is not None and how.terminated_on is not None:
        later = cycle.period.begin >= how.termination.data.terminated_at or cycle.starts_on > how.terminated_on
        ended_by = how.termination if later else None
    if ended_by is not None:
        claim_id = f"unused/{cycle.charge_id}" if concerns(cycle, how) else None
        about = (named(cycle.fact), named(ended_by))
        yield Alarm("charged_after_end", about, claim_id, cycle.charge_id, cycle.subscription_id)
