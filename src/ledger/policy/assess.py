"""`assess(facts, now) → claims`: the policy as one pure function of the facts known (policy §1).

Charge by charge and in the policy's order: overcharges, disruption, unused part; tax in step; never more than the
price. `touched` narrows the work to what a fact may have changed; the rows are the same as those of a full
assessment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from ledger.agreement import DEFAULTS, Agreement
from ledger.events import Clause, Fact, LedgerEvent, Outcome, OverchargeConfirmed, Reason, SettleAs
from ledger.policy.assessed import Alarm, Assessed, Working, named
from ledger.policy.billing_error import DisputeFinding, dispute_lines, overcharges, unconfirmed
from ledger.policy.charges import Charge, Cycle
from ledger.policy.disruption import (
    DisruptionFinding,
    Merged,
    assess_disruption,
    disruption_facts,
    disruption_formula,
    disruption_lines,
    merge,
)
from ledger.policy.facts import EVERYTHING, AccountFacts, SubscriptionFacts, Touched, claim_of_refund
from ledger.policy.goodwill import GoodwillFinding, goodwill_credits, goodwill_formula, goodwill_lines
from ledger.policy.outages import Outage, in_order
from ledger.policy.proration import days_of_thirty, spelled
from ledger.policy.tax import TaxInStep, TaxStep
from ledger.policy.unused_period import (
    Ending,
    UnusedAmount,
    UnusedFinding,
    concerns,
    declined_for_nothing,
    ending,
    find_unused,
    unused_amount,
    unused_facts,
    unused_formula,
    unused_lines,
)
from ledger.values import END, Period, zero


@dataclass(slots=True)
class Assessment:
    """What an assessment found: the rows of all charges, disputes and goodwill credits in scope, and their alarms."""

    claims: dict[str, Assessed] = field(default_factory=dict)
    charges: set[str] = field(default_factory=set)
    """The charges looked at: a recorded row of one of them that is not among `claims` has fallen away."""
    disputes: set[str] = field(default_factory=set)
    """The disputes looked at, likewise."""
    goodwill: set[str] = field(default_factory=set)
    """The goodwill credits looked at, likewise."""
    everything: bool = False
    alarms: set[Alarm] = field(default_factory=set)

    def covers(self, claim_id: str, charge_id: str | None) -> bool:
        """Whether a recorded row was in scope, so that its absence means that it fell away."""
        if self.everything:
            return True
        kind, _, business_id = claim_id.partition("/")
        match kind:
            case "billing-error":
                return business_id in self.disputes
            case "goodwill":
                return business_id in self.goodwill
        return charge_id in self.charges


def assess(facts: AccountFacts, now: datetime, touched: Touched = EVERYTHING) -> Assessment:
    """Assess what is touched, at an instant."""
    found = Assessment(everything=touched.everything)
    touched_charges = touched.charges | {
        c.charge_id for c in facts.charges.assessed.values() if c.subscription_id in touched.subscriptions
    }
    touched_disputes = touched.disputes.union(*(facts.disputes.on(charge_id) for charge_id in touched_charges))
    disputes = set(facts.disputes.by_id) if touched.everything else touched_disputes
    windows = dict(touched.windows)
    one_offs = {}
    charges = (
        set(facts.charges.assessed) if touched.everything else touched_charges | _charges_confirmed(facts, disputes)
    )
    for charge_id in charges:
        charge = facts.charges.assessed.get(charge_id)
        if isinstance(charge, Cycle):
            windows[charge.subscription_id] = windows.get(charge.subscription_id, charge.period).hull(charge.period)
        elif charge is not None:
            one_offs[charge_id] = charge
    if facts.time_zone is not None:
        for charge in one_offs.values():
            _grant_overcharges(facts, charge, _terms_of(facts, charge), found)
        for subscription_id, window in windows.items():
            _assess_subscription(
                facts, facts.subscriptions.by_id[subscription_id], window, facts.time_zone, now, found
            )
    found.disputes |= disputes
    for finding in unconfirmed(facts, disputes):
        charge = facts.charges.assessed.get(finding.charge_id)
        _add_dispute(facts, finding, charge, found)
    named_goodwill = facts.goodwill.naming(touched.complaints, touched.subscriptions)
    found.goodwill |= set(facts.goodwill.by_id) if touched.everything else touched.goodwill | named_goodwill
    for credit in goodwill_credits(facts, found.goodwill):
        _add_goodwill(credit, found)
    return found


def _charges_confirmed(facts: AccountFacts, disputes: set[str]) -> set[str]:
    """The charges that verdicts on the disputes confirm: a report may have named another charge."""
    verdicts = (facts.disputes.verdict(dispute_id) for dispute_id in disputes)
    return {v.data.charge_id for v in verdicts if isinstance(v, OverchargeConfirmed)}


# --- overcharges --------------------------------------------------------------------------------------------------


def _terms_of(facts: AccountFacts, charge: Charge) -> Agreement | None:
    """The terms of a charge: its subscription's, the defaults without one, None where none is bound yet."""
    return DEFAULTS if charge.subscription_id is None else facts.subscriptions.by_id[charge.subscription_id].terms


@dataclass(frozen=True, slots=True)
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


def _grant_overcharges(facts: AccountFacts, charge: Charge, terms: Agreement | None, found: Assessment) -> NetPrice:
    """Add a charge's confirmed disputes; returns the net price that they leave."""
    net_price, tax = charge.price, TaxInStep(charge, (terms or DEFAULTS).proration.rounding)
    granted: list[Fact] = []
    for finding in overcharges(facts, charge):
        found.disputes.add(finding.dispute_id)
        if terms is None:
            _add_dispute(facts, finding, charge, found, pending_for_terms=True)
            continue
        _add_dispute(facts, finding, charge, found, tax=tax.grant(finding.amount), before=tuple(granted))
        net_price -= finding.amount
        if finding.verdict is not None and finding.outcome == "granted":
            granted.append(finding.verdict)
    return NetPrice(charge, net_price, tuple(granted), tax)


def _add_dispute(
    facts: AccountFacts,
    finding: DisputeFinding,
    charge: Charge | None,
    found: Assessment,
    *,
    tax: TaxStep | None = None,
    before: tuple[Fact, ...] = (),
    pending_for_terms: bool = False,
) -> None:
    claim_id = f"billing-error/{finding.dispute_id}"
    subscription_id = charge.subscription_id if charge is not None else None
    terms = (_terms_of(facts, charge) if charge is not None else None) or DEFAULTS
    asked: SettleAs | None = (
        finding.verdict.data.settle_as if isinstance(finding.verdict, OverchargeConfirmed) else None
    )
    found.claims[claim_id] = Assessed(
        claim_id=claim_id,
        clause="billing_error",
        subscription_id=subscription_id,
        charge_id=finding.charge_id,
        currency=finding.currency,
        outcome="pending" if pending_for_terms else finding.outcome,
        reason=None if pending_for_terms else finding.reason,
        amount=zero(finding.currency) if pending_for_terms else finding.amount,
        tax=tax.returned if tax is not None else zero(finding.currency),
        settle_as=asked or terms.billing_error.settle_as,
        investigate_by=finding.investigate_by(terms.billing_error.investigate_within),
        binding=facts.subscriptions.by_id[subscription_id].binding if subscription_id is not None else None,
        working=lambda: Working(
            formula=f"{finding.amount} confirmed" if finding.outcome == "granted" and not pending_for_terms else None,
            inputs={} if charge is None else {"price": str(charge.price), "tax": str(charge.tax)},
            lines=(
                *dispute_lines(finding, charge),
                *(["no agreement is bound yet"] if pending_for_terms else []),
                *(tax.lines() if tax is not None else ()),
            ),
            facts=_used(finding.report, finding.verdict, charge.fact if charge else None, *before),
        ),
    )
    if finding.reason == "amount_exceeds_charge" and finding.verdict is not None and not pending_for_terms:
        found.alarms.add(
            Alarm(
                "confirmation_exceeds_charge", (named(finding.verdict),), claim_id, finding.charge_id, subscription_id
            )
        )


# --- goodwill -----------------------------------------------------------------------------------------------------


def _add_goodwill(finding: GoodwillFinding, found: Assessment) -> None:
    """A goodwill credit rests on no agreement: two people answer for it."""
    proposal = finding.proposal
    data = proposal.data
    claim_id = f"goodwill/{data.credit_id}"
    found.claims[claim_id] = Assessed(
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
            facts=_used(finding.complaint, proposal, *finding.own_verdicts, finding.verdict),
        ),
    )
    found.alarms.update(
        Alarm(
            "decided_by_proposer", (named(proposal), named(verdict)), claim_id, subscription_id=data.subscription_id
        )
        for verdict in finding.own_verdicts
    )


# --- cycles -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _CycleRows:
    """One cycle on its way through the sections, before the fee of a cancellation is known."""

    cycle: Cycle
    net_price: NetPrice
    disruption: DisruptionFinding | None
    unused: UnusedFinding | None
    unused_amount: UnusedAmount | None = None

    def reckoned_from(self, subscription: SubscriptionFacts, *, taxed: bool = False) -> Iterator[Fact]:
        """The facts that the unused part's amount comes from, and its tax where it is `taxed`.

        The disruption's are among them where it left less of the charge than is unused, or was returned tax before.
        """
        yield from self.net_price.facts
        reckoned = self.unused_amount
        if self.disruption is None or reckoned is None or not reckoned.disrupted:
            return
        if taxed or reckoned.before_fee < reckoned.rounded:
            yield from disruption_facts(self.disruption, subscription)


def _assess_subscription(
    facts: AccountFacts, subscription: SubscriptionFacts, window: Period, zone: str, now: datetime, found: Assessment
) -> None:
    how = ending(subscription, zone)
    cycles, outages = _scope(subscription, how, window)
    found.charges.update(cycle.charge_id for cycle in cycles)
    terms = subscription.terms
    if terms is None:
        _wait_for_terms(subscription, cycles, outages, how, facts, now, found)
        _alarm_charged_after_end(cycles, how, found)
        return
    of = merge(subscription, terms, outages, now)
    rows = [_assess_cycle(facts, subscription, cycle, outages, of, terms, how, zone, now, found) for cycle in cycles]
    _add_unused(subscription, rows, how, terms, found)
    _alarm_charged_after_end(cycles, how, found)


def _scope(subscription: SubscriptionFacts, how: Ending, window: Period) -> tuple[list[Cycle], list[Outage]]:
    """The cycles to assess for a window, and every outage that may count in one of them.

    The window is widened to all that hangs together: outages that merge, and all cycles of a cancellation, whose fee
    goes from cycle to cycle. The outages are those around the whole of each cycle, again with all they merge with.
    """
    window, _ = subscription.outages.closure(window)
    if how.requests:
        since = min(request.since for request in how.requests)
        if window.end >= since:
            window, _ = subscription.outages.closure(Period(min(window.begin, since), END))
    cycles = subscription.cycles_in(window)
    if not cycles:
        return [], []
    _, outages = subscription.outages.closure(cycles[0].period.hull(cycles[-1].period))
    return cycles, sorted(outages, key=in_order)


def _assess_cycle(
    facts: AccountFacts,
    subscription: SubscriptionFacts,
    cycle: Cycle,
    outages: Sequence[Outage],
    of: Sequence[Merged],
    terms: Agreement,
    how: Ending,
    zone: str,
    now: datetime,
    found: Assessment,
) -> _CycleRows:
    net_price = _grant_overcharges(facts, cycle, terms, found)
    unused = find_unused(cycle, subscription, how, terms, zone)
    returned = unused.unused.time if unused is not None and unused.unused is not None else None
    disruption = assess_disruption(cycle, net_price.amount, outages, of, terms, returned, now)
    row = _CycleRows(cycle, net_price, disruption, unused)
    if disruption is not None:
        _add_disruption(subscription, row, disruption, how, terms, found)
    if unused is not None:
        disrupted = disruption.amount if disruption is not None else zero(cycle.currency)
        row.unused_amount = unused_amount(unused, net_price.amount, disrupted, terms)
    return row


def _add_disruption(
    subscription: SubscriptionFacts,
    row: _CycleRows,
    finding: DisruptionFinding,
    how: Ending,
    terms: Agreement,
    found: Assessment,
) -> None:
    cycle, net_price = row.cycle, row.net_price
    step = net_price.tax.grant(finding.amount)
    rest = row.unused if finding.rest_is_unused is not None else None

    def working() -> Working:
        return Working(
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
                *_reckoned_from(cycle, finding.net_price, terms),
                *disruption_lines(finding, terms),
                *step.lines(),
            ),
            facts=_used(
                *net_price.facts,
                *disruption_facts(finding, subscription),
                *(unused_facts(rest, how, subscription, terms) if rest is not None else ()),
                subscription.binding,
            ),
        )

    _add(
        found,
        subscription,
        cycle,
        "disruption",
        "service_disruption",
        finding.outcome,
        finding.reason,
        finding.amount,
        step.returned,
        terms.disruption.settle_as,
        working,
    )


def _add_unused(
    subscription: SubscriptionFacts, rows: Sequence[_CycleRows], how: Ending, terms: Agreement, found: Assessment
) -> None:
    """Take the fee over all cycles of the cancellation, the earliest first, and add their rows."""
    open_fee: Decimal | None = None
    bearing: list[_CycleRows] = []
    for row in rows:
        if row.unused is None:
            continue
        fee, borne_before = zero(row.cycle.currency), tuple(bearing)
        if row.unused_amount is not None:
            open_fee = terms.cancellation.fee_in(row.cycle.currency) if open_fee is None else open_fee
            fee = min(row.unused_amount.before_fee, open_fee)
            open_fee -= fee
            if fee:
                bearing.append(row)
        _add_unused_row(subscription, row, row.unused, how, fee, borne_before, terms, found)


def _add_unused_row(
    subscription: SubscriptionFacts,
    row: _CycleRows,
    finding: UnusedFinding,
    how: Ending,
    fee: Decimal,
    borne_before: Sequence[_CycleRows],
    terms: Agreement,
    found: Assessment,
) -> None:
    cycle, net_price, reckoned = row.cycle, row.net_price, row.unused_amount
    amount = reckoned.before_fee - fee if reckoned is not None else zero(cycle.currency)
    if finding.outcome == "granted" and not amount:
        finding = replace(finding, outcome="declined", reason=declined_for_nothing(finding))
    step = net_price.tax.grant(amount)
    others = borne_before if reckoned is not None and reckoned.before_fee else ()

    def working() -> Working:
        return Working(
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
                *_reckoned_from(cycle, net_price.amount, terms),
                *unused_lines(finding, reckoned, fee, terms, subscription),
                *step.lines(),
            ),
            facts=_used(
                *row.reckoned_from(subscription, taxed=bool(amount and cycle.tax)),
                *unused_facts(finding, how, subscription, terms),
                *(fact for other in others for fact in other.reckoned_from(subscription)),
                subscription.binding,
            ),
        )

    _add(
        found,
        subscription,
        cycle,
        "unused",
        "unused_period",
        finding.outcome,
        finding.reason,
        amount,
        step.returned,
        terms.cancellation.settle_as,
        working,
    )


def _add(
    found: Assessment,
    subscription: SubscriptionFacts,
    cycle: Cycle,
    kind: str,
    clause: Clause,
    outcome: Outcome,
    reason: Reason | None,
    amount: Decimal,
    tax: Decimal,
    settle_as: SettleAs,
    working: Callable[[], Working],
) -> None:
    claim_id = f"{kind}/{cycle.charge_id}"
    found.claims[claim_id] = Assessed(
        claim_id=claim_id,
        clause=clause,
        subscription_id=subscription.subscription_id,
        charge_id=cycle.charge_id,
        currency=cycle.currency,
        outcome=outcome,
        reason=reason,
        amount=amount,
        tax=tax,
        settle_as=settle_as,
        investigate_by=None,
        binding=subscription.binding,
        working=working,
    )


def _wait_for_terms(
    subscription: SubscriptionFacts,
    cycles: Sequence[Cycle],
    outages: Sequence[Outage],
    how: Ending,
    facts: AccountFacts,
    now: datetime,
    found: Assessment,
) -> None:
    """Without an agreement the rows that will be decided stand as pending: a fact is still missing."""
    for cycle in cycles:
        _grant_overcharges(facts, cycle, None, found)
        kinds: list[tuple[str, Clause, SettleAs]] = []
        if any(outage.reaching(now).overlap(cycle.period) is not None for outage in outages):
            kinds.append(("disruption", "service_disruption", DEFAULTS.disruption.settle_as))
        if concerns(cycle, how):
            kinds.append(("unused", "unused_period", DEFAULTS.cancellation.settle_as))
        for kind, clause, settle_as in kinds:
            waits = Working(None, {}, ("no agreement is bound yet",), _used(cycle.fact, subscription.registration))
            nothing = zero(cycle.currency)
            _add(
                found,
                subscription,
                cycle,
                kind,
                clause,
                "pending",
                None,
                nothing,
                nothing,
                settle_as,
                partial(_same, waits),
            )


def _alarm_charged_after_end(cycles: Sequence[Cycle], how: Ending, found: Assessment) -> None:
    """A cycle that starts after the service had ended, whoever ended it, should not have been charged.

    After a termination: at its instant or later, or on a later date.
    """
    for cycle in cycles:
        ended_by: Fact | None = None
        if how.cancellation is not None and not how.cancellation.withdrawn:
            ended_by = how.cancellation.request if cycle.starts_on >= how.cancellation.effective_on else None
        if ended_by is None and how.termination is not None and how.terminated_on is not None:
            later = cycle.period.begin >= how.termination.data.terminated_at or cycle.starts_on > how.terminated_on
            ended_by = how.termination if later else None
        if ended_by is not None:
            claim_id = f"unused/{cycle.charge_id}"
            found.alarms.add(
                Alarm(
                    "charged_after_end",
                    (named(cycle.fact), named(ended_by)),
                    claim_id if claim_id in found.claims else None,
                    cycle.charge_id,
                    cycle.subscription_id,
                )
            )


FROM_ALL_FACTS = ("contradiction", "refund_references_differ")
"""The alarms that are found by looking at all facts of an account."""


def contradictions(facts: AccountFacts) -> set[Alarm]:
    """An alarm for every fact left out of the assessment, naming it after the one that it contradicts (policy §1).

    And one for every refund that is reported under two references (§7).
    """
    return {
        Alarm(
            "contradiction",
            (named(c.kept), named(c.left_out)),
            charge_id=getattr(c.left_out.data, "cycle_id", None) or getattr(c.left_out.data, "charge_id", None),
            subscription_id=getattr(c.left_out.data, "subscription_id", None),
        )
        for c in facts.contradictions
    } | {
        Alarm(
            "refund_references_differ",
            (named(first), named(other)),
            claim_id=claim_of_refund(first.data.refund_id),
        )
        for first, other in facts.refunds.references_that_differ()
    }


def _reckoned_from(cycle: Cycle, net_price: Decimal, terms: Agreement) -> Iterator[str]:
    """Where the numbers of a formula come from that are not the cycle's own: its net price, days as months of 30."""
    if net_price != cycle.price:
        yield f"net price {net_price}: {cycle.price} less {cycle.price - net_price} of overcharge"
    if terms.proration.basis == "thirty_days" and days_of_thirty(cycle) != cycle.days:
        yield f"a month counts as 30 days, and the cycle's {cycle.days} days as {days_of_thirty(cycle)}"


def _same(working: Working) -> Working:
    return working


def _used(*facts: LedgerEvent | None) -> tuple[LedgerEvent, ...]:
    """The facts there are, each once."""
    return tuple({fact.event_id: fact for fact in facts if fact is not None}.values())
