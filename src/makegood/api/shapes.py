"""The shapes of answers, for the description of the API (contract §3 and §3a).

Answers are made by the read side and sent as they are; these models describe them, and tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ledger.events import LinkedKind, NoticeKind, Role
from ledger.events.billing_account import Clause, Outcome
from ledger.events.subscription import Status
from ledger.instructions import Kind
from ledger.store.notice_queue import NoticeStatus
from ledger.store.positions import EXAMPLE, PATTERN

Amount = Annotated[
    str,
    Field(
        pattern=r"^-?[0-9]+(\.[0-9]+)?$",
        description="In major units, at the scale of its currency.",
        examples=["11.20"],
    ),
]
Instant = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$",
        description="RFC 3339, in UTC.",
        examples=["2026-04-24T12:16:09Z"],
    ),
]
LocalDate = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="In the account's zone.", examples=["2026-05-02"])
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])]
Position = Annotated[str, Field(pattern=r"^[0-9]+:[0-9]+$", description="`shard:position`.", examples=[str(EXAMPLE)])]
Reached = Annotated[
    str,
    Field(
        pattern=PATTERN,
        description="`shard:position`; of several shards with commas between them.",
        examples=[str(EXAMPLE)],
    ),
]
RefundStatus = Literal["due", "failed", "succeeded"]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256.")]


class Shape(BaseModel):
    """Fields may be added to what stands, and nothing that stands is changed."""

    model_config = ConfigDict(title=None)


class Claim(Shape):
    """The result of one clause of the policy for one charge."""

    claim_id: str = Field(examples=["unused/cyc-0006-2026-04-02"])
    clause: Clause
    account_id: str = Field(examples=["acct-0006"])
    subscription_id: str | None
    charge_id: str | None
    outcome: Outcome
    amount: Amount
    tax: Amount
    currency: Currency
    reason: str | None = Field(description="Null unless the claim was declined.")
    settlement: Literal["refund", "credit", "invoice_reduction", "mixed"] | None
    overpaid: Amount | None
    investigate_by: Instant | None
    agreement: str | None
    agreement_version: int | None
    position: Position


class Refund(Shape):
    """A refund, due, failed or paid out."""

    refund_id: str = Field(examples=["refund/unused/cyc-0006-2026-04-02/1"])
    claim_id: str
    account_id: str
    charge_id: str | None
    net: Amount
    tax: Amount
    total: Amount
    currency: Currency
    status: RefundStatus
    due_at: Instant
    approved_at: Instant | None
    submitted_at: Instant | None
    settled_at: Instant | None
    processor_reference: str | None


class Applied(Shape):
    """The application of a credit to an invoice."""

    application_id: str
    charge_id: str | None
    invoice_id: str
    amount: Amount
    applied_at: Instant


class Credit(Shape):
    """A credit for the account's next charges."""

    credit_id: str = Field(examples=["credit/disruption/cyc-0002-2026-01-02/1"])
    claim_id: str | None = Field(description="Null for an excess payment on an invoice.")
    account_id: str
    charge_id: str | None
    net: Amount
    tax: Amount
    total: Amount
    currency: Currency
    used: Amount
    refunded: Amount
    left: Amount
    granted_at: Instant
    applied: list[Applied] = Field(description="The uses of the credit, in order.")


class Dispute(Shape):
    """A disputed charge, with the status of its investigation."""

    dispute_id: str
    claim_id: str
    account_id: str
    subscription_id: str | None
    charge_id: str | None
    status: Literal["investigating", "waiting", "confirmed", "rejected"]
    outcome: Outcome
    reason: str | None
    investigate_by: Instant | None
    overdue: bool
    complaint_ids: list[str] = Field(description="The linked complaints.")


class ComplaintStep(Shape):
    """A step in the history of a complaint."""

    step: Literal["opened", "resolved", "reopened", "noted", "linked"]
    at: Instant
    event_id: str


class Link(Shape):
    """An outage, a dispute or a goodwill credit linked to a complaint."""

    kind: LinkedKind
    linked_id: str


class ComplaintOfAccount(Shape):
    """A customer's complaint."""

    complaint_id: str
    account_id: str
    subscription_id: str | None
    category: str
    channel: str
    status: Literal["open", "resolved"]
    opened_at: Instant
    resolved_at: Instant | None
    resolution_code: str | None = Field(description="Null if the resolution is free text.")
    links: list[Link]
    notes: int = Field(description="The number of notes.")
    steps: Sequence[ComplaintStep]


class Complaint(ComplaintOfAccount):
    """A customer's complaint with its age."""

    age_seconds: int | None = Field(description="Null once it is resolved.")


class Goodwill(Shape):
    """A goodwill credit: one person proposes it, another decides."""

    credit_id: str
    claim_id: str
    account_id: str
    subscription_id: str | None
    complaint_id: str
    status: Literal["proposed", "approved", "rejected"]
    outcome: Outcome | None = Field(description="The outcome of its claim.")
    amount: Amount
    currency: Currency
    proposed_by: str
    proposed_at: Instant
    decided_by: str | None
    decided_at: Instant | None


class GoodwillLinked(Goodwill):
    """A goodwill credit with all linked complaints."""

    complaint_ids: list[str]


class ComplaintStepInFull(ComplaintStep):
    """A step with its actor and notes."""

    actor: str
    channel: str
    resolution_code: str | None
    kind: LinkedKind | None
    linked_id: str | None
    words: str | None = Field(description="The text written; null if there is none or it was erased.")


class ComplaintInFull(Complaint):
    """A complaint with its history."""

    steps: Sequence[ComplaintStepInFull]
    goodwill: list[GoodwillLinked]


class Instruction(Shape):
    """An instruction to another system, with its answer."""

    instruction_id: str
    kind: Kind
    account_id: str
    data: dict[str, str] = Field(description="The data, as published on the topic.")
    issued_at: Instant
    status: Literal["open", "carried_out", "refused"]
    answered_at: Instant | None


class AgedInstruction(Instruction):
    """An instruction with its age."""

    age_seconds: int | None = Field(description="Null once it is answered.")


class Notice(Shape):
    """An e-mail to a customer."""

    notice_id: str
    account_id: str
    kind: NoticeKind
    event_id: str
    status: NoticeStatus
    attempts: int
    repeat: bool
    queued_at: Instant
    next_attempt_at: Instant | None
    last_error: str | None
    next: str | None = Field(description="The next step, in words.")


class Alarm(Shape):
    """An alarm for a person to check."""

    alarm: str = Field(examples=["charged_after_end"])
    account_id: str
    claim_id: str | None
    charge_id: str | None
    subscription_id: str | None
    about: list[str] = Field(description="Source and id of the messages concerned.")
    since: Instant


class Waiting(Shape):
    """A fact that waits for another fact."""

    account_id: str
    type: str = Field(examples=["outage-reported.v1"])
    source: str
    id: str
    waits_for: str = Field(examples=["subscription sub-9999"])
    since: Instant
    age_seconds: int
    event_id: str


class KeptRow(Shape):
    """A kept message with its status."""

    position: int
    origin: str
    reason: str
    channel: str
    status: Literal["open", "replayed", "discarded"]
    closed_by: str | None
    closed_at: Instant | None


class DeadLetter(KeptRow):
    """A dead letter (refused message), without its body."""

    dead_letter_id: str
    field: str | None
    source: str | None
    id: str | None
    account_id: str | None
    refused_at: Instant


class DeadLetterWithBody(DeadLetter):
    """A dead letter (refused message) with its body."""

    body: str | None = Field(description="The body; null if it was erased.")


class SetAside(KeptRow):
    """A message set aside after repeated failures, without its body."""

    set_aside_id: str
    source: str
    id: str
    account_id: str
    set_aside_at: Instant


class SetAsideWithBody(SetAside):
    """A message set aside after repeated failures, with its body."""

    body: str | None = Field(description="The body; null if it was erased.")


class Agreement(Shape):
    """A published version of a service agreement."""

    name: str = Field(examples=["standard"])
    version: int
    valid_from: LocalDate
    sha256: Hash


class AgreementText(Shape):
    """The published text of a version."""

    name: str = Field(examples=["standard"])
    version: int
    sha256: Hash
    text: str = Field(description="TOML.")


class Balance(Shape):
    """The balance of an account in one currency."""

    currency: Currency
    charged: Amount
    captured: Amount
    reduced: Amount
    owed: Amount
    captured_in_excess: Amount
    refund_due: Amount
    refunded: Amount
    credit_used: Amount
    credit_left: Amount
    overpaid: Amount


class Subscription(Shape):
    """A subscription of an account."""

    subscription_id: str
    account_id: str
    plan: str
    agreement: str
    agreement_version: int | None
    status: Status | None
    effective_on: LocalDate | None = Field(description="The date on which it ends.")


class Charge(Shape):
    """A charge: a billing cycle or a one-off."""

    charge_id: str
    account_id: str
    kind: Literal["cycle", "one_off"]
    subscription_id: str | None
    starts_on: LocalDate | None
    ends_on: LocalDate | None = Field(description="The first date after the cycle.")
    price: Amount
    tax: Amount
    currency: Currency
    invoice_id: str
    prepaid: bool | None


class Payment(Shape):
    """A payment, captured or failed."""

    payment_id: str
    account_id: str
    invoice_id: str
    amount: Amount | None
    currency: Currency | None
    method: Literal["card", "bank", "balance", "other"] | None
    status: Literal["captured", "failed"]


class Invoice(Shape):
    """The charges, payments and amount due of an invoice (gross)."""

    invoice_id: str
    account_id: str
    currency: Currency
    charged: Amount
    paid_in_money: Amount
    paid_from_balance: Amount
    excess_used: Amount = Field(description="The used part of the credit for its excess.")
    reduced: Amount
    asks_for: Amount
    excess: Amount
    excess_credit: Amount | None = Field(description="The credit for its excess, once the hold has ended.")


class ClaimOfAccount(Claim):
    """A claim of an account, as recorded or as assessed for this answer only."""

    position: Position | None = Field(  # type: ignore[assignment]
        description="Null if it was assessed for this answer, as of another time."
    )


class Account(Shape):
    """One account in full."""

    account_id: str = Field(examples=["acct-0006"])
    as_of: Instant | None = Field(None, description="The instant of the assessment; null for the current state.")
    known_at: Instant | Reached | None = Field(
        None, description="The limit of the recorded events used; null for all events."
    )
    nothing_yet: str | None = Field(None, description="An explanation, if nothing was true or recorded by then.")
    time_zone: str | None = Field(examples=["Europe/Berlin"])
    currency: Currency | None
    registered_at: Instant | None
    balances: list[Balance]
    subscriptions: list[Subscription]
    charges: list[Charge]
    payments: list[Payment]
    invoices: list[Invoice]
    claims: list[ClaimOfAccount]
    refunds: list[Refund]
    credits: list[Credit]
    complaints: list[ComplaintOfAccount]
    goodwill: list[Goodwill] = Field([], description="Not shown to customers, like all following fields.")
    alarms: list[Alarm] = Field([])
    instructions: list[Instruction] = Field([], description="Instructions without an answer.")
    set_aside: int = Field(
        0, description="The number of messages set aside; above zero, the account may be incomplete."
    )


class Entry(Shape):
    """One event in an account's audit trail."""

    position: Position
    version: int
    kind: Literal["fact", "decision"]
    type: str = Field(examples=["cycle-started.v1"])
    name: str = Field(examples=["CycleStarted"])
    event_id: str
    stream: str
    occurred_at: Instant
    recorded_at: Instant
    actor: str
    channel: str
    cause: str | None
    claim_id: str | None
    data: dict[str, Any]


class ChangedRow(Shape):
    """A row written by an event, or deleted where `row` is null."""

    table: str
    key: dict[str, str | int | None]
    row: dict[str, str | int | None] | None


class ReplayStep(Shape):
    """One event with its changes."""

    version: int
    position: Position
    type: str
    name: str
    event_id: str
    occurred_at: Instant
    recorded_at: Instant
    changed: list[ChangedRow]


class Settled(Shape):
    """A settled part of a claim."""

    into: Literal["invoice_reduction", "offset", "refund", "credit", "overpaid", "correction"]
    id: str
    net: Amount
    tax: Amount
    status: Literal["open", "gone_out", "failed"]


class ClaimState(Shape):
    """The state of a claim."""

    outcome: Outcome
    reason: str | None
    amount: Amount
    tax: Amount
    settled: list[Settled]


class Terms(Shape):
    """The service agreement of a decision."""

    agreement: str
    version: int
    sha256: Hash


class ChargeExplained(Shape):
    """The charge of a claim."""

    price: Amount
    tax: Amount
    invoice_id: str
    starts_on: LocalDate | None = None
    ends_on: LocalDate | None = None


class FactUsed(Shape):
    """A fact used for a claim."""

    position: Position
    event_id: str
    type: str
    occurred_at: Instant
    recorded_at: Instant
    source: str | None = None
    id: str | None = None
    time: Instant | None = None
    words: str | None = Field(
        None,
        description="The reason given for rejecting a dispute, or for proposing or rejecting a goodwill credit; "
        "reasons about goodwill only with the permission to read people's texts about complaints.",
    )


class RetractedBy(Shape):
    """The message that retracted another one."""

    source: str | None = Field(None, description="Source and id are not shown to customers.")
    id: str | None = None
    position: Position
    recorded_at: Instant


class RetractedFact(Shape):
    """A retracted fact that was used for a claim before."""

    position: Position
    event_id: str
    type: str
    source: str | None = Field(None, description="Source and id are not shown to customers.")
    id: str | None = None
    retracted_by: RetractedBy
    words: str | None = Field(
        None, description="The reason for the retraction, for callers with permission to read people's texts."
    )


class ExplanationStep(Shape):
    """One recorded change of a claim."""

    position: Position
    event_id: str
    change: Literal["opened", "increased", "decreased", "changed", "fell away"]
    before: ClaimState | None
    after: ClaimState | None
    formula: str | None
    cause: str
    cause_event_id: str | None
    now: Instant
    recorded_at: Instant
    actor: str | None = Field(None, description="Not shown to customers.")
    channel: str


class SettlementStep(Shape):
    """One recorded change of a claim's settlement."""

    position: Position
    event_id: str
    invoice_id: str | None
    reasons: list[Literal["charged", "paid", "claimed", "gone_out", "rested", "rules"]]
    before: list[Settled]
    after: list[Settled]
    cause: str
    cause_event_id: str | None
    recorded_at: Instant


class UseOfCredit(Shape):
    """A use of a claim's credit for a charge."""

    position: Position
    event_id: str
    application_id: str
    credit_id: str
    charge_id: str
    invoice_id: str
    amount: Amount
    recorded_at: Instant


class Explanation(Shape):
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
    formula: str | None = Field(examples=["42.00 × 8 ÷ 30 = 11.20"])
    inputs: dict[str, str]
    working: list[str]
    facts: list[FactUsed]
    facts_count: int
    retracted: list[RetractedFact] = Field(
        description="Facts used in a recorded step that their source has retracted since."
    )
    complaint_ids: list[str] = Field(description="The complaints linked to its facts.")
    steps: list[ExplanationStep]
    settlements: list[SettlementStep] = Field(description="All changes of its settlement, in order.")
    applied: list[UseOfCredit] = Field(description="The uses of its credit, in order.")


class StoreStands(Shape):
    """The status of the store."""

    address: str = Field(description="Without its password.")
    reachable: bool
    sandbox: bool | None
    clock: Instant | None


class BrokerStands(Shape):
    """The status of the broker."""

    address: str | None
    reachable: bool | None


class StatusFound(Shape):
    """The status of Makegood."""

    status: Literal["well", "broken", "late"]
    problems: list[str]
    late: list[str]
    max_age_seconds: int
    next: str | None
    store: StoreStands
    broker: BrokerStands
    metrics: dict[str, list[dict[str, str | int]]]


class Granted(Shape):
    """A role granted to a principal."""

    principal: str
    role: Role
    account_id: str | None
    granted_at: Instant
    granted_by: str


class ApiKey(Shape):
    """A valid API key, without its secret."""

    key_id: str
    principal: str
    issued_at: Instant
    issued_by: str
