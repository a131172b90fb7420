"""Makegood's own messages: people's instructions for which upstream has no message type.

They go through the same inbox as upstream's. They cannot be published: from Kafka, from a file or through
`POST /events` their types are unknown.
"""

from __future__ import annotations

from typing import ClassVar

from consumers.upstream.fields import Currency, FreeText, Identifier, PositiveAmount
from consumers.upstream.messages import MESSAGES, MessageData
from ledger.events import (
    ComplaintLinked,
    ComplaintNoted,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
    LinkedKind,
)

SOURCE = "/makegood/http"
"""The source of people's instructions. It and everything below it is reserved: a foreign message that took the
identity of an instruction beforehand would keep it from being recorded.
"""

INSTRUCTED: dict[str, type[MessageData]] = {}
"""Makegood's own messages, by CloudEvents type."""


class InstructedData(MessageData):
    """The `data` of one type of Makegood's own messages."""

    registered_in: ClassVar[dict[str, type[MessageData]]] = INSTRUCTED


def is_reserved(source: str) -> bool:
    """Whether a source is reserved for Makegood's own messages."""
    return source == SOURCE or source.startswith(SOURCE + "/")


def known_at_the_door() -> dict[str, type[MessageData]]:
    """All messages that an instruction may become: upstream's and Makegood's own."""
    return {**MESSAGES, **INSTRUCTED}


class ComplaintNotedV1(InstructedData):
    """Support added a note to a complaint."""

    message_type = "makegood.complaint.noted.v1"
    becomes = ComplaintNoted
    private = ("note",)

    complaint_id: Identifier
    note: FreeText


class ComplaintLinkedV1(InstructedData):
    """A complaint was linked to an outage, a dispute or a goodwill credit."""

    message_type = "makegood.complaint.linked.v1"
    becomes = ComplaintLinked

    complaint_id: Identifier
    kind: LinkedKind
    linked_id: Identifier


class GoodwillProposedV1(InstructedData):
    """A person proposed a goodwill credit; `proposed_by` is their authenticated principal."""

    message_type = "makegood.goodwill.proposed.v1"
    becomes = GoodwillProposed
    private = ("reason",)

    credit_id: Identifier
    complaint_id: Identifier
    subscription_id: Identifier | None = None
    currency: Currency
    amount: PositiveAmount
    proposed_by: Identifier
    reason: FreeText | None = None


class GoodwillApprovedV1(InstructedData):
    """A person approved a goodwill credit; `decided_by` is their authenticated principal."""

    message_type = "makegood.goodwill.approved.v1"
    becomes = GoodwillApproved

    credit_id: Identifier
    decided_by: Identifier


class GoodwillRejectedV1(InstructedData):
    """A person rejected a goodwill credit; `decided_by` is their authenticated principal."""

    message_type = "makegood.goodwill.rejected.v1"
    becomes = GoodwillRejected
    private = ("reason",)

    credit_id: Identifier
    decided_by: Identifier
    reason: FreeText
