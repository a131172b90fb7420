"""What one shard takes of upstream's partitions: the messages of its accounts, and how far it has come in each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

from consumers.kafka.records import Partition, TopicIdentity
from ledger.application.acts import By
from ledger.application.kept_messages import failing_too_often, set_aside
from ledger.application.ledger import Ledger
from ledger.application.lost_messages import pass_over
from ledger.application.record import take
from ledger.application.statement import Refusal, Statement, Taken
from ledger.events import LostRange
from ledger.store.database import Database, StoreError
from ledger.store.reading.readers import readers_below
from ledger.store.writing import ReaderMove, take_over_reader

BY = By("/makegood/intake", "kafka")
"""Who says that messages were lost."""


@dataclass(slots=True)
class Stands:
    """How far a shard has come in a partition: at the `position` that is stored, under an epoch of its reader.

    `next` is the first offset of which it has nothing; it is another one only in a topic that ends before.
    """

    reader: str
    epoch: int
    position: int
    next: int

    def move(self, to: int) -> ReaderMove:
        """The move to an offset."""
        return ReaderMove(self.reader, self.epoch, self.position, to)

    def moved(self, to: int) -> None:
        """The move was written."""
        self.position = self.next = to


@dataclass(frozen=True, slots=True)
class Read:
    """A message that was read of a partition."""

    offset: int
    item: Statement | Refusal


@dataclass(frozen=True, slots=True)
class Stretch:
    """What of a stretch of a partition is for a shard, in order, and the first offset after all of the stretch."""

    read: Sequence[Read]
    end: int


class Taking:
    """One shard's part of intake."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._stands: dict[Partition, Stands] = {}

    def take_over(self, partition: Partition, identity: TopicIdentity) -> Stands:
        """Fence off whoever had the partition before. Raises Unavailable."""
        reader = reader_name(identity, partition.number)
        with self._ledger.database.writing() as transaction:
            position, epoch = take_over_reader(transaction, reader)
        self._stands[partition] = Stands(reader, epoch, position, position)
        return self._stands[partition]

    def follows(self, partition: Partition) -> Stands | None:
        """How far it has come in a partition that it has taken over."""
        return self._stands.get(partition)

    def lose(
        self, partition: Partition, identity: TopicIdentity, to: int, cause: Literal["deleted", "damaged"]
    ) -> LostRange:
        """Record that everything up to an offset is lost, and move the reader there. Raises what `take` raises."""
        stands = self._stands[partition]
        lost = LostRange(
            cluster=identity.cluster,
            topic=identity.topic,
            topic_id=identity.topic_id,
            partition=partition.number,
            first=stands.next,
            last=to - 1,
            cause=cause,
        )
        pass_over(self._ledger, lost, stands.move(to), BY)
        stands.moved(to)
        return lost

    def take(self, stretches: Mapping[Partition, Stretch]) -> Taken:
        """Take what it does not have yet, and move its readers past all, in one transaction.

        Raises ReaderFenced where another took a partition over, Conflict, and Unavailable.
        """
        ahead = {
            partition: (stands, stretch)
            for partition, stretch in stretches.items()
            if (stands := self._stands.get(partition)) is not None and stands.next < stretch.end
        }
        if not ahead:
            return Taken()
        items = [
            read.item for stands, stretch in ahead.values() for read in stretch.read if read.offset >= stands.next
        ]
        taken = take(self._ledger, items, *(stands.move(stretch.end) for stands, stretch in ahead.values()))
        for stands, stretch in ahead.values():
            stands.moved(stretch.end)
        return taken

    def check(self) -> None:
        """Have the store and its vault answer. Raises Unavailable, and StoreError where they cannot be used."""
        with self._ledger.database.reading() as transaction:
            transaction.rows("SELECT 1")
        self._ledger.vault.check()

    def failing_too_often(self, partition: Partition, offset: int) -> str | None:
        """Why a message that keeps failing is not one of few; None where it is."""
        with self._ledger.database.reading() as transaction:
            return failing_too_often(transaction, self._stands[partition].reader, offset)

    def set_aside(self, partition: Partition, offset: int, item: Statement, reason: str) -> None:
        """Set a message aside and go past it. Raises what `take` raises."""
        stands = self._stands[partition]
        set_aside(self._ledger, item, reason, stands.move(offset + 1))
        stands.moved(offset + 1)

    def end(self, partition: Partition) -> None:
        """Forget the epoch: nothing can be written for the partition any more."""
        self._stands.pop(partition, None)


Beside = Callable[[Callable[[], None]], None]
"""Has something done while others go on."""


def in_a_thread(work: Callable[[], None]) -> None:
    """Have something done by a thread of its own, which nobody waits for."""
    threading.Thread(target=work, name="look", daemon=True).start()


class Look:
    """A look at which shards answer, beside the work: for one that is not there its database waits a while."""

    def __init__(self, takings: Mapping[int, Taking], beside: Beside) -> None:
        self._found: set[int] | None = None
        beside(partial(self._ask, dict(takings)))

    def _ask(self, takings: Mapping[int, Taking]) -> None:
        found = set()
        for number, taking in takings.items():
            with suppress(StoreError):
                taking.check()
                found.add(number)
        self._found = found

    def answered(self) -> set[int] | None:
        """The numbers of those that answer; None while they are asked."""
        return self._found


def reader_name(identity: TopicIdentity, partition: int) -> str:
    """Under what name the position in an upstream partition is stored."""
    return f"intake/{identity}/{partition}"


def stored_positions(database: Database, identity: TopicIdentity) -> dict[int, int]:
    """How far intake has come in each partition of a topic: the offset of the next message it will take."""
    prefix = f"intake/{identity}/"
    with database.reading() as transaction:
        found = readers_below(transaction, prefix)
    return {int(partition): position for partition, position in found.items()}
