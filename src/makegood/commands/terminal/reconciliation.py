"""Terminal views of a reconciled file and of discrepancies."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from makegood.answers.reconciliation import Reconciled, is_open
from makegood.commands.terminal.printing import print_rows, print_sentences, say
from makegood.commands.terminal.tables import DISCREPANCIES
from makegood.exports.comma_separated import harmless
from makegood.house.control_characters import visible
from projections.reconciliation import Discrepancy

_CSV = (
    *("discrepancy_id", "kind", "account_id", "refund_id", "return_id", "differs"),
    *(f"{side}_{name}" for side in ("here", "there") for name in ("amount", "currency", "status", "reference")),
    *("day", "sha256", "line", "found_at", "found_by", "status", "settled_at", "settled_by", "matched"),
)


def show_reconciled(found: Reconciled) -> None:
    """Print what a file came to: its counts, and each discrepancy that is open."""
    print_sentences(
        f"{found['first_day']} to {found['last_day']}: {found['rows']} rows, {found['matched']} matched, "
        f"{found['ignored']} without a refund to compare, {found['settled']} discrepancies settled before"
    )
    for title, rows in (
        ("Went out here, missing there", found["missing_there"]),
        ("Listed there, unknown here", found["unknown_here"]),
        ("Differing", found["differing"]),
        ("Listed more than once", found["duplicates"]),
    ):
        if rows:
            print_rows([in_words(row) for row in rows], DISCREPANCIES.without("status"), title=title, empty="")
    for row in found["unreadable"]:
        column = f", {row['column']}" if row["column"] else ""
        say(f"line {row['line']}{column}: {row['reason']}")
    if is_open(found):
        say("settle each with `makegood reconciliation settle ID --reason …`, or record what is missing here")


def in_words(row: Discrepancy) -> Mapping[str, Any]:
    """A discrepancy with what each side says in a few words."""
    return {
        **row,
        "about": row["return_id"] or row["refund_id"] or _reference(row),
        "differs": ", ".join(row["differs"]),
        "stands_here": _said(row, "here"),
        "stands_there": _said(row, "there"),
    }


def _said(row: Mapping[str, Any], side: str) -> str | None:
    said = row[side]
    return f"{said['amount']} {said['currency']} {said['status']}" if said is not None else None


def _reference(row: Discrepancy) -> str | None:
    return row["there"]["reference"] if row["there"] is not None else None


def print_csv(rows: Sequence[Discrepancy]) -> None:
    """Print discrepancies as CSV; no cell of it is a formula to a spreadsheet."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_CSV)
    for row in rows:
        flat: dict[str, Any] = {**row, "differs": " ".join(row["differs"])}
        for side in ("here", "there"):
            flat |= {f"{side}_{name}": value for name, value in (flat[side] or {}).items()}
        flat["day"] = row["there"]["day"] if row["there"] is not None else None
        writer.writerow([_cell(flat.get(name)) for name in _CSV])


def _cell(value: Any) -> str:
    return harmless(visible("" if value is None else str(value).lower() if isinstance(value, bool) else str(value)))
