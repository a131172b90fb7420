"""Events of refunds: what people decide about them, when each was submitted, and how it stands (policy §7)."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from ledger.events.envelope import Amount, Decision, Fact, FactData, SignedAmount, Stored

RefundStatus = Literal["due", "approved", "submitted", "succeeded", "failed", "rejected"]
ReturnStatus = Literal["submitted", "succeeded", "failed"]
HeldBy = Literal["contradiction", "payment"]
PaidBy = Literal["card", "bank", "other"]
"""The methods of payment to which money can be returned."""


class RefundActData(FactData):
    """Every act names its refund and the person."""

    refund_id: str
    decided_by: str


class RefundAct(Fact):
    """What a person decided about a refund."""

    data: RefundActData


class RefundVerdictData(RefundActData):
    """The refund's amounts that the person had before them, and the event that set them.

    `proposal` is the leaf hash of that event, `set_by` its event id. A verdict holds for these amounts only.
    """

    proposal: str
    set_by: str
    net: SignedAmount
    tax: SignedAmount
    currency: str


class RefundApproved(RefundAct):
    """A person approved a refund."""

    stored_as = "refund-approved.v1"
    data: RefundVerdictData


class RefundRejected(RefundAct):
    """A person rejected a refund; the reason is in the vault."""

    stored_as = "refund-rejected.v1"
    data: RefundVerdictData


class RefundRetried(RefundAct):
    """A person had a failed refund submitted anew."""

    stored_as = "refund-retried.v1"
    data: RefundVerdictData


class RefundTurnedIntoCredit(RefundAct):
    """A person turned a failed refund into a credit, up to this amount, gross."""

    stored_as = "refund-turned-into-credit.v1"

    class Data(RefundActData):
        amount: Amount
        currency: str

    data: Data


class CreditRefundRequested(RefundAct):
    """A person asked for what is left of a credit to be refunded, when the last subscription had ended."""

    stored_as = "credit-refund-requested.v1"

    class Data(RefundActData):
        credit_id: str

    data: Data


class OverpaidActData(FactData):
    """Every act names the claim for which too much went out, the amount decided about, gross, and the person."""

    claim_id: str
    amount: Amount
    currency: str
    decided_by: str


class OverpaidAct(Fact):
    """What a person decided about what went out too much for a claim; the reason is in the vault."""

    data: OverpaidActData


class OverpaidWrittenOff(OverpaidAct):
    """A person wrote off what went out too much for a claim."""

    stored_as = "overpaid-written-off.v1"


class OverpaidRecoveryOrdered(OverpaidAct):
    """A person had what went out too much for a claim recovered from the account's next credits."""

    stored_as = "overpaid-recovery-ordered.v1"


class Return(Stored):
    """The part of a refund that goes back to one payment. `return_id` is the one of contract §3b."""

    return_id: str
    payment_id: str
    method: PaidBy
    net: SignedAmount
    tax: SignedAmount


class RefundSubmitted(Decision):
    """A refund was handed over to be paid; from now on its amount is fixed.

    `attempt` counts from 1. `claim_id` is null for the refund of an excess's credit, `credit_id` for a claim's own
    refund. `invoice_id` is the invoice of the payments to which it is returned. `set_by` is the id of the event that
    set its amount. `approved_by` is a principal, or the agreement by which it was approved.
    """

    stored_as = "refund-submitted.v1"

    class Data(Stored):
        refund_id: str
        attempt: int
        claim_id: str | None
        credit_id: str | None
        charge_id: str | None
        invoice_id: str
        currency: str
        net: SignedAmount
        tax: SignedAmount
        set_by: str
        approved_by: str
        returns: tuple[Return, ...]
        rules: int
        now: AwareDatetime

    data: Data


class ReturnStanding(Stored):
    """The last attempt's part for one payment, with what went out, gross, and the processor's reference."""

    return_id: str
    payment_id: str
    method: PaidBy
    amount: Amount
    status: ReturnStatus
    processor_reference: str | None


class RefundStatusChanged(Decision):
    """A refund that somebody decided about, or that was submitted, stands otherwise than before.

    `after` is null where it is owed no more. `net` and `tax` are what it is due with or went out with. `set_by` is
    the id of the event that set its amount. `attempt` is the number of times that it was submitted. `held_by`
    says why it waits: two facts about its charge contradict each other, or no payment has enough left on it.
    """

    stored_as = "refund-status-changed.v1"

    class Data(Stored):
        refund_id: str
        claim_id: str | None
        credit_id: str | None
        charge_id: str | None
        currency: str
        before: RefundStatus | None
        after: RefundStatus | None
        net: SignedAmount
        tax: SignedAmount
        set_by: str | None
        attempt: int
        approved_by: str | None
        approved_at: AwareDatetime | None
        submitted_at: AwareDatetime | None
        settled_at: AwareDatetime | None
        processor_reference: str | None
        returns: tuple[ReturnStanding, ...]
        held_by: HeldBy | None
        now: AwareDatetime

    data: Data


class OverpaidRecovered(Decision):
    """Part of a credit was kept back for what went out too much for another claim, as a person had ordered.

    `net` and `tax` are what of the credit's claim was used, `recovered_net` and `recovered_tax` what of the other
    claim, `claim_id`, came back. `of_claim_id` is null for the credit of an invoice's excess.
    """

    stored_as = "overpaid-recovered.v1"

    class Data(Stored):
        application_id: str
        claim_id: str
        credit_id: str
        of_claim_id: str | None
        amount: Amount
        net: SignedAmount
        tax: SignedAmount
        recovered_net: SignedAmount
        recovered_tax: SignedAmount
        currency: str
        rules: int
        now: AwareDatetime

    data: Data
