"""What the body of an act may say is what its message may say: lengths, patterns and values are said once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from consumers.upstream import MessageData, door_messages, messages
from makegood.acts import complaints, disputes, goodwill, outages, subscriptions

BECOMES: dict[type[BaseModel], type[MessageData]] = {
    subscriptions.Cancel: messages.CancellationRequestedV1,
    subscriptions.WithdrawCancellation: messages.CancellationWithdrawnV1,
    subscriptions.Suspend: messages.SubscriptionSuspendedV1,
    subscriptions.Reinstate: messages.SubscriptionReinstatedV1,
    subscriptions.Terminate: messages.SubscriptionTerminatedV1,
    outages.ReportOutage: messages.OutageReportedV1,
    outages.ResolveOutage: messages.OutageResolvedV1,
    outages.ReopenOutage: messages.OutageReopenedV1,
    disputes.OpenDispute: messages.BillingErrorReportedV1,
    disputes.ConfirmDispute: messages.OverchargeConfirmedV1,
    disputes.RejectDispute: messages.OverchargeRejectedV1,
    complaints.OpenComplaint: messages.ComplaintOpenedV1,
    complaints.ResolveComplaint: messages.ComplaintResolvedV1,
    complaints.ReopenComplaint: messages.ComplaintReopenedV1,
    complaints.NoteComplaint: door_messages.ComplaintNotedV1,
    complaints.LinkComplaint: door_messages.ComplaintLinkedV1,
    goodwill.ProposeGoodwill: door_messages.GoodwillProposedV1,
    goodwill.ApproveGoodwill: door_messages.GoodwillApprovedV1,
    goodwill.RejectGoodwill: door_messages.GoodwillRejectedV1,
}
NARROWER = {(complaints.ResolveComplaint, "resolution"), (complaints.NoteComplaint, "note")}
"""People resolve a complaint by a code, where upstream may write sentences, and note something or nothing at all."""
BESIDE = {"complaint_id", "note"}
"""What becomes a message beside the act's own: the link to a complaint, and the note to its resolution."""


def rule(model: type[BaseModel], name: str) -> Any:
    """What a field lets in where it is given: not how it is described, and not that it may be left out."""
    said = model.model_json_schema()["properties"][name]
    kinds = [kind for kind in said.get("anyOf", [said]) if kind != {"type": "null"}]
    without = [{k: v for k, v in kind.items() if k not in ("description", "title", "default")} for kind in kinds]
    return [{**kind, "type": "boolean"} if kind.get("type") == ["boolean", "null"] else kind for kind in without]


@pytest.mark.parametrize("body", BECOMES, ids=lambda body: body.__name__)
def test_a_field_lets_in_what_its_message_lets_in(body: type[BaseModel]) -> None:
    message = BECOMES[body]
    for name in body.model_fields:
        if name in message.model_fields:
            assert (rule(body, name) == rule(message, name)) == ((body, name) not in NARROWER), name
        else:
            assert name in BESIDE
