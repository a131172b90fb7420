"""The read port: stored events by position and by account. Projections and carriers read through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import TypeVar

from ledger.events import LedgerEvent, SubscriptionStatusChanged, from_stored
from ledger.store.database import Database, Row, StoreError, Transaction
from ledger.store.positions import SYSTEM_SHARD, KnownAt, Position, Reached, event_sequence, shard_of_new
from ledger.vault import VaultEntry

E = TypeVar("E", bound=LedgerEvent)


class PositionMissing(StoreError):
    """A position is missing from a shard: the store is damaged, and no reader may go on over the hole."""


@dataclass(frozen=True, slots=True)
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

    def event(self) -> LedgerEvent:
        """The event that the envelope holds."""
        return from_stored(self.type, self.envelope)


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
    for expected, envelope in enumerate(found, after + 1):
        if envelope.position != expected:
            raise PositionMissing(
                f"position {shard}:{expected} is missing before {shard}:{envelope.position}: "
                "the store is damaged: stop all writers and restore it from a backup"
            )
    return found


def shards_of(transaction: Transaction) -> range:
    """The numbers of the store's shards. A store from before this was recorded has one."""
    rows = transaction.rows("SELECT value FROM store WHERE name = 'shards'")
    return range(int(rows[0][0]) if rows else 1)


def shards_of_accounts(transaction: Transaction, accounts: Iterable[str | None]) -> dict[str | None, int]:
    """Which shard each account is in, or would be; what is of no account is in that of `system`."""
    named = sorted({account for account in accounts if account is not None})
    found: dict[str | None, int] = {None: SYSTEM_SHARD}
    if named:
        shards = shards_of(transaction)
        found |= {account: shard_of_new(account, shards) for account in named}
        found |= dict(transaction.rows_in("SELECT account, shard FROM heads WHERE account IN (?*)", named))
    return found


def shard_end(transaction: Transaction, shard: int) -> int:
    """The last position of a shard; 0 while it is empty."""
    rows = transaction.rows("SELECT position FROM sequences WHERE name = ?", (event_sequence(shard),))
    return int(rows[0][0]) if rows else 0


def shard_ends(transaction: Transaction) -> Reached:
    """How far the store has come, in every shard that anything was recorded in."""
    rows = transaction.rows("SELECT name, position FROM sequences WHERE name LIKE 'shard:%'")
    return Reached({int(name.removeprefix("shard:")): int(position) for name, position in rows})


def store_id(transaction: Transaction) -> str:
    """What tells this store's events from another's, where both are published to one topic."""
    return str(transaction.rows("SELECT value FROM store WHERE name = 'id'")[0][0])


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
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE account = ? AND type IN ({marks}) ORDER BY account_version",
        (account, *types),
    )
    return [_envelope(row) for row in rows]


def events_of_stream(transaction: Transaction, stream: str, limit: int | None = None) -> list[StoredEnvelope]:
    """The events of a stream in order, or so many of them from the first on; none where there is no such stream."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM events WHERE stream = ? ORDER BY stream_version LIMIT ?",
        (stream, limit if limit is not None else 2**62),
    )
    return [_envelope(row) for row in rows]


def account_version(transaction: Transaction, account: str) -> int:
    """How many events an account has; 0 where nothing was ever recorded about it."""
    rows = transaction.rows("SELECT version FROM heads WHERE account = ?", (account,))
    return int(rows[0][0]) if rows else 0


def find_event(transaction: Transaction, event_id: str) -> StoredEnvelope | None:
    """The event with an id."""
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM events WHERE event_id = ?", (event_id,))
    return _envelope(rows[0]) if rows else None


def events_of_type(transaction: Transaction, account: str, *event_classes: type[E]) -> list[tuple[int, E]]:
    """An account's events of some stored types in order, each with its version in the account's history."""
    classes = {event_class.stored_as: event_class for event_class in event_classes}
    return [
        (stored.account_version, classes[stored.type].model_validate_json(stored.envelope))
        for stored in events_of_types(transaction, account, list(classes))
    ]


def status_before(transaction: Transaction, event: SubscriptionStatusChanged) -> SubscriptionStatusChanged | None:
    """The change of status before this one in its subscription's stream; None where it is the first."""
    rows = transaction.rows(
        "SELECT type, envelope FROM events WHERE stream = ? AND stream_version < ? AND type = ? "
        "ORDER BY stream_version DESC LIMIT 1",
        (event.stream, event.stream_version, SubscriptionStatusChanged.stored_as),
    )
    found = from_stored(rows[0][0], bytes(rows[0][1])) if rows else None
    return found if isinstance(found, SubscriptionStatusChanged) else None


def ended_on_before(transaction: Transaction, event: LedgerEvent) -> date | None:
    """The date on which a subscription was to end before a change of its status; None for every other event."""
    if not isinstance(event, SubscriptionStatusChanged) or event.data.before is None:
        return None
    before = status_before(transaction, event)
    return before.data.effective_on if before is not None else None


def vault_entry(transaction: Transaction, ref: str) -> VaultEntry | None:
    """What the vault stores under a reference."""
    rows = transaction.rows("SELECT ref, subject, nonce, ciphertext FROM vault WHERE ref = ?", (ref,))
    return VaultEntry(rows[0][0], rows[0][1], bytes(rows[0][2]), bytes(rows[0][3])) if rows else None


def accounts_after(transaction: Transaction, account: str, limit: int) -> list[str]:
    """The next accounts that have events, in the database's own order of text; the first after an empty name."""
    rows = transaction.rows(
        "SELECT DISTINCT account FROM events WHERE account > ? ORDER BY account LIMIT ?", (account, limit)
    )
    return [row[0] for row in rows]


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


def _envelope(row: Row) -> StoredEnvelope:
    shard, position, account, account_version, stream, stream_version, type_, envelope = row
    return StoredEnvelope(shard, position, account, account_version, stream, stream_version, type_, bytes(envelope))
