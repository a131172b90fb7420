"""Acts on a goodwill credit: propose it, and approve or reject what another person proposed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel
from starlette.responses import Response

from consumers.upstream.door_messages import GoodwillApprovedV1, GoodwillProposedV1, GoodwillRejectedV1
from consumers.upstream.fields import Currency, Identifier, PositiveAmount
from consumers.upstream.messages import MessageData
from makegood.api.act_request import ANSWERS, Acting, Known, acting
from makegood.api.acts.bodies import MadeIfAbsent, Words, WordsIfAny, like
from makegood.api.acts.complaints import COMPLAINTS, ComplaintId
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

GOODWILL = "/accounts/{account_id}/goodwill/{credit_id}"

router = APIRouter(tags=["Goodwill"], route_class=Guarded)

CreditId = Annotated[PathId, Path(description="The goodwill credit.")]


class ProposeGoodwill(BaseModel):
    """Propose a goodwill credit for a complaint. Another person approves it."""

    model_config = like(amount="5.00", currency="EUR", reason="for the trouble")

    credit_id: MadeIfAbsent = None
    currency: Currency
    amount: PositiveAmount
    subscription_id: Identifier | None = None
    reason: WordsIfAny = None


class ApproveGoodwill(BaseModel):
    """Approve a goodwill credit that another person proposed."""

    model_config = like()


class RejectGoodwill(BaseModel):
    """Reject a goodwill credit."""

    model_config = like(reason="it was made good by the invoice already")

    reason: Words


APPROVE = ApproveGoodwill()
"""A body that says nothing: there need be none."""


@router.post(f"{COMPLAINTS}/{{complaint_id}}/goodwill", summary="Propose a goodwill credit", responses=ANSWERS)
def propose_goodwill(
    complaint_id: ComplaintId, act: Annotated[Acting, acting("goodwill.propose")], asked: ProposeGoodwill
) -> Response:
    """The credit, proposed for a complaint, is granted once another person approves it."""

    def say(known: Known) -> list[MessageData]:
        if asked.subscription_id is not None:
            known.in_body("subscription", asked.subscription_id, "subscription_id")
        return [
            GoodwillProposedV1(
                credit_id=known.new("goodwill", asked.credit_id, "credit_id"),
                complaint_id=known.in_path("complaint", complaint_id),
                subscription_id=asked.subscription_id,
                currency=known.currency(asked.currency),
                amount=asked.amount,
                proposed_by=act.caller.principal,
                reason=asked.reason,
            )
        ]

    return act.carry_out(say)


@router.post(f"{GOODWILL}/approve", summary="Approve a goodwill credit", responses=ANSWERS)
def approve_goodwill(
    credit_id: CreditId,
    act: Annotated[Acting, acting("goodwill.decide")],
    asked: Annotated[ApproveGoodwill, Body()] = APPROVE,
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return act.carry_out(
        lambda known: [
            GoodwillApprovedV1(credit_id=known.undecided(credit_id), decided_by=act.caller.principal),
        ]
    )


@router.post(f"{GOODWILL}/reject", summary="Reject a goodwill credit", responses=ANSWERS)
def reject_goodwill(
    credit_id: CreditId, act: Annotated[Acting, acting("goodwill.decide")], asked: RejectGoodwill
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return act.carry_out(
        lambda known: [
            GoodwillRejectedV1(
                credit_id=known.undecided(credit_id), decided_by=act.caller.principal, reason=asked.reason
            )
        ]
    )
