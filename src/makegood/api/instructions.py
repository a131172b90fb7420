"""People's instructions, each a route: cancellations, suspensions, outages, disputes, complaints and goodwill.

A route says which message it becomes and what of the account it names; the rest is in `instructing`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from ledger.events import GoodwillProposed, OutageReported
from makegood.api.asked import (
    ApproveGoodwill,
    Cancel,
    ConfirmDispute,
    LinkComplaint,
    NoteComplaint,
    OpenComplaint,
    OpenDispute,
    ProposeGoodwill,
    Reinstate,
    RejectDispute,
    RejectGoodwill,
    ReopenComplaint,
    ReopenOutage,
    ReportOutage,
    ResolveComplaint,
    ResolveOutage,
    Suspend,
    Terminate,
    WithdrawCancellation,
)
from makegood.api.guard import Guarded
from makegood.api.instructing import ANSWERS, Asking, instructing
from makegood.api.messages import Said
from makegood.api.paths import PathId
from makegood.api.problems import CONFLICT, Refused, invalid

SUBSCRIPTION = "/accounts/{account_id}/subscriptions/{subscription_id}"
OUTAGES = "/accounts/{account_id}/outages"
DISPUTES = "/accounts/{account_id}/disputes"
COMPLAINTS = "/accounts/{account_id}/complaints"
GOODWILL = "/accounts/{account_id}/goodwill/{credit_id}"

subscriptions = APIRouter(tags=["Subscriptions"], route_class=Guarded)
outages = APIRouter(tags=["Outages"], route_class=Guarded)
disputes = APIRouter(tags=["Disputes"], route_class=Guarded)
complaints = APIRouter(tags=["Complaints"], route_class=Guarded)
goodwill = APIRouter(tags=["Goodwill"], route_class=Guarded)
ROUTERS = (subscriptions, outages, disputes, complaints, goodwill)

SubscriptionId = Annotated[PathId, Path(description="The subscription.")]
OutageId = Annotated[PathId, Path(description="The outage.")]
DisputeId = Annotated[PathId, Path(description="The dispute.")]
CreditId = Annotated[PathId, Path(description="The goodwill credit.")]
ComplaintId = Annotated[PathId, Path(description="The complaint.")]

CANCEL, WITHDRAW, REINSTATE = Cancel(), WithdrawCancellation(), Reinstate()
REOPEN, APPROVE = ReopenComplaint(), ApproveGoodwill()
"""Bodies that say nothing: there need be none."""

CUSTOMERS, PROVIDERS = "portal", "support"


# --- subscriptions ------------------------------------------------------------------------------------------------


@subscriptions.post(f"{SUBSCRIPTION}/cancel", summary="Cancel a subscription", responses=ANSWERS)
def cancel(
    subscription_id: SubscriptionId,
    given: Annotated[Asking, instructing("subscription.cancel")],
    asked: Annotated[Cancel, Body()] = CANCEL,
) -> Response:
    """The cancellation takes effect at the end of the billing cycle. The answer has the date and the claims."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.cancellation.requested.v1",
                {
                    "subscription_id": given.known("subscription", subscription_id),
                    "requested_at": given.instant(asked.requested_at, "requested_at"),
                    "channel": _way(given),
                    "reason": asked.reason,
                    "keep_service": asked.keep_service,
                },
            )
        ]
    )


@subscriptions.post(f"{SUBSCRIPTION}/withdraw-cancellation", summary="Withdraw a cancellation", responses=ANSWERS)
def withdraw_cancellation(
    subscription_id: SubscriptionId,
    given: Annotated[Asking, instructing("subscription.withdraw_cancellation")],
    asked: Annotated[WithdrawCancellation, Body()] = WITHDRAW,
) -> Response:
    """Withdraws all requests that have not taken effect yet; without one, it changes nothing."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.cancellation.withdrawn.v1",
                {
                    "subscription_id": given.known("subscription", subscription_id),
                    "withdrawn_at": given.instant(asked.withdrawn_at, "withdrawn_at"),
                },
            )
        ]
    )


@subscriptions.post(f"{SUBSCRIPTION}/suspend", summary="Suspend the service for a violation", responses=ANSWERS)
def suspend(
    subscription_id: SubscriptionId,
    given: Annotated[Asking, instructing("subscription.suspend")],
    asked: Suspend,
) -> Response:
    """Nothing is refunded for the time of a suspension."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.subscription.suspended.v1",
                {
                    "subscription_id": given.known("subscription", subscription_id),
                    "suspended_at": given.instant(asked.suspended_at, "suspended_at"),
                    "reason": asked.reason,
                },
            )
        ]
    )


@subscriptions.post(f"{SUBSCRIPTION}/reinstate", summary="Reinstate a suspended service", responses=ANSWERS)
def reinstate(
    subscription_id: SubscriptionId,
    given: Annotated[Asking, instructing("subscription.reinstate")],
    asked: Annotated[Reinstate, Body()] = REINSTATE,
) -> Response:
    """Ends a suspension. A termination cannot be undone."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.subscription.reinstated.v1",
                {
                    "subscription_id": given.known("subscription", subscription_id),
                    "reinstated_at": given.instant(asked.reinstated_at, "reinstated_at"),
                },
            )
        ]
    )


@subscriptions.post(
    f"{SUBSCRIPTION}/terminate", summary="Terminate a subscription for a violation", responses=ANSWERS
)
def terminate(
    subscription_id: SubscriptionId,
    given: Annotated[Asking, instructing("subscription.terminate")],
    asked: Terminate,
) -> Response:
    """Nothing is refunded. Existing credits and confirmed overcharges are kept."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.subscription.terminated.v1",
                {
                    "subscription_id": given.known("subscription", subscription_id),
                    "terminated_at": given.instant(asked.terminated_at, "terminated_at"),
                    "reason": asked.reason,
                },
            )
        ]
    )


# --- outages ------------------------------------------------------------------------------------------------------


@outages.post(OUTAGES, summary="Report an outage", responses=ANSWERS)
def report_outage(given: Annotated[Asking, instructing("outage.report")], asked: ReportOutage) -> Response:
    """A customer's report has an unknown cause and counts from its arrival; the customer may state the severity."""

    def say() -> list[Said]:
        given.named("subscription", asked.subscription_id, "subscription_id")
        if given.by_customer and asked.cause != "unknown":
            raise invalid("cause", "leave this out: the cause is determined by the provider")
        if given.by_customer and asked.began_at > given.origin.at:
            raise invalid("began_at", "the outage must have begun: this must not be in the future")
        outage_id = given.new("outage", asked.outage_id)
        said = Said(
            "voip.outage.reported.v1",
            {
                "outage_id": outage_id,
                "subscription_id": asked.subscription_id,
                "began_at": asked.began_at,
                "reported_at": given.instant(asked.reported_at, "reported_at"),
                "severity": asked.severity,
                "cause": asked.cause,
                "channel": CUSTOMERS if given.by_customer else None,
            },
        )
        return [said, *_link(given, asked.complaint_id, "outage", outage_id)]

    return given.carry_out(say)


@outages.post(f"{OUTAGES}/{{outage_id}}/resolve", summary="Resolve an outage", responses=ANSWERS)
def resolve_outage(
    outage_id: OutageId, given: Annotated[Asking, instructing("outage.resolve")], asked: ResolveOutage
) -> Response:
    """The outage counts until then. A later resolution or reopening of the same outage replaces an earlier one."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.outage.resolved.v1",
                {
                    **_outage(given, outage_id, asked.subscription_id),
                    "resolved_at": given.instant(asked.resolved_at, "resolved_at"),
                },
            )
        ]
    )


@outages.post(f"{OUTAGES}/{{outage_id}}/reopen", summary="Reopen an outage", responses=ANSWERS)
def reopen_outage(
    outage_id: OutageId, given: Annotated[Asking, instructing("outage.reopen")], asked: ReopenOutage
) -> Response:
    """The outage counts as unresolved again."""
    return given.carry_out(
        lambda: [Said("voip.outage.reopened.v1", _outage(given, outage_id, asked.subscription_id))]
    )


# --- disputes -----------------------------------------------------------------------------------------------------


@disputes.post(DISPUTES, summary="Dispute a charge", responses=ANSWERS)
def open_dispute(given: Annotated[Asking, instructing("dispute.open")], asked: OpenDispute) -> Response:
    """The dispute is investigated, and moves no money until an overcharge is confirmed."""

    def say() -> list[Said]:
        given.named("charge", asked.charge_id, "charge_id")
        dispute_id = given.new("dispute", asked.dispute_id)
        said = Said(
            "voip.billing_error.reported.v1",
            {
                "dispute_id": dispute_id,
                "charge_id": asked.charge_id,
                "currency": given.in_currency(asked.currency),
                "claimed": asked.claimed,
                "reported_at": given.origin.at,
                "description": asked.description,
            },
        )
        return [said, *_link(given, asked.complaint_id, "dispute", dispute_id)]

    return given.carry_out(say)


@disputes.post(f"{DISPUTES}/{{dispute_id}}/confirm", summary="Confirm an overcharge", responses=ANSWERS)
def confirm_dispute(
    dispute_id: DisputeId, given: Annotated[Asking, instructing("dispute.confirm")], asked: ConfirmDispute
) -> Response:
    """No dispute is required: the provider's own findings count the same. The first verdict is final."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.overcharge.confirmed.v1",
                {
                    "dispute_id": dispute_id,
                    "charge_id": given.named("charge", asked.charge_id, "charge_id"),
                    "currency": given.in_currency(asked.currency),
                    "amount": asked.amount,
                    "settle_as": asked.settle_as,
                },
            )
        ]
    )


@disputes.post(f"{DISPUTES}/{{dispute_id}}/reject", summary="Reject a dispute", responses=ANSWERS)
def reject_dispute(
    dispute_id: DisputeId, given: Annotated[Asking, instructing("dispute.reject")], asked: RejectDispute
) -> Response:
    """The first verdict is final; the investigator's reason is kept."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.overcharge.rejected.v1",
                {
                    "dispute_id": given.known("dispute", dispute_id),
                    "charge_id": given.named("charge", asked.charge_id, "charge_id"),
                    "reason": asked.reason,
                },
            )
        ]
    )


# --- complaints ---------------------------------------------------------------------------------------------------


@complaints.post(COMPLAINTS, summary="Open a complaint", responses=ANSWERS)
def open_complaint(given: Annotated[Asking, instructing("complaint.open")], asked: OpenComplaint) -> Response:
    """The complaint stays open until support resolves it."""

    def say() -> list[Said]:
        if asked.subscription_id is not None:
            given.named("subscription", asked.subscription_id, "subscription_id")
        if given.by_customer and asked.channel not in (None, CUSTOMERS):
            raise invalid("channel", "leave this out: the channel of customers is the portal")
        return [
            Said(
                "voip.complaint.opened.v1",
                {
                    "complaint_id": given.new("complaint", asked.complaint_id),
                    "subscription_id": asked.subscription_id,
                    "channel": asked.channel if asked.channel is not None else _way(given),
                    "category": asked.category,
                    "description": asked.description,
                },
            )
        ]

    return given.carry_out(say)


@complaints.post(f"{COMPLAINTS}/{{complaint_id}}/resolve", summary="Resolve a complaint", responses=ANSWERS)
def resolve_complaint(
    complaint_id: ComplaintId,
    given: Annotated[Asking, instructing("complaint.resolve")],
    asked: ResolveComplaint,
) -> Response:
    """A note can be added with it."""

    def say() -> list[Said]:
        known = given.known("complaint", complaint_id)
        said = [Said("voip.complaint.resolved.v1", {"complaint_id": known, "resolution": asked.resolution})]
        if asked.note is not None:
            said.append(Said("makegood.complaint.noted.v1", {"complaint_id": known, "note": asked.note}))
        return said

    return given.carry_out(say)


@complaints.post(f"{COMPLAINTS}/{{complaint_id}}/reopen", summary="Reopen a complaint", responses=ANSWERS)
def reopen_complaint(
    complaint_id: ComplaintId,
    given: Annotated[Asking, instructing("complaint.reopen")],
    asked: Annotated[ReopenComplaint, Body()] = REOPEN,
) -> Response:
    """The complaint is open again and keeps its history."""
    return given.carry_out(
        lambda: [
            Said(
                "voip.complaint.reopened.v1",
                {"complaint_id": given.known("complaint", complaint_id), "reason": asked.reason},
            )
        ]
    )


@complaints.post(f"{COMPLAINTS}/{{complaint_id}}/notes", summary="Add a note to a complaint", responses=ANSWERS)
def note_complaint(
    complaint_id: ComplaintId, given: Annotated[Asking, instructing("complaint.note")], asked: NoteComplaint
) -> Response:
    """Notes are visible to the provider's staff only, and are kept in the vault."""
    return given.carry_out(
        lambda: [
            Said(
                "makegood.complaint.noted.v1",
                {"complaint_id": given.known("complaint", complaint_id), "note": asked.note},
            )
        ]
    )


@complaints.post(f"{COMPLAINTS}/{{complaint_id}}/links", summary="Link a complaint", responses=ANSWERS)
def link_complaint(
    complaint_id: ComplaintId, given: Annotated[Asking, instructing("complaint.link")], asked: LinkComplaint
) -> Response:
    """Links it to an outage, a dispute or a goodwill credit of the same account."""
    return given.carry_out(
        lambda: [
            Said(
                "makegood.complaint.linked.v1",
                {
                    "complaint_id": given.known("complaint", complaint_id),
                    "kind": asked.kind,
                    "linked_id": given.named(asked.kind, asked.linked_id, "linked_id"),
                },
            )
        ]
    )


# --- goodwill -----------------------------------------------------------------------------------------------------


@goodwill.post(f"{COMPLAINTS}/{{complaint_id}}/goodwill", summary="Propose a goodwill credit", responses=ANSWERS)
def propose_goodwill(
    complaint_id: ComplaintId, given: Annotated[Asking, instructing("goodwill.propose")], asked: ProposeGoodwill
) -> Response:
    """The credit, proposed for a complaint, is granted once another person approves it."""

    def say() -> list[Said]:
        if asked.subscription_id is not None:
            given.named("subscription", asked.subscription_id, "subscription_id")
        return [
            Said(
                "makegood.goodwill.proposed.v1",
                {
                    "credit_id": given.new("goodwill", asked.credit_id),
                    "complaint_id": given.known("complaint", complaint_id),
                    "subscription_id": asked.subscription_id,
                    "currency": given.in_currency(asked.currency),
                    "amount": asked.amount,
                    "proposed_by": given.caller.principal,
                    "reason": asked.reason,
                },
            )
        ]

    return given.carry_out(say)


@goodwill.post(f"{GOODWILL}/approve", summary="Approve a goodwill credit", responses=ANSWERS)
def approve_goodwill(
    credit_id: CreditId,
    given: Annotated[Asking, instructing("goodwill.decide")],
    asked: Annotated[ApproveGoodwill, Body()] = APPROVE,
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return given.carry_out(lambda: [Said("makegood.goodwill.approved.v1", _verdict(given, credit_id))])


@goodwill.post(f"{GOODWILL}/reject", summary="Reject a goodwill credit", responses=ANSWERS)
def reject_goodwill(
    credit_id: CreditId, given: Annotated[Asking, instructing("goodwill.decide")], asked: RejectGoodwill
) -> Response:
    """The proposer cannot decide. The first verdict is final."""
    return given.carry_out(
        lambda: [
            Said("makegood.goodwill.rejected.v1", {**_verdict(given, credit_id), "reason": asked.reason}),
        ]
    )


def _verdict(given: Asking, credit_id: str) -> dict[str, Any]:
    """Which credit is decided about, and by whom. Raises Refused where it is not theirs to decide, or no more."""
    proposal = given.fact("goodwill", credit_id)
    assert isinstance(proposal, GoodwillProposed)
    if proposal.data.proposed_by == given.caller.principal:
        raise Refused(CONFLICT, "you proposed this credit: another person must decide")
    if given.is_decided(proposal):
        raise Refused(CONFLICT, "this credit is already decided, and the first verdict is final")
    return {"credit_id": credit_id, "decided_by": given.caller.principal}


# --- what several have in common ----------------------------------------------------------------------------------


def _outage(given: Asking, outage_id: str, subscription_id: str) -> dict[str, Any]:
    """An outage and its subscription. Raises Refused where the outage is another's: it would wait for ever."""
    report = given.fact("outage", outage_id)
    if isinstance(report, OutageReported) and report.data.subscription_id != subscription_id:
        raise invalid("subscription_id", "the outage was reported for another subscription")
    return {"outage_id": outage_id, "subscription_id": subscription_id}


def _link(given: Asking, complaint_id: str | None, kind: str, linked_id: str) -> list[Said]:
    """The link to a complaint that something belongs to, where it belongs to one."""
    if complaint_id is None:
        return []
    given.named("complaint", complaint_id, "complaint_id")
    return [
        Said("makegood.complaint.linked.v1", {"complaint_id": complaint_id, "kind": kind, "linked_id": linked_id})
    ]


def _way(given: Asking) -> str:
    """By which way a person came, as upstream's messages name it."""
    return CUSTOMERS if given.by_customer else PROVIDERS
