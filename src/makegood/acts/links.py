"""The link of something that is reported to the complaint that it belongs to."""

from __future__ import annotations

from consumers.upstream.door_messages import ComplaintLinkedV1
from consumers.upstream.messages import MessageData
from ledger.events import LinkedKind
from makegood.acts.acting import Known


def linked(known: Known, complaint_id: str | None, kind: LinkedKind, linked_id: str) -> list[MessageData]:
    """The message that goes in beside the report; none where it belongs to no complaint. Raises ActRefused."""
    if complaint_id is None:
        return []
    complaint_id = known.in_body("complaint", complaint_id, "complaint_id")
    return [ComplaintLinkedV1(complaint_id=complaint_id, kind=kind, linked_id=linked_id)]
