"""The document of the exports' columns, docs/contract/exports.json."""

from __future__ import annotations

from typing import Any

from makegood.exports.bookkeeping import ACCOUNTS, ENTRIES
from makegood.exports.columns import DESCRIBED, Column, columns_of
from makegood.exports.journal import TAGS
from makegood.exports.lists import EXPORTED, LIST_FORMATS


def document() -> dict[str, Any]:
    """Every list with the version of its columns, each column with its kind; and the accounts of the journal."""
    lists = [exported for exported in EXPORTED.values() if exported.formats == LIST_FORMATS]
    return {
        "kinds": DESCRIBED,
        "exports": {
            exported.what: {
                "version": exported.version,
                "columns": [_described(column) for column in columns_of(exported.rows)],
            }
            for exported in lists
        },
        "journal": {
            "version": EXPORTED["journal"].version,
            "accounts": ACCOUNTS,
            "entries": {kind: {"debit": entry.debit, "credit": entry.credit} for kind, entry in ENTRIES.items()},
            "tags": TAGS,
        },
    }


def _described(column: Column) -> dict[str, Any]:
    said = {"description": column.description} if column.description is not None else {}
    return {"name": column.name, "kind": column.kind, "nullable": column.nullable, **said}
