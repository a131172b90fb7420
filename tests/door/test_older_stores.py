"""A store that an older version made goes on: its history reads, and what older rules had settled is settled anew.

`older_stores/` keeps a store of each version whose rules or tables were others, as that version left it: a sandbox
with ten accounts of the sample, and twelve whose claims were settled as nobody would want them settled (policy §7).
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.door.conftest import Door

KEPT = Path(__file__).parent / "older_stores"


@pytest.fixture
def older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    """The store of schema 3, before settlement was worked out for whole invoices."""
    for kept, name in (("schema-3.db.gz", "books.db"), ("schema-3-vault.db.gz", "books-vault.db")):
        with gzip.open(KEPT / kept) as packed, (tmp_path / name).open("wb") as file:
            shutil.copyfileobj(packed, file)
        (tmp_path / name).chmod(0o600)
    return Door(f"sqlite:///{tmp_path}/books.db", capsys)


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


def test_what_was_recorded_is_not_edited(older: Door, tmp_path: Path) -> None:
    def envelopes() -> list[tuple[int, bytes]]:
        with closing(sqlite3.connect(tmp_path / "books.db")) as database:
            return database.execute("SELECT position, envelope FROM events ORDER BY position").fetchall()

    before = envelopes()
    older("claims")
    after = envelopes()
    assert after[: len(before)] == before
    assert len(after) > len(before)


def test_the_first_command_says_that_it_brings_the_store_up_to_date_and_no_other_does(older: Door) -> None:
    older("refunds")
    assert "a store of an older version" in older.errors
    older("refunds")
    assert older.errors == ""


def test_claims_and_their_explanations_are_what_they_were(older: Door) -> None:
    claims = {(c["account_id"], c["claim_id"]): c for c in older.json("claims")}
    assert len(claims) == 51
    explained = older.json("explain", "unused/cyc", "--account", "acct-old-05")
    assert [step["change"] for step in explained["steps"]] == ["opened", "decreased"]
    assert explained["settlements"][-1]["reasons"] == ["rules"]


def test_rows_that_were_kept_live_are_those_of_a_rebuild(older: Door) -> None:
    assert "22 accounts match" in older("rebuild", "--compare-only")
