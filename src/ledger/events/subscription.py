"""Events of a subscription: cycles, outages, suspensions and its end."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import AwareDatetime

from ledger.events.envelope import Amount, Decision, Fact, FactData, Stored, codes_only

Severity = Literal["significant", "minor"]
Cause = Literal["provider", "customer_equipment", "force_majeure", "unknown"]
Violation = Literal["misuse", "non_payment"]
Status = Literal["pending", "active", "suspended", "cancelling", "cancelled", "terminated"]


class SubscriptionFactData(FactData):
    """Every fact of a subscription names it."""

    subscription_id: str


class SubscriptionFact(Fact):
    """A fact of one subscription, recorded in that subscription's stream."""

    data: SubscriptionFactData


class SubscriptionRegistered(SubscriptionFact):
    """A subscription was registered under a service agreement; numbers and credentials, if any, are in the vault."""

    stored_as = "subscription-registered.v1"

    class Data(SubscriptionFactData):
        agreement: str
        plan: str

    data: Data


class CycleStarted(SubscriptionFact):
    """A billing cycle `[starts_on, ends_on)` started and was charged."""

    stored_as = "cycle-started.v1"

    class Data(SubscriptionFactData):
        cycle_id: str
        starts_on: date
        ends_on: date
        price: Amount
        tax: Amount
        monthly_price: Amount | None
        currency: str
        invoice_id: str
        prepaid: bool

    data: Data


class OutageReported(SubscriptionFact):
    """An outage of the service from `began_at` on was reported. A channel in free text is in the vault; in older
    reports it is here.
    """

    stored_as = "outage-reported.v1"

    class Data(SubscriptionFactData):
        outage_id: str
        began_at: AwareDatetime
        reported_at: AwareDatetime
        severity: Severity
        cause: Cause
        channel: str | None

    data: Data

    @property
    def content(self) -> dict[str, object]:
        """The content of the fact, codes only."""
        return codes_only(super().content, "channel")


class OutageResolved(SubscriptionFact):
    """An outage was resolved at `resolved_at`."""

    stored_as = "outage-resolved.v1"

    class Data(SubscriptionFactData):
        outage_id: str
        resolved_at: AwareDatetime

    data: Data


class OutageReopened(SubscriptionFact):
    """An outage was reopened: it had not been resolved."""

    stored_as = "outage-reopened.v1"

    class Data(SubscriptionFactData):
        outage_id: str

    data: Data


class CancellationRequested(SubscriptionFact):
    """The customer cancelled the subscription; the reason, if given, is in the vault."""

    stored_as = "cancellation-requested.v1"

    class Data(SubscriptionFactData):
        requested_at: AwareDatetime
        channel: Literal["portal", "support"]
        keep_service: bool

    data: Data


class CancellationWithdrawn(SubscriptionFact):
    """The customer withdrew the cancellation."""

    stored_as = "cancellation-withdrawn.v1"

    class Data(SubscriptionFactData):
        withdrawn_at: AwareDatetime

    data: Data


class SubscriptionSuspended(SubscriptionFact):
    """The provider suspended the service for a violation."""

    stored_as = "subscription-suspended.v1"

    class Data(SubscriptionFactData):
        suspended_at: AwareDatetime
        reason: Violation

    data: Data


class SubscriptionReinstated(SubscriptionFact):
    """The provider reinstated a suspended service."""

    stored_as = "subscription-reinstated.v1"

    class Data(SubscriptionFactData):
        reinstated_at: AwareDatetime

    data: Data


class SubscriptionTerminated(SubscriptionFact):
    """The provider terminated the subscription for a violation."""

    stored_as = "subscription-terminated.v1"

    class Data(SubscriptionFactData):
        terminated_at: AwareDatetime
        reason: Violation

    data: Data


class AgreementBound(Decision):
    """The version of the service agreement that holds for a subscription (contract §2).

    `registration` is the event id of the registration it was chosen for, `time_zone` the zone its date was taken in.
    """

    stored_as = "agreement-bound.v1"

    class Data(Stored):
        subscription_id: str
        agreement: str
        version: int
        sha256: str
        registration: str
        time_zone: str

    data: Data


class SubscriptionStatusChanged(Decision):
    """The status of a subscription, by its facts, at the assessment's `now`."""

    stored_as = "subscription-status-changed.v1"

    class Data(Stored):
        subscription_id: str
        before: Status | None
        after: Status
        effective_on: date | None
        now: AwareDatetime

    data: Data


class ActivationDue(Decision):
    """The activation e-mail is due: the subscription is registered and its first invoice paid (policy §8).

    `registration` and `payment` are the event ids of the facts that came together. Where the first invoice comes to
    nothing, or credits pay for it in full, `payment` is its first charge. It is recorded once.
    """

    stored_as = "activation-due.v1"

    class Data(Stored):
        subscription_id: str
        registration: str
        payment: str
        invoice_id: str
        now: AwareDatetime

    data: Data


Course = Literal["scheduled", "withdrawn"]


def course_since(effective_on: date | None, changed: SubscriptionStatusChanged) -> Course | None:
    """The change of a cancellation in a change of status, given the date on which the subscription was to end before.

    `scheduled`: the subscription ends on another date than before, or on one at all; `withdrawn`: it goes on after
    all. None where the end is as it was, and for a termination, which is the provider's own doing.
    """
    if changed.data.after == "terminated":
        return None
    was = effective_on if changed.data.before != "terminated" else None
    if changed.data.effective_on == was:
        return None
    return "scheduled" if changed.data.effective_on is not None else "withdrawn"
