"""How a subscription stands at an instant, and when time alone will next change anything."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta

from ledger.events import Status
from ledger.policy.ending import ending
from ledger.policy.facts import AccountFacts, SubscriptionFacts
from ledger.policy.violation import suspended_at

_INSTANT = timedelta(microseconds=1)
"""The first moment after an instant: an open outage shares time with a cycle only once the cycle has begun."""


def status_of(subscription: SubscriptionFacts, time_zone: str, now: datetime) -> tuple[Status, date | None]:
    """A subscription's status, and the date on which its end takes effect, if it has one."""
    how = ending(subscription, time_zone)
    if how.termination is not None and how.termination.data.terminated_at <= now:
        return "terminated", how.terminated_on
    cancellation = how.cancellation
    ends_on = None
    if cancellation is not None and not cancellation.withdrawn:
        ends_on = cancellation.effective_on
        if cancellation.effective_at <= now:
            return "cancelled", ends_on
    if suspended_at(subscription, now) is not None:
        return "suspended", ends_on
    if ends_on is not None:
        return "cancelling", ends_on
    if subscription.terms is None or not subscription.cycles or subscription.cycles[0].period.begin > now:
        return "pending", None
    return "active", None


def next_due(facts: AccountFacts, now: datetime) -> datetime | None:
    """The next instant after `now` at which an assessment can change though no fact comes."""
    zone = facts.time_zone
    if zone is None:
        return None
    next_one = None
    for subscription in facts.subscriptions.by_id.values():
        if subscription.registration is not None:
            for instant in _turning_points(subscription, zone, now):
                if instant > now and (next_one is None or instant < next_one):
                    next_one = instant
    return next_one


def _turning_points(subscription: SubscriptionFacts, time_zone: str, now: datetime) -> list[datetime]:
    cycles = subscription.cycles
    found = [cycles[0].period.begin] if cycles else []
    if subscription.outages.ongoing:
        begins = bisect_left(cycles, now, key=lambda cycle: cycle.period.begin)
        ends = bisect_right(cycles, now, key=lambda cycle: cycle.period.end)
        if begins < len(cycles):
            found.append(cycles[begins].period.begin + _INSTANT)
        if ends < len(cycles):
            found.append(cycles[ends].period.end)
        found += [outage.began_at + _INSTANT for outage in subscription.outages.ongoing.values()]
    found += [fact.occurred_at for fact in subscription.interruptions]
    found += [fact.occurred_at for fact in subscription.terminations]
    cancellation = ending(subscription, time_zone).cancellation
    if cancellation is not None:
        found.append(cancellation.effective_at)
    return found
