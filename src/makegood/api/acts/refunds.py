"""Acts on money that goes out: refunds approved, rejected, retried or turned into credit; credits refunded; and what
went out too much written off or recovered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from makegood.acts import refunds
from makegood.acts.refunds import (
    ApproveRefund,
    DecideOverpaid,
    RefundCredit,
    RejectRefund,
    RetryRefund,
    TurnIntoCredit,
)
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

REFUND = "/accounts/{account_id}/refunds/{refund_id}"
CREDIT = "/accounts/{account_id}/credits/{credit_id}"
OVERPAID = "/accounts/{account_id}/overpaid/{claim_id}"

router = APIRouter(tags=["Payouts"], route_class=Guarded)

RefundId = Annotated[PathId, Path(description="The refund; a slash in its id is sent as %2F.")]
CreditId = Annotated[PathId, Path(description="The credit; a slash in its id is sent as %2F.")]
ClaimId = Annotated[PathId, Path(description="The claim; a slash in its id is sent as %2F.")]

RETRY, TURN, REFUND_CREDIT = RetryRefund(), TurnIntoCredit(), RefundCredit()
"""Bodies that say nothing: there need be none."""


@router.post(f"{REFUND}/approve", summary="Approve a refund", responses=ANSWERS)
def approve_refund(
    refund_id: RefundId, act: Annotated[Asked, acting("refund.decide")], asked: ApproveRefund
) -> Response:
    """Approves exactly the amount that you saw: if it changed, the request is refused with the change. A refund that
    came from your own act must be approved by another person. It is paid out as soon as nothing holds it."""
    return act.answer(refunds.approve_refund(refund_id, asked))


@router.post(f"{REFUND}/reject", summary="Reject a refund", responses=ANSWERS)
def reject_refund(
    refund_id: RefundId, act: Annotated[Asked, acting("refund.decide")], asked: RejectRefund
) -> Response:
    """A rejected refund is no longer owed. It is due again when its amount changes."""
    return act.answer(refunds.reject_refund(refund_id, asked))


@router.post(f"{REFUND}/retry", summary="Retry a failed refund", responses=ANSWERS)
def retry_refund(
    refund_id: RefundId,
    act: Annotated[Asked, acting("refund.retry")],
    _: Annotated[RetryRefund, Body()] = RETRY,
) -> Response:
    """Submits a failed refund again. If its amount changed since its approval, it must be approved again first."""
    return act.answer(refunds.retry_refund(refund_id))


@router.post(f"{REFUND}/to-credit", summary="Turn a failed refund into a credit", responses=ANSWERS)
def turn_refund_into_credit(
    refund_id: RefundId,
    act: Annotated[Asked, acting("refund.to_credit")],
    _: Annotated[TurnIntoCredit, Body()] = TURN,
) -> Response:
    """The credit pays for the account's next charges."""
    return act.answer(refunds.turn_refund_into_credit(refund_id))


@router.post(f"{CREDIT}/refund", summary="Refund the rest of a credit", responses=ANSWERS)
def refund_credit(
    credit_id: CreditId,
    act: Annotated[Asked, acting("credit.refund")],
    _: Annotated[RefundCredit, Body()] = REFUND_CREDIT,
) -> Response:
    """Possible once the account's last subscription has ended. The refund is due, and is approved like any other."""
    return act.answer(refunds.refund_credit(credit_id))


@router.post(f"{OVERPAID}/write-off", summary="Write off an overpaid amount", responses=ANSWERS)
def write_off_overpaid(
    claim_id: ClaimId, act: Annotated[Asked, acting("overpaid.decide")], asked: DecideOverpaid
) -> Response:
    """Nothing is asked back from the customer."""
    return act.answer(refunds.write_off_overpaid(claim_id, asked))


@router.post(f"{OVERPAID}/recover", summary="Recover an overpaid amount", responses=ANSWERS)
def recover_overpaid(
    claim_id: ClaimId, act: Annotated[Asked, acting("overpaid.decide")], asked: DecideOverpaid
) -> Response:
    """The amount is kept back from the account's next credits, none of which is older than this decision."""
    return act.answer(refunds.recover_overpaid(claim_id, asked))
