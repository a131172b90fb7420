"""Views over the tables of projections, for people who ask a database with tools of their own (decision 0042).

A view is declared once, with what each of its columns holds and means. Every database has it in types of its own:
PostgreSQL in a schema, with a comment on each view and column, SQLite with a prefix, and the same words inside its
definition. Tables change their names with each version of a projection; views keep theirs, and are made anew when
what stands behind them has changed (projections/making_views.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "boolean", "date", "instant", "amount"]
"""What a column of a view holds."""
Kept = Literal["as shown", "in minor units"]

TYPES: Mapping[Kind, Mapping[str, str]] = {
    "text": {"postgresql": "text", "sqlite": "TEXT"},
    "integer": {"postgresql": "bigint", "sqlite": "INTEGER"},
    "boolean": {"postgresql": "boolean", "sqlite": "INTEGER: 1 for yes, 0 for no"},
    "date": {"postgresql": "date", "sqlite": "TEXT: YYYY-MM-DD"},
    "instant": {
        "postgresql": "timestamptz",
        "sqlite": "TEXT: YYYY-MM-DDTHH:MM:SS.ffffffZ, in UTC, which sorts as instants do",
    },
    "amount": {
        "postgresql": "numeric: in major units, at the scale of the row's currency",
        "sqlite": "TEXT: in major units, at the scale of the row's currency; beside it NAME_minor, INTEGER: in minor "
        "units, which SUM adds up exactly, null beyond 18 digits",
    },
}
"""The type of each kind of column, by database. Nowhere is an amount a floating-point number."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view. `source` is its expression, where it is not the column of that name.

    An amount is read from TEXT as it is shown, or from whole minor units of the view's `currency`.
    """

    name: str
    kind: Kind
    description: str
    source: str = ""
    kept: Kept = "as shown"


@dataclass(frozen=True, slots=True)
class View:
    """A view: what its rows are, and where they come from.

    `source` follows FROM, in SQL that both databases take, with `{name}` for the table of a projection,
    `MINOR(column)` for an amount in minor units, `ELEMENTS(column)` for the elements of a JSON array, each a `value`
    of which `->>` gives a field. `currency` is the expression for the rows' currency.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    source: str
    currency: str = "currency"

    def tables(self) -> list[str]:
        """The names of the projections' tables that it reads."""
        return re.findall(r"\{(\w+)\}", self.source)


@dataclass(frozen=True, slots=True)
class Views:
    """All views, with the version under which they are a contract, and what they are called together.

    A column may be added behind the others at any time. One that goes, or becomes of another kind, makes the next
    version.
    """

    name: str
    version: int
    views: tuple[View, ...]
