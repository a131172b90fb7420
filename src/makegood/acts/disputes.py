"""Acts on a dispute: open it, confirm an overcharge, and find the charge right."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from consumers.upstream.fields import Amount, Currency, PositiveAmount
from consumers.upstream.messages import (
    BillingErrorReportedV1,
    MessageData,
    OverchargeConfirmedV1,
    OverchargeRejectedV1,
)
from ledger.events import SettleAs
from makegood.acts.acting import Known, Say
from makegood.acts.bodies import ChargeId, ComplaintBehind, MadeIfAbsent, Words, WordsIfAny, like
from makegood.acts.links import linked


class OpenDispute(BaseModel):
    """Dispute a charge. It moves no money until it is confirmed."""

    model_config = like(charge_id="cyc-1", claimed="10.00", currency="EUR", description="charged twice")

    dispute_id: MadeIfAbsent = None
    charge_id: ChargeId
    currency: Currency
    claimed: Amount
    description: WordsIfAny = None
    complaint_id: ComplaintBehind = None


class ConfirmDispute(BaseModel):
    """Confirm an overcharge and its amount."""

    model_config = like(charge_id="cyc-1", amount="10.00", currency="EUR", settle_as="refund")

    charge_id: ChargeId
    currency: Currency
    amount: PositiveAmount
    settle_as: Annotated[SettleAs | None, Field(description="The settlement; by default that of the agreement.")] = (
        None
    )


class RejectDispute(BaseModel):
    """Reject a dispute: the investigation found the charge correct."""

    model_config = like(charge_id="cyc-1", reason="the second line is another subscription's")

    charge_id: ChargeId
    reason: Words


def open_dispute(asked: OpenDispute) -> Say:
    """The dispute is investigated, and moves no money until an overcharge is confirmed."""

    def say(known: Known) -> list[MessageData]:
        reported = BillingErrorReportedV1(
            charge_id=known.in_body("charge", asked.charge_id, "charge_id"),
            dispute_id=known.new("dispute", asked.dispute_id, "dispute_id"),
            currency=known.currency(asked.currency),
            claimed=asked.claimed,
            reported_at=known.now,
            description=asked.description,
        )
        return [reported, *linked(known, asked.complaint_id, "dispute", reported.dispute_id)]

    return say


def confirm_dispute(dispute_id: str, asked: ConfirmDispute) -> Say:
    """No dispute is required: the provider's own findings count the same."""
    return lambda known: [
        OverchargeConfirmedV1(
            dispute_id=dispute_id,
            charge_id=known.in_body("charge", asked.charge_id, "charge_id"),
            currency=known.currency(asked.currency),
            amount=asked.amount,
            settle_as=asked.settle_as,
        )
    ]


def reject_dispute(dispute_id: str, asked: RejectDispute) -> Say:
    """The investigator's reason is kept."""
    return lambda known: [
        OverchargeRejectedV1(
            dispute_id=known.in_path("dispute", dispute_id),
            charge_id=known.in_body("charge", asked.charge_id, "charge_id"),
            reason=asked.reason,
        )
    ]
