"""What a customer has to their credit: a row for every credit granted (contract §3, `makegood credits`)."""

from __future__ import annotations

from typing import Any

from ledger.events import ClaimAssessed
from ledger.store.instants import to_microseconds
from ledger.values import zero
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

ROWS = Table(
    "credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        "claim_id": "TEXT",
        "charge_id": "TEXT",
        "net": "TEXT",
        "tax": "TEXT",
        "total": "TEXT",
        "currency": "TEXT",
        "granted_at": "INSTANT",
    },
    key=("account", "credit_id"),
    reads=(ClaimAssessed,),
    indexes=("credit_id",),
)


def fold(rows: Rows, _: Place, event: ClaimAssessed) -> None:
    """A credit follows the part of its claim that it makes good, from the event that first granted it."""
    data = event.data
    before = data.before.settled if data.before is not None else ()
    after = data.after.settled if data.after is not None else ()
    granted = [part for part in after if part.into == "credit"]
    for part_id in {part.id for part in before if part.into == "credit"} - {part.id for part in granted}:
        rows.delete(ROWS, event.account, part_id)
    for part in granted:
        stands = rows.get(ROWS, event.account, part.id)
        rows.put(
            ROWS,
            {
                "account": event.account,
                "credit_id": part.id,
                "claim_id": data.claim_id,
                "charge_id": data.charge_id,
                "net": str(part.net),
                "tax": str(part.tax),
                "total": str(part.net + part.tax),
                "currency": data.currency,
                "granted_at": stands["granted_at"] if stands is not None else to_microseconds(event.recorded_at),
            },
        )


CREDITS = Projection("credits", 1, (ROWS,), (ClaimAssessed,), fold)


def listed(state: State) -> list[dict[str, Any]]:
    """The credits as they are shown: by account, then credit."""
    return [_shown(row) for row in sorted(state["credits"], key=ROWS.key_of)]


def _shown(row: Row) -> dict[str, Any]:
    """No event applies or refunds a credit yet, so that all of it is left."""
    nothing = str(zero(str(row["currency"])))
    return {
        "credit_id": row["credit_id"],
        "claim_id": row["claim_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "used": nothing,
        "refunded": nothing,
        "left": row["total"],
        "granted_at": shown_instant(row["granted_at"]),
    }
