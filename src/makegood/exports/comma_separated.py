"""CSV after RFC 4180, in UTF-8: a heading and the rows.

Amounts are numbers as they are shown, instants and dates ISO 8601. What is null is an empty field.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makegood.exports.columns import Column
    from makegood.exports.exporting import Export

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""Spreadsheets read what begins with one of these as a formula (OWASP, CSV injection); the apostrophe is our mark."""


def write(export: Export, file: Path) -> None:
    """Write the heading and the rows."""
    with file.open("x", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(column.name for column in export.columns)
        for rows in export.pages:
            writer.writerows([_cell(column, row[column.name]) for column in export.columns] for row in rows)


def _cell(column: Column, value: Any) -> Any:
    if value is None:
        return ""
    match column.kind:
        case "text":
            return harmless(value)
        case "boolean":
            return "true" if value else "false"
        case "list":
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    One that could be taken for a formula, or begins with an apostrophe, has an apostrophe before it. A program that
    reads the file takes one away where a text begins with it, and has every text exactly.
    """
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text
