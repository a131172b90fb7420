"""Answers to instructions. They move no money, and nothing is assessed by them."""

from __future__ import annotations

from ledger.events import InstructionFact
from ledger.policy.facts.touched import Touched


class InstructionAnswers:
    """Nothing is kept of an answer here: what became of an instruction stands in the recorded events."""

    def learn(self, fact: InstructionFact) -> Touched:
        """Take in one answer."""
        return Touched()

    def judge(self) -> None:
        """Nothing here depends on another fact."""

    def waits_for(self, fact: InstructionFact) -> str | None:
        """It waits until its instruction is given."""
        return f"instruction {fact.data.instruction_id}"
