"""What happened, in numbered steps: who did what, as the parts log it themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


class Story:
    """The steps so far. Whoever acts while another stands still is told further to the right."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.seconds: Callable[[], float] = lambda: 0.0
        self._acting: list[str] = []

    @property
    def depth(self) -> int:
        return len(self._acting)

    @property
    def actor(self) -> str:
        """Who acts now."""
        return self._acting[-1] if self._acting else "schedule"

    @contextmanager
    def acting(self, who: str) -> Iterator[None]:
        self._acting.append(who)
        try:
            yield
        finally:
            self._acting.pop()

    def note(self, _: object, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Take a line of a log for a step. (A processor of structlog; nothing is logged.)"""
        told = {key: value for key, value in entry.items() if key not in ("event", "who", "seconds")}
        if str(told.get("origin")).startswith("makegood/"):
            del told["origin"]  # a log's name has the store's id in it, which is another one each time
        depth = self.depth if "who" in entry else max(0, self.depth - 1)
        who = entry.get("who") or self.actor
        what = [str(entry["event"]).replace("_", " "), *(f"{key}={value}" for key, value in told.items())]
        number = len(self.steps) + 1
        self.steps.append(f"{number:4}. {self.seconds():8.2f} s  {'  ' * depth}{who}: {' '.join(what)}")
        raise structlog.DropEvent
