"""What is told of something that is not as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.store.positions import Position


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where something is not as it was recorded, and of which account; None where no one event is to blame."""

    at: Position | None
    account: str | None
    what: str

    @property
    def order(self) -> tuple[object, ...]:
        """By what mismatches are listed: the first position first, and in the end those without one."""
        at = self.at
        place = turn_of(at.shard) + turn_of(at.position) if at is not None else ()
        return (at is None, *place, str(self.account or ""), self.what)


def turn_of(number: object) -> tuple[bool, float, str]:
    """Where a number comes; what somebody put in its place comes after all that are numbers."""
    return (False, number, "") if isinstance(number, (int, float)) else (True, 0, str(number))
