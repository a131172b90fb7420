"""Retractions: which messages a source has withdrawn, and which of its messages still count (contract §1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.events.envelope import Fact, FactData, Stored

MessageKey = tuple[str, str]
"""The identity of a message: its source and its id."""


class RetractedMessage(Stored):
    """The message that a retraction names."""

    source: str
    id: str


class FactRetracted(Fact):
    """A source retracted one of its own messages, which counts as never sent; the reason is in the vault."""

    stored_as = "fact-retracted.v1"

    class Data(FactData):
        retracts: RetractedMessage

    data: Data

    @property
    def retraction(self) -> Retraction:
        """The retraction without its event."""
        retracts = self.data.retracts
        return Retraction(message_key(self), (retracts.source, retracts.id), self.data.message.time)


@dataclass(frozen=True, slots=True)
class Retraction:
    """One message, sent at `time`, that retracts another one."""

    message: MessageKey
    retracts: MessageKey
    time: datetime

    @property
    def order(self) -> tuple[datetime, str, str]:
        """Its place among other messages, as of every fact: time, then id, then source (policy §1)."""
        source, id_ = self.message
        return (self.time, id_, source)


def message_key(fact: Fact) -> MessageKey:
    """The identity of a fact's message."""
    return (fact.data.message.source, fact.data.message.id)


def retracted(retractions: Iterable[Retraction]) -> dict[MessageKey, Retraction]:
    """The retracted messages, each with the retraction that counts: of several the first.

    A retraction that is itself retracted takes nothing back, so that what it had named stands again. It does not
    matter which came first, nor which message is the older one. Of retractions that take each other back in a ring
    none counts; each names one message only, so that nothing outside the ring depends on it.
    """
    undecided = {retraction.message: retraction for retraction in retractions}
    against: dict[MessageKey, set[MessageKey]] = defaultdict(set)
    for retraction in undecided.values():
        against[retraction.retracts].add(retraction.message)
    standing = [message for message in undecided if not against[message]]
    found: dict[MessageKey, Retraction] = {}
    while standing:
        one = undecided.pop(standing.pop())
        found[one.retracts] = min(one, found.get(one.retracts, one), key=lambda each: each.order)
        fallen = undecided.pop(one.retracts, None)
        if fallen is not None:
            against[fallen.retracts].discard(fallen.message)
            if fallen.retracts in undecided and not against[fallen.retracts]:
                standing.append(fallen.retracts)
    return found
