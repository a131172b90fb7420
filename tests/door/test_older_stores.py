"""A store that an older version made goes on: its history reads, and what older rules had settled is settled anew.

`older_stores/` keeps a store of each version of the schema, as that version left it: a sandbox with nine accounts of
the sample in July. That of version 3 has ten, and twelve whose claims were settled as nobody would want (policy §7).
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.store.schema import SCHEMA_VERSION
from projections.catalog import CATALOG
from tests.door.conftest import Door

INSTRUCTIONS = next(each for each in CATALOG if each.name == "instructions")

OLDER = range(1, SCHEMA_VERSION)

KEPT = Path(__file__).parent / "older_stores"


@pytest.fixture
def older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """The store of schema 3, before settlement was worked out for whole invoices, brought up to date."""
    door = unpacked(3, tmp_path, capsys)
    door("migrate")
    return door


def unpacked(schema: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """The store that a version left."""
    for kept, name in ((f"schema-{schema}.db.gz", "books.db"), (f"schema-{schema}-vault.db.gz", "books-vault.db")):
        with gzip.open(KEPT / kept) as packed, (folder / name).open("wb") as file:
            shutil.copyfileobj(packed, file)
        (folder / name).chmod(0o600)
    return Door(f"sqlite:///{folder}/books.db", capsys)


@pytest.mark.parametrize(
    ("account", "stands"),
    [
        pytest.param("acct-old-01", {"owed": "8.00", "refund_due": "0.00"}, id="nothing was paid, nothing goes back"),
        pytest.param("acct-old-02", {"owed": "100.00", "overpaid": "0.00"}, id="a month taken back is owed again"),
        pytest.param("acct-old-06", {"owed": "100.00", "refund_due": "40.00"}, id="a claim that moved left nothing"),
        pytest.param(
            "acct-old-30", {"refunded": "16.00", "overpaid": "16.00"}, id="a refund that arrived is not lost"
        ),
        pytest.param("acct-old-15", {"owed": "15.00", "refund_due": "0.00"}, id="what failed was not paid"),
        pytest.param("acct-old-13", {"captured_in_excess": "9.00"}, id="the excess rests before it is a credit"),
    ],
)
def test_what_older_rules_had_settled_is_settled_anew(older: Door, account: str, stands: dict[str, str]) -> None:
    (balance,) = older.json("account", account)["balances"]
    assert {name: balance[name] for name in stands} == stands


def test_the_history_says_once_that_it_was_settled_anew(older: Door) -> None:
    told = [event["type"] for event in older.json("history", "acct-old-06")]
    assert told.count("settled-anew.v1") == 1
    assert told.index("settled-anew.v1") > max(
        n for n, type_ in enumerate(told) if type_.startswith("claim-assessed")
    )
    older("advance", "2027-01-01T00:00:00Z")
    again = [event["type"] for event in older.json("history", "acct-old-06")]
    assert again.count("settled-anew.v1") == 1


@pytest.mark.parametrize("schema", OLDER)
def test_every_command_names_the_one_that_brings_it_up_to_date(
    schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = unpacked(schema, tmp_path, capsys)
    for command in (("claims",), ("rebuild", "--compare-only"), ("rebuild",), ("access", "list"), ("ingest", "-")):
        door(*command, exits=1)
        assert "was made by an older version of makegood" in door.errors
        assert "`makegood migrate`" in door.errors
    assert "`makegood migrate`" in door("status", exits=1)


@pytest.mark.parametrize("schema", [*OLDER, SCHEMA_VERSION])
def test_what_was_recorded_is_not_edited_and_goes_on(
    schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def envelopes() -> list[tuple[int, bytes]]:
        with closing(sqlite3.connect(tmp_path / "books.db")) as database:
            return database.execute("SELECT position, envelope FROM events ORDER BY position").fetchall()

    door = unpacked(schema, tmp_path, capsys)
    before = envelopes()
    door("migrate")
    assert "a store of an older version" in door.errors or schema not in OLDER
    after = envelopes()
    assert after[: len(before)] == before
    assert "accounts match" in door("rebuild", "--compare-only")
    assert door.json("claims")
    assert door.errors == ""
    door("migrate")
    assert "older version" not in door.errors
    assert envelopes() == after, "once is enough"


def test_a_store_without_a_table_of_todays_counts_as_older(older: Door, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "books.db")) as database:
        for table in INSTRUCTIONS.tables:
            database.execute(f"DROP TABLE {INSTRUCTIONS.stored_name(table)}")
        database.execute("DELETE FROM projection_positions WHERE projection = 'instructions'")
        database.commit()
    assert "`makegood migrate`" in older("status", exits=1)
    older("migrate")
    assert "accounts match" in older("rebuild", "--compare-only")


def test_a_store_of_the_newest_schema_is_kept_too() -> None:
    assert set(KEPT.glob("schema-*-vault.db.gz")) == {
        KEPT / f"schema-{schema}-vault.db.gz" for schema in range(1, SCHEMA_VERSION + 1)
    }, "unpack it in a test before the schema changes"


def test_claims_and_their_explanations_are_what_they_were(older: Door) -> None:
    claims = {(c["account_id"], c["claim_id"]): c for c in older.json("claims")}
    assert len(claims) == 51
    explained = older.json("explain", "unused/cyc", "--account", "acct-old-05")
    assert [step["change"] for step in explained["steps"]] == ["opened", "decreased"]
    assert explained["settlements"][-1]["reasons"] == ["rules"]


def test_rows_that_were_kept_live_are_those_of_a_rebuild(older: Door) -> None:
    assert "22 accounts match" in older("rebuild", "--compare-only")
