"""Eligible outages that overlap or touch count as one (policy §3)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from ledger.agreement import Agreement
from ledger.policy.facts import SubscriptionFacts
from ledger.policy.facts.charge import Cycle
from ledger.policy.facts.outage import Outage
from ledger.policy.violation import without_service
from ledger.values import Period, merged, subtracted, total, value


@value
class Merged:
    """Eligible outages that overlap or touch, as one; `counted` is what suspension and termination leave of it.

    `counted_to` is the cycle to whose end it was counted, where one of the outages goes on.
    """

    span: Period
    counted: tuple[Period, ...]
    outages: tuple[Outage, ...]
    counted_to: Cycle | None

    @property
    def time(self) -> timedelta:
        """The counted time of the whole, inside cycles or not."""
        return total(self.counted)


def merge(
    subscription: SubscriptionFacts, terms: Agreement, outages: Sequence[Outage], now: datetime
) -> list[Merged]:
    """Merge first, then subtract: time without service does not count, but splits nothing.

    An unresolved outage counts to the latest end of a cycle that has passed, and for nothing before one has.
    """
    if not outages:
        return []
    holes = without_service(subscription)
    ended = subscription.latest_ended(now)
    lasting = [
        (time, outage)
        for outage in outages
        if outage.ineligible_because(terms.disruption) is None
        and (time := outage.reaching(ended.period.end if ended is not None else outage.began_at)).elapsed
    ]
    spans = merged(time for time, _ in lasting)
    begins = [span.begin for span in spans]
    parts: list[list[Outage]] = [[] for _ in spans]
    for time, outage in lasting:
        parts[bisect_right(begins, time.begin) - 1].append(outage)
    return [
        Merged(
            span,
            tuple(subtracted([span], holes)),
            tuple(of),
            ended if any(outage.resolved_at is None for outage in of) else None,
        )
        for span, of in zip(spans, parts, strict=True)
    ]
