"""When a subscription's activation is due (policy §8): it is registered, and its first invoice has a payment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.events import (
    AccountRegistered,
    ChargePosted,
    CycleStarted,
    Fact,
    FactRetracted,
    PaymentCaptured,
    SubscriptionRegistered,
)
from ledger.policy.known_facts import AccountFacts, SubscriptionFacts
from ledger.policy.violation import termination

COMPLETING: tuple[type[Fact], ...] = (
    AccountRegistered,
    SubscriptionRegistered,
    CycleStarted,
    ChargePosted,
    PaymentCaptured,
    FactRetracted,
)
"""The facts that can make an activation due; after any other there is none that was not due before."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A registration and the payment that together make an activation due."""

    registration: SubscriptionRegistered
    payment: PaymentCaptured


def activations(facts: AccountFacts, now: datetime) -> dict[str, Activation]:
    """The subscriptions whose activation the facts ask for, whether it was recorded before or not.

    Whatever order the facts came in, the one that completes them makes the difference; whoever compares what stood
    before a fact with what stands after it finds each activation once.
    """
    if facts.registration is None:
        return {}
    found = {}
    for subscription in facts.subscriptions.values():
        activation = _activation(facts, subscription, now)
        if activation is not None:
            found[subscription.subscription_id] = activation
    return found


def _activation(facts: AccountFacts, subscription: SubscriptionFacts, now: datetime) -> Activation | None:
    registration = subscription.registration
    invoice_id = _first_invoice(facts, subscription)
    if registration is None or invoice_id is None or invoice_id not in facts.invoices:
        return None
    ended = termination(subscription)
    if ended is not None and ended.data.terminated_at <= now:
        return None
    payments = facts.invoices[invoice_id].payments.values()
    payment = min(payments, key=lambda fact: fact.order, default=None)
    return Activation(registration, payment) if payment is not None else None


def _first_invoice(facts: AccountFacts, subscription: SubscriptionFacts) -> str | None:
    """The invoice of the earliest cycle; of the earliest one-off charge where the subscription has no cycle."""
    if subscription.cycles:
        return subscription.cycles[0].invoice_id
    one_offs = [c for c in facts.charges.values() if c.subscription_id == subscription.subscription_id]
    earliest = min(one_offs, key=lambda charge: charge.fact.order, default=None)
    return earliest.invoice_id if earliest is not None else None
