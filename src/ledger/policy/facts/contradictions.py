"""Of two facts that cannot both hold the later one is left out of the assessment (policy §1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ledger.events import Fact
from ledger.policy.facts.waiting import WaitingFacts
from ledger.values import value

F = TypeVar("F", bound=Fact)


@value
class Contradiction:
    """Two facts that cannot both hold; `left_out` is the later one, which the assessment does without."""

    kept: Fact
    left_out: Fact


class Contradictions:
    """The facts that are left out. Whether one waits for another may depend on it, and is asked anew."""

    def __init__(self, waiting: WaitingFacts) -> None:
        self._waiting = waiting
        self._by_left_out: dict[str, Contradiction] = {}
        """By the event id of the fact left out."""

    def __iter__(self) -> Iterator[Contradiction]:
        return iter(self._by_left_out.values())

    def __len__(self) -> int:
        return len(self._by_left_out)

    def leaves_out(self, fact: Fact) -> bool:
        """Whether the assessment does without a fact."""
        return fact.event_id in self._by_left_out

    def leave_out(self, fact: Fact, *, because_of: Fact) -> None:
        """Have the assessment do without a fact that contradicts another."""
        self._waiting.ask_anew(fact)
        self._by_left_out[fact.event_id] = Contradiction(because_of, fact)

    def leave_out_no_more(self, fact: Fact) -> None:
        """Nothing contradicts the fact now."""
        if self._by_left_out.pop(fact.event_id, None) is not None:
            self._waiting.ask_anew(fact)

    def forget(self) -> None:
        """Leave no fact out: all are about to be judged anew."""
        self._by_left_out.clear()

    def first_stands(self, akin: Iterable[F]) -> F | None:
        """The first of the facts under one business id stands; those that say something else are left out."""
        facts = tuple(akin)
        return self.one_stands(facts, min(facts, key=lambda fact: fact.order, default=None))

    def one_stands(self, akin: Iterable[Fact], standing: F | None) -> F | None:
        """One of the facts under one business id stands; those that say something else are left out."""
        for fact in akin:
            if standing is None or fact is standing or says_the_same(standing, fact):
                self.leave_out_no_more(fact)
            else:
                self.leave_out(fact, because_of=standing)
        return standing


def says_the_same(one: Fact, other: Fact) -> bool:
    """Whether two facts have one content. Free text does not count: it lies in the vault and moves no money."""
    alike = isinstance(one, type(other)) or isinstance(other, type(one))
    return alike and one.content == other.content
