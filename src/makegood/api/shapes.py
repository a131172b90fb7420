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
    """What one clause of the policy gives for one charge."""

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
    """Money that goes back, or went."""

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
    """Part of a credit paid part of an invoice."""

    application_id: str
    charge_id: str | None
    invoice_id: str
    amount: Amount
    applied_at: Instant


class Credit(Shape):
    """Money kept for the account's next charges."""

    credit_id: str = Field(examples=["credit/disruption/cyc-0002-2026-01-02/1"])
    claim_id: str | None = Field(description="Null for what was paid on an invoice in excess.")
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
    applied: list[Applied] = Field(description="What it was used for, in order.")


class Dispute(Shape):
    """A disputed charge, and how its investigation stands."""

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
    complaint_ids: list[str] = Field(description="The complaints that it is linked with.")


class ComplaintStep(Shape):
    """What became of a complaint, and when."""

    step: Literal["opened", "resolved", "reopened", "noted", "linked"]
    at: Instant
    event_id: str


class Link(Shape):
    """What a complaint led to."""

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
    resolution_code: str | None = Field(description="Null where it was put in words only.")
    links: list[Link]
    notes: int = Field(description="How often it was noted on.")
    steps: Sequence[ComplaintStep]


class Complaint(ComplaintOfAccount):
    """A customer's complaint, and for how long it has been open."""

    age_seconds: int | None = Field(description="Null where it is resolved.")


class Goodwill(Shape):
    """A goodwill credit: one person proposes it, another decides."""

    credit_id: str
    claim_id: str
    account_id: str
    subscription_id: str | None
    complaint_id: str
    status: Literal["proposed", "approved", "rejected"]
    outcome: Outcome | None = Field(description="That of its claim.")
    amount: Amount
    currency: Currency
    proposed_by: str
    proposed_at: Instant
    decided_by: str | None
    decided_at: Instant | None


class GoodwillLinked(Goodwill):
    """A goodwill credit with all complaints that it is linked with."""

    complaint_ids: list[str]


class ComplaintStepInFull(ComplaintStep):
    """A step with who took it, and what they wrote."""

    actor: str
    channel: str
    resolution_code: str | None
    kind: LinkedKind | None
    linked_id: str | None
    words: str | None = Field(description="Null where nothing was written, or it was erased.")


class ComplaintInFull(Complaint):
    """A complaint with its whole history."""

    steps: Sequence[ComplaintStepInFull]
    goodwill: list[GoodwillLinked]


class Instruction(Shape):
    """What another system must carry out, and what it answered."""

    instruction_id: str
    kind: Kind
    account_id: str
    data: dict[str, str] = Field(description="As the topic says it.")
    issued_at: Instant
    status: Literal["open", "carried_out", "refused"]
    answered_at: Instant | None


class AgedInstruction(Instruction):
    """An instruction, and for how long it has been open."""

    age_seconds: int | None = Field(description="Null where it was answered.")


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
    next: str | None = Field(description="What comes next, in words.")


class Alarm(Shape):
    """Something that a person should look at."""

    alarm: str = Field(examples=["charged_after_end"])
    account_id: str
    claim_id: str | None
    charge_id: str | None
    subscription_id: str | None
    about: list[str] = Field(description="Source and id of the messages that it is about.")
    since: Instant


class Waiting(Shape):
    """A fact that waits for another."""

    account_id: str
    type: str = Field(examples=["outage-reported.v1"])
    source: str
    id: str
    waits_for: str = Field(examples=["subscription sub-9999"])
    since: Instant
    age_seconds: int
    event_id: str


class KeptRow(Shape):
    """A kept message, and what became of it."""

    position: int
    origin: str
    reason: str
    channel: str
    status: Literal["open", "replayed", "discarded"]
    closed_by: str | None
    closed_at: Instant | None


class DeadLetter(KeptRow):
    """A refused message, without what it said."""

    dead_letter_id: str
    field: str | None
    source: str | None
    id: str | None
    account_id: str | None
    refused_at: Instant


class DeadLetterWithBody(DeadLetter):
    """A refused message."""

    body: str | None = Field(description="What it said; null where that was erased.")


class SetAside(KeptRow):
    """A message that kept failing, without what it said."""

    set_aside_id: str
    source: str
    id: str
    account_id: str
    set_aside_at: Instant


class SetAsideWithBody(SetAside):
    """A message that kept failing."""

    body: str | None = Field(description="What it said; null where that was erased.")


class Agreement(Shape):
    """A published version of a service agreement."""

    name: str = Field(examples=["standard"])
    version: int
    valid_from: LocalDate
    sha256: Hash


class AgreementText(Shape):
    """The text that a version was published as."""

    name: str = Field(examples=["standard"])
    version: int
    sha256: Hash
    text: str = Field(description="TOML.")


class Balance(Shape):
    """An account's sums in one currency."""

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
    """A service that an account has."""

    subscription_id: str
    account_id: str
    plan: str
    agreement: str
    agreement_version: int | None
    status: Status | None
    effective_on: LocalDate | None = Field(description="When it ends.")


class Charge(Shape):
    """What a customer has to pay for."""

    charge_id: str
    account_id: str
    kind: Literal["cycle", "one_off"]
    subscription_id: str | None
    starts_on: LocalDate | None
    ends_on: LocalDate | None = Field(description="The first date that no longer belongs to it.")
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
    """What an invoice was charged and paid, and what it asks for (gross)."""

    invoice_id: str
    account_id: str
    currency: Currency
    charged: Amount
    paid_in_money: Amount
    paid_from_balance: Amount
    excess_used: Amount = Field(description="What of the credit for its excess was used.")
    reduced: Amount
    asks_for: Amount
    excess: Amount
    excess_credit: Amount | None = Field(description="The credit for its excess, once it has rested.")


class ClaimOfAccount(Claim):
    """A claim as an account has it, which may have been assessed for the answer alone."""

    position: Position | None = Field(  # type: ignore[assignment]
        description="Null where it was assessed anew, as of another time."
    )


class Account(Shape):
    """One account in full."""

    account_id: str = Field(examples=["acct-0006"])
    as_of: Instant | None = Field(None, description="The instant it was assessed anew for; null as it stands.")
    known_at: Instant | Reached | None = Field(None, description="What had been recorded by then; null for all.")
    nothing_yet: str | None = Field(None, description="In words, where there was nothing by then.")
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
    goodwill: list[Goodwill] = Field([], description="Not shown to customers, like all that follows.")
    alarms: list[Alarm] = Field([])
    instructions: list[Instruction] = Field([], description="Those without an answer.")
    set_aside: int = Field(
        0, description="How many of its messages are set aside; while there are some, this may not be all."
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
    """A row that an event put, or deleted where `row` is null."""

    table: str
    key: dict[str, str | int | None]
    row: dict[str, str | int | None] | None


class ReplayStep(Shape):
    """One event, and what it changed."""

    version: int
    position: Position
    type: str
    name: str
    event_id: str
    occurred_at: Instant
    recorded_at: Instant
    changed: list[ChangedRow]


class Settled(Shape):
    """One way in which part of a claim is made good."""

    into: Literal["invoice_reduction", "offset", "refund", "credit", "overpaid", "correction"]
    id: str
    net: Amount
    tax: Amount
    status: Literal["open", "gone_out", "failed"]


class ClaimState(Shape):
    """A claim row as it stood."""

    outcome: Outcome
    reason: str | None
    amount: Amount
    tax: Amount
    settled: list[Settled]


class Terms(Shape):
    """The agreement that a decision was taken under."""

    agreement: str
    version: int
    sha256: Hash


class ChargeExplained(Shape):
    """What was charged."""

    price: Amount
    tax: Amount
    invoice_id: str
    starts_on: LocalDate | None = None
    ends_on: LocalDate | None = None


class FactUsed(Shape):
    """A fact that a claim rests on."""

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
        description="Why a dispute was rejected, or a goodwill credit proposed or rejected, in the words of whoever "
        "did; those about goodwill are for whoever may read what is written of complaints.",
    )


class RetractedBy(Shape):
    """The message that took another one back."""

    source: str | None = Field(None, description="Not shown to customers, and neither is the id.")
    id: str | None = None
    position: Position
    recorded_at: Instant


class RetractedFact(Shape):
    """A fact that a claim rested on once, and that was never so."""

    position: Position
    event_id: str
    type: str
    source: str | None = Field(None, description="Not shown to customers, and neither is the id.")
    id: str | None = None
    retracted_by: RetractedBy
    words: str | None = Field(
        None, description="Why, in the words of whoever took it back; for whoever may read what people wrote."
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
    """One recorded change of how a claim is settled."""

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
    """A charge that a claim's credit paid for."""

    position: Position
    event_id: str
    application_id: str
    credit_id: str
    charge_id: str
    invoice_id: str
    amount: Amount
    recorded_at: Instant


class Explanation(Shape):
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
    formula: str | None = Field(examples=["42.00 × 8 ÷ 30 = 11.20"])
    inputs: dict[str, str]
    working: list[str]
    facts: list[FactUsed]
    facts_count: int
    retracted: list[RetractedFact] = Field(
        description="What some step rested on and its own source has taken back since: it counts as never said."
    )
    complaint_ids: list[str] = Field(description="The complaints linked with what it rests on.")
    steps: list[ExplanationStep]
    settlements: list[SettlementStep] = Field(description="Every change of how it is settled, in order.")
    applied: list[UseOfCredit] = Field(description="What its credit was used for, in order.")


class StoreStands(Shape):
    """How the store stands."""

    address: str = Field(description="Without its password.")
    reachable: bool
    sandbox: bool | None
    clock: Instant | None


class BrokerStands(Shape):
    """How the broker stands."""

    address: str | None
    reachable: bool | None


class StatusFound(Shape):
    """How everything stands."""

    status: Literal["well", "broken", "late"]
    problems: list[str]
    late: list[str]
    max_age_seconds: int
    next: str | None
    store: StoreStands
    broker: BrokerStands
    metrics: dict[str, list[dict[str, str | int]]]


class Granted(Shape):
    """A role that somebody has."""

    principal: str
    role: Role
    account_id: str | None
    granted_at: Instant
    granted_by: str


class ApiKey(Shape):
    """An API key that opens the door, without its secret."""

    key_id: str
    principal: str
    issued_at: Instant
    issued_by: str
