"""Messages that only the door sends: acts of people that upstream has no message for.

They go through the same inbox as upstream's. Nobody can publish one: from Kafka, from a file or as an event over HTTP
their types are unknown.
"""

from __future__ import annotations

from typing import ClassVar

from consumers.upstream.fields import (
    Currency,
    FreeText,
    Identifier,
    NewIdentifier,
    PositiveAmount,
    RefundIdentifier,
    SignedAmount,
)
from consumers.upstream.messages import MESSAGES, MessageData
from ledger.events import (
    ComplaintLinked,
    ComplaintNoted,
    CreditRefundRequested,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    LinkedKind,
    OverpaidRecoveryOrdered,
    OverpaidWrittenOff,
    RefundApproved,
    RefundRejected,
    RefundRetried,
    RefundTurnedIntoCredit,
)

SOURCE = "/makegood/http"
"""The source of what people do at the door. Nobody else's messages may bear it, or another below `/makegood`: a
fact's actor is its source, and whoever could take the identity of such a message before it is made could keep it from
being recorded.
"""

SOURCE_OF_COMMANDS = "/makegood/cli"
"""The source of what people do by commands."""

DOOR_MESSAGES: dict[str, type[MessageData]] = {}
"""Makegood's own messages, by CloudEvents type."""


class DoorData(MessageData):
    """The `data` of one type of Makegood's own messages."""

    registered_in: ClassVar[dict[str, type[MessageData]]] = DOOR_MESSAGES


def known_at_the_door() -> dict[str, type[MessageData]]:
    """All messages that an act may become: upstream's and the door's own."""
    return {**MESSAGES, **DOOR_MESSAGES}


class ComplaintNotedV1(DoorData):
    """Support added a note to a complaint."""

    message_type = "makegood.complaint.noted.v1"
    becomes = ComplaintNoted
    private = ("note",)

    complaint_id: Identifier
    note: FreeText


class ComplaintLinkedV1(DoorData):
    """A complaint was linked to an outage, a dispute or a goodwill credit."""

    message_type = "makegood.complaint.linked.v1"
    becomes = ComplaintLinked

    complaint_id: Identifier
    kind: LinkedKind
    linked_id: Identifier


class GoodwillProposedV1(DoorData):
    """A person proposed a goodwill credit; `proposed_by` is their authenticated principal."""

    message_type = "makegood.goodwill.proposed.v1"
    becomes = GoodwillProposed
    private = ("reason",)

    credit_id: NewIdentifier
    complaint_id: Identifier
    subscription_id: Identifier | None = None
    currency: Currency
    amount: PositiveAmount
    proposed_by: Identifier
    reason: FreeText | None = None


class GoodwillApprovedV1(DoorData):
    """A person approved a goodwill credit; `decided_by` is their authenticated principal."""

    message_type = "makegood.goodwill.approved.v1"
    becomes = GoodwillApproved

    credit_id: Identifier
    decided_by: Identifier


class GoodwillRejectedV1(DoorData):
    """A person rejected a goodwill credit; `decided_by` is their authenticated principal."""

    message_type = "makegood.goodwill.rejected.v1"
    becomes = GoodwillRejected
    private = ("reason",)

    credit_id: Identifier
    decided_by: Identifier
    reason: FreeText


class RefundVerdict(DoorData):
    """A person's verdict on a refund as it is due: `proposal` and `set_by` name the event that set its amounts."""

    refund_id: RefundIdentifier
    proposal: Identifier
    set_by: Identifier
    currency: Currency
    net: SignedAmount
    tax: SignedAmount
    decided_by: Identifier


class RefundApprovedV1(RefundVerdict):
    """A person approved a refund as it is due: `proposal` and `set_by` name the event that set its amounts."""

    message_type = "makegood.refund.approved.v1"
    becomes = RefundApproved


class RefundRejectedV1(RefundVerdict):
    """A person rejected a refund as it is due."""

    message_type = "makegood.refund.rejected.v1"
    becomes = RefundRejected
    private = ("reason",)

    reason: FreeText


class RefundRetriedV1(RefundVerdict):
    """A person had a failed refund submitted anew, as it is due."""

    message_type = "makegood.refund.retried.v1"
    becomes = RefundRetried


class RefundTurnedIntoCreditV1(DoorData):
    """A person turned a failed refund into a credit, up to its amount, gross."""

    message_type = "makegood.refund.turned_into_credit.v1"
    becomes = RefundTurnedIntoCredit

    refund_id: RefundIdentifier
    currency: Currency
    amount: PositiveAmount
    decided_by: Identifier


class CreditRefundRequestedV1(DoorData):
    """A person asked for what is left of a credit to be refunded."""

    message_type = "makegood.credit.refund_requested.v1"
    becomes = CreditRefundRequested

    refund_id: RefundIdentifier
    credit_id: RefundIdentifier
    decided_by: Identifier


class OverpaidDecision(DoorData):
    """A person decided about what went out too much for a claim; `amount` is all of it, gross."""

    private = ("reason",)

    claim_id: RefundIdentifier
    currency: Currency
    amount: PositiveAmount
    decided_by: Identifier
    reason: FreeText


class OverpaidWrittenOffV1(OverpaidDecision):
    """A person wrote off what went out too much for a claim, gross."""

    message_type = "makegood.overpaid.written_off.v1"
    becomes = OverpaidWrittenOff


class OverpaidRecoveryOrderedV1(OverpaidDecision):
    """A person had what went out too much for a claim recovered from the account's next credits, gross."""

    message_type = "makegood.overpaid.recovery_ordered.v1"
    becomes = OverpaidRecoveryOrdered
