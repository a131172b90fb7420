"""One export: the rows of a list, read in one state of the store and written to one file, with count and totals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from typing_extensions import TypedDict

from ledger.store.positions import Reached
from ledger.values import instant_to_text
from makegood.access.sight import Sight
from makegood.exports.columns import Column, Row, columns_of
from makegood.exports.lists import EXPORTED, Exported, What
from makegood.exports.reading import covered, one_state, pages
from makegood.house.opening import House
from projections.shown_values import Amount, Currency, Hash, Instant
from projections.shown_values import Reached as ReachedText

Format = Literal["csv", "xlsx", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""The formats of lists."""

Filters = Mapping[str, Any]
"""The filters of a list's question; None where a filter is not used."""
_NAMES = {"still_open": "open", "from_": "from", "min_amount": "min"}
"""The names of filters on the command line, where these differ."""


class ExportTotal(TypedDict):
    """The sums of all exported rows in one currency, by the names of their columns."""

    currency: Currency
    rows: int
    sums: dict[str, Amount]


class ExportDone(TypedDict):
    """What an export wrote: `makegood export`."""

    rows: int
    sha256: Hash
    totals: list[ExportTotal]
    as_of: Instant
    position: ReachedText


@dataclass(slots=True)
class Totals:
    """The number of rows, and the sums of each amount by currency."""

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def add(self, rows: list[Row], amounts: tuple[str, ...]) -> None:
        """Count a page of rows."""
        self.rows += len(rows)
        if not amounts:
            return
        for row in rows:
            currency = row["currency"]
            if currency is None:
                continue
            sums = self.sums.setdefault(currency, {})
            self.counts[currency] = self.counts.get(currency, 0) + 1
            for name in amounts:
                amount = row[name]
                if amount is not None:
                    sums[name] = sums[name] + Decimal(amount) if name in sums else Decimal(amount)

    def shown(self) -> list[ExportTotal]:
        """By currency."""
        return [
            {
                "currency": currency,
                "rows": self.counts[currency],
                "sums": {name: str(amount) for name, amount in sums.items()},
            }
            for currency, sums in sorted(self.sums.items())
        ]


@dataclass(frozen=True, slots=True)
class Export:
    """What a format writes: columns, the rows a page at a time, and what is said above them.

    `totals` are whole once all pages were taken.
    """

    exported: Exported
    columns: tuple[Column, ...]
    filters: Filters
    as_of: datetime
    position: Reached
    pages: Iterator[list[Row]]
    totals: Totals

    def filter_in_words(self) -> str:
        """The filters that are used, as they are written on the command line."""
        used = {_NAMES.get(name, name): value for name, value in self.filters.items() if value not in (None, False)}
        said = (f"--{name}" if value is True else f"--{name} {value}" for name, value in used.items())
        return " ".join(said) or "none"


class Write(Protocol):
    """A format: writes an export to a file that is not there yet."""

    def __call__(self, export: Export, file: Path) -> None: ...


def _write_of(format_: Format) -> Write:
    """Formats are loaded when they are asked for. Raises MissingExtra."""
    match format_:
        case "csv":
            from makegood.exports.comma_separated import write
        case "xlsx":
            from makegood.exports.spreadsheet import write
        case "jsonl":
            from makegood.exports.json_lines import write
        case "parquet":
            from makegood.exports.parquet import write
    return write


def export(
    house: House,
    sight: Sight,
    what: What,
    format_: Format,
    file: Path,
    filters: Filters,
    told: Callable[[int], None] = lambda _: None,
) -> ExportDone:
    """Write all rows of a list that the filters let through, as far as `sight` allows.

    `told` is called with the number of rows written so far. Raises MissingExtra where the format needs a library that
    is not installed, and OSError where the file cannot be written.
    """
    write = _write_of(format_)
    exported = EXPORTED[what]
    columns = columns_of(exported.rows)
    amounts = tuple(column.name for column in columns if column.kind == "amount")
    totals = Totals()
    with ExitStack() as reading:
        standing = reading.enter_context(one_state(house))
        as_of, position = standing.now(), covered(standing)

        def counted() -> Iterator[list[Row]]:
            for rows in pages(standing, lambda now, page: exported.question(now, sight, page=page, **filters)):
                totals.add(rows, amounts)
                yield rows
                told(totals.rows)
            reading.close()  # a format may still have a minute's work to do, in which no transaction must wait

        write(Export(exported, columns, filters, as_of, position, counted(), totals), file)
    return {
        "rows": totals.rows,
        "sha256": _sha256(file),
        "totals": totals.shown(),
        "as_of": instant_to_text(as_of),
        "position": str(position),
    }


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
