"""Acts on money that goes out: refunds approved, rejected, retried or turned into credit; credits refunded; and what
went out too much written off or recovered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from makegood.api.act_request import ANSWERS, Acting, acting
from makegood.api.acts.bodies import Words, like
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

REFUND = "/accounts/{account_id}/refunds/{refund_id}"
CREDIT = "/accounts/{account_id}/credits/{credit_id}"
OVERPAID = "/accounts/{account_id}/overpaid/{claim_id}"

router = APIRouter(tags=["Payouts"], route_class=Guarded)

RefundId = Annotated[PathId, Path(description="The refund; a slash in its id is sent as %2F.")]
CreditId = Annotated[PathId, Path(description="The credit; a slash in its id is sent as %2F.")]
ClaimId = Annotated[PathId, Path(description="The claim; a slash in its id is sent as %2F.")]

Proposal = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="The field `proposal` of the refund that you saw: the hash of the event that set its amount.",
    ),
]
A_PROPOSAL = "5e0f6cbb30bdd3b1f12fa3bbdf4a1c6ddf6a8f4bb9c2a5c0f7f1f2a1c0d3e4f5"


class ApproveRefund(BaseModel):
    """Approve a refund as you saw it."""

    model_config = like(seen=A_PROPOSAL)

    seen: Proposal


class RejectRefund(BaseModel):
    """Reject a refund."""

    model_config = like(reason="paid by bank transfer already")

    reason: Words
    seen: Annotated[Proposal | None, Field(description="The field `proposal` that you saw, to reject only that.")] = (
        None
    )


class RetryRefund(BaseModel):
    """Submit a failed refund again."""

    model_config = like()


class TurnIntoCredit(BaseModel):
    """Turn a failed refund into a credit."""

    model_config = like()


class RefundCredit(BaseModel):
    """Refund the rest of a credit."""

    model_config = like()


class DecideOverpaid(BaseModel):
    """Decide about an overpaid claim."""

    model_config = like(reason="too small to ask for")

    reason: Words


RETRY, TURN, REFUND_CREDIT = RetryRefund(), TurnIntoCredit(), RefundCredit()
"""Bodies that say nothing: there need be none."""


@router.post(f"{REFUND}/approve", summary="Approve a refund", responses=ANSWERS)
def approve_refund(
    refund_id: RefundId, act: Annotated[Acting, acting("refund.decide")], asked: ApproveRefund
) -> Response:
    """Approves exactly the amount that you saw: if it changed, the request is refused with the change. A refund that
    came from your own act must be approved by another person. It is paid out as soon as nothing holds it."""
    return act.carry_out(lambda known: [known.deciding.approve(refund_id, asked.seen)])


@router.post(f"{REFUND}/reject", summary="Reject a refund", responses=ANSWERS)
def reject_refund(
    refund_id: RefundId, act: Annotated[Acting, acting("refund.decide")], asked: RejectRefund
) -> Response:
    """A rejected refund is no longer owed. It is due again when its amount changes."""
    return act.carry_out(lambda known: [known.deciding.reject(refund_id, asked.reason, asked.seen)])


@router.post(f"{REFUND}/retry", summary="Retry a failed refund", responses=ANSWERS)
def retry_refund(
    refund_id: RefundId,
    act: Annotated[Acting, acting("refund.retry")],
    asked: Annotated[RetryRefund, Body()] = RETRY,
) -> Response:
    """Submits a failed refund again. If its amount changed since its approval, it must be approved again first."""
    return act.carry_out(lambda known: [known.deciding.retry(refund_id)])


@router.post(f"{REFUND}/to-credit", summary="Turn a failed refund into a credit", responses=ANSWERS)
def turn_refund_into_credit(
    refund_id: RefundId,
    act: Annotated[Acting, acting("refund.to_credit")],
    asked: Annotated[TurnIntoCredit, Body()] = TURN,
) -> Response:
    """The credit pays for the account's next charges."""
    return act.carry_out(lambda known: [known.deciding.turn_into_credit(refund_id)])


@router.post(f"{CREDIT}/refund", summary="Refund the rest of a credit", responses=ANSWERS)
def refund_credit(
    credit_id: CreditId,
    act: Annotated[Acting, acting("credit.refund")],
    asked: Annotated[RefundCredit, Body()] = REFUND_CREDIT,
) -> Response:
    """Possible once the account's last subscription has ended. The refund is due, and is approved like any other."""
    return act.carry_out(lambda known: [known.deciding.refund_credit(credit_id)])


@router.post(f"{OVERPAID}/write-off", summary="Write off an overpaid amount", responses=ANSWERS)
def write_off_overpaid(
    claim_id: ClaimId, act: Annotated[Acting, acting("overpaid.decide")], asked: DecideOverpaid
) -> Response:
    """Nothing is asked back from the customer."""
    return act.carry_out(lambda known: [known.deciding.write_off(claim_id, asked.reason)])


@router.post(f"{OVERPAID}/recover", summary="Recover an overpaid amount", responses=ANSWERS)
def recover_overpaid(
    claim_id: ClaimId, act: Annotated[Acting, acting("overpaid.decide")], asked: DecideOverpaid
) -> Response:
    """The amount is kept back from the account's next credits, none of which is older than this decision."""
    return act.carry_out(lambda known: [known.deciding.recover(claim_id, asked.reason)])
