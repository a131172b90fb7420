"""Projections that say what the ledger does not: it was restored from a backup, and their tables were not.

What a projection applied beyond the ledger's end shows in its position. Where the ledger went on past that, the audit
trail tells: it has a row of every event, which names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.store.database import Transaction
from ledger.store.instants import to_microseconds
from ledger.store.positions import Position
from ledger.store.reading.events import event_at
from ledger.store.reading.shards import shard_ends
from ledger.values import instant_from_text
from projections.audit_trail import AUDIT_TRAIL, ROWS
from projections.catalog import CATALOG
from projections.follower import positions_of
from projections.projection import Projection, Row

_TRAIL = AUDIT_TRAIL.stored_name(ROWS)


@dataclass(frozen=True, slots=True)
class ProjectionAhead:
    """A projection that has applied what the ledger does not have."""

    projection: Projection
    shard: int
    position: int
    end: int
    """The last position of the ledger."""

    def __str__(self) -> str:
        name, at = self.projection.name, Position(self.shard, self.position)
        if self.position > self.end:
            return f"the projection {name} stands at {at}, and the ledger ends at {self.shard}:{self.end}"
        return f"the projection {name} has applied another event at {at} than the ledger has"


def projections_ahead(transaction: Transaction, projections: Sequence[Projection] = CATALOG) -> list[ProjectionAhead]:
    """The projections that stand beyond the ledger's end, and the trail where its last row is of another event."""
    ends = shard_ends(transaction)
    return [
        ProjectionAhead(projection, shard, position, ends.get(shard, 0))
        for projection, stands in positions_of(transaction, projections).items()
        for shard, position in stands.items()
        if position > ends[shard] or (projection is AUDIT_TRAIL and not _has_row(transaction, shard, position))
    ]


def _has_row(transaction: Transaction, shard: int, position: int) -> bool:
    """Whether the trail's row at a position is of the ledger's event there; at 0 there is nothing to have."""
    event = event_at(transaction, Position(shard, position))
    if event is None:
        return position == 0
    rows = transaction.rows(
        f"SELECT {', '.join(ROWS.columns)} FROM {_TRAIL} WHERE account = ? AND account_version = ?",
        (event.account, event.account_version),
    )
    return bool(rows) and is_event_of(transaction, ROWS.row(rows[0]))


def is_event_of(transaction: Transaction, row: Row) -> bool:
    """Whether a row of the trail is of the event that the ledger has at its position.

    An id may come again in another history, as it follows from the message; when it was recorded does not. Raises
    ColumnChanged where what stands there is no event.
    """
    stored = event_at(transaction, Position(row["shard"], row["position"]))
    if stored is None:
        return False
    said = stored.said()
    recorded_at = to_microseconds(instant_from_text(said["recorded_at"]))
    return (said["event_id"], recorded_at) == (row["event_id"], row["recorded_at"])
