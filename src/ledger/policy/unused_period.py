"""The unused part of prepaid cycles (policy §5), and what a termination makes of it (§6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from ledger.agreement import Agreement
from ledger.events import Fact, Outcome, Reason, SubscriptionTerminated
from ledger.policy.context import Context
from ledger.policy.ending import Cancellation, Ending
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.charge import Cycle
from ledger.policy.proration import Share, share_of_days, share_of_time, spelled, spelled_days
from ledger.policy.violation import Suspension, latest_suspension, suspended_at
from ledger.values import Period, instant_to_text, midnight, rounded, value


@value
class Unused:
    """The part of a cycle that a cancellation leaves unused: its time, and its dates from the first unused day on."""

    cycle: Cycle
    cancellation: Cancellation
    time: Period
    first_day: date
    days: int


@value
class UnusedFinding:
    """What an ending comes to for one cycle, before the fee.

    `unused` is set where the amount decides: then no disruption is credited in that time (§3). `termination` is set
    where it decides.
    """

    cancellation: Cancellation | None
    termination: SubscriptionTerminated | None
    outcome: Outcome
    reason: Reason | None
    unused: Unused | None = None

    @property
    def days(self) -> int:
        """How many of the cycle's dates are unused."""
        return self.unused.days if self.unused is not None else 0


def find_unused(cycle: Cycle, context: Context) -> UnusedFinding | None:
    """What becomes of a cycle; None where neither a cancellation nor a termination concerns it.

    An outcome of `granted` means that the amount decides: reckon it with `unused_amount`, then take the fee.
    """
    how, terms = context.how, context.terms
    cancellation = how.cancellation
    terminated = _cut_short_by_termination(cycle, how)
    if cancellation is None or not _cut_short_by(cancellation, cycle):
        return UnusedFinding(None, how.termination, "declined", "service_violation") if terminated else None
    if cancellation.withdrawn:
        if terminated:
            return UnusedFinding(cancellation, how.termination, "declined", "service_violation")
        return UnusedFinding(cancellation, None, "withdrawn", None)
    had_ended = _terminated_before(cancellation, how)
    reason = _declined_because(cycle, cancellation, context, had_ended=had_ended is not None)
    if reason is not None:
        decides = reason == "service_violation"
        return UnusedFinding(cancellation, had_ended if decides else None, "declined", reason)
    first_unused = _first_unused_day(cancellation, terms)
    begins = midnight(first_unused, context.time_zone)
    if _to_the_instant(cancellation, terms):
        begins = cancellation.request.data.requested_at
    time = Period(min(max(begins, cycle.period.begin), cycle.period.end), cycle.period.end)
    days = max(0, (cycle.ends_on - max(cycle.starts_on, first_unused)).days)
    return UnusedFinding(cancellation, None, "granted", None, Unused(cycle, cancellation, time, first_unused, days))


def concerns(cycle: Cycle, how: Ending) -> bool:
    """Whether a cycle has a row for this ending."""
    return _cut_short_by_termination(cycle, how) or (
        how.cancellation is not None and _cut_short_by(how.cancellation, cycle)
    )


def _cut_short_by_termination(cycle: Cycle, how: Ending) -> bool:
    """Each prepaid cycle that ends after the local date of a termination (policy §6)."""
    return cycle.prepaid and how.terminated_on is not None and cycle.ends_on > how.terminated_on


def _cut_short_by(cancellation: Cancellation, cycle: Cycle) -> bool:
    """Each prepaid cycle that ends after the request's date, and the cycle of that date even if not prepaid."""
    if cycle.prepaid:
        return cycle.ends_on > cancellation.requested_on
    return cycle.contains(cancellation.requested_on)


def _terminated_before(cancellation: Cancellation, how: Ending) -> SubscriptionTerminated | None:
    """The termination, where it had ended the service by the very instant of the request."""
    ended = how.termination
    return ended if ended is not None and ended.data.terminated_at <= cancellation.request.data.requested_at else None


def _suspended_at_request(cancellation: Cancellation, subscription: SubscriptionFacts) -> Suspension | None:
    """The suspension that the customer cancelled in."""
    return suspended_at(subscription, cancellation.request.data.requested_at)


def _declined_because(
    cycle: Cycle, cancellation: Cancellation, context: Context, *, had_ended: bool
) -> Reason | None:
    """The first reason that needs no amount, in the policy's order."""
    subscription, terms = context.subscription, context.terms
    if not cycle.prepaid:
        return "not_prepaid"
    if had_ended or _suspended_at_request(cancellation, subscription) is not None:
        return "service_violation"
    if terms.cancellation.unused_period == "none":
        return "terms"
    if cancellation.requested_on < _minimum_term_ends(subscription, terms):
        return "minimum_term"
    return None


def _minimum_term_ends(subscription: SubscriptionFacts, terms: Agreement) -> date:
    """The first date on which the minimum term is served; a date before all where the agreement has none."""
    if not terms.cancellation.minimum_term_days or not subscription.cycles:
        return date.min
    return subscription.cycles[0].starts_on + timedelta(days=terms.cancellation.minimum_term_days)


def _first_unused_day(cancellation: Cancellation, terms: Agreement) -> date:
    if _uses_it_to_the_end(cancellation, terms):
        return cancellation.effective_on
    return cancellation.requested_on + timedelta(days=terms.cancellation.notice_days)


def _uses_it_to_the_end(cancellation: Cancellation, terms: Agreement) -> bool:
    """Whether the service is used until the cancellation takes effect, so that no notice puts anything off."""
    return terms.cancellation.unused_period == "from_effective" or cancellation.keeps_service


def _to_the_instant(cancellation: Cancellation, terms: Agreement) -> bool:
    """Only where nothing puts it off to a date does unused time start at the request itself."""
    return (
        terms.proration.basis == "exact_time"
        and not terms.cancellation.notice_days
        and not _uses_it_to_the_end(cancellation, terms)
    )


@value
class UnusedAmount:
    """The amount for a cycle's unused part: pro rata, rounded, never more than what is left of the charge."""

    unused: Unused
    share: Share
    rounded: Decimal
    disrupted: Decimal
    """What the disruption was granted before it."""
    before_fee: Decimal


def unused_amount(
    finding: UnusedFinding, net_price: Decimal, disrupted: Decimal, terms: Agreement
) -> UnusedAmount | None:
    """Reckon the unused part before the fee: never more than what is left of the charge. None where it has none."""
    unused = finding.unused
    if unused is None:
        return None
    if terms.proration.basis == "exact_time":
        share = share_of_time(net_price, unused.cycle, unused.time.elapsed)
    else:
        share = share_of_days(terms.proration, net_price, unused.cycle, unused.days)
    amount = rounded(share.exact, unused.cycle.currency, terms.proration.rounding)
    return UnusedAmount(unused, share, amount, disrupted, min(amount, net_price - disrupted))


def declined_for_nothing(finding: UnusedFinding) -> Reason:
    """Why an amount of 0 is declined: the customer kept the service to the end, or nothing is due."""
    kept = finding.cancellation is not None and finding.cancellation.keeps_service and finding.days == 0
    return "service_kept" if kept else "nothing_due"


def unused_formula(amount: UnusedAmount, fee: Decimal, terms: Agreement) -> str:
    """The amount with its real numbers: pro rata, what is left of the charge where that is less, the fee."""
    steps = [amount.share.reckoned(amount.rounded, terms.proration.rounding)]
    if amount.before_fee < amount.rounded:
        left = f"{amount.before_fee + amount.disrupted} − {amount.disrupted} = {amount.before_fee}"
        steps.append(f"not more than is left: {left}")
    if fee:
        steps.append(f"less the fee {fee} = {amount.before_fee - fee}")
    return "; ".join(steps)


def unused_lines(
    finding: UnusedFinding, amount: UnusedAmount | None, fee: Decimal, context: Context
) -> tuple[str, ...]:
    """The working in sentences: what ended the service and when, and which condition decided."""
    subscription, terms = context.subscription, context.terms
    lines = []
    if finding.cancellation is not None:
        lines.append(_cancellation_line(finding.cancellation))
    if finding.termination is not None:
        data = finding.termination.data
        lines.append(f"terminated for {data.reason} at {instant_to_text(data.terminated_at)}")
    match finding.reason:
        case "not_prepaid":
            lines.append("the cycle was not prepaid")
        case "service_violation":
            lines.append(_violation_line(finding, subscription))
        case "terms":
            lines.append("the agreement returns no unused period")
        case "minimum_term" if finding.cancellation is not None:
            ends = _minimum_term_ends(subscription, terms)
            days = (ends - finding.cancellation.requested_on).days
            lines.append(
                f"the minimum term of {spelled_days(terms.cancellation.minimum_term_days)} is served on {ends}, "
                f"{spelled_days(days)} after the request"
            )
    if amount is not None:
        lines.append(_unused_line(amount.unused, terms))
        if amount.before_fee < amount.rounded:
            lines.append(f"the disruption comes first, and takes {amount.disrupted} of the charge")
        whole = terms.cancellation.fee_in(amount.unused.cycle.currency)
        if fee and fee < whole:
            lines.append(f"{fee} of the cancellation's fee of {whole}, which is taken once")
    return tuple(lines)


def unused_facts(finding: UnusedFinding, context: Context) -> Iterator[Fact]:
    """What it rests on besides its charge: what made the one request count, and by what each reason was tried.

    A suspension that had ended by the request belongs to it, because there would be a violation without its end.
    """
    subscription, terms = context.subscription, context.terms
    cancellation, reason = finding.cancellation, finding.reason
    if cancellation is not None:
        for request in context.how.deciding:
            yield from request.facts
        if not cancellation.withdrawn and reason != "not_prepaid":
            asked_at = cancellation.request.data.requested_at
            latest = latest_suspension(subscription, asked_at)
            if latest is not None and asked_at < latest.period.end:
                yield latest.began
            elif latest is not None and latest.ended is not None and reason != "service_violation":
                yield from (latest.began, latest.ended)
            measured = terms.cancellation.minimum_term_days and terms.cancellation.unused_period != "none"
            if measured and reason != "service_violation" and subscription.cycles:
                yield subscription.cycles[0].fact
    if finding.termination is not None:
        yield finding.termination


def _cancellation_line(cancellation: Cancellation) -> str:
    kept = ", the service being kept until then" if cancellation.keeps_service else ""
    withdrawn = ", taken back" if cancellation.withdrawn else ""
    return (
        f"cancelled on {cancellation.requested_on} ({cancellation.time_zone}), "
        f"effective on {cancellation.effective_on}{kept}{withdrawn}"
    )


def _unused_line(unused: Unused, terms: Agreement) -> str:
    """From when on the cycle is unused, and how much of it, as the agreement's basis measures it."""
    since = f"first unused day {unused.first_day}"
    if _to_the_instant(unused.cancellation, terms):
        since = f"unused from {instant_to_text(unused.cancellation.request.data.requested_at)} on"
    elif terms.cancellation.notice_days and not _uses_it_to_the_end(unused.cancellation, terms):
        since += f", after a notice of {spelled_days(terms.cancellation.notice_days)}"
    if terms.proration.basis == "exact_time":
        return f"{since}: {spelled(unused.time.elapsed)} of {spelled(unused.cycle.period.elapsed)}"
    return f"{since}: {unused.days} of {spelled_days(unused.cycle.days)} unused"


def _violation_line(finding: UnusedFinding, subscription: SubscriptionFacts) -> str:
    """Which violation it was: the termination, or the suspension in which the customer cancelled."""
    if finding.cancellation is not None and not finding.cancellation.withdrawn:
        suspension = _suspended_at_request(finding.cancellation, subscription)
        if suspension is not None:
            since = instant_to_text(suspension.period.begin)
            return f"suspended since {since} when it was cancelled: nothing is refunded"
    return "terminated for a violation: nothing is refunded"
