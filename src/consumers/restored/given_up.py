"""What is known of a history that a restored ledger gives up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from consumers.ahead import Ahead
from ledger.application.restoring import Restored
from ledger.events import FoundAhead, RequestFound
from ledger.store.database import Transaction
from ledger.store.positions import dead_letter_sequence, event_sequence
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.shards import sequence_end, shards_of
from projections.ahead import ProjectionAhead
from projections.catalog import CATALOG
from projections.follower import positions_of
from projections.projection import Projection

Kind = Literal["message", "act", "dead letter", "e-mail", "instruction", "refund request"]
"""What the history that is given up had, as far as somebody has to know: the rest follows from it."""
KINDS: tuple[Kind, ...] = get_args(Kind)
PAGE = 1_000
"""So many records or rows are looked at together."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One thing that the history had that is given up, and the ledger does not have.

    `id` is that of the message, of the dead letter, the e-mail, the instruction or the refund, as far as it is known.
    `returns` says whether intake reads it again.
    """

    kind: Kind
    id: str | None
    source: str | None
    type: str | None
    account: str | None
    time: datetime | None
    recorded_at: datetime | None
    channel: str | None
    actor: str | None
    event_id: str | None = None
    origin: str | None = None
    returns: bool = False
    request: RequestFound | None = None
    """What was requested, where it is a refund that a payment processor was asked for, for certain."""


@dataclass(slots=True)
class GivenUp:
    """All that is known of a history that is to be given up."""

    generation: int
    """The number of the generation that is to begin."""
    projections: list[ProjectionAhead]
    topics: list[Ahead]
    keeps: dict[str, int] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    notices_sent: dict[str, QueuedNotice] = field(default_factory=dict)
    collected: dict[str, datetime] = field(default_factory=dict)

    def restored(self) -> Restored:
        """The same, as the ledger takes it."""
        ahead = [
            FoundAhead(
                kind="projection",
                name=each.projection.name,
                partition=None,
                shard=each.shard,
                position=each.position,
                generation=None,
            )
            for each in self.projections
        ] + [
            FoundAhead(
                kind="topic",
                name=each.topic,
                partition=each.partition,
                shard=each.place.shard,
                position=each.place.position,
                generation=each.place.generation,
            )
            for each in self.topics
        ]
        return Restored(
            self.generation,
            ahead,
            self.keeps,
            self.readers,
            list(self.notices_sent.values()),
            self.collected,
            [lost.request for lost in self.lost if lost.request is not None],
        )

    def kept(self, transaction: Transaction) -> dict[str, int]:
        """By sequence, the last position that is the ledger's own history."""
        return {
            sequence: min(self.keeps.get(sequence, 2**62), sequence_end(transaction, sequence))
            for shard in shards_of(transaction)
            for sequence in (event_sequence(shard), dead_letter_sequence(shard))
        }

    def to_rebuild(self, transaction: Transaction) -> list[Projection]:
        """The projections that may have applied what is given up: each that stands beyond what is kept."""
        kept = self.kept(transaction)
        return [
            projection
            for projection, stands in positions_of(transaction, CATALOG).items()
            if any(position > kept[event_sequence(shard)] for shard, position in stands.items())
        ]
