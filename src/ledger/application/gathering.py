"""Callers who wait at once are served together: what all of them bring is taken in one transaction.

Each hears of its own items only, and not before they are durable. Nobody waits for others to come: whoever is served
next takes along those who are waiting by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
B = TypeVar("B")

AT_ONCE = 2
"""So many are served at a time: while the items of one are being made durable, the next is decided about."""
ITEMS_MAX = 500
"""So many items are taken together at most; more where one caller brings them."""

GiveUp = Callable[[T, Exception], None]
"""Told of one item that cannot be taken, and not for a passing cause; raises where that must not be."""

Take = Callable[[Sequence[T], GiveUp[int] | None, dict[int, B]], None]
"""Takes items, and notes by their places what became of each as soon as that is durable; then it may still raise.
What is to be given up is told by its place."""


@dataclass(eq=False, slots=True)
class _Caller(Generic[T, B]):
    """What a caller brings, and what has become of it so far, by place."""

    items: Sequence[T]
    give_up: GiveUp[T] | None
    became: dict[int, B] = field(default_factory=dict)
    alone: bool = False
    """Whether it is served by itself from now on, because something failed where it was served with others."""

    @property
    def is_served(self) -> bool:
        return len(self.became) == len(self.items)


class Gathering(Generic[T, B]):
    """Those who wait to be served, each in a thread of its own, of which some serve all."""

    def __init__(self) -> None:
        self._waiting: list[_Caller[T, B]] = []
        self._serving = 0
        self._changed = threading.Condition()

    def take(self, items: Sequence[T], give_up: GiveUp[T] | None, take: Take[T, B]) -> list[B]:
        """Have items taken, here or in the thread of another caller: what became of each.

        Everybody gives the same `take`. Raises what it raises where this caller's items are taken by themselves.
        """
        caller: _Caller[T, B] = _Caller(items, give_up)
        with self._changed:
            self._waiting.append(caller)
        try:
            while together := self._next(caller):
                self._serve(together, take)
        finally:
            with self._changed:
                self._waiting = [each for each in self._waiting if each is not caller]
        return [caller.became[place] for place in range(len(items))]

    def _next(self, caller: _Caller[T, B]) -> list[_Caller[T, B]]:
        """Wait until a caller has been served, which gives none, or can be: whom to serve, in their order."""
        with self._changed:
            self._changed.wait_for(lambda: caller.is_served or self._is_next(caller))
            if caller.is_served:
                return []
            together, room = {caller}, ITEMS_MAX - len(caller.items)
            for other in () if caller.alone else self._waiting:
                if other not in together and not other.alone:
                    room -= len(other.items)
                    if room < 0:
                        break
                    together.add(other)
            in_order = [each for each in self._waiting if each in together]
            self._waiting = [each for each in self._waiting if each not in together]
            self._serving += 1
            return in_order

    def _is_next(self, caller: _Caller[T, B]) -> bool:
        return self._serving < AT_ONCE and caller in self._waiting

    def _serve(self, together: Sequence[_Caller[T, B]], take: Take[T, B]) -> None:
        """Take what is left of all that some callers bring; where that fails, each goes on alone."""
        try:
            _take(together, take)
        except Exception:
            if len(together) == 1:
                raise
        finally:
            with self._changed:
                left = [each for each in together if not each.is_served]
                for each in left:
                    each.alone = True
                self._waiting += left
                self._serving -= 1
                self._changed.notify_all()


def _take(together: Sequence[_Caller[T, B]], take: Take[T, B]) -> None:
    places = [(each, place) for each in together for place in range(len(each.items)) if place not in each.became]
    became: dict[int, B] = {}

    def give_up(number: int, error: Exception) -> None:
        caller, place = places[number]
        if caller.give_up is None:
            raise error
        caller.give_up(caller.items[place], error)

    may_give_up = any(each.give_up is not None for each in together)
    try:
        take([each.items[place] for each, place in places], give_up if may_give_up else None, became)
    finally:
        for number, what in became.items():
            caller, place = places[number]
            caller.became[place] = what
