"""Generations: a store that was restored from a backup counts on under positions that were given out before.

Which history a position speaks of is told by its generation (design rule 15). The first one is nowhere stored; each
later one begins after a position up to which those before it still hold. What an earlier generation has beyond that
is given up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ledger.store.database import StoreError, Transaction

FIRST = 1
"""The generation of every store that was never restored, and of records that name none."""


class AheadOfLedger(StoreError):
    """Rows or records say what the ledger does not: it was restored from a backup, and they were not.

    `shard` is the one that was, where the store has several.
    """

    def __init__(self, what: str, shard: int | None = None) -> None:
        super().__init__(
            f"{what}: the ledger was restored from an older backup than what follows it; stop every program that "
            f"uses it, and run `{restored_command(shard)}`, which says what must be sent again"
        )

    @classmethod
    def of(cls, found: Sequence[object], shard: int | None = None) -> Self:
        """The error for what was found: the first is told, and how many there are besides."""
        more = f" ({len(found) - 1} more besides)" if len(found) > 1 else ""
        return cls(f"{found[0]}{more}", shard)


def restored_command(shard: int | None) -> str:
    """What to run after a store was restored, or one shard of several."""
    return "makegood restored" if shard is None else f"MAKEGOOD_SHARD={shard} makegood restored"


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of one sequence of positions."""

    begun: tuple[tuple[int, int], ...] = ()
    """Each after the first, in order: its number, and the last position that it leaves to those before it."""

    def of(self, position: int) -> int:
        """The generation to which a position belongs, or will belong when it is given out."""
        found = FIRST
        for generation, after in self.begun:
            if position > after:
                found = generation
        return found

    @property
    def newest(self) -> int:
        """The generation under which positions are given out now."""
        return self.begun[-1][0] if self.begun else FIRST

    def gave_up(self, generation: int, position: int) -> bool:
        """Whether a position of an earlier generation is of a history that was given up."""
        return generation < self.of(position)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.begun)


def generations_of(transaction: Transaction, sequence: str) -> Generations:
    """The generations of a sequence."""
    rows = transaction.rows(
        "SELECT generation, keeps FROM generations WHERE sequence = ? ORDER BY generation", (sequence,)
    )
    return Generations(tuple((int(generation), int(keeps)) for generation, keeps in rows))


def newest_generation(transaction: Transaction) -> int:
    """The newest generation of any sequence."""
    rows = transaction.rows("SELECT max(generation) FROM generations")
    return int(rows[0][0] or FIRST)
