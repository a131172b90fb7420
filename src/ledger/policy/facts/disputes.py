"""Disputes: reports of billing errors, and the verdicts on them (policy §4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.events import BillingErrorReported, OverchargeConfirmed, OverchargeRejected
from ledger.policy.facts.charges import Charges
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched

Verdict = OverchargeConfirmed | OverchargeRejected
DisputeFact = BillingErrorReported | Verdict


@dataclass(slots=True)
class DisputeFacts:
    """What is known of one dispute; of reports and of verdicts in the account's currency the first stands."""

    reports: list[BillingErrorReported] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    report: BillingErrorReported | None = None
    verdict: Verdict | None = None


class Disputes:
    """Every dispute, by what was reported and what was found."""

    def __init__(self, account: RegisteredAccount, charges: Charges, contradictions: Contradictions) -> None:
        self._account = account
        self._charges = charges
        self._contradictions = contradictions
        self._on: dict[str, set[str]] = defaultdict(set)
        self.by_id: dict[str, DisputeFacts] = defaultdict(DisputeFacts)

    def learn(self, fact: DisputeFact) -> Touched:
        """Take in one fact: it touches every charge that the dispute was ever said to be about."""
        dispute = self.by_id[fact.data.dispute_id]
        if isinstance(fact, BillingErrorReported):
            dispute.reports.append(fact)
        else:
            dispute.verdicts.append(fact)
        self._on[fact.data.charge_id].add(fact.data.dispute_id)
        self._judge(dispute)
        named = {of.data.charge_id for of in (*dispute.reports, *dispute.verdicts)}
        return Touched(charges=named)

    def judge(self) -> None:
        """Find the report and the verdict of each that stand."""
        for dispute in self.by_id.values():
            self._judge(dispute)

    def _judge(self, dispute: DisputeFacts) -> None:
        dispute.report = self._contradictions.first_stands(self._account.own(dispute.reports))
        verdicts = self._account.own(dispute.verdicts)
        dispute.verdict = min(verdicts, key=lambda fact: fact.order, default=None)

    def waits_for(self, fact: DisputeFact) -> str | None:
        """It waits for its charge."""
        known = fact.data.charge_id in self._charges.assessed or self._contradictions.leaves_out(fact)
        return None if known else f"charge {fact.data.charge_id}"

    # --- questions -----------------------------------------------------------------------------------------------

    def on(self, charge_id: str) -> Iterable[str]:
        """The disputes whose reports or verdicts name a charge."""
        return self._on.get(charge_id, ())

    def report(self, dispute_id: str) -> BillingErrorReported | None:
        """The report that stands."""
        dispute = self.by_id.get(dispute_id)
        return dispute.report if dispute is not None else None

    def verdict(self, dispute_id: str) -> Verdict | None:
        """The verdict that holds: the first by its message (policy §4)."""
        dispute = self.by_id.get(dispute_id)
        return dispute.verdict if dispute is not None else None
