"""Subscriptions: which registration of each stands, under which terms, and all that is known of it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime

from ledger.agreement import Agreement, PublishedAgreement
from ledger.events import (
    AgreementBound,
    CancellationRequested,
    CancellationWithdrawn,
    SubscriptionRegistered,
    SubscriptionReinstated,
    SubscriptionSuspended,
    SubscriptionTerminated,
)
from ledger.policy.facts.charge import Cycle
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.outage import Outages
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import Period


@dataclass(slots=True)
class SubscriptionFacts:
    """What is known of one subscription."""

    subscription_id: str
    registration: SubscriptionRegistered | None = None
    binding: AgreementBound | None = None
    terms: Agreement | None = None
    cycles: list[Cycle] = field(default_factory=list)
    outages: Outages = field(default_factory=Outages)
    requests: list[CancellationRequested] = field(default_factory=list)
    withdrawals: list[CancellationWithdrawn] = field(default_factory=list)
    interruptions: list[SubscriptionSuspended | SubscriptionReinstated] = field(default_factory=list)
    terminations: list[SubscriptionTerminated] = field(default_factory=list)

    def cycle_containing(self, day: date) -> Cycle | None:
        """The cycle in which a local date lies."""
        position = bisect_right(self.cycles, day, key=lambda cycle: cycle.starts_on)
        return self.cycles[position - 1] if position and self.cycles[position - 1].contains(day) else None

    def cycles_in(self, window: Period) -> list[Cycle]:
        """The cycles that share time with a window, or touch it, in order."""
        first = bisect_right(self.cycles, window.begin, key=lambda cycle: cycle.period.begin)
        while first and self.cycles[first - 1].period.end >= window.begin:
            first -= 1
        last = bisect_right(self.cycles, window.end, key=lambda cycle: cycle.period.begin)
        return self.cycles[first:last]

    def latest_ended(self, now: datetime) -> Cycle | None:
        """The last cycle whose end has passed: an open outage counts to its end (policy §3)."""
        position = bisect_right(self.cycles, now, key=lambda cycle: cycle.period.end)
        return self.cycles[position - 1] if position else None

    def insert_cycle(self, cycle: Cycle) -> None:
        """Put a cycle in its place."""
        insort(self.cycles, cycle, key=lambda c: c.starts_on)


Bindings = dict[tuple[str, str], tuple[AgreementBound, Agreement]]
"""The terms that were bound, by the event id of their registration and the zone."""


class Subscriptions:
    """The registrations of subscriptions: of each subscription the first stands, under the terms bound for it."""

    def __init__(
        self, account: RegisteredAccount, bindings: Bindings, contradictions: Contradictions, waiting: WaitingFacts
    ) -> None:
        self._account = account
        self._bindings = bindings
        self._contradictions = contradictions
        self._waiting = waiting
        self._registrations: dict[str, list[SubscriptionRegistered]] = defaultdict(list)
        self.by_id: dict[str, SubscriptionFacts] = {}
        """Those too that are not registered yet."""

    def learn(self, fact: SubscriptionRegistered) -> Touched:
        """Take in one registration; what was charged, proposed or said of the subscription may wait for it."""
        subscription_id = fact.data.subscription_id
        self._registrations[subscription_id].append(fact)
        self._waiting.ask_anew(*self._registrations[subscription_id])
        self._waiting.became_known("subscription", subscription_id)
        self._judge(subscription_id)
        return Touched(subscriptions={subscription_id})

    def bind(self, binding: AgreementBound, published: PublishedAgreement) -> Touched:
        """Take note of the terms that hold for a subscription."""
        subscription = self.by_id[binding.data.subscription_id]
        subscription.binding, subscription.terms = binding, published.terms
        self._bindings[binding.data.registration, binding.data.time_zone] = (binding, published.terms)
        self._waiting.ask_anew(*self._registrations[subscription.subscription_id])
        return Touched(subscriptions={subscription.subscription_id})

    def judge(self) -> None:
        """Find the registration of each that stands, and its terms."""
        for subscription_id in self._registrations:
            self._judge(subscription_id)

    def _judge(self, subscription_id: str) -> None:
        """Terms hold for the registration and the zone that they were bound for; where an earlier one stands now,
        the subscription is bound anew, as if it had been known from the start."""
        subscription = self.named(subscription_id)
        registration = self._contradictions.first_stands(self._registrations[subscription_id])
        subscription.registration, subscription.binding, subscription.terms = registration, None, None
        if registration is not None and self._account.time_zone is not None:
            bound = self._bindings.get((registration.event_id, self._account.time_zone))
            subscription.binding, subscription.terms = bound or (None, None)

    def waits_for(self, fact: SubscriptionRegistered) -> str | None:
        """The registration that stands waits for its agreement."""
        subscription = self.by_id[fact.data.subscription_id]
        waits = subscription.binding is None and fact is subscription.registration
        return f"agreement {fact.data.agreement}" if waits else None

    # --- questions -----------------------------------------------------------------------------------------------

    def named(self, subscription_id: str) -> SubscriptionFacts:
        """The subscription under an id, which is known from now on."""
        if subscription_id not in self.by_id:
            self.by_id[subscription_id] = SubscriptionFacts(subscription_id)
        return self.by_id[subscription_id]

    def is_registered(self, subscription_id: str) -> bool:
        """Whether a registration stands."""
        subscription = self.by_id.get(subscription_id)
        return subscription is not None and subscription.registration is not None

    def unbound(self) -> list[SubscriptionRegistered]:
        """The standing registrations that no agreement is bound for, once the account's zone is known."""
        if self._account.time_zone is None:
            return []
        return [s.registration for s in self.by_id.values() if s.registration is not None and s.binding is None]
