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
    def order(self) -> tuple[bool, int, int, str, str]:
        """By what mismatches are listed: the first position first, and in the end those without one."""
        at = self.at
        return (at is None, at.shard if at else 0, at.position if at else 0, self.account or "", self.what)
