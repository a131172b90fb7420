"""Acts on a goodwill credit: propose it, and approve or reject what another person proposed."""

from __future__ import annotations

from pydantic import BaseModel

from consumers.upstream.door_messages import GoodwillApprovedV1, GoodwillProposedV1, GoodwillRejectedV1
from consumers.upstream.fields import Currency, Identifier, PositiveAmount
from consumers.upstream.messages import MessageData
from makegood.acts.acting import Known, Say
from makegood.acts.bodies import MadeIfAbsent, Words, WordsIfAny, like


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


def propose_goodwill(complaint_id: str, asked: ProposeGoodwill) -> Say:
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
                proposed_by=known.person,
                reason=asked.reason,
            )
        ]

    return say


def approve_goodwill(credit_id: str) -> Say:
    """The proposer cannot decide. The first verdict is final."""
    return lambda known: [GoodwillApprovedV1(credit_id=known.undecided(credit_id), decided_by=known.person)]


def reject_goodwill(credit_id: str, asked: RejectGoodwill) -> Say:
    """The proposer cannot decide. The first verdict is final."""
    return lambda known: [
        GoodwillRejectedV1(credit_id=known.undecided(credit_id), decided_by=known.person, reason=asked.reason)
    ]
