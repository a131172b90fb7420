"""Goodwill credits: proposals, and the verdicts on them (policy §8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass, field

from ledger.events import GoodwillApproved, GoodwillProposed, GoodwillRejected
from ledger.policy.facts.complaints import Complaints
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.registration import RegisteredAccount
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts

GoodwillFact = GoodwillProposed | GoodwillApproved | GoodwillRejected


@dataclass(slots=True)
class GoodwillFacts:
    """What is known of one goodwill credit; of proposals in the account's currency the first stands."""

    proposals: list[GoodwillProposed] = field(default_factory=list)
    verdicts: list[GoodwillApproved | GoodwillRejected] = field(default_factory=list)
    proposal: GoodwillProposed | None = None


class GoodwillCredits:
    """Every goodwill credit, by what was proposed and what was decided."""

    def __init__(
        self,
        account: RegisteredAccount,
        complaints: Complaints,
        contradictions: Contradictions,
        waiting: WaitingFacts,
    ) -> None:
        self._account = account
        self._complaints = complaints
        self._contradictions = contradictions
        self._waiting = waiting
        self.by_id: dict[str, GoodwillFacts] = defaultdict(GoodwillFacts)

    def learn(self, fact: GoodwillFact) -> Touched:
        """Take in one fact."""
        credit_id = fact.data.credit_id
        if isinstance(fact, GoodwillProposed):
            self.by_id[credit_id].proposals.append(fact)
            self._waiting.became_known("goodwill", credit_id)
        else:
            self.by_id[credit_id].verdicts.append(fact)
        self._judge(self.by_id[credit_id])
        return Touched(goodwill={credit_id})

    def judge(self) -> None:
        """Find the proposal of each that stands."""
        for goodwill in self.by_id.values():
            self._judge(goodwill)

    def _judge(self, goodwill: GoodwillFacts) -> None:
        goodwill.proposal = self._contradictions.first_stands(self._account.own(goodwill.proposals))

    def waits_for(self, fact: GoodwillFact) -> str | None:
        """A proposal waits for its complaint, a verdict for its proposal."""
        if isinstance(fact, GoodwillProposed):
            left_out = self._contradictions.leaves_out(fact)
            return None if left_out else self._complaints.awaited(fact.data.complaint_id)
        known = self.proposal(fact.data.credit_id) is not None
        return None if known else f"goodwill {fact.data.credit_id}"

    # --- questions -----------------------------------------------------------------------------------------------

    def proposal(self, credit_id: str) -> GoodwillProposed | None:
        """The proposal of a goodwill credit that stands."""
        goodwill = self.by_id.get(credit_id)
        return goodwill.proposal if goodwill is not None else None

    def naming(self, complaints: Container[str], subscriptions: Container[str]) -> set[str]:
        """The goodwill credits of which some proposal names one of the complaints or subscriptions."""
        if not self.by_id:
            return set()
        return {
            credit_id
            for credit_id, goodwill in self.by_id.items()
            if any(
                p.data.complaint_id in complaints or p.data.subscription_id in subscriptions
                for p in goodwill.proposals
            )
        }
