"""How overpaid claims are said to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projections.overpaid import Overpaid


def overpaid_in_words(row: Overpaid) -> Mapping[str, Any]:
    """An overpaid claim as a table shows it: what went out in a line, and whether its recovery was ordered."""
    out = ", ".join(f"{each['amount']} {row['currency']} {each['id']}" for each in row["went_out"])
    ordered = row["recovery_ordered_by"]
    return {**row, "out": out, "recovery": f"ordered by {ordered}" if ordered is not None else "–"}
