"""A part of a list, by the key that the list is ordered by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """At most so many rows: the first of a list, or those that follow a key in its order."""

    limit: int
    after: tuple[str | int, ...] | None = None
