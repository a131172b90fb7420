"""Exports read back by other libraries than those that write them, each row as the list has it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb
import python_calamine

from ledger.values import CURRENCY_SCALES, instant_to_text

Columns = Mapping[str, str]
"""The kind of each column, by name."""
PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "contract" / "exports.json"


def columns_of(what: str) -> Columns:
    """The columns as the contract publishes them."""
    told = json.loads(PUBLISHED.read_text(encoding="utf-8"))["exports"][what]["columns"]
    return {column["name"]: column["kind"] for column in told}


def rows_of(file: Path, columns: Columns) -> list[dict[str, Any]]:
    """The rows of an exported list in any format."""
    match file.suffix:
        case ".csv":
            return [_of_csv(row, columns) for row in _csv(file)]
        case ".xlsx":
            return spreadsheet(file, columns).rows
        case ".parquet":
            return [_of_parquet(row, columns) for row in _parquet(file)]
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


def _of_csv(row: Mapping[str, str], columns: Columns) -> dict[str, Any]:
    assert list(row) == list(columns)
    return {name: _from_field(row[name], kind) for name, kind in columns.items()}


def _from_field(field: str, kind: str) -> Any:
    if field == "":
        return None
    match kind:
        case "text":
            return field.removeprefix("'")
        case "integer":
            return int(field)
        case "boolean":
            return {"true": True, "false": False}[field]
        case "list":
            return json.loads(field)
        case _:
            return field


@dataclass
class Spreadsheet:
    """What a workbook says: above the heading, the rows, and below them the totals."""

    def __init__(
        self, top: dict[str, Any], rows: list[dict[str, Any]], totals: dict[str, dict[str, Decimal]]
    ) -> None:
        self.top = top
        self.rows = rows
        self.totals = totals


def spreadsheet(file: Path, columns: Columns) -> Spreadsheet:
    book = python_calamine.CalamineWorkbook.from_path(str(file))
    sheets = [book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names]
    heading = sheets[0].index(next(cells for cells in sheets[0] if cells[: len(columns)] == list(columns)))
    top = {str(cells[0]): cells[1] for cells in sheets[0][:heading] if cells[0] != ""}
    lines = sheets[0][heading + 1 :]
    for more in sheets[1:]:
        headed = more[0][: len(columns)] == list(columns)
        lines += more[1:] if headed else [[""] * len(columns), *more]
    below = next(at for at, cells in enumerate(lines) if all(cell == "" for cell in cells))
    rows = [_of_cells(cells, columns) for cells in lines[:below]]
    totals = {
        row["currency"]: {
            name: Decimal(row[name]) for name, kind in columns.items() if kind == "amount" and row[name]
        }
        for row in (_of_cells(cells, columns) for cells in lines[below + 1 :])
        if row.get("currency")
    }
    return Spreadsheet(top, rows, totals)


def _of_cells(cells: list[Any], columns: Columns) -> dict[str, Any]:
    found = dict(zip_longest(columns, cells, fillvalue=""))
    return {name: _from_cell(found[name], kind, str(found.get("currency"))) for name, kind in columns.items()}


def _from_cell(cell: Any, kind: str, currency: str) -> Any:
    if cell == "":
        return None
    match kind:
        case "amount" if isinstance(cell, float):
            return str(Decimal(repr(cell)).quantize(Decimal(1).scaleb(-CURRENCY_SCALES[currency])))
        case "integer":
            return int(cell)
        case "instant":
            assert isinstance(cell, date), cell
            at = cell if isinstance(cell, datetime) else datetime.combine(cell, time())  # midnight
            return instant_to_text(at.replace(tzinfo=UTC))
        case "date":
            assert isinstance(cell, date), cell
            return cell.isoformat()
        case "list":
            return json.loads(cell)
        case _:
            return cell


def _parquet(file: Path) -> list[dict[str, Any]]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(file)])
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def _of_parquet(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    assert list(row) == list(columns)
    currency = str(row.get("currency"))
    return {name: _from_value(row[name], kind, currency) for name, kind in columns.items()}


def _from_value(value: Any, kind: str, currency: str) -> Any:
    if value is None:
        return None
    match kind:
        case "amount":
            assert isinstance(value, Decimal), value
            return str(value.quantize(Decimal(1).scaleb(-CURRENCY_SCALES[currency])))
        case "instant":
            assert isinstance(value, datetime), value
            return instant_to_text(value)
        case "date":
            return value.isoformat()
        case "list":
            return json.loads(value)
        case _:
            return value
