"""What the projections share of how claims are settled (policy §7): parts by their ids, and their columns."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ledger.events import Into, SettledPart
from projections.projection import ColumnType, Value

PART: dict[str, ColumnType] = {
    "claim_id": "TEXT",
    "charge_id": "TEXT",
    "net": "TEXT",
    "tax": "TEXT",
    "total": "TEXT",
    "currency": "TEXT",
}
"""What a row says of its part, besides its id and since when it stands."""


def parts(settled: Iterable[SettledPart], into: Into) -> dict[str, SettledPart]:
    """The parts that are settled in one way, by their ids."""
    return {part.id: part for part in settled if part.into == into}


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
