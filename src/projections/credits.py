"""What a customer has to their credit: a row for every credit granted (contract §3, `makegood credits`)."""

from __future__ import annotations

from typing import Any

from ledger.events import ClaimAssessed
from ledger.values import zero
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant
from projections.settled_parts import PART, follow_parts

ROWS = Table(
    "credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        **PART,
        "granted_at": "INSTANT",
    },
    key=("account", "credit_id"),
    reads=(ClaimAssessed,),
    indexes=("credit_id",),
)


def fold(rows: Rows, _: Place, event: ClaimAssessed) -> None:
    """A credit follows the part of its claim that it makes good, from the event that first granted it."""
    follow_parts(rows, ROWS, event, "credit", "granted_at")


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
