"""Events of a billing account: charges, payments, disputes, and every change of its claims."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from ledger.events.envelope import Amount, Decision, Fact, FactData, Stored

SettleAs = Literal["refund", "credit"]
Clause = Literal["service_disruption", "billing_error", "unused_period", "complaint"]
Outcome = Literal["granted", "declined", "withdrawn", "pending"]
Reason = Literal[
    "reported_late",
    "excluded_cause",
    "not_significant",
    "below_threshold",
    "nothing_due",
    "amount_exceeds_charge",
    "rejected",
    "not_prepaid",
    "service_violation",
    "terms",
    "minimum_term",
    "service_kept",
]

CLAUSES: dict[str, Clause] = {
    "disruption": "service_disruption",
    "billing-error": "billing_error",
    "unused": "unused_period",
    "goodwill": "complaint",
}
"""The clause of a claim, by the beginning of its id (policy §1)."""


def clause_of(claim_id: str) -> Clause:
    """The clause of the policy that a claim is for, by its id."""
    return CLAUSES[claim_id.partition("/")[0]]


class AccountRegistered(Fact):
    """A customer account was registered; name and address are in the vault."""

    stored_as = "account-registered.v1"

    class Data(FactData):
        time_zone: str
        currency: str

    data: Data


class CustomerChanged(Fact):
    """A customer's name, e-mail address or language changed at the message's `time`; they are in the vault."""

    stored_as = "customer-changed.v1"


class ChargePosted(Fact):
    """A one-off charge was posted to an invoice; its description is in the vault."""

    stored_as = "charge-posted.v1"

    class Data(FactData):
        charge_id: str
        subscription_id: str | None
        price: Amount
        tax: Amount
        currency: str
        invoice_id: str

    data: Data


class PaymentCaptured(Fact):
    """A payment for an invoice was captured."""

    stored_as = "payment-captured.v1"

    class Data(FactData):
        payment_id: str
        invoice_id: str
        amount: Amount
        currency: str
        method: Literal["card", "bank", "balance", "other"]

    data: Data


class PaymentFailed(Fact):
    """A payment for an invoice failed; the reason is in the vault."""

    stored_as = "payment-failed.v1"

    class Data(FactData):
        payment_id: str
        invoice_id: str

    data: Data


class BillingErrorReported(Fact):
    """A customer disputed a charge; the description is in the vault."""

    stored_as = "billing-error-reported.v1"

    class Data(FactData):
        dispute_id: str
        charge_id: str
        claimed: Amount
        currency: str
        reported_at: AwareDatetime

    data: Data


class OverchargeConfirmed(Fact):
    """The investigation of a dispute confirmed an overcharge."""

    stored_as = "overcharge-confirmed.v1"

    class Data(FactData):
        dispute_id: str
        charge_id: str
        amount: Amount
        currency: str
        settle_as: SettleAs | None

    data: Data


class OverchargeRejected(Fact):
    """The investigation of a dispute found the charge correct; the investigator's reason is in the vault."""

    stored_as = "overcharge-rejected.v1"

    class Data(FactData):
        dispute_id: str
        charge_id: str

    data: Data


class RefundReportData(FactData):
    """Every report of the payment processor names the refund that it is about."""

    refund_id: str


class RefundReport(Fact):
    """A payment processor's report about a refund."""

    data: RefundReportData


class RefundSucceeded(RefundReport):
    """The payment processor confirmed that a refund arrived, with or without its amount."""

    stored_as = "refund-succeeded.v2"

    class Data(RefundReportData):
        processor_reference: str
        succeeded_at: AwareDatetime
        amount: Amount | None
        currency: str | None

    data: Data


class RefundSucceededV1(RefundReport):
    """The payment processor confirmed that a refund arrived: the older form, without an amount."""

    stored_as = "refund-succeeded.v1"

    class Data(RefundReportData):
        processor_reference: str
        succeeded_at: AwareDatetime

    data: Data


class RefundFailed(RefundReport):
    """A refund failed or bounced, by the payment processor's report; the reason is in the vault."""

    stored_as = "refund-failed.v1"
    data: RefundReportData


class GoodwillProposed(Fact):
    """A person proposed a goodwill credit for a complaint; the reason is in the vault."""

    stored_as = "goodwill-proposed.v1"

    class Data(FactData):
        credit_id: str
        complaint_id: str
        subscription_id: str | None
        amount: Amount
        currency: str
        proposed_by: str

    data: Data


class GoodwillVerdictData(FactData):
    """Every verdict names the credit that it is about, and the person whose verdict it is."""

    credit_id: str
    decided_by: str


class GoodwillApproved(Fact):
    """A person approved a goodwill credit."""

    stored_as = "goodwill-approved.v1"
    data: GoodwillVerdictData


class GoodwillRejected(Fact):
    """A person rejected a goodwill credit; the reason is in the vault."""

    stored_as = "goodwill-rejected.v1"
    data: GoodwillVerdictData


class ClaimState(Stored):
    """A claim row: its outcome, its amounts, and the intended settlement.

    `settle_as` is null only where an older version recorded the row, which did not say.
    """

    outcome: Outcome
    reason: Reason | None
    amount: Amount
    tax: Amount
    settle_as: SettleAs | None


class Terms(Stored):
    """The service agreement that a decision was taken under."""

    agreement: str
    version: int
    sha256: str


class ClaimDecision(Decision):
    """The fields that all versions of a claim's assessment share."""


class ClaimAssessed(ClaimDecision):
    """A claim row was opened (`before` is null), changed, or removed (`after` is null).

    It changes with its outcome, reason, amounts, charge, terms and intended settlement, and with its working:
    formula, inputs and the facts used (policy §1). `charge_id` is null for a goodwill credit, which is for no charge.
    `investigate_by` is the deadline of an open investigation of a dispute. The amounts are decided here, once (design
    rule 3), and never recomputed. `facts` are the event ids of the facts used; beyond 1,000 there is their count and,
    in `facts_digest`, the SHA-256 of the ids, in order, one a line. `rules` is the revision of the policy's code.
    """

    stored_as = "claim-assessed.v2"

    class Data(Stored):
        claim_id: str
        clause: Clause
        subscription_id: str | None
        charge_id: str | None
        currency: str
        before: ClaimState | None
        after: ClaimState | None
        investigate_by: AwareDatetime | None
        terms: Terms | None
        formula: str | None
        inputs: dict[str, str]
        working: tuple[str, ...]
        facts: tuple[str, ...]
        facts_count: int
        facts_digest: str | None
        rules: int
        now: AwareDatetime

    data: Data


class SettledPartV1(Stored):
    """A settled part of a claim; `id` is that of the refund, the credit or the invoice."""

    into: Literal["invoice_reduction", "refund", "credit", "overpaid"]
    id: str
    net: Amount
    tax: Amount


class ClaimStateV1(Stored):
    """A claim row with its settlement: the older form, from before settlement of whole invoices.

    `outcome` is null where the row fell away although something had gone out, which stays visible as overpaid.
    """

    outcome: Outcome | None
    reason: Reason | None
    amount: Amount
    tax: Amount
    settled: tuple[SettledPartV1, ...]


class ClaimAssessedV1(ClaimDecision):
    """A claim row and its settlement changed: the older form, in which one event holds both."""

    stored_as = "claim-assessed.v1"

    class Data(Stored):
        claim_id: str
        clause: Clause
        subscription_id: str | None
        charge_id: str | None
        currency: str
        before: ClaimStateV1 | None
        after: ClaimStateV1 | None
        investigate_by: AwareDatetime | None
        terms: Terms | None
        formula: str | None
        inputs: dict[str, str]
        working: tuple[str, ...]
        facts: tuple[str, ...]
        facts_count: int
        facts_digest: str | None
        now: AwareDatetime

    data: Data


class AlarmData(Stored):
    """An alarm for a person to check. `about` lists what it concerns, by event id or business id."""

    alarm: str
    about: tuple[str, ...]
    claim_id: str | None
    charge_id: str | None
    subscription_id: str | None
    now: AwareDatetime


class AlarmRaised(Decision):
    """An assessment raised an alarm."""

    stored_as = "alarm-raised.v1"
    data: AlarmData


class AlarmCleared(Decision):
    """An alarm was cleared: later facts removed its cause."""

    stored_as = "alarm-cleared.v1"
    data: AlarmData
