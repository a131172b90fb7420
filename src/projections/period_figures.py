"""What a month comes to, worked out from the events up to a position and nothing else (decision 0040).

Accounts are taken in the order of their ids, a page at a time, each page in a snapshot of its own: events are only
ever added, so that what stands up to a position is the same in each. Nothing is locked, and memory does not grow with
the number of accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, cast

from pydantic import Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from ledger.events import STORED_TYPES, Clause, Manifest, PeriodClosed, PeriodFigures, PeriodTotal
from ledger.store.amounts import from_minor_units
from ledger.store.database import Database
from ledger.store.instants import from_microseconds
from ledger.store.positions import Position, Reached, reached_from_text
from ledger.store.reading.events import StoredEnvelope, read_accounts
from ledger.store.reading.heads import accounts_by_code_point, how_many_heads
from ledger.values import Month, instant_to_text, month_from_text
from projections import periods
from projections.booking import Booked, Booking
from projections.follower import Progress
from projections.movement_kinds import MovementKind, Settlement
from projections.movements import MOVEMENTS, MOVEMENTS_MADE
from projections.projection import Row, Rows, stored_types
from projections.shown_values import Amount, Currency, Hash, Instant
from projections.shown_values import Position as ShownPosition

PAGE = 100
"""So many accounts share a snapshot: their events are in memory together."""


class ManifestRow(TypedDict):
    """An account in a closing's manifest: what the closing covers of it, and its part of the month's totals.

    `version` and `leaf_hash` are those of its last event, `events` is how many there are.
    """

    account_id: str
    version: int
    leaf_hash: Hash
    events: int
    totals: list[periods.PeriodTotal]


class LateMovement(TypedDict):
    """A movement that became known when the month in which it occurred was closed, and is booked in a later one."""

    account_id: str
    occurred_in: Annotated[str, Field(examples=["2026-01"])]
    booked_in: Annotated[str, Field(examples=["2026-02"])]
    occurred_at: Instant
    recorded_at: Instant
    position: ShownPosition
    event_id: str
    claim_id: str | None
    currency: Currency
    clause: Clause | None
    kind: MovementKind
    settlement: Settlement | None
    net: Amount
    tax: Amount


@dataclass(frozen=True, slots=True)
class Figures:
    """What a month comes to, and the movements that are booked in it late."""

    recorded: PeriodFigures
    late: list[LateMovement]


def figures_of(
    database: Database,
    month: Month,
    position: Reached,
    closed: Sequence[PeriodClosed],
    zone: str,
    on_progress: Progress = lambda done, of: None,
    on_row: Callable[[bytes], object] = lambda line: None,
) -> Figures:
    """What a month comes to at a position, when these months had been closed before it.

    Told of how many accounts are done of how many, and of each line of the manifest, a JSON document with its end of
    line. Raises what a Database raises.
    """
    figures = _Adding(month, Booking(closed, zone), on_row)
    for account in _accounts(database, position, on_progress):
        figures.add(account)
    return figures.found()


def figures_of_closings(
    database: Database, closed: Sequence[PeriodClosed], on_progress: Progress = lambda done, of: None
) -> list[Figures]:
    """What each of the closed months comes to at its position and after those closed before it, in one pass over the
    accounts. Raises what a Database raises."""
    positions = [reached_from_text(each.data.position) for each in closed]
    figures = [
        _Adding(month_from_text(each.data.period), Booking(closed[:number], each.data.time_zone))
        for number, each in enumerate(closed)
    ]
    shards = {shard for position in positions for shard in position}
    furthest = Reached({shard: max(position.get(shard, 0) for position in positions) for shard in shards})
    for account in _accounts(database, furthest, on_progress) if closed else ():
        for position, adding in zip(positions, figures, strict=True):
            envelopes = [envelope for envelope in account.envelopes if position.covers(envelope.at)]
            movements = [movement for movement in account.movements if position.covers(movement.at)]
            if envelopes:
                adding.add(_Account(account.account_id, envelopes, movements))
    return [adding.found() for adding in figures]


class _Adding:
    """A month's figures while accounts are added, in the order of their ids."""

    def __init__(self, month: Month, booking: Booking, on_row: Callable[[bytes], object] = lambda line: None) -> None:
        self._month = month
        self._booking = booking
        self._on_row = on_row
        self._totals, self._late_totals = _Totals(), _Totals()
        self._late: list[LateMovement] = []
        self._accounts = self._events = 0
        self._digest = sha256()

    def add(self, account: _Account) -> None:
        """Count an account, and add its row to the manifest."""
        own = _Totals()
        for movement in account.movements:
            booked = self._booking.book(movement.occurred_at, movement.at)
            if booked.booked_in != self._month:
                continue
            own.add(movement)
            if booked.late:
                self._late_totals.add(movement)
                self._late.append(_late(account.account_id, movement, booked))
        self._totals.take(own)
        last = account.envelopes[-1]
        row: ManifestRow = {
            "account_id": account.account_id,
            "version": last.account_version,
            "leaf_hash": last.leaf_hash,
            "events": len(account.envelopes),
            "totals": own.shown(),
        }
        line = to_json(row) + b"\n"
        self._digest.update(line)
        self._on_row(line)
        self._accounts += 1
        self._events += len(account.envelopes)

    def found(self) -> Figures:
        """The figures of all that was added."""
        manifest = Manifest(accounts=self._accounts, events=self._events, sha256=self._digest.hexdigest())
        recorded = PeriodFigures(totals=self._totals.recorded(), late=self._late_totals.recorded(), manifest=manifest)
        return Figures(recorded, self._late)


def late_movements(
    database: Database,
    month: Month,
    position: Reached,
    closed: Sequence[PeriodClosed],
    zone: str,
    on_progress: Progress = lambda done, of: None,
) -> Iterator[LateMovement]:
    """The movements that became known late and occurred in a month or are booked in it, by account and event."""
    for account, movement, booked in _booked(database, position, Booking(closed, zone), on_progress):
        if booked.late and month in (booked.occurred_in, booked.booked_in):
            yield _late(account, movement, booked)


def booked_movements(
    database: Database,
    month: Month,
    position: Reached,
    closed: Sequence[PeriodClosed],
    zone: str,
    on_progress: Progress = lambda done, of: None,
) -> Iterator[tuple[str, BookedMovement]]:
    """All movements that a month's figures count, each with its account, by account and event."""
    for account, movement, booked in _booked(database, position, Booking(closed, zone), on_progress):
        if booked.booked_in == month:
            yield account, movement


def _booked(
    database: Database, position: Reached, booking: Booking, on_progress: Progress
) -> Iterator[tuple[str, BookedMovement, Booked]]:
    """All movements up to a position and where they are booked, each with its account, by account and event."""
    for account in _accounts(database, position, on_progress):
        for movement in account.movements:
            yield account.account_id, movement, booking.book(movement.occurred_at, movement.at)


# --- an account's movements -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookedMovement:
    """A movement of an account, and where the event stands with which it became known."""

    at: Position
    event_id: str
    number: int
    occurred_at: datetime
    recorded_at: datetime
    claim_id: str | None
    currency: str
    clause: Clause | None
    kind: MovementKind
    settlement: Settlement | None
    net: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class _Account:
    """One account up to a position: its events, and the movements that they make."""

    account_id: str
    envelopes: Sequence[StoredEnvelope]
    movements: Sequence[BookedMovement]


def _accounts(database: Database, position: Reached, on_progress: Progress) -> Iterator[_Account]:
    """Every account that has an event up to a position, by the code points of its id."""
    with database.reading() as transaction:
        of = how_many_heads(transaction)
    done, last = 0, ""
    while True:
        with database.reading() as transaction:
            page = accounts_by_code_point(transaction, last, PAGE)
            found = read_accounts(transaction, page)
        if not page:
            return
        for account_id in page:
            envelopes = [envelope for envelope in found.pop(account_id, ()) if position.covers(envelope.at)]
            if envelopes:
                yield _Account(account_id, envelopes, _movements(envelopes))
        done, last = done + len(page), page[-1]
        on_progress(done, max(of, done))


_TAKES = stored_types(MOVEMENTS.handles)


def _movements(envelopes: Sequence[StoredEnvelope]) -> list[BookedMovement]:
    """The movements that an account's events make, by the fold of the projection."""
    rows = Rows(MOVEMENTS.tables)
    for envelope in envelopes:
        # A type that only a newer program knows is decoded too, which says so: it may be a movement.
        if envelope.type in _TAKES or envelope.type not in STORED_TYPES:
            MOVEMENTS.fold(rows, envelope, envelope.event())
    made = rows.changes()[MOVEMENTS_MADE].values()
    return [_movement(MOVEMENTS_MADE.row(values)) for values in made if values is not None]


def _movement(row: Row) -> BookedMovement:
    net, tax = (from_minor_units(row[name], row["currency"]) for name in ("net", "tax"))
    return BookedMovement(
        Position(row["shard"], row["position"]),
        row["event_id"],
        row["number"],
        from_microseconds(row["occurred_at"]),
        from_microseconds(row["recorded_at"]),
        row["claim_id"],
        row["currency"],
        row["clause"],
        row["kind"],
        row["settlement"],
        net,
        tax,
    )


def _late(account_id: str, movement: BookedMovement, booked: Booked) -> LateMovement:
    return {
        "account_id": account_id,
        "occurred_in": str(booked.occurred_in),
        "booked_in": str(booked.booked_in),
        "occurred_at": instant_to_text(movement.occurred_at),
        "recorded_at": instant_to_text(movement.recorded_at),
        "position": str(movement.at),
        "event_id": movement.event_id,
        "claim_id": movement.claim_id,
        "currency": movement.currency,
        "clause": movement.clause,
        "kind": movement.kind,
        "settlement": movement.settlement,
        "net": str(movement.net),
        "tax": str(movement.tax),
    }


# --- sums -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    count: int
    net: Decimal
    tax: Decimal


@dataclass(slots=True)
class _Totals:
    """Exact sums by currency, clause, kind and way of settling; what is null is empty in a key."""

    _sums: dict[tuple[str, str, str, str], _Sum] = field(default_factory=dict)

    def add(self, movement: BookedMovement) -> None:
        """Count a movement."""
        key = (movement.currency, movement.clause or "", movement.kind, movement.settlement or "")
        self._take(key, _Sum(1, movement.net, movement.tax))

    def take(self, other: _Totals) -> None:
        """Count what others count."""
        for key, more in other._sums.items():
            self._take(key, more)

    def _take(self, key: tuple[str, str, str, str], more: _Sum) -> None:
        found = self._sums.get(key)
        if found is None:
            self._sums[key] = _Sum(more.count, more.net, more.tax)
        else:
            found.count += more.count
            found.net += more.net
            found.tax += more.tax

    def recorded(self) -> tuple[PeriodTotal, ...]:
        """The sums as an event has them, in order."""
        return tuple(
            PeriodTotal(
                currency=currency,
                clause=cast(Clause, clause) if clause else None,
                kind=kind,
                settlement=settlement or None,
                count=found.count,
                net=found.net,
                tax=found.tax,
            )
            for (currency, clause, kind, settlement), found in sorted(self._sums.items())
        )

    def shown(self) -> list[periods.PeriodTotal]:
        """The sums as they are shown, in order."""
        return [periods.shown_total(total) for total in self.recorded()]
