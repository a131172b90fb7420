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

_AT = "The instant; by default now. Not allowed for customers, whose requests count from their arrival."
_MADE = "An id of your choice; by default one is created, always the same for one Idempotency-Key."
_WORDS = "Free text; kept in the vault."
_COMPLAINT = "A complaint of the account to link this to."

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _code(text: str) -> str:
    if _CODE.fullmatch(text) is None:
        raise PydanticCustomError(
            "code", "a code must have 1 to 64 of the characters a-z, 0-9 and _, beginning with a letter"
        )
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
    keep_service: Annotated[
        bool | None, Field(description="True to keep the service usable until the end of the cycle.")
    ] = None


class WithdrawCancellation(BaseModel):
    """Withdraw a cancellation before it takes effect."""

    model_config = _like()

    withdrawn_at: Annotated[Instant | None, Field(description=_AT)] = None


class Suspend(BaseModel):
    """Suspend the service for a violation."""

    model_config = _like(reason="non_payment")

    suspended_at: Annotated[Instant | None, Field(description=_AT)] = None
    reason: Violation


class Reinstate(BaseModel):
    """Reinstate a suspended service."""

    model_config = _like()

    reinstated_at: Annotated[Instant | None, Field(description=_AT)] = None


class Terminate(BaseModel):
    """Terminate a subscription for a violation."""

    model_config = _like(reason="misuse")

    terminated_at: Annotated[Instant | None, Field(description=_AT)] = None
    reason: Violation


class ReportOutage(BaseModel):
    """Report an outage."""

    model_config = _like(subscription_id="sub-1", began_at="2026-03-10T08:00:00Z", severity="significant")

    outage_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    subscription_id: Identifier
    began_at: Annotated[
        Instant, Field(description="The beginning of the outage; in a customer's report not in the future.")
    ]
    reported_at: Annotated[Instant | None, Field(description=_AT)] = None
    severity: Severity
    cause: Annotated[Cause, Field(description="The cause. Not allowed for customers.")] = "unknown"
    complaint_id: Annotated[Identifier | None, Field(description=_COMPLAINT)] = None


class ResolveOutage(BaseModel):
    """Resolve an outage."""

    model_config = _like(subscription_id="sub-1", resolved_at="2026-03-12T08:00:00Z")

    subscription_id: Identifier
    resolved_at: Annotated[Instant | None, Field(description=_AT)] = None


class ReopenOutage(BaseModel):
    """Reopen an outage."""

    model_config = _like(subscription_id="sub-1")

    subscription_id: Identifier


class OpenDispute(BaseModel):
    """Dispute a charge. It moves no money until it is confirmed."""

    model_config = _like(charge_id="cyc-1", claimed="10.00", currency="EUR", description="charged twice")

    dispute_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    charge_id: Annotated[Identifier, Field(description="The id of a charge or a cycle.")]
    currency: Currency
    claimed: Amount
    description: Annotated[FreeText | None, Field(description=_WORDS)] = None
    complaint_id: Annotated[Identifier | None, Field(description=_COMPLAINT)] = None


class ConfirmDispute(BaseModel):
    """Confirm an overcharge and its amount."""

    model_config = _like(charge_id="cyc-1", amount="10.00", currency="EUR", settle_as="refund")

    charge_id: Annotated[Identifier, Field(description="The id of a charge or a cycle.")]
    currency: Currency
    amount: PositiveAmount
    settle_as: Annotated[
        Literal["refund", "credit"] | None, Field(description="The settlement; by default that of the agreement.")
    ] = None


class RejectDispute(BaseModel):
    """Reject a dispute: the investigation found the charge correct."""

    model_config = _like(charge_id="cyc-1", reason="the second line is another subscription's")

    charge_id: Annotated[Identifier, Field(description="The id of a charge or a cycle.")]
    reason: Annotated[FreeText, Field(description=_WORDS)]


class OpenComplaint(BaseModel):
    """Open a complaint. It moves no money by itself."""

    model_config = _like(subscription_id="sub-1", category="call_quality", description="it crackles")

    complaint_id: Annotated[Identifier | None, Field(description=_MADE)] = None
    subscription_id: Identifier | None = None
    category: Text
    description: Annotated[FreeText | None, Field(description=_WORDS)] = None
    channel: Annotated[
        Text | None,
        Field(description="The channel of the complaint. Not allowed for customers, whose channel is the portal."),
    ] = None


class ResolveComplaint(BaseModel):
    """Resolve a complaint."""

    model_config = _like(resolution="explained", note="walked through the bill together")

    resolution: Annotated[
        ResolutionCode, Field(description="A code of letters, digits and _, beginning with a letter.")
    ]
    note: Annotated[FreeText | None, Field(description=f"{_WORDS} It is added to the complaint's notes.")] = None


class ReopenComplaint(BaseModel):
    """Reopen a complaint."""

    model_config = _like(reason="it crackles again")

    reason: Annotated[FreeText | None, Field(description=_WORDS)] = None


class NoteComplaint(BaseModel):
    """Add a note to a complaint."""

    model_config = _like(note="called back, nobody answered")

    note: Annotated[FreeText, Field(min_length=1, description=_WORDS)]


class LinkComplaint(BaseModel):
    """Link a complaint to an outage, a dispute or a goodwill credit."""

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
