"""Where every event stands, when it was true and when it was known, of what kind, and which claim it is about.

It is an index for finding events, and no second copy of them (design, "The house"): what an event says is read from
the store, at its position.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import STORED_TYPES, Decision, LedgerEvent
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.events import StoredEnvelope, account_events
from ledger.store.reading.page import Listed, Order, Page, Where
from ledger.values import instant_from_text, instant_to_text
from projections.asking import rows_listed, unknown
from projections.projection import Index, Place, Projection, Row, Rows, Table
from projections.shown_values import Instant, Position
from projections.what_happened import what_happened

ROWS = Table(
    "audit_trail",
    {
        "account": "TEXT",
        "account_version": "BIGINT",
        "shard": "INTEGER",
        "position": "BIGINT",
        "type": "TEXT",
        "kind": "TEXT",
        "event_id": "TEXT",
        "occurred_at": "INSTANT",
        "recorded_at": "INSTANT",
        "claim_id": "TEXT",
        "actor": "TEXT",
        "channel": "TEXT",
    },
    key=("account", "account_version"),
    appends=True,
    indexes=(
        Index("claim_id", ("claim_id",), "claim_id IS NOT NULL"),
        Index("recorded", ("recorded_at", "account")),
    ),
)

Kind = Literal["fact", "decision"]
KINDS: dict[str, Kind] = {
    type_: "decision" if issubclass(event, Decision) else "fact" for type_, event in STORED_TYPES.items()
}
"""Whether a stored type was said by upstream or concluded by the ledger."""

NAMING_A_CLAIM = frozenset(
    type_
    for type_, event in STORED_TYPES.items()
    if "claim_id" in getattr(event.model_fields["data"].annotation, "model_fields", {})
)


def fold(rows: Rows, place: Place, event: LedgerEvent) -> None:
    """Every event has its row."""
    rows.put(
        ROWS,
        {
            "account": event.account,
            "account_version": place.account_version,
            "shard": place.shard,
            "position": place.position,
            "type": event.type,
            "kind": KINDS[event.type],
            "event_id": event.event_id,
            "occurred_at": to_microseconds(event.occurred_at),
            "recorded_at": to_microseconds(event.recorded_at),
            "claim_id": event.data.claim_id if event.type in NAMING_A_CLAIM else None,
            "actor": event.actor,
            "channel": event.channel,
        },
    )


AUDIT_TRAIL = Projection("audit_trail", 1, (ROWS,), (LedgerEvent,), fold)


class Entry(TypedDict):
    """One event in an account's audit trail."""

    position: Position
    version: int
    kind: Kind
    type: Annotated[str, Field(examples=["cycle-started.v1"])]
    name: Annotated[str, Field(examples=["CycleStarted"])]
    summary: Annotated[str, Field(description="The event in one sentence, with its amount.")]
    event_id: str
    stream: str
    occurred_at: Instant
    recorded_at: Instant
    actor: str
    channel: str
    cause: str | None
    claim_id: str | None
    data: dict[str, Any]


ORDER: Order = {"account_version": int}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The events of an account that are asked for: all of them where nothing is said.

    `types` are stored types. `begin` and `end` are instants in microseconds, the half-open time in which events were
    recorded or, as `period` says, became true.
    """

    kind: Kind | None = None
    types: Collection[str] | None = None
    actor: str | None = None
    begin: int | None = None
    end: int | None = None
    period: Literal["recorded_at", "occurred_at"] = "recorded_at"

    def of(self, account_id: str) -> Where:
        """The condition for them."""
        where = Where().equal(account=account_id, kind=self.kind, actor=self.actor).among("type", self.types)
        if self.begin is not None:
            where.that(f"{self.period} >= ?", self.begin)
        if self.end is not None:
            where.that(f"{self.period} < ?", self.end)
        return where


ALL = Wanted()


def listed(database: Database, account_id: str, wanted: Wanted = ALL, *, page: Page | None = None) -> Listed[Entry]:
    """An account's audit trail in order, with every fact and decision that is asked for. Raises UnknownAccount."""
    with database.reading() as transaction:
        found = rows_listed(transaction, AUDIT_TRAIL, ROWS, wanted.of(account_id), page, ORDER)
        if not found and version_folded(transaction, account_id) is None:
            raise unknown(account_id)
        entries = _entries(transaction, account_id, found)
    return found.told(entries)


def accounts_with_claim(database: Database, claim_id: str) -> list[str]:
    """The accounts in which a claim of this id was ever decided about, those in which it fell away included."""
    with database.reading() as transaction:
        rows = transaction.rows(
            f"SELECT DISTINCT account FROM {AUDIT_TRAIL.stored_name(ROWS)} WHERE claim_id = ?", (claim_id,)
        )
    return sorted(row[0] for row in rows)


def version_folded(transaction: Transaction, account_id: str) -> int | None:
    """How many of an account's events the trail has; None where it has none."""
    rows = transaction.rows(
        f"SELECT MAX(account_version) FROM {AUDIT_TRAIL.stored_name(ROWS)} WHERE account = ?", (account_id,)
    )
    return int(rows[0][0]) if rows[0][0] is not None else None


def _entries(transaction: Transaction, account_id: str, found: Sequence[Row]) -> list[Entry]:
    """The trail's rows with what the events say, which is read from the store."""
    if not found:
        return []
    first, last = found[0]["account_version"], found[-1]["account_version"]
    events = account_events(transaction, account_id, first, last)
    by_version = {stored.account_version: stored for stored in events}
    return [entry(by_version[row["account_version"]]) for row in found]


_OF_A_NEWER_PROGRAM = "A newer version of Makegood recorded this event"


def entry(stored: StoredEnvelope) -> Entry:
    """What the trail tells of a stored event. Raises ColumnChanged where it is none."""
    envelope = stored.said()
    of_type = STORED_TYPES.get(stored.type)
    data = envelope["data"]
    return {
        "position": str(stored.at),
        "version": stored.account_version,
        "kind": KINDS.get(stored.type, "fact" if "message" in data else "decision"),
        "type": stored.type,
        "name": of_type.__name__ if of_type is not None else stored.type,
        "summary": what_happened(stored.event()) if of_type is not None else _OF_A_NEWER_PROGRAM,
        "event_id": envelope["event_id"],
        "stream": envelope["stream"],
        "occurred_at": _instant(envelope["occurred_at"]),
        "recorded_at": _instant(envelope["recorded_at"]),
        "actor": envelope["actor"],
        "channel": envelope["channel"],
        "cause": envelope["causation_id"],
        "claim_id": data["claim_id"] if stored.type in NAMING_A_CLAIM else None,
        "data": data,
    }


def _instant(stored: str) -> str:
    return instant_to_text(instant_from_text(stored))
