"""Acts on a subscription: cancel it and take that back; suspend, reinstate and terminate it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from consumers.upstream.fields import Violation
from consumers.upstream.messages import (
    CancellationRequestedV1,
    CancellationWithdrawnV1,
    SubscriptionReinstatedV1,
    SubscriptionSuspendedV1,
    SubscriptionTerminatedV1,
)
from makegood.api.act_request import ANSWERS, Acting, acting
from makegood.api.acts.bodies import At, WordsIfAny, like
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

SUBSCRIPTION = "/accounts/{account_id}/subscriptions/{subscription_id}"

router = APIRouter(tags=["Subscriptions"], route_class=Guarded)

SubscriptionId = Annotated[PathId, Path(description="The subscription.")]


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


CANCEL, WITHDRAW, REINSTATE = Cancel(), WithdrawCancellation(), Reinstate()
"""Bodies that say nothing: there need be none."""


@router.post(f"{SUBSCRIPTION}/cancel", summary="Cancel a subscription", responses=ANSWERS)
def cancel(
    subscription_id: SubscriptionId,
    act: Annotated[Acting, acting("subscription.cancel")],
    asked: Annotated[Cancel, Body()] = CANCEL,
) -> Response:
    """The cancellation takes effect at the end of the billing cycle. The answer has the date and the claims."""
    return act.carry_out(
        lambda known: [
            CancellationRequestedV1(
                subscription_id=known.in_path("subscription", subscription_id),
                requested_at=known.instant(asked.requested_at, "requested_at"),
                channel=known.came_by,
                reason=asked.reason,
                keep_service=asked.keep_service or False,
            )
        ]
    )


@router.post(f"{SUBSCRIPTION}/withdraw-cancellation", summary="Withdraw a cancellation", responses=ANSWERS)
def withdraw_cancellation(
    subscription_id: SubscriptionId,
    act: Annotated[Acting, acting("subscription.withdraw_cancellation")],
    asked: Annotated[WithdrawCancellation, Body()] = WITHDRAW,
) -> Response:
    """Withdraws all requests that have not taken effect yet; without one, it changes nothing."""
    return act.carry_out(
        lambda known: [
            CancellationWithdrawnV1(
                subscription_id=known.in_path("subscription", subscription_id),
                withdrawn_at=known.instant(asked.withdrawn_at, "withdrawn_at"),
            )
        ]
    )


@router.post(f"{SUBSCRIPTION}/suspend", summary="Suspend the service for a violation", responses=ANSWERS)
def suspend(
    subscription_id: SubscriptionId, act: Annotated[Acting, acting("subscription.suspend")], asked: Suspend
) -> Response:
    """Nothing is refunded for the time of a suspension."""
    return act.carry_out(
        lambda known: [
            SubscriptionSuspendedV1(
                subscription_id=known.in_path("subscription", subscription_id),
                suspended_at=known.instant(asked.suspended_at, "suspended_at"),
                reason=asked.reason,
            )
        ]
    )


@router.post(f"{SUBSCRIPTION}/reinstate", summary="Reinstate a suspended service", responses=ANSWERS)
def reinstate(
    subscription_id: SubscriptionId,
    act: Annotated[Acting, acting("subscription.reinstate")],
    asked: Annotated[Reinstate, Body()] = REINSTATE,
) -> Response:
    """Ends a suspension. A termination cannot be undone."""
    return act.carry_out(
        lambda known: [
            SubscriptionReinstatedV1(
                subscription_id=known.in_path("subscription", subscription_id),
                reinstated_at=known.instant(asked.reinstated_at, "reinstated_at"),
            )
        ]
    )


@router.post(f"{SUBSCRIPTION}/terminate", summary="Terminate a subscription for a violation", responses=ANSWERS)
def terminate(
    subscription_id: SubscriptionId, act: Annotated[Acting, acting("subscription.terminate")], asked: Terminate
) -> Response:
    """Nothing is refunded. Existing credits and confirmed overcharges are kept."""
    return act.carry_out(
        lambda known: [
            SubscriptionTerminatedV1(
                subscription_id=known.in_path("subscription", subscription_id),
                terminated_at=known.instant(asked.terminated_at, "terminated_at"),
                reason=asked.reason,
            )
        ]
    )
