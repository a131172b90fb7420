"""An account event by event: what each one changed (contract §3, `makegood replay`)."""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import TypedDict

from ledger.store.database import Database
from ledger.store.reading.page import Order
from ledger.values import instant_to_text
from projections.account_state import FOLDED, recorded
from projections.projection import Step, Table, Value, Values, fold_account
from projections.shown_values import Instant, Position, shown_instant


class ChangedRow(TypedDict):
    """A row written by an event, or deleted where `row` is null."""

    table: str
    key: dict[str, str | int | None]
    row: dict[str, str | int | None] | None


class ReplayStep(TypedDict):
    """One event with its changes."""

    version: int
    position: Position
    type: str
    name: str
    event_id: str
    occurred_at: Instant
    recorded_at: Instant
    changed: list[ChangedRow]


ORDER: Order = {"version": int}


def replay(database: Database, account_id: str, to: int | None = None) -> Iterator[ReplayStep]:
    """An account event by event, up to one of its events: what each one changed. Raises UnknownAccount."""
    return (_shown(step) for step in fold_account(recorded(database, account_id, to), FOLDED))


def _shown(step: Step) -> ReplayStep:
    return {
        "version": step.stored.account_version,
        "position": f"{step.stored.shard}:{step.stored.position}",
        "type": step.event.type,
        "name": type(step.event).__name__,
        "event_id": step.event.event_id,
        "occurred_at": instant_to_text(step.event.occurred_at),
        "recorded_at": instant_to_text(step.event.recorded_at),
        "changed": [
            {
                "table": table.name,
                "key": dict(zip(table.key, key, strict=True)),
                "row": _row(table, values) if values is not None else None,
            }
            for table, changes in step.changes.items()
            if not table.finding
            for key, values in changes.items()
        ],
    }


def _row(table: Table, values: Values) -> dict[str, Value]:
    """A row with its instants as they are shown."""
    return {
        column: shown_instant(value) if table.columns[column] == "INSTANT" else value
        for column, value in table.row(values).items()
    }
