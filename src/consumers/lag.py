"""How far each part is behind, and since when: what lies before it that it has not taken up yet.

Everything is told by positions in the store and on the topics (consumers/topic_lag.py), as the parts themselves trust
them (design rule 7); whether a part runs at this moment nobody asks, because work that lies too long tells that
better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.store import notice_queue
from ledger.store.database import Transaction
from ledger.store.positions import Position
from ledger.store.reading.events import read_shard
from ledger.store.reading.readers import reader_position
from ledger.store.reading.shards import shard_ends, shards_of
from projections.follower import positions_of
from projections.projection import Projection


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a part is behind in one sequence."""

    part: str
    of: str
    """The projection, or the topic."""
    number: int
    """The shard, or the partition."""
    position: int
    """The last position that was taken; in an upstream partition, the offset that is taken next."""
    behind: int
    oldest_at: datetime | None
    """Since when the first one has been there that was not taken; none where nothing is, or nothing tells it."""
    lost: int = 0
    """How many offsets Kafka deleted before they were taken, and intake has not passed over yet."""


def projector_lags(transaction: Transaction, projections: Iterable[Projection]) -> list[Lag]:
    """How far the projections are behind. Raises PositionMissing where the store has a hole there."""
    ends = shard_ends(transaction)
    recorded_at: dict[Position, datetime | None] = {}
    lags = []
    for projection, stands in positions_of(transaction, projections).items():
        for shard, position in stands.items():
            at = Position(shard, position)
            if at not in recorded_at:
                recorded_at[at] = next_recorded_at(transaction, at)
            behind = max(0, ends[shard] - position)
            lags.append(Lag("projector", projection.name, shard, position, behind, recorded_at[at]))
    return lags


def notices_lags(transaction: Transaction) -> list[Lag]:
    """How far notices are behind the store. Raises PositionMissing where the store has a hole there."""
    ends = shard_ends(transaction)
    lags = []
    for shard in shards_of(transaction):
        position = reader_position(transaction, notice_queue.reader_of(shard))
        oldest_at = next_recorded_at(transaction, Position(shard, position))
        behind = max(0, ends.get(shard, 0) - position)
        lags.append(Lag("notices", "notices", shard, position, behind, oldest_at))
    return lags


def next_recorded_at(transaction: Transaction, after: Position) -> datetime | None:
    """When the event after a position was recorded; None where there is none yet."""
    found = read_shard(transaction, after.shard, after.position, 1)
    return found[0].event().recorded_at if found else None
