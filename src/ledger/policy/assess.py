"""`assess(facts, now) → claims`: the policy as one pure function of the facts known (policy §1).

Charge by charge and in the policy's order: overcharges, disruption, unused part; tax in step; never more than the
price. `touched` narrows the work to what a fact may have changed; the rows are the same as those of a full
assessment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from ledger.agreement import DEFAULTS
from ledger.policy.assessed import Alarm, Assessed, Found, named
from ledger.policy.billing_error import NetPrice, overcharges, unconfirmed
from ledger.policy.context import Context
from ledger.policy.disruption import assess_disruption
from ledger.policy.ending import GOES_ON
from ledger.policy.facts import EVERYTHING, AccountFacts, Touched, claim_of_refund
from ledger.policy.facts.charge import Charge, Cycle
from ledger.policy.goodwill import goodwill_credits
from ledger.policy.merging import merge
from ledger.policy.rows import (
    Charged,
    CycleFinding,
    charged_after_end,
    dispute_row,
    disruption_row,
    goodwill_row,
    row_without_terms,
    unused_rows,
)
from ledger.policy.scope import NOTHING, Scope, SubscriptionScope, scope_of
from ledger.policy.tax import TaxInStep
from ledger.policy.unused_period import concerns, find_unused, unused_amount
from ledger.values import value, zero


@value
class Assessment:
    """What an assessment found: the rows of all charges, disputes and goodwill credits in scope, and their alarms."""

    scope: Scope
    claims: Mapping[str, Assessed]
    alarms: frozenset[Alarm]

    def covers(self, claim_id: str, charge_id: str | None) -> bool:
        """Whether a recorded row was looked at, so that its absence means that it fell away."""
        return claim_id in self.claims or self.scope.covers(claim_id, charge_id)


_FINDS_NOTHING = Assessment(NOTHING, {}, frozenset())


def assess(facts: AccountFacts, now: datetime, touched: Touched = EVERYTHING) -> Assessment:
    """Assess what is touched, at an instant."""
    scope = scope_of(facts, touched)
    if scope is NOTHING:
        return _FINDS_NOTHING
    claims: dict[str, Assessed] = {}
    alarms: set[Alarm] = set()
    for found in _found(facts, scope, now):
        if isinstance(found, Alarm):
            alarms.add(found)
        else:
            claims[found.claim_id] = found
    return Assessment(scope, claims, frozenset(alarms))


def _found(facts: AccountFacts, scope: Scope, now: datetime) -> Iterator[Found]:
    """All rows and alarms in scope."""
    for one_off in scope.one_offs:
        if facts.disputes.on(one_off.charge_id):
            _, rows = _overcharged(facts, one_off)
            yield from rows
    for part in scope.subscriptions:
        yield from _subscription(facts, part, now)
        if part.how is not GOES_ON:
            for cycle in part.cycles:
                yield from charged_after_end(cycle, part.how)
    for finding in unconfirmed(facts, scope.disputes):
        charge = facts.charges.assessed.get(finding.charge_id)
        yield from dispute_row(finding, _charged(facts, charge) if charge is not None else None)
    for credit in goodwill_credits(facts, scope.goodwill):
        yield from goodwill_row(credit)


def _charged(facts: AccountFacts, charge: Charge) -> Charged:
    id_ = charge.subscription_id
    return Charged(charge, facts.subscriptions.by_id[id_] if id_ is not None else None)


def _overcharged(facts: AccountFacts, charge: Charge) -> tuple[NetPrice, list[Found]]:
    """The net price that confirmed disputes leave of a charge, and their rows."""
    of = _charged(facts, charge)
    net_price = NetPrice(charge, charge.price, (), TaxInStep(charge, (of.terms or DEFAULTS).proration.rounding))
    rows: list[Found] = []
    for finding in overcharges(facts, charge):
        if of.terms is None:
            rows += dispute_row(replace(finding, waits_for_terms=True), of)
            continue
        before, net_price = net_price, net_price.less(finding)
        rows += dispute_row(finding, of, before.confirmations, net_price.tax)
    return net_price, rows


def _subscription(facts: AccountFacts, part: SubscriptionScope, now: datetime) -> Iterator[Found]:
    """The rows of a subscription's cycles, section by section; none where it was but charged."""
    uneventful = not part.outages and part.how is GOES_ON
    if uneventful and not any(facts.disputes.on(cycle.charge_id) for cycle in part.cycles):
        return
    terms = part.subscription.terms
    if terms is None:
        yield from _without_terms(facts, part, now)
        return
    merged = merge(part.subscription, terms, part.outages, now)
    context = Context(part.subscription, terms, part.how, part.time_zone, now, part.outages, merged)
    cycles = []
    for cycle in part.cycles:
        net_price, rows = _overcharged(facts, cycle)
        yield from rows
        found = _assess_cycle(cycle, net_price, context)
        if found.disruption is not None:
            yield disruption_row(found, found.disruption, context)
        cycles.append(found)
    yield from unused_rows(cycles, context)


def _assess_cycle(cycle: Cycle, net_price: NetPrice, context: Context) -> CycleFinding:
    unused = find_unused(cycle, context)
    returned = unused.unused.time if unused is not None and unused.unused is not None else None
    disruption = assess_disruption(cycle, net_price.amount, returned, context)
    disrupted = disruption.amount if disruption is not None else zero(cycle.currency)
    amount = unused_amount(unused, net_price.amount, disrupted, context.terms) if unused is not None else None
    tax = net_price.tax.grant(disruption.amount) if disruption is not None else net_price.tax
    return CycleFinding(cycle, net_price, disruption, unused, amount, tax)


def _without_terms(facts: AccountFacts, part: SubscriptionScope, now: datetime) -> Iterator[Found]:
    """Without an agreement the rows that will be decided stand as pending."""
    for cycle in part.cycles:
        _, rows = _overcharged(facts, cycle)
        yield from rows
        if any(outage.reaching(now).overlap(cycle.period) is not None for outage in part.outages):
            yield row_without_terms(part.subscription, cycle, "disruption")
        if concerns(cycle, part.how):
            yield row_without_terms(part.subscription, cycle, "unused")


FROM_ALL_FACTS = ("contradiction", "refund_references_differ", "refund_amount_differs")
"""The alarms that are found by looking at all facts of an account."""


def contradictions(facts: AccountFacts) -> set[Alarm]:
    """An alarm for every fact left out of the assessment, naming it after the one that it contradicts (policy §1).

    And one for every return that is reported under two references, and for every refund that is reported with another
    amount than was submitted (§7).
    """
    if not facts.contradictions and not facts.refunds.by_id:
        return set()
    return (
        {
            Alarm(
                "contradiction",
                (named(c.kept), named(c.left_out)),
                charge_id=getattr(c.left_out.data, "cycle_id", None) or getattr(c.left_out.data, "charge_id", None),
                subscription_id=getattr(c.left_out.data, "subscription_id", None),
            )
            for c in facts.contradictions
        }
        | {
            Alarm(
                "refund_references_differ",
                (named(first), named(other)),
                claim_id=claim_of_refund(first.data.refund_id),
            )
            for first, other in facts.refunds.references_that_differ()
        }
        | {
            Alarm(
                "refund_amount_differs",
                (submitted.data.refund_id, named(report)),
                claim_id=submitted.data.claim_id,
                charge_id=submitted.data.charge_id,
            )
            for submitted, report in facts.refunds.amounts_that_differ()
        }
    )
