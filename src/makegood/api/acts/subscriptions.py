"""Acts on a subscription: cancel it and take that back; suspend, reinstate and terminate it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from makegood.acts import subscriptions
from makegood.acts.subscriptions import Cancel, Reinstate, Suspend, Terminate, WithdrawCancellation
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

SUBSCRIPTION = "/accounts/{account_id}/subscriptions/{subscription_id}"

router = APIRouter(tags=["Subscriptions"], route_class=Guarded)

SubscriptionId = Annotated[PathId, Path(description="The subscription.")]

CANCEL, WITHDRAW, REINSTATE = Cancel(), WithdrawCancellation(), Reinstate()
"""Bodies that say nothing: there need be none."""


@router.post(f"{SUBSCRIPTION}/cancel", summary="Cancel a subscription", responses=ANSWERS)
def cancel(
    subscription_id: SubscriptionId,
    act: Annotated[Asked, acting("subscription.cancel")],
    asked: Annotated[Cancel, Body()] = CANCEL,
) -> Response:
    """The cancellation takes effect at the end of the billing cycle. The answer has the date and the claims."""
    return act.answer(subscriptions.cancel(subscription_id, asked))


@router.post(f"{SUBSCRIPTION}/withdraw-cancellation", summary="Withdraw a cancellation", responses=ANSWERS)
def withdraw_cancellation(
    subscription_id: SubscriptionId,
    act: Annotated[Asked, acting("subscription.withdraw_cancellation")],
    asked: Annotated[WithdrawCancellation, Body()] = WITHDRAW,
) -> Response:
    """Withdraws all requests that have not taken effect yet; without one, it changes nothing."""
    return act.answer(subscriptions.withdraw_cancellation(subscription_id, asked))


@router.post(f"{SUBSCRIPTION}/suspend", summary="Suspend the service for a violation", responses=ANSWERS)
def suspend(
    subscription_id: SubscriptionId, act: Annotated[Asked, acting("subscription.suspend")], asked: Suspend
) -> Response:
    """Nothing is refunded for the time of a suspension."""
    return act.answer(subscriptions.suspend(subscription_id, asked))


@router.post(f"{SUBSCRIPTION}/reinstate", summary="Reinstate a suspended service", responses=ANSWERS)
def reinstate(
    subscription_id: SubscriptionId,
    act: Annotated[Asked, acting("subscription.reinstate")],
    asked: Annotated[Reinstate, Body()] = REINSTATE,
) -> Response:
    """Ends a suspension. A termination cannot be undone."""
    return act.answer(subscriptions.reinstate(subscription_id, asked))


@router.post(f"{SUBSCRIPTION}/terminate", summary="Terminate a subscription for a violation", responses=ANSWERS)
def terminate(
    subscription_id: SubscriptionId, act: Annotated[Asked, acting("subscription.terminate")], asked: Terminate
) -> Response:
    """Nothing is refunded. Existing credits and confirmed overcharges are kept."""
    return act.answer(subscriptions.terminate(subscription_id, asked))
