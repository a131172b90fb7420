"""The document of finance's views, docs/contract/finance-views.json."""

from __future__ import annotations

from typing import Any

from projections.finance_views import FINANCE
from projections.making_views import all_views
from projections.views import TYPES, View


def document() -> dict[str, Any]:
    """The version of the views, and each view with its columns and the types that these have in each database."""
    return {
        "version": FINANCE.version,
        "kinds": TYPES,
        "views": {view.name: _described(view) for view in all_views(FINANCE)},
    }


def _described(view: View) -> dict[str, Any]:
    return {
        "postgresql": f"{FINANCE.name}.{view.name}",
        "sqlite": f"{FINANCE.name}_{view.name}",
        "description": view.description,
        "columns": [
            {"name": column.name, "kind": column.kind, "description": column.description} for column in view.columns
        ],
    }
