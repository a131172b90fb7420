"""The shape of an explanation: everything that is recorded about a claim, refund or credit (`makegood explain`)."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import Into, PartStatus, RefundStatus
from ledger.events.billing_account import Clause, Outcome
from ledger.events.settlement import SettlementReason
from projections.shown_values import Amount, Currency, Hash, Instant, LocalDate, Position

Change = Literal["opened", "increased", "decreased", "changed", "fell away"]


class Settled(TypedDict):
    """A settled part of a claim."""

    into: Into
    id: str
    net: Amount
    tax: Amount
    status: PartStatus


class ClaimState(TypedDict):
    """The state of a claim."""

    outcome: Outcome
    reason: str | None
    amount: Amount
    tax: Amount
    settled: list[Settled]


class Terms(TypedDict):
    """The service agreement of a decision."""

    agreement: str
    version: int
    sha256: Hash


class ChargeExplained(TypedDict):
    """The charge of a claim."""

    price: Amount
    tax: Amount
    invoice_id: str
    starts_on: NotRequired[LocalDate]
    ends_on: NotRequired[LocalDate]


class FactUsed(TypedDict):
    """A fact used for a claim."""

    position: Position
    event_id: str
    type: str
    occurred_at: Instant
    recorded_at: Instant
    source: NotRequired[Annotated[str, Field(description="Source and id are not shown to customers.")]]
    id: NotRequired[str]
    time: NotRequired[Instant]
    words: NotRequired[
        Annotated[
            str | None,
            Field(
                description="The reason given for rejecting a dispute, or for proposing or rejecting a goodwill "
                "credit; reasons about goodwill only with the permission to read people's texts about complaints."
            ),
        ]
    ]


class RetractedBy(TypedDict):
    """The message that retracted another one."""

    source: NotRequired[Annotated[str, Field(description="Source and id are not shown to customers.")]]
    id: NotRequired[str]
    position: Position
    recorded_at: Instant


class RetractedFact(TypedDict):
    """A retracted fact that was used for a claim before."""

    position: Position
    event_id: str
    type: str
    source: NotRequired[Annotated[str, Field(description="Source and id are not shown to customers.")]]
    id: NotRequired[str]
    retracted_by: RetractedBy
    words: NotRequired[
        Annotated[
            str | None,
            Field(description="The reason for the retraction, for callers with permission to read people's texts."),
        ]
    ]


class StandingFact(TypedDict):
    """A recorded fact, as an alarm names it."""

    position: Position
    event_id: str
    type: str
    summary: NotRequired[Annotated[str, Field(description="The event in one sentence; not shown to customers.")]]
    source: NotRequired[Annotated[str, Field(description="Source and id are not shown to customers.")]]
    id: NotRequired[str]


class LeftOutFact(StandingFact):
    """A fact that counts for nothing, because another one contradicts it."""

    because: Annotated[str, Field(description="The alarm that names both.", examples=["contradiction"])]
    since: Instant
    stands: Annotated[StandingFact, Field(description="The fact that counts instead.")]


RefundStepKind = Literal[
    "due", "changed", "approved", "rejected", "submitted", "succeeded", "failed", "set off", "no longer due"
]


class RefundStep(TypedDict):
    """One recorded step of a refund."""

    position: Position
    event_id: str
    what: RefundStepKind
    amount: Annotated[Amount | None, Field(description="Null in a report without an amount, if none was due.")]
    at: Annotated[
        Instant, Field(description="Of a success or failure by the processor; else the same as recorded_at.")
    ]
    processor_reference: str | None
    recorded_at: Instant
    approved_by: NotRequired[Annotated[str | None, Field(description="For approvals; not shown to customers.")]]


class RefundCourse(TypedDict):
    """A refund of a claim or of its credit, and what became of it."""

    refund_id: str
    status: Annotated[RefundStatus | None, Field(description="Null if it is not owed and was not paid out.")]
    total: Amount | None
    steps: list[RefundStep]


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
    """One recorded change of a claim's settlement."""

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
    """A use of a claim's credit for a charge."""

    position: Position
    event_id: str
    application_id: str
    credit_id: str
    charge_id: str
    invoice_id: str
    amount: Amount
    recorded_at: Instant


class RecoveredAmount(TypedDict):
    """An amount kept back of a credit because too much had gone out for another claim."""

    position: Position
    event_id: str
    application_id: str
    claim_id: Annotated[str, Field(description="The claim for which too much had gone out.")]
    credit_id: str
    amount: Amount
    recorded_at: Instant


class PersonsDecision(TypedDict):
    """A person's decision about a refund, a credit or an overpaid amount of the claim."""

    position: Position
    event_id: str
    type: str
    summary: Annotated[str, Field(description="The decision in one sentence.")]
    decided_by: str
    recorded_at: Instant
    words: Annotated[str | None, Field(description="The reason given, if there is one.")]


class Explanation(TypedDict):
    """The explanation of a claim, refund or credit."""

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
        Field(description="Facts used in a recorded step that their source has retracted since."),
    ]
    left_out: Annotated[
        list[LeftOutFact],
        Field(description="Facts about it that do not count, because others contradict them."),
    ]
    complaint_ids: Annotated[list[str], Field(description="The complaints linked to its facts.")]
    steps: list[ExplanationStep]
    settlements: Annotated[list[SettlementStep], Field(description="All changes of its settlement, in order.")]
    refunds: Annotated[list[RefundCourse], Field(description="Its refunds, each with its recorded steps.")]
    applied: Annotated[list[UseOfCredit], Field(description="The uses of its credit for charges, in order.")]
    recovered: Annotated[
        list[RecoveredAmount],
        Field(description="Amounts kept back of its credit for other claims, or of other credits for it."),
    ]
    decisions: NotRequired[
        Annotated[list[PersonsDecision], Field(description="Decisions of people; not shown to customers.")]
    ]
