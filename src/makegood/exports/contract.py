"""The document of the exports' columns, docs/contract/exports.json."""

from __future__ import annotations

from typing import Any

from makegood.exports.columns import DESCRIBED, Column, columns_of
from makegood.exports.lists import EXPORTED


def document() -> dict[str, Any]:
    """Every export with the version of its columns, and each column with its kind."""
    return {
        "kinds": DESCRIBED,
        "exports": {
            what: {
                "version": exported.version,
                "columns": [_described(column) for column in columns_of(exported.rows)],
            }
            for what, exported in EXPORTED.items()
        },
    }


def _described(column: Column) -> dict[str, Any]:
    said = {"description": column.description} if column.description is not None else {}
    return {"name": column.name, "kind": column.kind, "nullable": column.nullable, **said}
