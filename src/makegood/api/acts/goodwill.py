"""Acts on a goodwill credit: propose it, and approve or reject what another person proposed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from makegood.acts import goodwill
from makegood.acts.goodwill import ApproveGoodwill, ProposeGoodwill, RejectGoodwill
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.acts.complaints import COMPLAINTS, ComplaintId
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

GOODWILL = "/accounts/{account_id}/goodwill/{credit_id}"

router = APIRouter(tags=["Goodwill"], route_class=Guarded)

CreditId = Annotated[PathId, Path(description="The goodwill credit.")]

APPROVE = ApproveGoodwill()
"""A body that says nothing: there need be none."""


@router.post(f"{COMPLAINTS}/{{complaint_id}}/goodwill", summary="Propose a goodwill credit", responses=ANSWERS)
def propose_goodwill(
    complaint_id: ComplaintId, act: Annotated[Asked, acting("goodwill.propose")], asked: ProposeGoodwill
) -> Response:
    """The credit, proposed for a complaint, is granted once another person approves it."""
    return act.answer(goodwill.propose_goodwill(complaint_id, asked))


@router.post(f"{GOODWILL}/approve", summary="Approve a goodwill credit", responses=ANSWERS)
def approve_goodwill(
    credit_id: CreditId,
    act: Annotated[Asked, acting("goodwill.decide")],
    _: Annotated[ApproveGoodwill, Body()] = APPROVE,
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return act.answer(goodwill.approve_goodwill(credit_id))


@router.post(f"{GOODWILL}/reject", summary="Reject a goodwill credit", responses=ANSWERS)
def reject_goodwill(
    credit_id: CreditId, act: Annotated[Asked, acting("goodwill.decide")], asked: RejectGoodwill
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return act.answer(goodwill.reject_goodwill(credit_id, asked))
