"""How a claim is settled, part by part: a row for each part of one kind, from the event that first said so."""

from __future__ import annotations

from typing import Literal

from ledger.events import ClaimAssessed, SettledPart
from ledger.store.instants import to_microseconds
from projections.projection import ColumnType, Rows, Table

PART: dict[str, ColumnType] = {
    "claim_id": "TEXT",
    "charge_id": "TEXT",
    "net": "TEXT",
    "tax": "TEXT",
    "total": "TEXT",
    "currency": "TEXT",
}
"""What a row says of its part, besides its id and since when it stands."""


def follow_parts(
    rows: Rows, table: Table, event: ClaimAssessed, into: Literal["refund", "credit"], since: str
) -> None:
    """Have a row for each part that is settled `into` this, and none for those that fell away.

    The table's key is the account and the part's id; its column `since` says when the part was first recorded.
    """
    _, id_column = table.key
    data = event.data
    stand = parts(data.after.settled if data.after is not None else (), into)
    for gone in parts(data.before.settled if data.before is not None else (), into).keys() - stand.keys():
        rows.delete(table, event.account, gone)
    for part in stand.values():
        before = rows.get(table, event.account, part.id)
        rows.put(
            table,
            {
                "account": event.account,
                id_column: part.id,
                "claim_id": data.claim_id,
                "charge_id": data.charge_id,
                "net": str(part.net),
                "tax": str(part.tax),
                "total": str(part.net + part.tax),
                "currency": data.currency,
                since: before[since] if before is not None else to_microseconds(event.recorded_at),
            },
        )


def parts(settled: tuple[SettledPart, ...], into: str) -> dict[str, SettledPart]:
    """The parts that are settled in one way, by their ids."""
    return {part.id: part for part in settled if part.into == into}
