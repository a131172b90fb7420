"""Outages: what was reported of each, and by what it ended or goes on (policy §3)."""

from __future__ import annotations

from collections import defaultdict

from ledger.events import OutageReopened, OutageReported, OutageResolved
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.outage import Outage
from ledger.policy.facts.subscriptions import Subscriptions
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import END

EndingFact = OutageResolved | OutageReopened
OutageFact = OutageReported | EndingFact


class OutageFacts:
    """Reports, of which the first stands, and endings, of which the last does."""

    def __init__(self, subscriptions: Subscriptions, contradictions: Contradictions, waiting: WaitingFacts) -> None:
        self._subscriptions = subscriptions
        self._contradictions = contradictions
        self._waiting = waiting
        self._reports: dict[str, list[OutageReported]] = defaultdict(list)
        self._endings: dict[tuple[str, str], list[EndingFact]] = defaultdict(list)
        """By subscription and outage: one that is told of another subscription ends nothing."""
        self._standing: dict[str, Outage] = {}

    def learn(self, fact: OutageFact) -> Touched:
        """Take in one fact, and replace the outage by what stands now; touched is the time of both."""
        outage_id = fact.data.outage_id
        if isinstance(fact, OutageReported):
            self._reports[outage_id].append(fact)
        else:
            self._endings[fact.data.subscription_id, outage_id].append(fact)
        touched = Touched()
        before, after = self._standing.get(outage_id), self._as_reported(outage_id)
        if before is not None:
            self._subscriptions.named(before.report.data.subscription_id).outages.remove(before)
            touched.window(before.report.data.subscription_id, before.reaching(END))
        self._waiting.became_known("outage", outage_id)
        if after is not None:
            self._standing[outage_id] = after
            self._subscriptions.named(after.report.data.subscription_id).outages.add(after)
            touched.window(after.report.data.subscription_id, after.reaching(END))
            self._judge(after)
        if before is not None and after is not None:
            subscription_id = before.report.data.subscription_id
            if after.report.data.subscription_id != subscription_id:
                # What ended it on the subscription where it no longer stands waits again for its report there.
                self._waiting.ask_anew(*self._endings.get((subscription_id, outage_id), ()))
        return touched

    def judge(self) -> None:
        """Leave out again what contradicts the outages that stand: which these are depends on nothing else."""
        for outage in self._standing.values():
            self._judge(outage)

    def _judge(self, outage: Outage) -> None:
        report = outage.report
        reports = self._reports[report.data.outage_id]
        self._contradictions.one_stands(reports, report)
        for subscription_id in {other.data.subscription_id for other in reports}:
            for ending in self._endings.get((subscription_id, report.data.outage_id), ()):
                if subscription_id == report.data.subscription_id and _ends_before_it_began(ending, report):
                    self._contradictions.leave_out(ending, because_of=report)
                else:
                    self._contradictions.leave_out_no_more(ending)

    def waits_for(self, fact: OutageFact) -> str | None:
        """An ending waits for the report of its outage."""
        if isinstance(fact, OutageReported):
            return None
        outage = self._standing.get(fact.data.outage_id)
        known = outage is not None and outage.report.data.subscription_id == fact.data.subscription_id
        return None if known else f"outage {fact.data.outage_id}"

    def _as_reported(self, outage_id: str) -> Outage | None:
        report = min(self._reports.get(outage_id, ()), key=lambda fact: fact.order, default=None)
        if report is None:
            return None
        endings = [
            ending
            for ending in self._endings.get((report.data.subscription_id, outage_id), ())
            if not _ends_before_it_began(ending, report)
        ]
        return Outage(report, max(endings, key=lambda fact: fact.order, default=None))


def _ends_before_it_began(ending: EndingFact, report: OutageReported) -> bool:
    return isinstance(ending, OutageResolved) and ending.data.resolved_at < report.data.began_at
