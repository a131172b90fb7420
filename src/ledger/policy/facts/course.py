"""What changes the course of a subscription: cancellation, suspension, termination (policy §5, §6)."""

from __future__ import annotations

from ledger.events import (
    CancellationRequested,
    CancellationWithdrawn,
    SubscriptionReinstated,
    SubscriptionSuspended,
    SubscriptionTerminated,
)
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.subscriptions import Subscriptions
from ledger.policy.facts.touched import Touched
from ledger.values import END, Period

CourseFact = (
    CancellationRequested
    | CancellationWithdrawn
    | SubscriptionSuspended
    | SubscriptionReinstated
    | SubscriptionTerminated
)


class Course:
    """Where each stands with its subscription. None contradicts another: the rules say which of them count."""

    def __init__(self, account: RegisteredAccount, subscriptions: Subscriptions) -> None:
        self._account = account
        self._subscriptions = subscriptions

    def learn(self, fact: CourseFact) -> Touched:
        """Take in one fact: it concerns all time from the date on that it is about."""
        subscription = self._subscriptions.named(fact.data.subscription_id)
        match fact:
            case CancellationRequested():
                subscription.requests.append(fact)
                since = fact.data.requested_at
            case CancellationWithdrawn():
                subscription.withdrawals.append(fact)
                since = fact.data.withdrawn_at
            case SubscriptionSuspended():
                subscription.interruptions.append(fact)
                since = fact.data.suspended_at
            case SubscriptionReinstated():
                subscription.interruptions.append(fact)
                since = fact.data.reinstated_at
            case SubscriptionTerminated():
                subscription.terminations.append(fact)
                since = fact.data.terminated_at
        return Touched(windows={subscription.subscription_id: Period(self._account.date_begins(since), END)})

    def judge(self) -> None:
        """Nothing here depends on another fact."""

    def waits_for(self, fact: CourseFact) -> str | None:
        """It waits for nothing but its subscription."""
        return None
