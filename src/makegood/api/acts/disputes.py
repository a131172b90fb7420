"""Acts on a dispute: open it, confirm an overcharge, and find the charge right."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from makegood.acts import disputes
from makegood.acts.disputes import ConfirmDispute, OpenDispute, RejectDispute
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

DISPUTES = "/accounts/{account_id}/disputes"

router = APIRouter(tags=["Disputes"], route_class=Guarded)

DisputeId = Annotated[PathId, Path(description="The dispute.")]


@router.post(DISPUTES, summary="Dispute a charge", responses=ANSWERS)
def open_dispute(act: Annotated[Asked, acting("dispute.open")], asked: OpenDispute) -> Response:
    """The dispute is investigated, and moves no money until an overcharge is confirmed."""
    return act.answer(disputes.open_dispute(asked))


@router.post(f"{DISPUTES}/{{dispute_id}}/confirm", summary="Confirm an overcharge", responses=ANSWERS)
def confirm_dispute(
    dispute_id: DisputeId, act: Annotated[Asked, acting("dispute.confirm")], asked: ConfirmDispute
) -> Response:
    """No dispute is required: the provider's own findings count the same. The first verdict is final."""
    return act.answer(disputes.confirm_dispute(dispute_id, asked))


@router.post(f"{DISPUTES}/{{dispute_id}}/reject", summary="Reject a dispute", responses=ANSWERS)
def reject_dispute(
    dispute_id: DisputeId, act: Annotated[Asked, acting("dispute.reject")], asked: RejectDispute
) -> Response:
    """The first verdict is final; the investigator's reason is kept."""
    return act.answer(disputes.reject_dispute(dispute_id, asked))
