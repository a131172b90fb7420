"""Parquet, written by DuckDB: amounts as exact decimals, instants and dates as such, lists as JSON.

Needs `makegood[parquet]`. DuckDB reads the rows from a file beside the one that it writes, and never holds them all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.values import CURRENCY_SCALES, instant_to_text
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.exports.columns import Column, Kind, Row
    from makegood.exports.exporting import Export

SCALE = max(CURRENCY_SCALES.values())
"""The decimals of every amount: enough for each currency, so that the columns' types are always the same."""
_TYPES: dict[Kind, str] = {
    "amount": f"DECIMAL(38, {SCALE})",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "instant": "TIMESTAMPTZ",
}
_MEMORY = "256MB"


class MissingExtra(Stop):
    """A library that is installed only where it is wanted is missing; the message names the extra."""


def write(export: Export, file: Path) -> None:
    """Write the file. Raises MissingExtra."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "Parquet needs a library that is not installed: install `makegood[parquet]`, or choose another format"
        ) from error

    rows = file.with_suffix(".rows")
    with rows.open("x", encoding="utf-8") as out:
        for page in export.pages:
            out.writelines(f"{json.dumps(_row(export.columns, row))}\n" for row in page)
    columns = {column.name: _TYPES.get(column.kind, "VARCHAR") for column in export.columns}
    said = {
        "title": export.exported.title,
        "filter": export.filter_in_words(),
        "as_of": instant_to_text(export.as_of),
        "position": str(export.position),
        "columns": f"version {export.exported.version}",
    }
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "memory_limit": _MEMORY,
        "threads": 1,
        "temp_directory": str(file.parent),
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_json({_quoted(rows)}, format = 'newline_delimited', columns = "
            f"{{{', '.join(f'{_quoted(name)}: {_quoted(type_)}' for name, type_ in columns.items())}}})) "
            f"TO {_quoted(file)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false, "
            f"KV_METADATA {{{', '.join(f'{name}: {_quoted(words)}' for name, words in said.items())}}})"
        )
    rows.unlink()


def _row(columns: tuple[Column, ...], row: Row) -> dict[str, Any]:
    return {column.name: _value(column, row[column.name]) for column in columns}


def _value(column: Column, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if column.kind == "list" and value is not None else value


def _quoted(text: str | Path) -> str:
    return "'" + str(text).replace("'", "''") + "'"
