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
    woken: threading.Event = field(default_factory=threading.Event)
    """Set as soon as it has been served, or is to serve."""

    @property
    def is_served(self) -> bool:
        return len(self.became) == len(self.items)


class Gathering(Generic[T, B]):
    """Those who wait to be served, each in a thread of its own. Some serve, one after the other, themselves first and
    all others along; nobody waits while fewer than `AT_ONCE` serve."""

    def __init__(self) -> None:
        self._waiting: list[_Caller[T, B]] = []
        self._serving = 0
        self._lock = threading.Lock()

    def take(self, items: Sequence[T], give_up: GiveUp[T] | None, take: Take[T, B]) -> list[B]:
        """Have items taken, here or in the thread of another caller: what became of each.

        Everybody gives the same `take`. Raises what it raises where this caller's items are taken by themselves.
        """
        caller: _Caller[T, B] = _Caller(items, give_up)
        self._come(caller)
        caller.woken.wait()
        if not caller.is_served:
            try:
                while not caller.is_served:
                    self._serve(self._together_with(caller), caller, take)
            finally:
                self._hand_over()
        return [caller.became[place] for place in range(len(items))]

    def _come(self, caller: _Caller[T, B]) -> None:
        with self._lock:
            if caller.is_served or self._serving < AT_ONCE:
                self._serving += not caller.is_served
                caller.woken.set()
            else:
                self._waiting.append(caller)

    def _hand_over(self) -> None:
        """The one who has waited longest is next to serve."""
        with self._lock:
            if self._waiting:
                self._waiting.pop(0).woken.set()
            else:
                self._serving -= 1

    def _together_with(self, caller: _Caller[T, B]) -> list[_Caller[T, B]]:
        """Whom a caller serves: itself, and those who wait and are not to be alone."""
        together, room = [caller], ITEMS_MAX - len(caller.items)
        with self._lock:
            for other in () if caller.alone else [each for each in self._waiting if not each.alone]:
                room -= len(other.items)
                if room < 0:
                    break
                together.append(other)
            self._waiting = [each for each in self._waiting if each not in together]
        return together

    def _serve(self, together: Sequence[_Caller[T, B]], caller: _Caller[T, B], take: Take[T, B]) -> None:
        """Take what is left of all that some callers bring; where that fails, each goes on alone."""
        try:
            _take(together, take)
        except Exception:
            if len(together) == 1:
                raise
        finally:
            others = [each for each in together if each is not caller]
            with self._lock:
                for each in together:
                    each.alone = not each.is_served
                self._waiting += [each for each in others if not each.is_served]
            for each in others:
                if each.is_served:
                    each.woken.set()


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
