"""Complaints: which opening of each stands. They move no money, and goodwill credits wait for theirs (policy §8)."""

from __future__ import annotations

from collections import defaultdict

from ledger.events import ComplaintFact, ComplaintOpened
from ledger.policy.facts.contradictions import Contradictions
from ledger.policy.facts.touched import Touched
from ledger.policy.facts.waiting import WaitingFacts


class Complaints:
    """The openings of complaints, of which the first stands. What became of one since then is not assessed."""

    def __init__(self, contradictions: Contradictions, waiting: WaitingFacts) -> None:
        self._contradictions = contradictions
        self._waiting = waiting
        self._openings: dict[str, list[ComplaintOpened]] = defaultdict(list)
        self._standing: dict[str, ComplaintOpened | None] = {}

    def learn(self, fact: ComplaintFact) -> Touched:
        """Take in one fact."""
        if not isinstance(fact, ComplaintOpened):
            return Touched()
        complaint_id = fact.data.complaint_id
        self._openings[complaint_id].append(fact)
        self._judge(complaint_id)
        self._waiting.became_known("complaint", complaint_id)
        return Touched(complaints={complaint_id})

    def judge(self) -> None:
        """Find the opening of each that stands."""
        for complaint_id in self._openings:
            self._judge(complaint_id)

    def _judge(self, complaint_id: str) -> None:
        self._standing[complaint_id] = self._contradictions.first_stands(self._openings[complaint_id])

    def waits_for(self, fact: ComplaintFact) -> str | None:
        """It waits for its complaint."""
        return self.awaited(fact.data.complaint_id)

    # --- questions -----------------------------------------------------------------------------------------------

    def opening(self, complaint_id: str) -> ComplaintOpened | None:
        """The opening of a complaint that stands."""
        return self._standing.get(complaint_id)

    def awaited(self, complaint_id: str) -> str | None:
        """A complaint, as what waits for it names it; None where it is known."""
        return f"complaint {complaint_id}" if complaint_id not in self._standing else None
