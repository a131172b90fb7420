"""What the projections share of how claims are settled (policy §7): parts by their ids, and their columns."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ledger.events import Into, PartStatus, SettledPart
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


def refund_parts(settled: Iterable[SettledPart]) -> dict[str, SettledPart]:
    """The refunds of a claim by their ids, each with all that is settled under its id.

    One is open as long as any of it is, and has gone out only where all of it has.
    """
    found: dict[str, SettledPart] = {}
    for part in settled:
        if part.into == "refund":
            of_id = found.get(part.id)
            found[part.id] = part if of_id is None else _together(of_id, part)
    return found


_LEAST_DONE_FIRST: tuple[PartStatus, ...] = ("open", "failed", "rejected", "gone_out")


def _together(one: SettledPart, other: SettledPart) -> SettledPart:
    status = min(one.status, other.status, key=_LEAST_DONE_FIRST.index)
    return one.model_copy(update={"net": one.net + other.net, "tax": one.tax + other.tax, "status": status})


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
