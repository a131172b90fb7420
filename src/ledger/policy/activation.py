"""When a subscription's activation is due (policy §8): it is registered, and its first invoice is paid."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Protocol

from ledger.events import ChargePosted, CycleStarted, PaymentCaptured, SubscriptionRegistered
from ledger.policy.facts import AccountFacts, SubscriptionFacts
from ledger.policy.facts.charge import Charge
from ledger.values import value


@value
class Activation:
    """A registration and what pays for the first invoice: together they make an activation due."""

    registration: SubscriptionRegistered
    paid_by: PaymentCaptured | CycleStarted | ChargePosted
    """The first payment; where the invoice counts as paid without one, its first charge."""


class Invoices(Protocol):
    """What settlement knows of an account's invoices."""

    def is_application(self, payment: PaymentCaptured) -> bool:
        """Whether a payment is a credit of ours that was applied, and no payment besides."""

    def is_paid_without_payment(self, invoice_id: str, now: datetime) -> bool:
        """Whether an invoice counts as paid though no other payment of it stands."""


def activations(
    facts: AccountFacts, invoices: Invoices, now: datetime, *, apart_from: Container[str]
) -> dict[str, Activation]:
    """The subscriptions whose activation the facts ask for, apart from those that need not be looked at.

    Whatever order the facts came in, the one that completes them makes the difference; whoever compares what stood
    before a fact with what stands after it finds each activation once. What has become of the subscription since
    changes none of it: whoever writes the e-mail looks whether there is still anything to tell.
    """
    if facts.registration is None:
        return {}
    found = {}
    for subscription_id, subscription in facts.subscriptions.by_id.items():
        activation = None
        if subscription_id not in apart_from:
            activation = _activation(facts, subscription, invoices, now)
        if activation is not None:
            found[subscription_id] = activation
    return found


def _activation(
    facts: AccountFacts, subscription: SubscriptionFacts, invoices: Invoices, now: datetime
) -> Activation | None:
    registration = subscription.registration
    charge = _first_charge(facts, subscription)
    if registration is None or charge is None:
        return None
    captured = facts.invoices[charge.invoice_id].payments.values()
    payments = (payment for payment in captured if not invoices.is_application(payment))
    payment = min(payments, key=lambda fact: fact.order, default=None)
    if payment is None and not invoices.is_paid_without_payment(charge.invoice_id, now):
        return None
    return Activation(registration, payment or charge.fact)


def _first_charge(facts: AccountFacts, subscription: SubscriptionFacts) -> Charge | None:
    """The earliest cycle; the earliest one-off charge where there is no cycle. Its invoice is the first."""
    if subscription.cycles:
        return subscription.cycles[0]
    one_offs = [c for c in facts.charges.assessed.values() if c.subscription_id == subscription.subscription_id]
    return min(one_offs, key=lambda charge: charge.fact.order, default=None)
