"""Service disruption (policy §3): what a cycle is owed for the time in which the service had failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from ledger.agreement import Agreement
from ledger.events import Fact, Outcome, Reason
from ledger.policy.context import Context
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.charge import Cycle
from ledger.policy.facts.outage import Outage, in_order
from ledger.policy.merging import Merged
from ledger.policy.proration import Share, monthly_price, share_of_days, share_of_time, spelled, spelled_days
from ledger.policy.violation import taking_from
from ledger.values import (
    CURRENCY_SCALES,
    MICROSECONDS_PER_DAY,
    Period,
    inside,
    instant_to_text,
    microseconds,
    ratio,
    rounded,
    subtracted,
    total,
    value,
)


def credited(cycle: Cycle, unused: Period | None, context: Context) -> tuple[Period, ...]:
    """The credited time of a cycle: all of it when it is significant in total, else what is significant by length.

    The two tests come first; unused time is left out after them, because it is returned as such (§5).
    """
    threshold = context.terms.disruption.significant_after
    eligible = [part for outage in context.merged for part in inside(outage.counted, cycle.period)]
    if total(eligible) > threshold:
        counting = eligible
    else:
        counting = [
            part
            for outage in context.merged
            if outage.time > threshold
            for part in inside(outage.counted, cycle.period)
        ]
    return tuple(subtracted(counting, [unused] if unused is not None else []))


@value
class DisruptionFinding:
    """What disruption comes to in one cycle, and by which steps."""

    cycle: Cycle
    net_price: Decimal
    outages: tuple[Outage, ...]
    merged: tuple[Merged, ...]
    """The merged outages that share time with the cycle."""
    outcome: Outcome
    reason: Reason | None
    amount: Decimal
    eligible_time: timedelta
    longest_merged: timedelta
    credited_time: timedelta
    days: int
    prorata: Share
    floor: Share | None
    without_service: timedelta
    """Eligible time in the cycle that does not count, because the subscription was suspended or terminated."""
    rest_is_unused: Period | None

    @property
    def share(self) -> Share:
        """The greater of the two, which is rounded."""
        return self.floor if self.floor is not None and self.floor.exact > self.prorata.exact else self.prorata


def assess_disruption(
    cycle: Cycle, net_price: Decimal, rest_is_unused: Period | None, context: Context
) -> DisruptionFinding | None:
    """What a cycle is owed; None where no outage, eligible or not, shares time with it.

    `rest_is_unused` is the cycle's unused time where an unused-period claim returns it.
    """
    terms, now = context.terms, context.now
    present = tuple(outage for outage in context.outages if outage.reaching(now).overlap(cycle.period) is not None)
    if not present:
        return None
    parts = credited(cycle, rest_is_unused, context)
    time = total(parts)
    days = -(-microseconds(time) // MICROSECONDS_PER_DAY)
    if terms.proration.basis == "exact_time":
        prorata = share_of_time(net_price, cycle, time)
    else:
        prorata = share_of_days(terms.proration, net_price, cycle, days)
    floor = _floor(cycle, net_price, days) if terms.disruption.floor == "monthly_30th" else None
    exact = max(prorata.exact, floor.exact if floor else Fraction(0))
    amount = min(net_price, rounded(exact, cycle.currency, terms.proration.rounding))

    eligible = [o for o in present if o.ineligible_because(terms.disruption) is None]
    outcome: Outcome = "declined"
    reason: Reason | None = None
    if amount > 0:
        outcome = "granted"
    elif not cycle.has_ended(now) and any(outage.resolved_at is None for outage in eligible):
        outcome = "pending"
    elif eligible:
        reason = "nothing_due" if time else "below_threshold"
    else:
        reason = _first_reason(present, terms)
    merged_here = tuple(outage for outage in context.merged if outage.span.overlap(cycle.period) is not None)
    eligible_time = total(part for outage in context.merged for part in inside(outage.counted, cycle.period))
    return DisruptionFinding(
        cycle=cycle,
        net_price=net_price,
        outages=present,
        merged=merged_here,
        outcome=outcome,
        reason=reason,
        amount=amount,
        eligible_time=eligible_time,
        longest_merged=max((outage.time for outage in merged_here), default=timedelta(0)),
        credited_time=time,
        days=days,
        prorata=prorata,
        floor=floor,
        without_service=total(inside((outage.span for outage in context.merged), cycle.period)) - eligible_time,
        rest_is_unused=rest_is_unused,
    )


def _floor(cycle: Cycle, net_price: Decimal, days: int) -> Share:
    """A 30th of the monthly price, in the proportion that is left of the price, for each day."""
    monthly = monthly_price(cycle) * ratio(net_price, cycle.price)
    shown = f"{net_price}"
    if cycle.monthly_price is not None:
        left = f" × {net_price} ÷ {cycle.price}" if net_price != cycle.price else ""
        shown = f"{cycle.monthly_price}{left}"
    elif cycle.days > 31:
        shown = f"{net_price} × 30 ÷ {cycle.days}"
    return Share(monthly * days / 30, f"{shown} × {days} ÷ 30")


def _first_reason(outages: Sequence[Outage], terms: Agreement) -> Reason:
    reasons = {outage.ineligible_because(terms.disruption) for outage in outages}
    return next(r for r in ("reported_late", "excluded_cause", "not_significant") if r in reasons)


def disruption_facts(finding: DisruptionFinding, subscription: SubscriptionFacts) -> Iterator[Fact]:
    """What it rests on besides its charge: its outages with all that they merge with, and what took time off them."""
    outages = (*finding.outages, *(outage for whole in finding.merged for outage in whole.outages))
    for outage in sorted({o.report.data.outage_id: o for o in outages}.values(), key=in_order):
        yield outage.report
        if outage.ending is not None:
            yield outage.ending
    for whole in finding.merged:
        if whole.counted_to is not None:
            yield whole.counted_to.fact
    yield from taking_from(subscription, [whole.span for whole in finding.merged])


def disruption_lines(finding: DisruptionFinding, terms: Agreement) -> tuple[str, ...]:
    """The working in sentences: how long each outage lasted, what counted, and which condition decided."""
    lines = [_outage_line(outage, terms) for outage in finding.outages]
    if all(outage.ineligible_because(terms.disruption) is not None for outage in finding.outages):
        return tuple(lines)
    if finding.without_service:
        lines.append(f"suspended or terminated for {spelled(finding.without_service)} of it, which does not count")
    threshold = spelled(terms.disruption.significant_after)
    lines.append(
        f"eligible time in the cycle {spelled(finding.eligible_time)}, longest merged outage "
        f"{spelled(finding.longest_merged)}; to count, one of them must be more than {threshold}"
    )
    if finding.rest_is_unused is not None:
        begins = instant_to_text(finding.rest_is_unused.begin)
        lines.append(f"no time from {begins} on is credited: it is unused and returned as such")
    if finding.credited_time:
        begun = terms.proration.basis != "exact_time" or finding.floor is not None
        days = f", which counts as {spelled_days(finding.days)}" if begun else ""
        lines.append(f"credited time {spelled(finding.credited_time)}{days}")
    if finding.floor is not None and finding.credited_time:
        scale = CURRENCY_SCALES[finding.cycle.currency]
        lines.append(
            f"floor of a 30th of the monthly price a day: {finding.floor.unrounded(scale)}, "
            f"{'' if finding.share is finding.floor else 'not '}more than pro rata {finding.prorata.unrounded(scale)}"
        )
    if finding.outcome == "pending":
        lines.append(f"an eligible outage goes on and the cycle has not ended: it ends on {finding.cycle.ends_on}")
    return tuple(lines)


def disruption_formula(finding: DisruptionFinding, terms: Agreement) -> str | None:
    """The amount with its real numbers; None where no time is credited."""
    if not finding.credited_time or finding.outcome == "pending":
        return None
    amount = rounded(finding.share.exact, finding.cycle.currency, terms.proration.rounding)
    capped = f"; not more than the net price = {finding.net_price}" if amount > finding.net_price else ""
    return f"{finding.share.reckoned(amount, terms.proration.rounding)}{capped}"


def _outage_line(outage: Outage, terms: Agreement) -> str:
    data = outage.report.data
    reason = outage.ineligible_because(terms.disruption)
    ended = outage.resolved_at
    lasted = "is not resolved yet" if ended is None else f"lasted {spelled(ended - outage.began_at)}"
    match reason:
        case "not_significant":
            verdict = f"its severity is {data.severity}, not significant"
        case "excluded_cause":
            verdict = f"its cause {data.cause} is one that the agreement excludes"
        case "reported_late":
            verdict = (
                f"reported {spelled(outage.report_delay)} after it began; "
                f"the agreement allows {spelled(terms.disruption.report_within)}"
            )
        case _ if ended is None:
            verdict = "eligible, and counted to the end of the last cycle that has ended"
        case _:
            verdict = "eligible"
    return f"outage {data.outage_id} {lasted}: {verdict}"
