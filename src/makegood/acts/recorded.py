"""What was recorded for an act, told out of nothing but what is stored."""

from __future__ import annotations

from pydantic import BaseModel, Field

from ledger.application.requests import Answered
from ledger.events import ClaimAssessed, Fact, RefundStatusChanged, SubscriptionStatusChanged
from ledger.values import instant_to_text


class Decided(BaseModel):
    """A decision of the ledger about a claim, a refund or a subscription's status."""

    event_id: str
    type: str = Field(description="The decision's stored type, such as `claim-assessed.v1`.")
    subscription_id: str | None
    claim_id: str | None = Field(
        None, description="For claims and refunds only, like all following fields but status and effective_on."
    )
    clause: str | None = None
    charge_id: str | None = None
    outcome: str | None = Field(None, description="Null if the claim no longer exists.")
    reason: str | None = None
    amount: str | None = None
    tax: str | None = None
    currency: str | None = None
    status: str | None = Field(None, description="For subscriptions and refunds only.")
    effective_on: str | None = None
    refund_id: str | None = Field(None, description="For refunds only, whose `amount` and `tax` are what is due.")


class Recorded(BaseModel):
    """The result of a request. A repeat under the same key always has the same answer."""

    outcome: str = Field(description="`recorded`.")
    account_id: str
    message_id: str
    event_id: str = Field(description="The event id of the fact recorded.")
    position: str = Field(description="The position of the last event, as `shard:position`.")
    account_version: int = Field(description="The account's new version, as in the ETag.")
    recorded_at: str
    ids: dict[str, str] = Field(description="The ids of the objects concerned, including created ones.")
    decided: list[Decided] = Field(description="The immediate decisions, without alarms.")


def recorded(answer: Answered) -> Recorded:
    """The answer to a request."""
    fact = answer.facts[0]
    return Recorded(
        outcome="recorded",
        account_id=answer.account,
        message_id=fact.data.message.id,
        event_id=fact.event_id,
        position=str(answer.position),
        account_version=answer.account_version,
        recorded_at=instant_to_text(fact.recorded_at),
        ids=_ids(fact),
        decided=[_decided(event) for event in answer.decided if isinstance(event, _SHOWN)],
    )


_SHOWN = (ClaimAssessed, SubscriptionStatusChanged, RefundStatusChanged)


def _ids(fact: Fact) -> dict[str, str]:
    data = {name: getattr(fact.data, name) for name in type(fact.data).model_fields if name.endswith("_id")}
    return {name: id_ for name, id_ in data.items() if id_ is not None}


def _decided(event: ClaimAssessed | SubscriptionStatusChanged | RefundStatusChanged) -> Decided:
    if isinstance(event, RefundStatusChanged):
        return Decided(
            event_id=event.event_id,
            type=event.type,
            subscription_id=None,
            claim_id=event.data.claim_id,
            charge_id=event.data.charge_id,
            amount=str(event.data.net),
            tax=str(event.data.tax),
            currency=event.data.currency,
            status=event.data.after,
            refund_id=event.data.refund_id,
        )
    if isinstance(event, SubscriptionStatusChanged):
        effective_on = event.data.effective_on
        return Decided(
            event_id=event.event_id,
            type=event.type,
            subscription_id=event.data.subscription_id,
            status=event.data.after,
            effective_on=effective_on.isoformat() if effective_on is not None else None,
        )
    after = event.data.after
    return Decided(
        event_id=event.event_id,
        type=event.type,
        subscription_id=event.data.subscription_id,
        claim_id=event.data.claim_id,
        clause=event.data.clause,
        charge_id=event.data.charge_id,
        outcome=after.outcome if after is not None else None,
        reason=after.reason if after is not None else None,
        amount=str(after.amount) if after is not None else None,
        tax=str(after.tax) if after is not None else None,
        currency=event.data.currency,
    )
