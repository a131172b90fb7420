"""How a subscription ends: by the customer's request (policy §5), by the provider (§6), or both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from ledger.events import CancellationRequested, CancellationWithdrawn, Fact, SubscriptionTerminated
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.charge import Cycle
from ledger.policy.violation import termination
from ledger.values import local_date, midnight, value


@value
class Cancellation:
    """A request with the date and the cycle it belongs to, and the date it takes effect."""

    request: CancellationRequested
    time_zone: str
    requested_on: date
    cycle: Cycle | None
    effective_on: date
    effective_at: datetime
    withdrawal: CancellationWithdrawn | None
    """What took it back: the first of several that did."""

    @property
    def withdrawn(self) -> bool:
        """Whether it was taken back."""
        return self.withdrawal is not None

    @property
    def keeps_service(self) -> bool:
        """Whether the customer goes on using the service until it ends."""
        return self.request.data.keep_service

    @property
    def since(self) -> datetime:
        """Where the first cycle that it may concern begins: by dates, whatever the clock did that night."""
        return self.cycle.period.begin if self.cycle is not None else midnight(self.requested_on, self.time_zone)

    @property
    def facts(self) -> Iterator[Fact]:
        """The request, the cycle that it runs to the end of, and what took it back."""
        yield self.request
        if self.cycle is not None:
            yield self.cycle.fact
        if self.withdrawal is not None:
            yield self.withdrawal


@value
class Ending:
    """How a subscription ends, as far as its facts say: by the customer, by the provider, or both."""

    requests: tuple[Cancellation, ...]
    """Every request, the earliest first."""
    cancellation: Cancellation | None
    """The request that counts: the earliest that stands, or the earliest of all where every one was withdrawn."""
    termination: SubscriptionTerminated | None
    terminated_on: date | None

    @property
    def deciding(self) -> Iterator[Cancellation]:
        """The requests that say which of them counts: up to the first that stands."""
        for request in self.requests:
            yield request
            if not request.withdrawn:
                return


GOES_ON = Ending((), None, None, None)
"""A subscription that nobody has ended."""


def ending(subscription: SubscriptionFacts, time_zone: str) -> Ending:
    """Find the request that counts and the termination that holds."""
    if not subscription.requests and not subscription.terminations:
        return GOES_ON
    terminated = termination(subscription)
    requests = sorted(
        (_cancellation(request, subscription, time_zone) for request in subscription.requests),
        key=lambda c: (c.request.data.requested_at, *c.request.order),
    )
    standing = next((c for c in requests if not c.withdrawn), requests[0] if requests else None)
    return Ending(
        requests=tuple(requests),
        cancellation=standing,
        termination=terminated,
        terminated_on=local_date(terminated.data.terminated_at, time_zone) if terminated else None,
    )


def _cancellation(request: CancellationRequested, subscription: SubscriptionFacts, time_zone: str) -> Cancellation:
    requested_at = request.data.requested_at
    requested_on = local_date(requested_at, time_zone)
    cycle = subscription.cycle_containing(requested_on)
    effective_on = cycle.ends_on if cycle is not None else requested_on
    effective_at = midnight(effective_on, time_zone)
    taking_back = (w for w in subscription.withdrawals if requested_at < w.data.withdrawn_at < effective_at)
    withdrawal = min(taking_back, key=lambda w: (w.data.withdrawn_at, *w.order), default=None)
    return Cancellation(request, time_zone, requested_on, cycle, effective_on, effective_at, withdrawal)
