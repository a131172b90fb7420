"""Violation (policy §6): when the provider had suspended or ended the service, and nothing is refunded for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ledger.events import SubscriptionReinstated, SubscriptionSuspended, SubscriptionTerminated
from ledger.policy.facts import SubscriptionFacts
from ledger.values import END, Period, value

CourseFact = SubscriptionSuspended | SubscriptionReinstated | SubscriptionTerminated


@value
class Suspension:
    """A time without service, with the fact that it began by and the one that ended it, if any has."""

    began: SubscriptionSuspended
    ended: SubscriptionReinstated | None

    @property
    def period(self) -> Period:
        """The half-open time; one that goes on lasts to the end of time."""
        return Period(self.began.data.suspended_at, self.ended.data.reinstated_at if self.ended is not None else END)


def suspensions(subscription: SubscriptionFacts) -> list[Suspension]:
    """Each suspension with the next reinstatement, in order of time; what comes during one changes nothing of it.

    Same instants are taken in the order of their messages.
    """
    if not subscription.interruptions:
        return []
    found: list[Suspension] = []
    began: SubscriptionSuspended | None = None
    for fact in sorted(subscription.interruptions, key=lambda f: (f.occurred_at, *f.order)):
        if isinstance(fact, SubscriptionSuspended):
            began = began or fact
        elif began is not None:
            found.append(Suspension(began, fact))
            began = None
    return [*found, Suspension(began, None)] if began is not None else found


def termination(subscription: SubscriptionFacts) -> SubscriptionTerminated | None:
    """The termination that holds: the earliest. No reinstatement ends it."""
    return min(subscription.terminations, key=lambda f: (f.data.terminated_at, *f.order), default=None)


def without_service(subscription: SubscriptionFacts) -> list[Period]:
    """All time in which the service was suspended or terminated, which no outage counts in."""
    terminated = termination(subscription)
    return [
        *(suspension.period for suspension in suspensions(subscription)),
        *([Period(terminated.data.terminated_at, END)] if terminated is not None else []),
    ]


def taking_from(subscription: SubscriptionFacts, spans: Sequence[Period]) -> Iterator[CourseFact]:
    """The facts by which some of the spans' time was without service: what ended one only where it ended within."""
    for suspension in suspensions(subscription):
        shared = [span for span in spans if suspension.period.overlap(span) is not None]
        if shared:
            yield suspension.began
        if suspension.ended is not None and any(suspension.period.end < span.end for span in shared):
            yield suspension.ended
    terminated = termination(subscription)
    if terminated is not None and any(terminated.data.terminated_at < span.end for span in spans):
        yield terminated


def latest_suspension(subscription: SubscriptionFacts, instant: datetime) -> Suspension | None:
    """The last suspension that had begun by an instant, whether it went on then or had ended."""
    begun = [suspension for suspension in suspensions(subscription) if suspension.period.begin <= instant]
    return begun[-1] if begun else None


def suspended_at(subscription: SubscriptionFacts, instant: datetime) -> Suspension | None:
    """The suspension that goes on at an instant."""
    latest = latest_suspension(subscription, instant)
    return latest if latest is not None and instant < latest.period.end else None
