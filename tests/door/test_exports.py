"""`makegood export`: every row of a list in one file, exactly, in one state of the store, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import typer

from makegood.access.sight import EVERYTHING
from makegood.answers import owed
from makegood.cli import app
from makegood.exports.contract import document
from makegood.exports.exporting import export
from makegood.exports.lists import EXPORTED, LIST_FORMATS
from makegood.exports.reading import pages
from makegood.house.one_state import one_state
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import Door
from tests.door.read_back import columns_of, rows_of, spreadsheet
from tests.door.test_commands import ACCOUNT, CYCLE, SUBSCRIPTION

pytestmark = pytest.mark.long

FORMATS = LIST_FORMATS
LISTS = [what for what, exported in EXPORTED.items() if exported.formats == FORMATS]
RELEASED = Path(__file__).with_name("exported_columns.json")


def to_the_millisecond(back: list[dict[str, Any]], rows: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """The rows of a spreadsheet with the list's instants, where they are less than a millisecond away."""
    instants = [name for name, kind in columns_of(what).items() if kind == "instant"]
    return [
        {**found, **{name: row[name] for name in instants if _close(found[name], row[name])}}
        for found, row in zip(back, rows, strict=True)
    ]


def _close(found: str | None, row: str | None) -> bool:
    if found is None or row is None:
        return found is row
    return abs(datetime.fromisoformat(found) - datetime.fromisoformat(row)) < timedelta(milliseconds=1)


def listed(door: Door, what: str, *options: str) -> list[dict[str, Any]]:
    """The rows of a list."""
    found = door.json(what, *options)
    return found["rows"] if what == "movements" else found


def group_of(row: dict[str, Any]) -> str:
    """What totals are by."""
    return f"{row['currency']} {row.get('kind', '')}".strip()


def sums(rows: list[dict[str, Any]], what: str) -> dict[str, dict[str, Decimal]]:
    amounts = [name for name, kind in columns_of(what).items() if kind == "amount"]
    found: dict[str, dict[str, Decimal]] = {}
    for row in rows if amounts else ():
        of = found.setdefault(group_of(row), {})
        for name in amounts:
            if row[name] is not None:
                of[name] = of.get(name, Decimal(0)) + Decimal(row[name])
    return found


class TestAListInAFile:
    @pytest.mark.parametrize("what", LISTS)
    def test_other_libraries_read_back_every_row_and_its_totals(
        self, what: str, twenty_accounts_in_july: Door, tmp_path: Path
    ) -> None:
        door = twenty_accounts_in_july
        rows = listed(door, what)
        assert len(rows) > 3
        for format_ in FORMATS:
            file = tmp_path / f"{what}.{format_}"
            done = door.json("export", what, "--format", format_, "--to", str(file))
            assert done["rows"] == len(rows)
            assert done["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
            assert {
                group_of(total): {name: Decimal(of) for name, of in total["sums"].items()} for total in done["totals"]
            } == sums(rows, what)
            back = rows_of(file, columns_of(what))
            assert (to_the_millisecond(back, rows, what) if format_ == "xlsx" else back) == rows, format_

    def test_the_spreadsheet_says_what_was_asked_and_ends_with_the_totals(
        self, twenty_accounts_in_july: Door, tmp_path: Path
    ) -> None:
        door, file = twenty_accounts_in_july, tmp_path / "claims.xlsx"
        done = door.json("export", "claims", "--outcome", "granted", "--format", "xlsx", "--to", str(file))
        rows = door.json("claims", "--outcome", "granted")
        sheet = spreadsheet(file, columns_of("claims"))
        assert sheet.top == {
            "Claims": "",
            "filter": "--outcome granted",
            "as of": "2026-07-01T00:00:00Z",
            "position": done["position"],
            "columns": "version 1",
        }
        assert sheet.totals == sums(rows, "claims")
        assert len(sheet.totals) > 1

    def test_a_filter_leaves_out_what_the_list_leaves_out(
        self, twenty_accounts_in_july: Door, tmp_path: Path
    ) -> None:
        door = twenty_accounts_in_july
        asked = {
            "claims": ("--clause", "unused_period"),
            "refunds": ("--status", "failed"),
            "credits": ("--account", "acct-0005"),
            "disputes": ("--overdue",),
            "complaints": ("--open",),
            "movements": ("--kind", "refund_due", "--currency", "EUR"),
        }
        assert asked.keys() == {*LISTS}
        for what, options in asked.items():
            file = tmp_path / f"{what}.jsonl"
            door("export", what, *options, "--format", "jsonl", "--to", str(file))
            assert rows_of(file, columns_of(what)) == listed(door, what, *options)
            assert len(rows_of(file, columns_of(what))) < len(listed(door, what))

    def test_the_same_state_makes_the_same_bytes(self, twenty_accounts_in_july: Door, tmp_path: Path) -> None:
        """A command records that somebody exported, so that the next one finds a later state."""
        with open_house(Settings(store=twenty_accounts_in_july.store)) as house:
            for format_ in FORMATS:
                files = [tmp_path / f"{n}.{format_}" for n in range(2)]
                said = [export(house, EVERYTHING, "refunds", format_, file, {}) for file in files]
                assert said[0] == said[1]
                assert files[0].read_bytes() == files[1].read_bytes()

    def test_a_moment_makes_the_same_bytes_for_ever(self, twenty_accounts_in_july: Door, tmp_path: Path) -> None:
        asked = ("export", "refunds", "--format", "csv", "--known-at", "0:2000")
        said = [twenty_accounts_in_july.json(*asked, "--to", str(tmp_path / f"{n}.csv")) for n in range(2)]
        assert said[0] == said[1]

    def test_nothing_to_export_makes_a_file_with_a_heading(self, sandbox: Door, tmp_path: Path) -> None:
        for format_ in FORMATS:
            file = tmp_path / f"refunds.{format_}"
            done = sandbox.json("export", "refunds", "--format", format_, "--to", str(file))
            assert (done["rows"], done["totals"]) == (0, [])
            assert rows_of(file, columns_of("refunds")) == []

    def test_people_are_told_how_many_rows_and_what_they_add_up_to(
        self, twenty_accounts_in_july: Door, tmp_path: Path
    ) -> None:
        file = tmp_path / "refunds.csv"
        said = twenty_accounts_in_july("export", "refunds", "--format", "csv", "--to", str(file))
        count = len(rows_of(file, columns_of("refunds")))
        assert said.startswith(f"{count} refunds written to {file}, as of 2026-07-01T00:00:00Z, SHA-256 ")
        assert "EUR" in said
        assert twenty_accounts_in_july.errors == ""


class TestTheFile:
    def test_only_its_owner_can_read_it(self, sandbox: Door, tmp_path: Path) -> None:
        for format_ in FORMATS:
            file = tmp_path / f"claims.{format_}"
            sandbox("export", "claims", "--format", format_, "--to", str(file))
            assert f"{file.stat().st_mode & 0o777:o}" == "600"

    def test_a_file_that_is_there_stays_unless_it_may_be_replaced(self, sandbox: Door, tmp_path: Path) -> None:
        file = tmp_path / "claims.csv"
        file.write_text("mine")
        sandbox("export", "claims", "--format", "csv", "--to", str(file), exits=1)
        assert sandbox.errors == f"makegood: {file} already exists: name another file, or replace it with --force\n"
        assert file.read_text() == "mine"
        sandbox("export", "claims", "--format", "csv", "--to", str(file), "--force")
        assert file.read_text().startswith("claim_id,")
        assert f"{file.stat().st_mode & 0o777:o}" == "600"

    @pytest.mark.parametrize("format_", FORMATS)
    def test_a_full_disk_leaves_nothing_behind(
        self, format_: str, twenty_accounts_in_july: Door, tmp_path: Path
    ) -> None:
        folder = tmp_path / "there"
        folder.mkdir()
        with files_of_at_most(4096):
            twenty_accounts_in_july("export", "claims", "--format", format_, "--to", str(folder / "claims"), exits=1)
        assert list(folder.iterdir()) == []

    def test_a_folder_that_is_missing_and_an_account_that_is_unknown_are_named(
        self, sandbox: Door, tmp_path: Path
    ) -> None:
        sandbox("export", "claims", "--format", "csv", "--to", str(tmp_path / "no" / "claims.csv"), exits=1)
        assert f"the folder {tmp_path / 'no'} does not exist" in sandbox.errors
        sandbox("export", "claims", "--format", "csv", "--to", str(tmp_path), exits=1)
        assert f"{tmp_path} is not a file" in sandbox.errors
        file = str(tmp_path / "claims.csv")
        sandbox("export", "claims", "--account", "acct-nobody", "--format", "csv", "--to", file, exits=1)
        assert "account acct-nobody not found" in sandbox.errors
        sandbox("export", "claims", "--format", "pdf", "--to", file, exits=64)
        assert "csv, xlsx, jsonl, parquet" in sandbox.errors

    def test_a_missing_library_is_named_by_its_extra(self, sandbox: Door, tmp_path: Path) -> None:
        with patch.dict(sys.modules, {"duckdb": None}):
            sandbox("export", "claims", "--format", "parquet", "--to", str(tmp_path / "claims.parquet"), exits=1)
        assert "install `makegood[parquet]`" in sandbox.errors
        assert not (tmp_path / "claims.parquet").exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_that_come_meanwhile_are_in_no_page(twenty_accounts_in_july: Door, lines: Any) -> None:
    door = twenty_accounts_in_july
    before = door.json("claims")
    with open_house(Settings(store=door.store)) as house, one_state(house) as standing:
        found = pages(standing, lambda now, page: owed.claims(now, EVERYTHING, page=page), rows_at_once=3)
        rows = list(next(found))
        subject = {"subject": "zz-last", "time": "2026-06-30T00:00:00Z"}
        confirmed = CYCLE | {
            "id": "m-4",
            "type": "voip.overcharge.confirmed.v1",
            "data": {"dispute_id": "d", "charge_id": "c", "amount": "1.00", "currency": "EUR"},
        }
        door("ingest", lines(*(message | subject for message in (ACCOUNT, SUBSCRIPTION, CYCLE, confirmed))))
        for page in found:
            rows += page
        assert rows == before
    assert len(door.json("claims")) == len(before) + 1


class TestTheContract:
    def test_a_column_that_was_released_stays_as_it_is(self) -> None:
        released = json.loads(RELEASED.read_text(encoding="utf-8"))
        for what, now in document()["exports"].items():
            there = {column["name"]: column["kind"] for column in now["columns"]}
            then = released[what][str(now["version"])]
            kept = {name: there.get(name) for name in then}
            assert kept == then, f"count the version of the export {what} up, or keep these columns"
            assert list(there) == list(then), f"write the new columns of {what} to {RELEASED.name}"

    @pytest.mark.parametrize("what", LISTS)
    def test_an_export_has_the_filters_of_its_list(self, what: str) -> None:
        group = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        of_the_list = {parameter.name: parameter.opts for parameter in group[what].params}
        of_the_export = {parameter.name: parameter.opts for parameter in group["export"].commands[what].params}
        for name in ("columns", "to", "by", "by_age", "dormant"):
            of_the_list.pop(name, None)
        for name in ("format_", "to", "until", "force"):
            of_the_export.pop(name, None)
        assert of_the_export == of_the_list, (
            "but for counts, and for the last day, because an export's --to is the file"
        )

    def test_csv_says_its_columns_in_their_order(self, sandbox: Door, tmp_path: Path) -> None:
        for what in LISTS:
            sandbox("export", what, "--format", "csv", "--to", str(tmp_path / what))
            with (tmp_path / what).open(newline="") as lines:
                assert next(csv.reader(lines)) == list(columns_of(what))
