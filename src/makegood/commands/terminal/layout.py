"""How rows become the lines of a table: aligned, whole, and as wide as whoever reads them can take.

No id, date or amount is ever cut or broken. Where a terminal is too narrow for all columns, those give way that the
table names for it; where even the others do not fit, each row is shown with its fields under one another.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from typing import Any, get_args

from typing_extensions import get_type_hints

from makegood.house.control_characters import visible
from projections.shown_values import Amount

GAP = "  "
PROSE_WIDTH_MIN = 30
"""A column of sentences is wrapped between words, and no narrower than this."""


class NoSuchColumn(ValueError):
    """A column was asked for that the rows do not have; the message names those that they have."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table: fields of a type of rows, each with its heading.

    Amounts and the numbers in `right` stand under one another. `made` are columns that the rows are given for
    people, and `prose` are sentences. `totals` are amounts that are added up for each currency, and `give_way` are
    the columns that are left out, first to last, where a terminal is too narrow for all.
    """

    of: type
    headings: Mapping[str, str]
    right: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    prose: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    give_way: tuple[str, ...] = ()

    @classmethod
    def made_of(cls, headings: Mapping[str, str], **kinds: tuple[str, ...]) -> Columns:
        """Columns of rows that are made for one table and have no type of their own."""
        return cls(dict, headings, made=tuple(headings), **kinds)

    def known(self) -> list[str]:
        """All columns that the rows have."""
        fields = self._fields()
        return [*fields, *(name for name in self.made if name not in fields)]

    def without(self, *names: str) -> Columns:
        """The same but for some columns. Raises NoSuchColumn for a column that is not there."""
        absent = [name for name in names if name not in self.headings]
        if absent:
            raise NoSuchColumn(f"there are no columns {', '.join(absent)} to leave out")
        return replace(self, headings={name: said for name, said in self.headings.items() if name not in names})

    def chosen(self, names: Sequence[str]) -> Columns:
        """These columns in this order, of which none gives way. Raises NoSuchColumn."""
        known = self.known()
        for name in names:
            if name not in known:
                raise NoSuchColumn(f"there is no column {name!r}; there are {', '.join(known)}")
        headings = {name: self.headings.get(name, name.removesuffix("_id").replace("_", " ")) for name in names}
        return replace(self, headings=headings, give_way=())

    def fields(self) -> Columns:
        """The same without the columns that are made for people."""
        return replace(self, made=())

    def to_the_right(self) -> frozenset[str]:
        """The columns that stand to the right: amounts, and the numbers that are named so."""
        amounts = {name for name, of in self._fields().items() if _is_amount(of)}
        return frozenset(amounts.union(self.right).intersection(self.headings))

    def _fields(self) -> Mapping[str, Any]:
        return get_type_hints(self.of, include_extras=True) if self.of is not dict else {}


def _is_amount(hint: Any) -> bool:
    """Whether a field holds an amount: also where it may be null, and where more is said of it."""
    (of_amounts,) = Amount.__metadata__  # type: ignore[attr-defined]
    return any(each is of_amounts for each in getattr(hint, "__metadata__", ())) or any(
        _is_amount(part) for part in get_args(hint)
    )


NOTHING = "–"


def shown(value: Any) -> str:
    """One value in a cell or a sentence, on one line and without control characters."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, str):
        return visible(_FRACTION_OF_A_SECOND.sub(r"\1Z", value), lines=False)
    return visible(str(value), lines=False)


_FRACTION_OF_A_SECOND = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$")
"""People read instants to the second; `--json` has them whole."""


class Layout:
    """Rows laid out for a terminal of some width, or for a pipe, whose lines are as long as they need to be."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], columns: Columns, width: int | None) -> None:
        self._headings = columns.headings
        self._rows = [{name: shown(row.get(name)) for name in columns.headings} for row in rows]
        self._totals = _totals(self._rows, columns)
        self._right = columns.to_the_right()
        self._widths = {name: self._widest(name) for name in columns.headings}
        self.left_out: list[str] = []
        """The headings of the columns that had to give way."""
        for name in columns.give_way:
            if width is not None and name in self._widths and self._needed(columns.prose) > width:
                del self._widths[name]
                self.left_out.append(self._headings[name] or name)
        self._fits = width is None or self._needed(columns.prose) <= width
        self._prose = [name for name in columns.prose if name in self._widths]
        if width is not None and self._fits:
            for name in self._prose:
                others = self._needed(()) - self._widths[name]
                self._widths[name] = max(PROSE_WIDTH_MIN, min(self._widths[name], width - others))

    def heading(self) -> Iterator[str]:
        """The lines above the rows."""
        if self._fits:
            yield self._line(self._headings)

    def lines(self) -> Iterator[str]:
        """The rows, and below them what their amounts add up to."""
        if not self._fits:
            yield from self._under_one_another()
            return
        rule = self._line({name: "─" * width for name, width in self._widths.items()})
        yield rule
        for row in self._rows:
            yield from self._wrapped(row)
        if self._totals:
            yield rule
            label = next((name for name in self._widths if name not in self._totals[0]), None)
            for total in self._totals:
                yield self._line(defaultdict(str, total, **({label: TOTAL} if label is not None else {})))

    def _widest(self, name: str) -> int:
        cells = (
            self._headings[name],
            *(row[name] for row in self._rows),
            *(sum.get(name, TOTAL) for sum in self._totals),
        )
        return max(map(_width, cells))

    def _needed(self, prose: Collection[str]) -> int:
        """How wide a line is where the columns of sentences are as narrow as they may be."""
        widths = [min(width, PROSE_WIDTH_MIN) if name in prose else width for name, width in self._widths.items()]
        return sum(widths) + len(GAP) * (len(widths) - 1)

    def _wrapped(self, row: dict[str, str]) -> Iterator[str]:
        if not self._prose:
            yield self._line(row)
            return
        parts = {name: _folded(row[name], self._widths[name]) for name in self._prose}
        yield self._line(row | {name: lines[0] for name, lines in parts.items()})
        for more in zip_longest(*(lines[1:] for lines in parts.values()), fillvalue=""):
            yield self._line(defaultdict(str, zip(parts, more, strict=True)))

    def _line(self, cells: Mapping[str, str]) -> str:
        aligned = (_aligned(cells[name], width, name in self._right) for name, width in self._widths.items())
        return GAP.join(aligned).rstrip()

    def _under_one_another(self) -> Iterator[str]:
        named = {name: self._headings[name] or name for name in self._widths}
        indent = max(map(_width, named.values()))
        for number, row in enumerate((*self._rows, *self._totals)):
            if number:
                yield ""
            if number >= len(self._rows):
                yield TOTAL
            for name in named:
                if name in row:
                    yield f"{_aligned(named[name], indent, right=False)}{GAP}{row[name]}"


TOTAL = "total"


def _totals(rows: Sequence[Mapping[str, str]], columns: Columns) -> list[dict[str, str]]:
    """What the amounts add up to in each currency; nothing where that would only repeat the rows."""
    amounts = [name for name in columns.totals if name in columns.headings]
    if not amounts or "currency" not in columns.headings:
        return []
    sums: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        of = sums.setdefault(row["currency"], dict.fromkeys(amounts, Decimal(0)))
        for name in amounts:
            if row[name] != NOTHING:
                of[name] += Decimal(row[name])
    if len(sums) == len(rows):
        return []
    return [
        {"currency": currency} | {name: str(of[name]) for name in amounts} for currency, of in sorted(sums.items())
    ]


def _folded(sentence: str, width: int) -> list[str]:
    """A sentence's lines. An id with hyphens is a word like any other, and one that is too long stays whole."""
    return textwrap.wrap(sentence, width, break_long_words=False, break_on_hyphens=False) or [""]


def _aligned(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # only here: most tables are in ASCII

    return cell_len(text)
