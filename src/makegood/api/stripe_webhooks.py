"""`POST /processors/stripe`: Stripe's webhooks, which prove who sent them by their signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from consumers.payouts.stripe.webhook import Unsigned, hear, signed_event
from consumers.payouts.stripe.words import Unknown
from ledger.application.shards import Shards
from makegood.api.guard import TheHouse, unproven
from makegood.api.problems import UNREADABLE, Refused

PATH = "/processors/stripe"


class HeardEvent(BaseModel):
    """What became of an event: recorded, known already, refused and kept as a dead letter, or none of our concern."""

    outcome: Literal["recorded", "known", "refused", "ignored"]


def stripe_webhooks(secrets: Sequence[str]) -> APIRouter:
    """The address that Stripe sends its events to, signed with one of these secrets."""
    router = APIRouter(include_in_schema=False)

    @router.post(PATH)
    async def webhook(request: Request, house: TheHouse) -> HeardEvent:
        """Record what an event says of a refund. Stripe repeats whatever is not answered with success."""
        body = await request.body()
        try:
            event = signed_event(body, request.headers.get("stripe-signature"), secrets)
            outcome = await run_in_threadpool(hear, Shards([each.ledger for each in house.every]), event)
        except Unsigned:
            detail = "sign the event with the endpoint's secret (MAKEGOOD_STRIPE_WEBHOOK_SECRET), and now"
            raise unproven(request, "Stripe-Signature", detail) from None
        except Unknown as error:
            raise Refused(UNREADABLE, str(error)) from None
        if outcome == "recorded":
            request.app.state.recorded()
        request.state.principal = "stripe"
        return HeardEvent(outcome=outcome)

    return router
