"""The recorder behind the eventsourcing library: writes a batch in one transaction, with positions without holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    EventStore,
    JSONTranscoder,
    Mapper,
    Notification,
    Recording,
    StoredEvent,
    Subscription,
)

from ledger.audit import leaf_hash
from ledger.events import LedgerEvent, from_stored
from ledger.store.column_types import as_bytes
from ledger.store.database import Database, Transaction
from ledger.store.positions import event_sequence
from ledger.store.writing import Writes, positions_for

EVENT_COLUMNS = (
    "shard",
    "position",
    "account",
    "account_version",
    "stream",
    "stream_version",
    "type",
    "event_id",
    "envelope",
)


@dataclass(frozen=True)
class SealedEvent(StoredEvent):
    """A stored event with what its columns repeat of the envelope."""

    shard: int
    account: str
    account_version: int
    event_id: str


class EnvelopeMapper(Mapper[str]):
    """Between events and their stored form: what is stored is our envelope, whole (design rule 5)."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """An event's envelope, as it is chained already."""
        assert isinstance(domain_event, LedgerEvent)
        return StoredEvent(
            originator_id=domain_event.stream,
            originator_version=domain_event.stream_version,
            topic=domain_event.type,
            state=domain_event.stored(),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        """Read an envelope back. Raises UnknownStoredType."""
        return from_stored(stored_event.topic, stored_event.state)


class SealingEventStore(EventStore[str]):
    """Seals events in their order: each takes its account's previous leaf hash, and the head moves to its own."""

    def put(self, domain_events: Sequence[DomainEventProtocol[str]], **kwargs: Any) -> list[Recording[str]]:
        """Seal and write events with all that their transaction brings (`writes`), or that they are `within`."""
        writes: Writes = kwargs["writes"]
        sealed: list[StoredEvent] = []
        for event in domain_events:
            assert isinstance(event, LedgerEvent)
            head = writes.heads[event.account].head
            assert head.shard is not None
            stored = self.mapper.to_stored_event(event.following(head.leaf_hash))
            head.leaf_hash = leaf_hash(stored.state)
            head.version += 1
            head.recorded_at = event.recorded_at
            sealed.append(
                SealedEvent(
                    originator_id=stored.originator_id,
                    originator_version=stored.originator_version,
                    topic=stored.topic,
                    state=stored.state,
                    shard=head.shard,
                    account=event.account,
                    account_version=head.version,
                    event_id=event.event_id,
                )
            )
        self.recorder.insert_events(sealed, writes=writes, within=kwargs.get("within"))
        return []


class LedgerRecorder(ApplicationRecorder):
    """Writes and reads the ledger's events in SQLite or PostgreSQL, each in its account's shard (design rule 4)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """One transaction: all of `writes`, then positions for the events, then the events themselves.

        It is one of its own, or the one that they are `within`, which whoever began it commits. A batch without
        events (nothing but duplicates) still moves its reader. Raises HeadMoved or ReaderFenced, after which the
        caller loads and decides again.
        """
        writes: Writes = kwargs["writes"]
        within: Transaction | None = kwargs.get("within")
        with nullcontext(within) if within is not None else self._database.writing() as transaction:
            writes.write_before_events(transaction)
            return self._insert(transaction, stored_events)

    def _insert(self, transaction: Transaction, stored_events: Sequence[StoredEvent]) -> Sequence[int]:
        events = cast("Sequence[SealedEvent]", stored_events)  # a SealingEventStore writes no others
        positions = positions_for(transaction, event_sequence, [event.shard for event in events])
        rows = [
            (
                event.shard,
                position,
                event.account,
                event.account_version,
                event.originator_id,
                event.originator_version,
                event.topic,
                event.event_id,
                event.state,
            )
            for position, event in zip(positions, events, strict=True)
        ]
        transaction.insert("events", EVENT_COLUMNS, rows)
        return positions

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of one stream."""
        with self._database.reading() as transaction:
            rows = transaction.rows(
                "SELECT stream, stream_version, type, envelope FROM events "
                "WHERE stream = ? AND stream_version > ? AND stream_version <= ? "
                f"ORDER BY stream_version {'DESC' if desc else 'ASC'} LIMIT ?",
                (
                    str(originator_id),
                    gt or 0,
                    lte if lte is not None else 2**62,
                    limit if limit is not None else 2**62,
                ),
            )
        return [
            StoredEvent(stream, version, type_, as_bytes(envelope, f"the envelope of version {version} of {stream}"))
            for stream, version, type_, envelope in rows
        ]

    # The library counts an application's events in one sequence, from which it notifies; ours are counted by shards.

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Not offered: readers follow the positions of each shard (design rule 7)."""
        raise NotImplementedError(_BY_SHARD)

    def max_notification_id(self) -> int | None:
        """Not offered, likewise."""
        raise NotImplementedError(_BY_SHARD)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Not offered, likewise."""
        raise NotImplementedError(_BY_SHARD)


_BY_SHARD = "readers follow the store by shard and position; see ledger/store/reading.py"


def events_of(transaction: Transaction, accounts: Sequence[str]) -> Iterator[LedgerEvent]:
    """All events of accounts, each account's in their order."""
    for type_, envelope in transaction.rows_in(
        "SELECT type, envelope FROM events WHERE account IN (?*) ORDER BY account, account_version", accounts
    ):
        yield from_stored(type_, as_bytes(envelope, "an envelope of the accounts that are read"))
