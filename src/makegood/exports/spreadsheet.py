"""XLSX: typed cells under a frozen heading with filters, above them what was asked and when, below them the totals.

A spreadsheet keeps numbers as binary fractions with 15 reliable digits. An amount with more is written whole, as
text, so that no amount is changed in silence. Totals are the exact sums and not formulas.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from ledger.values import CURRENCY_SCALES, instant_from_text, instant_to_text

if TYPE_CHECKING:
    from xlsxwriter.format import Format as CellFormat
    from xlsxwriter.worksheet import Worksheet

    from makegood.exports.columns import Column, Kind, Row
    from makegood.exports.exporting import Export

ROWS_MAX = 1_048_576
"""The rows of one sheet; an export with more goes on in the next."""
DIGITS_MAX = 15
"""The significant decimal digits that a binary fraction of 64 bits keeps, whatever they are (DBL_DIG)."""
TEXT_MAX = 32_767
"""The UTF-16 units of one cell."""
TOO_LONG = "longer than a cell can hold: see the export as csv or jsonl"

_WIDTHS: dict[Kind, int] = {"text": 24, "currency": 9, "amount": 16, "integer": 12, "boolean": 10, "date": 12}
_WIDTH = 22


def write(export: Export, file: Path, rows_max: int = ROWS_MAX) -> None:
    """Write the workbook."""
    with _Output(io.FileIO(file, "x")) as out:
        try:
            book = xlsxwriter.Workbook(out, {"constant_memory": True, "tmpdir": str(file.parent)})
            book.use_zip64()  # only where a sheet is larger than 4 GiB
            created = export.as_of.replace(tzinfo=None)  # so that one state of the store makes the same bytes
            book.set_properties({"title": export.exported.title, "created": created})
            sheets = _Sheets(export, book, rows_max)
            for rows in export.pages:
                for row in rows:
                    sheets.put(row)
            sheets.end()
            book.close()
        except BaseException as error:
            out.given_up = True
            if isinstance(error, FileCreateError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


class _Output(io.BufferedWriter):
    """A file that can be given up: the archive in it ends itself even after a failure, and would fail anew."""

    given_up = False

    def write(self, data: Any) -> int:
        return len(data) if self.given_up else super().write(data)

    def seek(self, to: int, whence: int = 0) -> int:
        return 0 if self.given_up else super().seek(to, whence)

    def tell(self) -> int:
        return 0 if self.given_up else super().tell()

    def flush(self) -> None:
        if not self.given_up:
            super().flush()


@dataclass(slots=True)
class _Sheets:
    """The sheets of a workbook: one, and another each time one is full."""

    export: Export
    book: xlsxwriter.Workbook
    rows_max: int
    formats: dict[str, CellFormat] = field(init=False, default_factory=dict)
    sheet: Worksheet = field(init=False)
    heading: int = field(init=False)
    """The row of the heading on the current sheet."""
    at: int = field(init=False)
    """The row that comes next."""
    count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._open()

    def put(self, row: Row) -> None:
        """Write one row of the list."""
        if self.at >= self.rows_max:
            self._close()
            self._open()
        for number, column in enumerate(self.export.columns):
            value = row[column.name]
            if value is not None:
                self._cell(number, column, value, row)
        self.at += 1

    def end(self) -> None:
        """Write the totals of all sheets, a row for each currency, below an empty one."""
        self._close()
        totals = self.export.totals
        if self.at + 1 + max(1, len(totals.sums)) > self.rows_max:
            self._open(headed=False)
        else:
            self.at += 1
        if not totals.sums:
            self._text(0, f"{totals.rows} rows")
        for group, count, sums in totals.by_group():
            self._text(0, f"total of {count} rows", self._bold())
            for number, column in enumerate(self.export.columns):
                if column.name in group:
                    self._text(number, group[column.name], self._bold())
                elif column.name in sums:
                    self._amount(number, sums[column.name], group["currency"], bold=True)
            self.at += 1

    def _open(self, *, headed: bool = True) -> None:
        export = self.export
        self.count += 1
        title = export.exported.title
        self.sheet = self.book.add_worksheet(title if self.count == 1 else f"{title} {self.count}")
        for number, column in enumerate(export.columns):
            self.sheet.set_column(number, number, _WIDTHS.get(column.kind, _WIDTH))
        self.at = 0
        if self.count == 1:
            self._on_top()
        self.heading = self.at
        if not headed:
            return
        for number, column in enumerate(export.columns):
            self._text(number, column.name, self._bold())
        self.at += 1
        self.sheet.freeze_panes(self.at, 0)

    def _on_top(self) -> None:
        export = self.export
        self._text(0, export.exported.title, self._bold())
        said = {
            "filter": export.filter_in_words(),
            "as of": instant_to_text(export.as_of),
            "position": str(export.position),
            "columns": f"version {export.exported.version}",
        }
        for at, (name, words) in enumerate(said.items(), 1):
            self.at = at
            self._text(0, name)
            self._text(1, words)
        self.at += 2

    def _close(self) -> None:
        last = max(self.at - 1, self.heading)
        self.sheet.autofilter(self.heading, 0, last, len(self.export.columns) - 1)

    def _cell(self, number: int, column: Column, value: Any, row: Row) -> None:
        match column.kind:
            case "amount":
                self._amount(number, Decimal(value), row["currency"])
            case "integer" if len(str(abs(value))) <= DIGITS_MAX:
                self.sheet.write_number(self.at, number, value)
            case "boolean":
                self.sheet.write_boolean(self.at, number, value)
            case "instant":
                instant = instant_from_text(value).replace(tzinfo=None)
                self.sheet.write_datetime(self.at, number, instant, self._instant())
            case "date":
                self.sheet.write_datetime(self.at, number, date.fromisoformat(value), self._date())
            case "list":
                self._text(number, json.dumps(value, ensure_ascii=False))
            case _:
                self._text(number, str(value))

    def _amount(self, number: int, amount: Decimal, currency: str, *, bold: bool = False) -> None:
        scale = CURRENCY_SCALES[currency]
        if len(amount.normalize().as_tuple().digits) > DIGITS_MAX:
            self._text(number, str(amount), self._format("exact", lambda: {"align": "right"}))
            return
        decimals = f".{'0' * scale}" if scale else ""
        shape = {"num_format": f"#,##0{decimals}\\ [${currency}];-#,##0{decimals}\\ [${currency}]", "bold": bold}
        self.sheet.write_number(self.at, number, amount, self._format(f"{currency} {bold}", lambda: shape))

    def _text(self, number: int, text: str, shape: CellFormat | None = None) -> None:
        if len(text.encode("utf-16-le")) // 2 > TEXT_MAX:
            text = TOO_LONG
        if text.startswith("<r>") and text.endswith("</r>"):
            # XlsxWriter would take it for the markup of a text with several fonts and write it unescaped.
            self.sheet.write_rich_string(self.at, number, text[0], self._format("plain", dict), text[1:])
        else:
            self.sheet.write_string(self.at, number, text, shape)

    def _bold(self) -> CellFormat:
        return self._format("bold", lambda: {"bold": True})

    def _instant(self) -> CellFormat:
        return self._format("instant", lambda: {"num_format": "yyyy-mm-dd hh:mm:ss"})

    def _date(self) -> CellFormat:
        return self._format("date", lambda: {"num_format": "yyyy-mm-dd"})

    def _format(self, name: str, made: Callable[[], dict[str, Any]]) -> CellFormat:
        if name not in self.formats:
            self.formats[name] = self.book.add_format(made())
        return self.formats[name]
