"""How much of one kind waits to be seen to, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds


@dataclass(frozen=True, slots=True)
class Left:
    """How much of one kind waits, and since when the oldest does."""

    count: int
    since: datetime | None

    def __add__(self, other: Left) -> Left:
        instants = [since for since in (self.since, other.since) if since is not None]
        return Left(self.count + other.count, min(instants, default=None))


def left(transaction: Transaction, statement: str, parameters: Sequence[Any] = ()) -> Left:
    """What a statement counts, that selects `COUNT(*)` and the least of an instant."""
    ((count, since),) = transaction.rows(statement, parameters)
    return Left(count, from_microseconds(since) if since is not None else None)
