"""Acts on money that goes out: refunds approved, rejected, retried or turned into credit; credits refunded; and what
went out too much written off or recovered."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from makegood.acts.acting import Say
from makegood.acts.bodies import Words, like

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


def approve_refund(refund_id: str, asked: ApproveRefund) -> Say:
    """Approves exactly what was seen. A refund that came from the person's own act takes another person."""
    return lambda known: [known.deciding.approve(refund_id, asked.seen)]


def reject_refund(refund_id: str, asked: RejectRefund) -> Say:
    """A rejected refund is no longer owed. It is due again when its amount changes."""
    return lambda known: [known.deciding.reject(refund_id, asked.reason, asked.seen)]


def retry_refund(refund_id: str) -> Say:
    """Submits a failed refund again."""
    return lambda known: [known.deciding.retry(refund_id)]


def turn_refund_into_credit(refund_id: str) -> Say:
    """The credit pays for the account's next charges."""
    return lambda known: [known.deciding.turn_into_credit(refund_id)]


def refund_credit(credit_id: str) -> Say:
    """Possible once the account's last subscription has ended."""
    return lambda known: [known.deciding.refund_credit(credit_id)]


def write_off_overpaid(claim_id: str, asked: DecideOverpaid) -> Say:
    """Nothing is asked back from the customer."""
    return lambda known: [known.deciding.write_off(claim_id, asked.reason)]


def recover_overpaid(claim_id: str, asked: DecideOverpaid) -> Say:
    """The amount is kept back from the account's next credits."""
    return lambda known: [known.deciding.recover(claim_id, asked.reason)]
