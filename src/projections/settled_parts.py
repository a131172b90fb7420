"""What the projections share of how claims are settled (policy §7): the events that say so, and a part's columns."""

from __future__ import annotations

from decimal import Decimal

from ledger.events import ClaimAssessedV1, LedgerEvent, SettlementChanged
from projections.projection import ColumnType, Value

SETTLING: tuple[type[LedgerEvent], ...] = (SettlementChanged, ClaimAssessedV1)
"""The events that say how claims are settled."""
Settling = SettlementChanged | ClaimAssessedV1

PART: dict[str, ColumnType] = {
    "claim_id": "TEXT",
    "charge_id": "TEXT",
    "net": "TEXT",
    "tax": "TEXT",
    "total": "TEXT",
    "currency": "TEXT",
}
"""What a row says of its part, besides its id and since when it stands."""


def part_row(
    claim_id: str | None, charge_id: str | None, net: Decimal, tax: Decimal, currency: str
) -> dict[str, Value]:
    """The columns of `PART`."""
    return {
        "claim_id": claim_id,
        "charge_id": charge_id,
        "net": str(net),
        "tax": str(tax),
        "total": str(net + tax),
        "currency": currency,
    }
