"""The facts that wait for another one, and what each waits for (policy §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from ledger.events import Fact
from ledger.values import value


@value
class Waiting:
    """A recorded fact that cannot be assessed until its account knows what it is about."""

    fact: Fact
    waits_for: str
    """A kind and an id: "charge cyc-april"."""


class WaitingFacts:
    """Every fact that waits. What one waits for is asked anew only where the answer may be another one."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        """By the event id of the fact that waits."""
        self._waiting_for: dict[str, dict[str, set[str]]] = {}
        """The same facts' event ids by what they wait for: its kind, then its id."""
        self._changes: dict[str, Waiting | None] = {}
        self._asked_anew: dict[str, Fact] = {}
        """The facts that may wait for something else than when that was last asked."""

    def became_known(self, kind: str, id_: str) -> None:
        """Something has become known, or another one than before: whatever waits for it is asked anew."""
        waiting = self._waiting_for.get(kind)
        if waiting:
            self.ask_anew(*(self._waiting[event_id].fact for event_id in waiting.get(id_, ())))

    def ask_anew(self, *facts: Fact) -> None:
        """Ask of some facts again what they wait for."""
        self._asked_anew.update((fact.event_id, fact) for fact in facts)

    def look_anew(self, waits_for: Callable[[Fact], str | None], decided: Mapping[str, AbstractSet[str]]) -> None:
        """Find out what the facts that are asked anew wait for now.

        `waits_for` says what one waits for, by the facts; nothing waits for what is `decided`: ids, by their kind.
        """
        for kind, ids in decided.items():
            for id_ in self._waiting_for.get(kind, {}).keys() & ids:
                self.became_known(kind, id_)
        asked, self._asked_anew = self._asked_anew, {}
        for event_id, fact in asked.items():
            before = self._waiting.get(event_id)
            now = waits_for(fact)
            if now is not None:
                kind, _, id_ = now.partition(" ")
                now = now if id_ not in decided.get(kind, ()) else None
            if now == (before.waits_for if before is not None else None):
                continue
            if before is not None:
                self._wait_no_more(before)
            self._changes[event_id] = self._wait(Waiting(fact, now)) if now is not None else None

    def all(self) -> list[Waiting]:
        """Every fact that waits."""
        return list(self._waiting.values())

    def changes(self) -> dict[str, Waiting | None]:
        """What has changed since this was asked last, by event id; None for a fact that waits no more."""
        changes, self._changes = self._changes, {}
        return changes

    def _wait(self, waiting: Waiting) -> Waiting:
        kind, _, id_ = waiting.waits_for.partition(" ")
        self._waiting[waiting.fact.event_id] = waiting
        self._waiting_for.setdefault(kind, {}).setdefault(id_, set()).add(waiting.fact.event_id)
        return waiting

    def _wait_no_more(self, waiting: Waiting) -> None:
        kind, _, id_ = waiting.waits_for.partition(" ")
        del self._waiting[waiting.fact.event_id]
        of_kind = self._waiting_for[kind]
        of_kind[id_].discard(waiting.fact.event_id)
        if not of_kind[id_]:
            del of_kind[id_]
