"""What an export wrote, in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import print_rows, print_sentences

if TYPE_CHECKING:
    from makegood.exports.exporting import ExportDone


def show_export(what: str, file: Path, done: ExportDone) -> None:
    """The number of rows, the totals by currency, and the file's SHA-256."""
    rows = "transactions" if what == "journal" else what
    print_sentences(f"{done['rows']} {rows} written to {file}, as of {done['as_of']}, SHA-256 {done['sha256']}")
    totals = [
        {name: value for name, value in total.items() if name != "sums"} | total["sums"] for total in done["totals"]
    ]
    if totals:
        names = list(dict.fromkeys(name for total in totals for name in total))
        amounts = tuple(name for name in names if name not in ("currency", "kind"))
        print_rows(
            totals,
            Columns.made_of({name: name.replace("_", " ") for name in names}, right=amounts),
            title="Totals",
            empty="",
        )
