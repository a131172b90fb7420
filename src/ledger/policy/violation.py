"""Violation (policy §6): when the provider had suspended or ended the service, and nothing is refunded for it."""

from __future__ import annotations

from datetime import datetime

from ledger.events import SubscriptionSuspended, SubscriptionTerminated
from ledger.policy.known_facts import SubscriptionFacts
from ledger.values import END, Period


def suspensions(subscription: SubscriptionFacts) -> list[Period]:
    """The half-open times from a suspension to the next reinstatement, one that goes on to the end of time.

    Same instants are taken in the order of their messages.
    """
    periods: list[Period] = []
    since: datetime | None = None
    for fact in sorted(subscription.interruptions, key=lambda f: (f.occurred_at, *f.order)):
        if isinstance(fact, SubscriptionSuspended):
            since = fact.data.suspended_at if since is None else since
        elif since is not None:
            periods.append(Period(since, fact.data.reinstated_at))
            since = None
    if since is not None:
        periods.append(Period(since, END))
    return periods


def termination(subscription: SubscriptionFacts) -> SubscriptionTerminated | None:
    """The termination that holds: the earliest. No reinstatement ends it."""
    return min(subscription.terminations, key=lambda f: (f.data.terminated_at, *f.order), default=None)


def without_service(subscription: SubscriptionFacts) -> list[Period]:
    """All time in which the service was suspended or terminated, which no outage counts in."""
    terminated = termination(subscription)
    return [
        *suspensions(subscription),
        *([Period(terminated.data.terminated_at, END)] if terminated is not None else []),
    ]


def in_violation_at(subscription: SubscriptionFacts, instant: datetime) -> bool:
    """Whether the subscription was suspended at an instant, or terminated at or before it."""
    return any(period.begin <= instant < period.end for period in without_service(subscription))
