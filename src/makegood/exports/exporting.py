"""One export: the rows of a list, read in one state of the store and written to one file, with count and totals."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, NotRequired, Protocol, cast

from typing_extensions import TypedDict

from ledger.store.positions import Reached
from ledger.values import instant_to_text
from makegood.access.sight import Sight
from makegood.answers.another_time import HouseThen
from makegood.answers.moments import NOW, Moment
from makegood.exports.columns import Column, Row, columns_of
from makegood.exports.lists import EXPORTED, Exported, Format, What
from makegood.exports.reading import covered, pages
from makegood.house.one_state import one_state
from makegood.house.opening import House
from projections.movement_kinds import MovementKind
from projections.shown_values import Amount, Currency, Hash, Instant
from projections.shown_values import Reached as ReachedText

Asked = Mapping[str, Any]
"""The filters of a list's question; None where a filter is not used."""
_NAMES = {"still_open": "open", "from_": "from", "to": "until", "min_amount": "min"}
"""The names of filters on the command line, where these differ."""


class ExportTotal(TypedDict):
    """The sums of all exported rows in one currency, by the names of their columns; of movements also by kind."""

    currency: Currency
    kind: NotRequired[MovementKind]
    rows: int
    sums: dict[str, Amount]


class ExportDone(TypedDict):
    """What an export wrote: `makegood export`."""

    rows: int
    sha256: Hash
    totals: list[ExportTotal]
    as_of: Instant
    position: ReachedText


Group = tuple[str, ...]
"""A currency, and what else totals are by."""


@dataclass(slots=True)
class Totals:
    """The number of rows, and the sums of each amount by currency and the columns in `groups`."""

    amounts: tuple[str, ...]
    groups: tuple[str, ...] = ()
    rows: int = 0
    counts: dict[Group, int] = field(default_factory=dict)
    sums: dict[Group, dict[str, Decimal]] = field(default_factory=dict)

    def add(self, rows: list[Row]) -> None:
        """Count a page of rows."""
        self.rows += len(rows)
        if not self.amounts:
            return
        by = itemgetter("currency", *self.groups)
        for row in rows:
            group = by(row) if self.groups else (by(row),)
            sums = self.sums.setdefault(group, {})
            self.counts[group] = self.counts.get(group, 0) + 1
            for name in self.amounts:
                if row[name] is not None:
                    sums[name] = sums.get(name, 0) + Decimal(row[name])

    def by_group(self) -> Iterator[tuple[dict[str, str], int, dict[str, Decimal]]]:
        """What each group has in common, the number of its rows, and their sums."""
        for group, sums in sorted(self.sums.items()):
            yield dict(zip(("currency", *self.groups), group, strict=True)), self.counts[group], sums

    def currencies(self) -> set[str]:
        """The currencies of the rows."""
        return {group[0] for group in self.sums}

    def shown(self) -> list[ExportTotal]:
        """As the answer has them."""
        return [
            cast(ExportTotal, {**group, "rows": count, "sums": {name: str(amount) for name, amount in sums.items()}})
            for group, count, sums in self.by_group()
        ]


@dataclass(frozen=True, slots=True)
class Export:
    """What a format writes: columns, the rows a page at a time, and what is said above them.

    Days are those of the time zone `zone`. `totals` are whole once all pages were taken.
    """

    exported: Exported
    columns: tuple[Column, ...]
    filters: Asked
    zone: str
    as_of: datetime
    position: Reached
    pages: Iterator[list[Row]]
    totals: Totals

    def filter_in_words(self) -> str:
        """The filters that are used, as they are written on the command line."""
        used = {_NAMES.get(name, name): value for name, value in self.filters.items()}
        said = {f"--{name.replace('_', '-')}": value for name, value in used.items() if value not in (None, False)}
        options = (name if value is True else f"{name} {value or repr(value)}" for name, value in said.items())
        return " ".join(options) or "none"


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
        case "hledger":
            from makegood.exports.journal import write_hledger as write
        case "beancount":
            from makegood.exports.journal import write_beancount as write
    return write


def export(
    house: House,
    sight: Sight,
    what: What,
    format_: Format,
    file: Path,
    filters: Asked,
    told: Callable[[int], None] = lambda _: None,
    at: Moment = NOW,
) -> ExportDone:
    """Write all rows of a list that the filters let through, as far as `sight` allows.

    `at` is the moment of which the house is, where it is a house of another time (makegood/answers/another_time.py).
    `told` is called with the number of rows written so far. Raises MissingExtra where the format needs a library that
    is not installed, and OSError where the file cannot be written.
    """
    write = _write_of(format_)
    exported = EXPORTED[what]
    columns = columns_of(exported.rows)
    amounts = tuple(column.name for column in columns if column.kind == "amount")
    totals = Totals(amounts, exported.groups)
    with ExitStack() as reading:
        standing = reading.enter_context(one_state(house))
        as_of, position = standing.now(), house.reached if isinstance(house, HouseThen) else covered(standing)

        def counted() -> Iterator[list[Row]]:
            for rows in pages(standing, lambda now, page: exported.question(now, sight, page=page, **filters)):
                totals.add(rows)
                yield rows
                told(totals.rows)
            reading.close()  # a format may still have a minute's work to do, in which no transaction must wait

        asked, zone = {**filters, **at.words()}, house.settings.time_zone
        write(Export(exported, columns, asked, zone, as_of, position, counted(), totals), file)
    account = filters.get("account")
    (house.of(account) if account is not None else house).looked("export", account, totals.rows)
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
