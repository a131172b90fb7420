"""Acts on an outage: report it, resolve it, and say that it was not resolved after all."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from consumers.upstream.fields import Identifier, Instant, OutageCause, Severity
from consumers.upstream.messages import MessageData, OutageReopenedV1, OutageReportedV1, OutageResolvedV1
from ledger.events import OutageReported
from makegood.acts.acting import Known, Say
from makegood.acts.bodies import At, ComplaintBehind, MadeIfAbsent, like
from makegood.acts.links import linked
from makegood.acts.refused import invalid


class ReportOutage(BaseModel):
    """Report an outage."""

    model_config = like(subscription_id="sub-1", began_at="2026-03-10T08:00:00Z", severity="significant")

    outage_id: MadeIfAbsent = None
    subscription_id: Identifier
    began_at: Annotated[
        Instant, Field(description="The beginning of the outage; in a customer's report not in the future.")
    ]
    reported_at: At = None
    severity: Severity
    cause: Annotated[OutageCause, Field(description="The cause. Not allowed for customers.")] = "unknown"
    complaint_id: ComplaintBehind = None


class ResolveOutage(BaseModel):
    """Resolve an outage."""

    model_config = like(subscription_id="sub-1", resolved_at="2026-03-12T08:00:00Z")

    subscription_id: Identifier
    resolved_at: At = None


class ReopenOutage(BaseModel):
    """Reopen an outage."""

    model_config = like(subscription_id="sub-1")

    subscription_id: Identifier


def report_outage(asked: ReportOutage) -> Say:
    """A customer's report has an unknown cause and counts from its arrival; the customer may state the severity."""

    def say(known: Known) -> list[MessageData]:
        subscription_id = known.in_body("subscription", asked.subscription_id, "subscription_id")
        if known.by_customer and asked.cause != "unknown":
            raise invalid("cause", "leave this out: the cause is determined by the provider")
        if known.by_customer and asked.began_at > known.now:
            raise invalid("began_at", "the outage must have begun: this must not be in the future")
        reported = OutageReportedV1(
            outage_id=known.new("outage", asked.outage_id, "outage_id"),
            subscription_id=subscription_id,
            began_at=asked.began_at,
            reported_at=known.instant(asked.reported_at, "reported_at"),
            severity=asked.severity,
            cause=asked.cause,
            channel=known.came_by if known.by_customer else None,
        )
        return [reported, *linked(known, asked.complaint_id, "outage", reported.outage_id)]

    return say


def resolve_outage(outage_id: str, asked: ResolveOutage) -> Say:
    """The outage counts until then."""
    return lambda known: [
        OutageResolvedV1(
            outage_id=outage_id,
            subscription_id=_subscription_of(known, outage_id, asked.subscription_id),
            resolved_at=known.instant(asked.resolved_at, "resolved_at"),
        )
    ]


def reopen_outage(outage_id: str, asked: ReopenOutage) -> Say:
    """The outage counts as unresolved again."""
    return lambda known: [
        OutageReopenedV1(
            outage_id=outage_id,
            subscription_id=_subscription_of(known, outage_id, asked.subscription_id),
        )
    ]


def _subscription_of(known: Known, outage_id: str, subscription_id: str) -> str:
    """The subscription of an outage. Raises ActRefused where there is no such outage, or where it is another's: what
    is said of it would wait for ever."""
    report = known.fact("outage", outage_id)
    if isinstance(report, OutageReported) and report.data.subscription_id != subscription_id:
        raise invalid("subscription_id", "the outage was reported for another subscription")
    return subscription_id
