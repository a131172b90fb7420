"""Acts on a subscription: cancel it and take that back; suspend, reinstate and terminate it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from consumers.upstream.fields import Violation
from consumers.upstream.messages import (
    CancellationRequestedV1,
    CancellationWithdrawnV1,
    SubscriptionReinstatedV1,
    SubscriptionSuspendedV1,
    SubscriptionTerminatedV1,
)
from makegood.acts.acting import Say
from makegood.acts.bodies import At, WordsIfAny, like


class Cancel(BaseModel):
    """Cancel a subscription at the end of its billing cycle."""

    model_config = like(reason="moving abroad", keep_service=True)

    requested_at: At = None
    reason: WordsIfAny = None
    keep_service: Annotated[
        bool | None, Field(description="True to keep the service usable until the end of the cycle.")
    ] = None


class WithdrawCancellation(BaseModel):
    """Withdraw a cancellation before it takes effect."""

    model_config = like()

    withdrawn_at: At = None


class Suspend(BaseModel):
    """Suspend the service for a violation."""

    model_config = like(reason="non_payment")

    suspended_at: At = None
    reason: Violation


class Reinstate(BaseModel):
    """Reinstate a suspended service."""

    model_config = like()

    reinstated_at: At = None


class Terminate(BaseModel):
    """Terminate a subscription for a violation."""

    model_config = like(reason="misuse")

    terminated_at: At = None
    reason: Violation


def cancel(subscription_id: str, asked: Cancel) -> Say:
    """The cancellation takes effect at the end of the billing cycle."""
    return lambda known: [
        CancellationRequestedV1(
            subscription_id=known.in_path("subscription", subscription_id),
            requested_at=known.instant(asked.requested_at, "requested_at"),
            channel=known.came_by,
            reason=asked.reason,
            keep_service=asked.keep_service or False,
        )
    ]


def withdraw_cancellation(subscription_id: str, asked: WithdrawCancellation) -> Say:
    """Withdraws all requests that have not taken effect yet; without one, it changes nothing."""
    return lambda known: [
        CancellationWithdrawnV1(
            subscription_id=known.in_path("subscription", subscription_id),
            withdrawn_at=known.instant(asked.withdrawn_at, "withdrawn_at"),
        )
    ]


def suspend(subscription_id: str, asked: Suspend) -> Say:
    """Nothing is refunded for the time of a suspension."""
    return lambda known: [
        SubscriptionSuspendedV1(
            subscription_id=known.in_path("subscription", subscription_id),
            suspended_at=known.instant(asked.suspended_at, "suspended_at"),
            reason=asked.reason,
        )
    ]


def reinstate(subscription_id: str, asked: Reinstate) -> Say:
    """Ends a suspension. A termination cannot be undone."""
    return lambda known: [
        SubscriptionReinstatedV1(
            subscription_id=known.in_path("subscription", subscription_id),
            reinstated_at=known.instant(asked.reinstated_at, "reinstated_at"),
        )
    ]


def terminate(subscription_id: str, asked: Terminate) -> Say:
    """Nothing is refunded. Existing credits and confirmed overcharges are kept."""
    return lambda known: [
        SubscriptionTerminatedV1(
            subscription_id=known.in_path("subscription", subscription_id),
            terminated_at=known.instant(asked.terminated_at, "terminated_at"),
            reason=asked.reason,
        )
    ]
