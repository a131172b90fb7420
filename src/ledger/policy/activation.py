"""When a subscription's activation is due (policy §8): it is registered, and its first invoice is paid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.events import (
    AccountRegistered,
    ChargePosted,
    CycleStarted,
    Fact,
    FactRetracted,
    PaymentCaptured,
    SubscriptionRegistered,
)
from ledger.policy.charges import Charge
from ledger.policy.known_facts import AccountFacts, SubscriptionFacts

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
    """A registration and what pays for the first invoice: together they make an activation due."""

    registration: SubscriptionRegistered
    paid_by: PaymentCaptured | CycleStarted | ChargePosted
    """The first payment; where the invoice counts as paid without one, its first charge."""


def activations(facts: AccountFacts, is_paid_without_payment: Callable[[str], bool]) -> dict[str, Activation]:
    """The subscriptions whose activation the facts ask for, whether it was recorded before or not.

    `is_paid_without_payment` says of an invoice, by its id, whether it counts as paid though no payment of it stands.
    Whatever order the facts came in, the one that completes them makes the difference; whoever compares what stood
    before a fact with what stands after it finds each activation once. What has become of the subscription since
    changes none of it: whoever writes the e-mail looks whether there is still anything to tell.
    """
    if facts.registration is None:
        return {}
    found = {}
    for subscription in facts.subscriptions.values():
        activation = _activation(facts, subscription, is_paid_without_payment)
        if activation is not None:
            found[subscription.subscription_id] = activation
    return found


def _activation(
    facts: AccountFacts,
    subscription: SubscriptionFacts,
    is_paid_without_payment: Callable[[str], bool],
) -> Activation | None:
    registration = subscription.registration
    charge = _first_charge(facts, subscription)
    if registration is None or charge is None:
        return None
    payments = facts.invoices[charge.invoice_id].payments.values()
    payment = min(payments, key=lambda fact: fact.order, default=None)
    if payment is None and not is_paid_without_payment(charge.invoice_id):
        return None
    return Activation(registration, payment or charge.fact)


def _first_charge(facts: AccountFacts, subscription: SubscriptionFacts) -> Charge | None:
    """The earliest cycle; the earliest one-off charge where there is no cycle. Its invoice is the first."""
    if subscription.cycles:
        return subscription.cycles[0]
    one_offs = [c for c in facts.charges.values() if c.subscription_id == subscription.subscription_id]
    return min(one_offs, key=lambda charge: charge.fact.order, default=None)
