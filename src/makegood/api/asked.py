"""What people ask for when they instruct: bodies of the fields and rules of upstream's messages (contract §3a)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from consumers.upstream.fields import Amount, Currency, FreeText, Identifier, Instant, PositiveAmount, Text

Cause = Literal["provider", "customer_equipment", "force_majeure", "unknown"]
Severity = Literal["significant", "minor"]
Violation = Literal["misuse", "non_payment"]

_AT = "When; now where it is left out. A customer leaves it out: what they ask counts from when it arrives."
_MADE = "Made where it is left out, and always the same for one Idempotency-Key."
_WORDS = "In your words; they are kept in the vault."
_COMPLAINT = "A complaint of the account that this belongs to; the link is recorded with it."

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _code(text: str) -> str:
    if _CODE.fullmatch(text) is None:
        raise PydanticCustomError("code", "a code is 1 to 64 of a-z, 0-9 and _, and begins with a letter")
    return text


ResolutionCode = Annotated[
    str, AfterValidator(_code), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"})
]


def _like(**example: object) -> ConfigDict:
    """The rules of every body, with an example of it."""
    schema: dict[str, Any] = {"examples": [example]}
    return ConfigDict(frozen=True, strict=True, extra="forbid", json_schema_extra=schema)


class Cancel(BaseModel):
    """Cancel a subscription at the end of its billing cycle."""

    model_config = _like(reason="moving abroad", keep_service=True)

    requested_at: Annotated[Instant | None, Field(description=_AT)] = None
    reason: Annotated[FreeText | None, Field(description=_WORDS)] = None
    keep_service: Annotated[bool | None, Field(description="Whether the service stays usable to the end.")] = None


class WithdrawCancellation(BaseModel):
    """Take a cancellation back before it has taken effect."""

    model_config = _like()

    withdrawn_at: Annotated[Instant | None, Field(description=_AT)] = None


class Suspend(BaseModel):
    """Suspend the service for a violation."""

    model_config = _like(reason="non_payment")

    suspended_at: Annotated[Instant | None, Field(description=_AT)] = None
    reason: Violation


class Reinstate(BaseModel):
    """Let a suspended service go on."""

    model_config = _like()

    reinstated_at: Annotated[Instant | None, Field(description=_AT)] = None


class Terminate(BaseModel):
    """End a subscription for a violation."""

    model_config = _like(reason="misuse")

    terminated_at: Annotated[Instant | None, Field(description=_AT)] = None
    reason: Violation


class ReportOutage(BaseModel):
    """Report that the service failed."""

    model_config = _like(subscription_id="sub-1", began_at="2026-03-10T08:00:00Z", severity="significant")

    outage_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    subscription_id: Identifier
    began_at: Annotated[Instant, Field(description="When it began; of a customer's report not later than now.")]
    reported_at: Annotated[Instant | None, Field(description=_AT)] = None
    severity: Severity
    cause: Annotated[Cause, Field(description="A customer leaves it out: they cannot know it.")] = "unknown"
    complaint_id: Annotated[Identifier | None, Field(description=_COMPLAINT)] = None


class ResolveOutage(BaseModel):
    """Say that the service works again."""

    model_config = _like(subscription_id="sub-1", resolved_at="2026-03-12T08:00:00Z")

    subscription_id: Identifier
    resolved_at: Annotated[Instant | None, Field(description=_AT)] = None


class ReopenOutage(BaseModel):
    """Say that the outage was not resolved after all."""

    model_config = _like(subscription_id="sub-1")

    subscription_id: Identifier


class OpenDispute(BaseModel):
    """Dispute a charge. It moves no money until it is confirmed."""

    model_config = _like(charge_id="cyc-1", claimed="10.00", currency="EUR", description="charged twice")

    dispute_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    charge_id: Annotated[Identifier, Field(description="The id of a charge or of a cycle.")]
    currency: Currency
    claimed: Amount
    description: Annotated[FreeText | None, Field(description=_WORDS)] = None
    complaint_id: Annotated[Identifier | None, Field(description=_COMPLAINT)] = None


class ConfirmDispute(BaseModel):
    """Confirm that a charge was too high, and by how much."""

    model_config = _like(charge_id="cyc-1", amount="10.00", currency="EUR", settle_as="refund")

    charge_id: Annotated[Identifier, Field(description="The id of a charge or of a cycle.")]
    currency: Currency
    amount: PositiveAmount
    settle_as: Annotated[
        Literal["refund", "credit"] | None, Field(description="As the agreement says, where it is left out.")
    ] = None


class RejectDispute(BaseModel):
    """Say that the investigation found the charge right."""

    model_config = _like(charge_id="cyc-1", reason="the second line is another subscription's")

    charge_id: Annotated[Identifier, Field(description="The id of a charge or of a cycle.")]
    reason: Annotated[FreeText, Field(description=_WORDS)]


class OpenComplaint(BaseModel):
    """Say that a customer is dissatisfied. It moves no money by itself."""

    model_config = _like(subscription_id="sub-1", category="call_quality", description="it crackles")

    complaint_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    subscription_id: Identifier | None = None
    category: Text
    description: Annotated[FreeText | None, Field(description=_WORDS)] = None
    channel: Annotated[
        Text | None, Field(description="By which way it came; a customer leaves it out: it is the portal.")
    ] = None


class ResolveComplaint(BaseModel):
    """Resolve a complaint."""

    model_config = _like(resolution="explained", note="walked through the bill together")

    resolution: Annotated[ResolutionCode, Field(description="A code: a letter, then letters, digits and _.")]
    note: Annotated[FreeText | None, Field(description=f"{_WORDS} It is added to the complaint's notes.")] = None


class ReopenComplaint(BaseModel):
    """Say that a complaint was not resolved after all."""

    model_config = _like(reason="it crackles again")

    reason: Annotated[FreeText | None, Field(description=_WORDS)] = None


class NoteComplaint(BaseModel):
    """Note something about a complaint."""

    model_config = _like(note="called back, nobody answered")

    note: Annotated[FreeText, Field(min_length=1, description=_WORDS)]


class LinkComplaint(BaseModel):
    """Say what a complaint has to do with."""

    model_config = _like(kind="outage", linked_id="out-1")

    kind: Literal["outage", "dispute", "goodwill"]
    linked_id: Identifier


class ProposeGoodwill(BaseModel):
    """Propose a goodwill credit for a complaint. Another person approves it."""

    model_config = _like(amount="5.00", currency="EUR", reason="for the trouble")

    credit_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    currency: Currency
    amount: PositiveAmount
    subscription_id: Identifier | None = None
    reason: Annotated[FreeText | None, Field(description=_WORDS)] = None


class ApproveGoodwill(BaseModel):
    """Approve a goodwill credit that another person proposed."""

    model_config = _like()


class RejectGoodwill(BaseModel):
    """Reject a goodwill credit."""

    model_config = _like(reason="it was made good by the invoice already")

    reason: Annotated[FreeText, Field(description=_WORDS)]
