"""The formats of exports, with values that spreadsheets and other programs get wrong."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from ledger.store.positions import reached_from_text
from ledger.values import CURRENCY_SCALES, instant_to_text
from makegood.exports import comma_separated, json_lines, parquet, spreadsheet
from makegood.exports.columns import columns_of
from makegood.exports.comma_separated import harmless
from makegood.exports.exporting import Export, Totals, Write
from makegood.exports.lists import Exported
from projections.shown_values import Amount, Currency, Instant, LocalDate
from tests.door import read_back


class Entry(TypedDict):
    """A row with every kind of column."""

    entry_id: str
    note: str | None
    amount: Amount
    fee: Amount | None
    currency: Currency
    count: int
    open: bool
    day: LocalDate
    at: Instant
    links: list[str]


COLUMNS = columns_of(Entry)
KINDS = {column.name: str(column.kind) for column in COLUMNS}
WRITERS: dict[str, Write] = {
    "csv": comma_separated.write,
    "xlsx": spreadsheet.write,
    "jsonl": json_lines.write,
    "parquet": parquet.write,
}


def entry(**other: Any) -> dict[str, Any]:
    usual = {
        "entry_id": "e-1",
        "note": None,
        "amount": "11.20",
        "fee": None,
        "currency": "EUR",
        "count": 3,
        "open": True,
        "day": "2026-05-02",
        "at": "2026-04-24T12:16:09Z",
        "links": ["a", "b"],
    }
    return {**usual, **other}


def written(folder: Path, format_: str, pages: Iterator[list[Any]], **more: Any) -> Path:
    totals = Totals(("amount", "fee"))

    def counted() -> Iterator[list[Any]]:
        for page in pages:
            totals.add(page)
            yield page

    file = folder / f"entries.{format_}"
    asked = {"account": "=1+1", "status": None, "still_open": True}
    export = Export(
        Exported("claims", 1, "Entries", Entry, lambda: None),  # type: ignore[arg-type, return-value]
        COLUMNS,
        asked,
        "UTC",
        datetime(2026, 7, 1, tzinfo=UTC),
        reached_from_text("0:12"),
        counted(),
        totals,
    )
    partial(WRITERS[format_], **more)(export, file)
    return file


def back(folder: Path, format_: str, *rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return read_back.rows_of(written(folder, format_, iter([list(rows)]), **more), KINDS)


amounts = st.sampled_from(sorted(CURRENCY_SCALES)).flatmap(
    lambda currency: st.tuples(
        st.just(currency),
        st.integers(-(10**19) + 1, 10**19 - 1).map(lambda n: str(Decimal(n).scaleb(-CURRENCY_SCALES[currency]))),
    )
)
TRAPS = r"""=1+1 +1 -1 @SUM(A1) ' '=x '' _x0041_ <r><t>x</t></r> <r></r> &amp; a,b a"b http://x 1e5 001 TRUE \N"""
# calamine does not undo the escapes of U+FFFE and U+FFFF, which are no characters
signs = st.characters(exclude_categories=("Cs",), exclude_characters="\ufffe\uffff")
texts = st.text(signs, min_size=1) | st.sampled_from([*TRAPS.split(), "\tx", "\r=x", "\n", "a\r\nb", " x "])
instants = st.datetimes(datetime(1900, 3, 1), datetime(8999, 1, 1), timezones=st.just(UTC)).map(instant_to_text)
entries = st.builds(
    lambda money, fee, note, count, flag, day, at, links: entry(
        currency=money[0],
        amount=money[1],
        fee=fee and money[1],
        note=note,
        count=count,
        open=flag,
        day=day,
        at=at,
        links=links,
    ),
    amounts,
    st.booleans() | st.none(),
    texts | st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.dates(datetime(1900, 3, 1).date(), datetime(8999, 1, 1).date()).map(str),
    instants,
    st.lists(texts, max_size=3),
)


class TestEveryValueComesBack:
    @pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
    @given(rows=st.lists(entries, max_size=5))
    def test_exactly(self, format_: str, rows: list[dict[str, Any]]) -> None:
        rows = [{**row, "fee": row["fee"] or None} for row in rows]
        with TemporaryDirectory() as folder:
            assert back(Path(folder), format_, *rows) == rows

    @given(rows=st.lists(entries, max_size=5))
    def test_in_a_spreadsheet_with_instants_to_the_millisecond(self, rows: list[dict[str, Any]]) -> None:
        rows = [
            {**row, "fee": row["fee"] or None, "at": f"{row['at'][:19]}Z", "count": row["count"] % 10**15}
            for row in rows
        ]
        with TemporaryDirectory() as folder:
            assert back(Path(folder), "xlsx", *rows) == rows


class TestCSV:
    def test_what_begins_like_a_formula_is_text_and_a_negative_amount_stays_a_number(self, tmp_path: Path) -> None:
        file = written(tmp_path, "csv", iter([[entry(note="=HYPERLINK(1)", amount="-5.00"), entry(note="'quoted")]]))
        with file.open(newline="") as lines:
            first, second = csv.DictReader(lines)
        assert first["note"] == "'=HYPERLINK(1)"
        assert first["amount"] == "-5.00"
        assert second["note"] == "''quoted"

    @given(text=texts)
    def test_no_text_begins_like_a_formula_and_each_can_be_had_back(self, text: str) -> None:
        said = harmless(text)
        assert not said.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert said.removeprefix("'") == text

    def test_lines_end_as_rfc_4180_has_them_and_there_is_no_mark_at_the_beginning(self, tmp_path: Path) -> None:
        said = written(tmp_path, "csv", iter([[entry()]])).read_bytes()
        assert said == (
            b"entry_id,note,amount,fee,currency,count,open,day,at,links\r\n"
            b'e-1,,11.20,,EUR,3,true,2026-05-02,2026-04-24T12:16:09Z,"[""a"", ""b""]"\r\n'
        )


class TestXLSX:
    def test_an_amount_of_more_than_15_digits_is_text_and_whole(self, tmp_path: Path) -> None:
        amounts = ["999999999999999.99", "9999999999999.99", "100000000000000000.00", "-123456789012345.67"]
        file = written(tmp_path, "xlsx", iter([[entry(amount=amount) for amount in amounts]]))
        sheet = read_back.spreadsheet(file, KINDS)
        assert [row["amount"] for row in sheet.rows] == amounts
        assert sheet.totals == {"EUR": {"amount": sum(map(Decimal, amounts), Decimal(0))}}

    def test_an_export_of_many_rows_goes_on_in_further_sheets(self, tmp_path: Path) -> None:
        for count in range(1, 30):
            rows = [entry(entry_id=f"e-{n}") for n in range(count)]
            (folder := tmp_path / str(count)).mkdir()
            file = written(folder, "xlsx", iter([rows]), rows_max=12)
            sheet = read_back.spreadsheet(file, KINDS)
            assert sheet.rows == rows
            assert sheet.totals == {"EUR": {"amount": Decimal("11.20") * count}}

    def test_a_text_that_no_cell_can_hold_says_where_to_find_it(self, tmp_path: Path) -> None:
        (row,) = back(tmp_path, "xlsx", entry(note="x" * 32_767))
        assert row["note"] == "x" * 32_767
        (tmp_path / "entries.xlsx").unlink()
        (row,) = back(tmp_path, "xlsx", entry(note="\U0001f9fe" * 16_384))
        assert row["note"] == spreadsheet.TOO_LONG

    def test_above_the_heading_stands_what_was_asked_as_text(self, tmp_path: Path) -> None:
        sheet = read_back.spreadsheet(written(tmp_path, "xlsx", iter([[]])), KINDS)
        assert sheet.top == {
            "Entries": "",
            "filter": "--account =1+1 --open",
            "as of": "2026-07-01T00:00:00Z",
            "position": "0:12",
            "columns": "version 1",
        }


def test_parquet_has_exact_types_and_says_what_was_asked(tmp_path: Path) -> None:
    file = written(tmp_path, "parquet", iter([[entry()]]))
    with duckdb.connect(":memory:") as connection:
        types = connection.execute("SELECT name, logical_type FROM parquet_schema(?)", [str(file)]).fetchall()
        said = connection.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(file)]).fetchall()
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file)]).fetchall()
    assert {name: type_ for name, type_, *_ in described} == {
        "entry_id": "VARCHAR",
        "note": "VARCHAR",
        "amount": "DECIMAL(38,4)",
        "fee": "DECIMAL(38,4)",
        "currency": "VARCHAR",
        "count": "BIGINT",
        "open": "BOOLEAN",
        "day": "DATE",
        "at": "TIMESTAMP WITH TIME ZONE",
        "links": "VARCHAR",
    }
    assert any(name == "at" and "isAdjustedToUTC=1" in str(type_) for name, type_ in types)
    assert {(key.decode(), value.decode()) for key, value in said} >= {
        ("filter", "--account =1+1 --open"),
        ("as_of", "2026-07-01T00:00:00Z"),
        ("position", "0:12"),
        ("columns", "version 1"),
    }


@pytest.mark.parametrize("format_", WRITERS)
def test_memory_does_not_grow_with_the_rows(format_: str, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        (folder := tmp_path / str(count)).mkdir()
        pages = ([entry(entry_id=f"e-{n}-{m}") for m in range(500)] for n in range(count))
        tracemalloc.start()
        written(folder, format_, pages)
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    few = peak(2)
    assert peak(16) < few * 1.5 + 1_000_000
