"""What sources take back of what they said, and so every message that came (contract §1)."""

from __future__ import annotations

from ledger.events import (
    Fact,
    FactRetracted,
    Message,
    MessageKey,
    RetractedMessage,
    Retraction,
    message_key,
    retracted,
)
from ledger.policy.facts.waiting import WaitingFacts


class Retractions:
    """All facts that came, and which of them count as never said."""

    def __init__(self, waiting: WaitingFacts) -> None:
        self._waiting = waiting
        self._came: dict[MessageKey, Fact] = {}
        """Every fact that came, those that are retracted too."""
        self._retracted: dict[MessageKey, Retraction] = {}
        """The messages that count as never said, whether they came already or not."""

    def learn(self, fact: Fact) -> bool:
        """Take in one fact; whether another counts now, or counts no more, so that all is to be learnt anew."""
        self._came[message_key(fact)] = fact
        self._waiting.became_known("message", _named(fact.data.message))
        if not isinstance(fact, FactRetracted):
            return False
        before = self._retracted.keys()
        retractions = (came.retraction for came in self._came.values() if isinstance(came, FactRetracted))
        self._retracted = retracted(retractions)
        changed = before ^ self._retracted.keys()
        return not self._came.keys().isdisjoint(changed)

    def waits_for(self, fact: FactRetracted) -> str | None:
        """It waits for the message that it takes back."""
        named = fact.data.retracts
        return None if (named.source, named.id) in self._came else f"message {_named(named)}"

    # --- questions -----------------------------------------------------------------------------------------------

    def counts(self, fact: Fact) -> bool:
        """Whether nothing takes a fact back."""
        return message_key(fact) not in self._retracted

    def standing(self) -> list[Fact]:
        """The facts that count, in the order in which they came."""
        return [fact for fact in self._came.values() if self.counts(fact)]


def _named(message: Message | RetractedMessage) -> str:
    return f"{message.id} from {message.source}"
