"""The shape of an explanation: everything that is recorded about a claim, refund or credit (`makegood explain`)."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import Into, PartStatus
from ledger.events.billing_account import Clause, Outcome
from ledger.events.settlement import SettlementReason
from projections.shown import Amount, Currency, Hash, Instant, LocalDate, Position

Change = Literal["opened", "increased", "decreased", "changed", "fell away"]


class Settled(TypedDict):
    """One way in which part of a claim is made good."""

    into: Into
    id: str
    net: Amount
    tax: Amount
    status: PartStatus


class ClaimState(TypedDict):
    """A claim row as it stood."""

    outcome: Outcome
    reason: str | None
    amount: Amount
    tax: Amount
    settled: list[Settled]


class Terms(TypedDict):
    """The agreement that a decision was taken under."""

    agreement: str
    version: int
    sha256: Hash


class ChargeExplained(TypedDict):
    """What was charged."""

    price: Amount
    tax: Amount
    invoice_id: str
    starts_on: NotRequired[LocalDate]
    ends_on: NotRequired[LocalDate]


class FactUsed(TypedDict):
    """A fact that a claim rests on."""

    position: Position
    event_id: str
    type: str
    occurred_at: Instant
    recorded_at: Instant
    source: NotRequired[Annotated[str, Field(description="Not shown to customers, and neither is the id.")]]
    id: NotRequired[str]
    time: NotRequired[Instant]
    words: NotRequired[
        Annotated[
            str | None,
            Field(
                description="Why a dispute was rejected, or a goodwill credit proposed or rejected, in the words of "
                "whoever did; those about goodwill are for whoever may read what is written of complaints."
            ),
        ]
    ]


class RetractedBy(TypedDict):
    """The message that took another one back."""

    source: NotRequired[Annotated[str, Field(description="Not shown to customers, and neither is the id.")]]
    id: NotRequired[str]
    position: Position
    recorded_at: Instant


class RetractedFact(TypedDict):
    """A fact that a claim rested on once, and that was never so."""

    position: Position
    event_id: str
    type: str
    source: NotRequired[Annotated[str, Field(description="Not shown to customers, and neither is the id.")]]
    id: NotRequired[str]
    retracted_by: RetractedBy
    words: NotRequired[
        Annotated[
            str | None,
            Field(description="Why, in the words of whoever took it back; for whoever may read what people wrote."),
        ]
    ]


class ExplanationStep(TypedDict):
    """One recorded change of a claim."""

    position: Position
    event_id: str
    change: Change
    before: ClaimState | None
    after: ClaimState | None
    formula: str | None
    cause: str
    cause_event_id: str | None
    now: Instant
    recorded_at: Instant
    actor: NotRequired[Annotated[str, Field(description="Not shown to customers.")]]
    channel: str


class SettlementStep(TypedDict):
    """One recorded change of how a claim is settled."""

    position: Position
    event_id: str
    invoice_id: str | None
    reasons: list[SettlementReason]
    before: list[Settled]
    after: list[Settled]
    cause: str
    cause_event_id: str | None
    recorded_at: Instant


class UseOfCredit(TypedDict):
    """A charge that a claim's credit paid for."""

    position: Position
    event_id: str
    application_id: str
    credit_id: str
    charge_id: str
    invoice_id: str
    amount: Amount
    recorded_at: Instant


class Explanation(TypedDict):
    """Why a claim is what it is."""

    id: str
    claim_id: str | None
    account_id: str
    subscription_id: str | None
    charge_id: str | None
    charge: ChargeExplained | None
    clause: Clause | None
    policy: str
    currency: Currency
    claim: ClaimState | None
    agreement: Terms | None
    formula: Annotated[str | None, Field(examples=["42.00 × 8 ÷ 30 = 11.20"])]
    inputs: dict[str, str]
    working: list[str]
    facts: list[FactUsed]
    facts_count: int
    retracted: Annotated[
        list[RetractedFact],
        Field(
            description="What some step rested on and its own source has taken back since: it counts as never said."
        ),
    ]
    complaint_ids: Annotated[list[str], Field(description="The complaints linked with what it rests on.")]
    steps: list[ExplanationStep]
    settlements: Annotated[list[SettlementStep], Field(description="Every change of how it is settled, in order.")]
    applied: Annotated[list[UseOfCredit], Field(description="What its credit was used for, in order.")]
