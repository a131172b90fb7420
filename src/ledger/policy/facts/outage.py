"""A subscription's outages, kept so that what surrounds an instant is found without reading the whole past."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger.agreement import Disruption
from ledger.events import OutageReopened, OutageReported, OutageResolved, Reason
from ledger.values import END, Period, value


@value
class Outage:
    """One outage as it stands: `resolved_at` is None while it goes on."""

    report: OutageReported
    ending: OutageResolved | OutageReopened | None

    @property
    def began_at(self) -> datetime:
        """When the service failed."""
        return self.report.data.began_at

    @property
    def resolved_at(self) -> datetime | None:
        """When it worked again; None while unresolved (never resolved, or reopened last)."""
        return self.ending.data.resolved_at if isinstance(self.ending, OutageResolved) else None

    @property
    def ends_at(self) -> datetime:
        """When it ended; the end of time while it goes on."""
        return self.ending.data.resolved_at if isinstance(self.ending, OutageResolved) else END

    def reaching(self, limit: datetime) -> Period:
        """The time it lasted, an unresolved one as far as the limit; empty where the limit comes first."""
        end = self.resolved_at
        return Period(self.began_at, max(self.began_at, limit) if end is None else end)

    @property
    def report_delay(self) -> timedelta:
        """From the beginning to the customer's report."""
        return self.report.data.reported_at - self.report.data.began_at

    def ineligible_because(self, terms: Disruption) -> Reason | None:
        """The one reason why an outage earns nothing: its severity, then its cause, then its report (policy §3)."""
        if self.report.data.severity != "significant":
            return "not_significant"
        if self.report.data.cause in terms.excluded_causes:
            return "excluded_cause"
        if self.report_delay > terms.report_within:
            return "reported_late"
        return None


def in_order(outage: Outage) -> tuple[datetime, str]:
    """The order in which outages are taken and told: as they began."""
    return outage.began_at, outage.report.data.outage_id


@dataclass(slots=True)
class Outages:
    """The outages of a subscription by the time they began; those that go on stand apart."""

    ended: list[tuple[datetime, str, Outage]] = field(default_factory=list)
    ongoing: dict[str, Outage] = field(default_factory=dict)
    longest: timedelta = timedelta(0)

    def add(self, outage: Outage) -> None:
        """Take in one outage."""
        outage_id = outage.report.data.outage_id
        if outage.resolved_at is None:
            self.ongoing[outage_id] = outage
        else:
            insort(self.ended, (outage.began_at, outage_id, outage))
            self.longest = max(self.longest, outage.resolved_at - outage.began_at)

    def remove(self, outage: Outage) -> None:
        """Take one out, because it stands differently now."""
        outage_id = outage.report.data.outage_id
        if self.ongoing.pop(outage_id, None) is None:
            self.ended.remove((outage.began_at, outage_id, outage))

    def around(self, window: Period) -> Iterator[Outage]:
        """Outages that overlap or touch a window; those that go on reach as far as one likes."""
        first = bisect_left(self.ended, -self.longest, key=lambda entry: entry[0] - window.begin)
        for began_at, _, outage in self.ended[first:]:
            if began_at > window.end:
                break
            if outage.ends_at >= window.begin:
                yield outage
        for outage in self.ongoing.values():
            if outage.began_at <= window.end:
                yield outage

    def closure(self, window: Period) -> tuple[Period, list[Outage]]:
        """The window widened until no outage crosses or touches its border from outside, and the outages in it.

        Whether an outage counts depends on all it merges with, of whatever eligibility; the closure holds them all.
        """
        if not self.ended and not self.ongoing:
            return window, []
        while True:
            found = list(self.around(window))
            begin = min([window.begin, *(outage.began_at for outage in found)])
            end = max([window.end, *(outage.ends_at for outage in found)])
            if (begin, end) == (window.begin, window.end):
                return window, found
            window = Period(begin, end)
