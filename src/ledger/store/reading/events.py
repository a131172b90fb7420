"""Stored events, by position and by account."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from ledger.audit import leaf_hash
from ledger.events import LedgerEvent, Status, SubscriptionStatusChanged, from_stored
from ledger.store.column_types import ColumnChanged, as_bytes, as_integer, as_text
from ledger.store.database import Database, Row, StoreError, Transaction
from ledger.store.positions import KnownAt, Position, Reached
from ledger.store.schema import APPROVED, OF_SYSTEM
from ledger.values import SYSTEM_ACCOUNT, value

E = TypeVar("E", bound=LedgerEvent)


_ALWAYS_SAID = LedgerEvent.model_fields.keys()


class PositionMissing(StoreError):
    """A position is missing from a shard: the store is damaged, and no reader may go on over the hole."""


@value
class StoredEnvelope:
    """One stored event, with its place."""

    shard: int
    position: int
    account: str
    account_version: int
    stream: str
    stream_version: int
    type: str
    envelope: bytes

    @property
    def at(self) -> Position:
        """Where it stands."""
        return Position(self.shard, self.position)

    @property
    def leaf_hash(self) -> str:
        """The RFC 6962 leaf hash of the envelope, in hexadecimal."""
        return leaf_hash(self.envelope)

    def event(self) -> LedgerEvent:
        """The event that the envelope holds. Raises ColumnChanged where it holds none, and UnknownStoredType."""
        try:
            return from_stored(self.type, self.envelope)
        except ValidationError:
            raise self._changed() from None

    def said(self) -> dict[str, Any]:
        """What the envelope says, also of a type that is not known. Raises ColumnChanged where it is no event's."""
        try:
            said: dict[str, Any] = from_json(self.envelope)
        except ValueError:
            raise self._changed() from None
        if not isinstance(said, dict) or not said.keys() >= _ALWAYS_SAID:
            raise self._changed()
        return said

    def _changed(self) -> ColumnChanged:
        return ColumnChanged(f"the envelope at {self.at}", "an event")


def recorded_by(stored: Iterable[StoredEnvelope], known_at: KnownAt | None) -> list[StoredEnvelope]:
    """Those events that had been recorded by then; all of them where nothing is asked.

    A position speaks of its own shard: of the events of a shard that is not named nothing says that they came before.
    """
    match known_at:
        case None:
            return list(stored)
        case Reached():
            return [each for each in stored if known_at.covers(each.at)]
    return [each for each in stored if each.event().recorded_at <= known_at]


_COLUMNS = "shard, position, account, account_version, stream, stream_version, type, envelope"


def read_shard(transaction: Transaction, shard: int, after: int, limit: int) -> list[StoredEnvelope]:
    """The next events of a shard after a position, in order and without holes. Raises PositionMissing."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE shard = ? AND position > ? ORDER BY position LIMIT ?",
        (shard, after, limit),
    )
    found = [_envelope(row) for row in rows]
    check_without_holes(shard, after, [each.position for each in found])
    return found


def read_by_account(
    transaction: Transaction, account: str, after: int, last: str | None, limit: int
) -> list[StoredEnvelope]:
    """The next events by account and in each account's order, after a version of an account, as far as the last one.

    Accounts are in the database's own order of text.
    """
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE (account, account_version) > (?, ?) "
        f"{'AND account <= ? ' if last is not None else ''}ORDER BY account, account_version LIMIT ?",
        (account, after, *((last,) if last is not None else ()), limit),
    )
    return [_envelope(row) for row in rows]


def accounts_at_every(transaction: Transaction, events: int) -> list[str]:
    """The accounts, in the database's own order of text, in which another so many events are full."""
    rows = transaction.rows(
        "SELECT account FROM (SELECT account, ROW_NUMBER() OVER (ORDER BY account, account_version) AS number "
        "FROM events) AS numbered WHERE number % ? = 0 ORDER BY number",
        (events,),
    )
    return list(dict.fromkeys(row[0] for row in rows))


def check_without_holes(shard: int, after: int, positions: Sequence[int]) -> None:
    """Raises PositionMissing where some positions of a shard are not those that come next after another."""
    for expected, position in enumerate(positions, after + 1):
        if position != expected:
            raise PositionMissing(
                f"position {shard}:{expected} is missing before {shard}:{position}: "
                "the store is damaged: stop all writers and restore it from a backup"
            )


def event_at(transaction: Transaction, at: Position) -> StoredEnvelope | None:
    """The event at a position; None where there is none."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE shard = ? AND position = ?", (at.shard, at.position)
    )
    return _envelope(rows[0]) if rows else None


def follow_account(database: Database, account: str, *, to_version: int | None = None) -> Iterator[StoredEnvelope]:
    """An account's events in order, from the first."""
    with database.reading() as transaction:
        rows = transaction.rows(
            f"SELECT {_COLUMNS} FROM events WHERE account = ? AND account_version <= ? ORDER BY account_version",
            (account, to_version if to_version is not None else 2**62),
        )
    for row in rows:
        yield _envelope(row)


def account_events(transaction: Transaction, account: str, first: int, last: int) -> list[StoredEnvelope]:
    """An account's events from one of its versions to another, both included, in order."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE account = ? AND account_version >= ? AND account_version <= ? "
        "ORDER BY account_version",
        (account, first, last),
    )
    return [_envelope(row) for row in rows]


def events_of_types(transaction: Transaction, account: str, types: Sequence[str]) -> list[StoredEnvelope]:
    """An account's events of some types, in order."""
    marks = ", ".join("?" * len(types))
    whose, values = _of(account)
    # Put in order here: SQLite would rather read the account whole in order than those of a few types out of order.
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM events WHERE {whose} AND type IN ({marks})", (*values, *types))
    return sorted(map(_envelope, rows), key=attrgetter("account_version"))


def approvals_by_people(transaction: Transaction) -> list[StoredEnvelope]:
    """All approvals of refunds and goodwill credits by people, by account and in each account's order."""
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM events WHERE {APPROVED} ORDER BY account, account_version")
    return [_envelope(row) for row in rows]


def first_of_types(transaction: Transaction, types: Sequence[str]) -> dict[int, int]:
    """By shard, the position of the first event that is of one of some types; nothing of a shard that has none."""
    found = transaction.rows_in("SELECT shard, MIN(position) FROM events WHERE type IN (?*) GROUP BY shard", types)
    first: dict[int, int] = {}
    for shard, position in found:
        first[shard] = min(position, first.get(shard, position))
    return first


def events_of_stream(transaction: Transaction, stream: str, limit: int | None = None) -> list[StoredEnvelope]:
    """The events of a stream in order, or so many of them from the first on; none where there is no such stream."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE stream = ? ORDER BY stream_version LIMIT ?",
        (stream, limit if limit is not None else 2**62),
    )
    return [_envelope(row) for row in rows]


def stream_between(transaction: Transaction, stream: str, begin: datetime, end: datetime) -> list[StoredEnvelope]:
    """The events of a stream that were recorded in the half-open time between two instants, in order.

    In an account `recorded_at` never falls, so that few of a long stream are looked at to find the first and last.
    """

    def recorded_at(version: int) -> datetime:
        [found] = _of_versions(transaction, stream, version, version)
        return found.event().recorded_at

    versions = range(1, stream_version(transaction, stream) + 1)
    first, after = (bisect_left(versions, instant, key=recorded_at) + 1 for instant in (begin, end))
    return _of_versions(transaction, stream, first, after - 1)


def _of_versions(transaction: Transaction, stream: str, first: int, last: int) -> list[StoredEnvelope]:
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE stream = ? AND stream_version >= ? AND stream_version <= ? "
        "ORDER BY stream_version",
        (stream, first, last),
    )
    return [_envelope(row) for row in rows]


def events_of_streams(transaction: Transaction, streams: Sequence[str]) -> list[StoredEnvelope]:
    """The events of some streams, in no order; nothing of a stream that is not there."""
    rows = transaction.rows_in(f"SELECT {_COLUMNS} FROM events WHERE stream IN (?*)", streams)
    return [_envelope(row) for row in rows]


def last_of_streams(transaction: Transaction, streams: Sequence[str]) -> dict[str, StoredEnvelope]:
    """The last event of each of some streams; nothing of a stream that is not there."""
    found: dict[str, StoredEnvelope] = {}
    for envelope in events_of_streams(transaction, streams):
        if envelope.stream not in found or found[envelope.stream].stream_version < envelope.stream_version:
            found[envelope.stream] = envelope
    return found


def stream_version(transaction: Transaction, stream: str) -> int:
    """How many events a stream has; 0 where there is no such stream."""
    rows = transaction.rows("SELECT max(stream_version) FROM events WHERE stream = ?", (stream,))
    return int(rows[0][0] or 0)


def find_event(transaction: Transaction, event_id: str) -> StoredEnvelope | None:
    """The event with an id."""
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM events WHERE event_id = ?", (event_id,))
    return _envelope(rows[0]) if rows else None


def events_called(transaction: Transaction, event_ids: Sequence[str]) -> dict[str, StoredEnvelope]:
    """The events with some ids; nothing of an id that no event has."""
    rows = transaction.rows_in(f"SELECT event_id, {_COLUMNS} FROM events WHERE event_id IN (?*)", event_ids)
    return {row[0]: _envelope(row[1:]) for row in rows}


def places_of(transaction: Transaction, event_ids: Sequence[str]) -> dict[str, Position]:
    """Where events stand, by their ids; nothing of an id that no event has."""
    rows = transaction.rows_in("SELECT event_id, shard, position FROM events WHERE event_id IN (?*)", event_ids)
    return {event_id: Position(shard, position) for event_id, shard, position in rows}


def events_of_type(transaction: Transaction, account: str, *event_classes: type[E]) -> list[tuple[int, E]]:
    """An account's events of some stored types in order, each with its version in the account's history."""
    classes = {event_class.stored_as: event_class for event_class in event_classes}
    return [
        (stored.account_version, classes[stored.type].model_validate_json(stored.envelope))
        for stored in events_of_types(transaction, account, list(classes))
    ]


def last_of_type(transaction: Transaction, account: str, event_class: type[LedgerEvent]) -> Position | None:
    """Where an account's last event of a stored type stands."""
    whose, values = _of(account)
    rows = transaction.rows(
        f"SELECT shard, position FROM events WHERE {whose} AND type = ? ORDER BY account_version DESC LIMIT 1",
        (*values, event_class.stored_as),
    )
    return Position(*rows[0]) if rows else None


_GOES_ON: frozenset[Status | None] = frozenset({None, "pending", "active"})
"""Whoever stood so was to end on no date."""


def ended_on_before(transaction: Transaction, event: LedgerEvent) -> date | None:
    """The date on which a subscription was to end before a change of its status; None for every other event."""
    if not isinstance(event, SubscriptionStatusChanged) or event.data.before in _GOES_ON:
        return None
    rows = transaction.rows(
        "SELECT type, envelope FROM events WHERE stream = ? AND stream_version < ? AND type = ? "
        "ORDER BY stream_version DESC LIMIT 1",
        (event.stream, event.stream_version, SubscriptionStatusChanged.stored_as),
    )
    before = from_stored(rows[0][0], as_bytes(rows[0][1], f"an envelope of {event.stream}")) if rows else None
    return before.data.effective_on if isinstance(before, SubscriptionStatusChanged) else None


def accounts_after(transaction: Transaction, account: str, limit: int) -> list[str]:
    """The next accounts that have events, in the database's own order of text; the first after an empty name."""
    rows = transaction.rows(
        "SELECT DISTINCT account FROM events WHERE account > ? ORDER BY account LIMIT ?", (account, limit)
    )
    return [row[0] for row in rows]


def in_turn(database: Database, page_after: Callable[[Transaction, str], list[str]]) -> Iterator[list[str]]:
    """All names that `page_after` finds, a page at a time, each page in a state of the store of its own."""
    last = ""
    while True:
        with database.reading() as transaction:
            page = page_after(transaction, last)
        if not page:
            return
        yield page
        last = page[-1]


def account_pages(database: Database, limit: int) -> Iterator[list[str]]:
    """All accounts that have events, so many at a time, the ledger's own account among them."""
    yield from in_turn(database, partial(accounts_after, limit=limit))


def accounts_among(transaction: Transaction, accounts: Sequence[str]) -> set[str]:
    """Those of some accounts that have events."""
    found = transaction.rows_in("SELECT DISTINCT account FROM events WHERE account IN (?*)", accounts)
    return {row[0] for row in found}


def accounts_between(transaction: Transaction, after: Mapping[int, int], to: Mapping[int, int]) -> set[str]:
    """The accounts that have an event after one position of a shard and up to another."""
    return {
        row[0]
        for shard, last in to.items()
        if after.get(shard, 0) < last
        for row in transaction.rows(
            "SELECT DISTINCT account FROM events WHERE shard = ? AND position > ? AND position <= ?",
            (shard, after.get(shard, 0), last),
        )
    }


def how_many_accounts(transaction: Transaction) -> int:
    """How many accounts have events, the ledger's own account among them."""
    return int(transaction.rows("SELECT COUNT(DISTINCT account) FROM events")[0][0])


def how_many_by_type(transaction: Transaction) -> dict[str, int]:
    """How many events there are of each stored type."""
    return dict(transaction.rows("SELECT type, COUNT(*) FROM events GROUP BY type"))


def read_accounts(transaction: Transaction, accounts: Sequence[str]) -> dict[str, list[StoredEnvelope]]:
    """All events of some accounts, each account's in order; nothing of an account that has none."""
    rows = transaction.rows_in(f"SELECT {_COLUMNS} FROM events WHERE account IN (?*)", accounts)
    found: dict[str, list[StoredEnvelope]] = {}
    for row in rows:
        envelope = _envelope(row)
        found.setdefault(envelope.account, []).append(envelope)
    for envelopes in found.values():
        envelopes.sort(key=attrgetter("account_version"))
    return found


def _of(account: str) -> tuple[str, tuple[str, ...]]:
    """The condition for the events of an account, and the values in it: in words that lead to an index of its own."""
    return (OF_SYSTEM, ()) if account == SYSTEM_ACCOUNT else ("account = ?", (account,))


_AS_STORED = (int, int, str, int, str, int, str, bytes)


def _envelope(row: Row) -> StoredEnvelope:
    if (*map(type, row),) == _AS_STORED:
        return StoredEnvelope(*row)  # what nearly every row is; anything else says what of it was changed
    shard, position, account, account_version, stream, stream_version, type_, envelope = row
    what = f"the envelope at {shard}:{position}"
    return StoredEnvelope(
        as_integer(shard, f"the shard of {what}"),
        as_integer(position, f"the position of {what}"),
        as_text(account, f"the account of {what}"),
        as_integer(account_version, f"the account's version of {what}"),
        as_text(stream, f"the stream of {what}"),
        as_integer(stream_version, f"the stream's version of {what}"),
        as_text(type_, f"the type of {what}"),
        as_bytes(envelope, what),
    )


def accounts_at(transaction: Transaction, positions: Iterable[Position]) -> dict[Position, str]:
    """The accounts of the events at some positions, by their columns."""
    of_shards: dict[int, list[int]] = {}
    for at in positions:
        of_shards.setdefault(at.shard, []).append(at.position)
    return {
        Position(shard, position): account
        for shard, asked in of_shards.items()
        for of, position, account in transaction.rows_in(
            "SELECT shard, position, account FROM events WHERE position IN (?*)", asked
        )
        if of == shard
    }
