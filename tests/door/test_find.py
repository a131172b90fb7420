"""Customers are found at the command line, also in a store that an older version made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.store.connecting import connect
from tests.door.conftest import Door
from tests.door.test_older_stores import unpacked


def test_finding_names_the_account_and_by_what(twenty_accounts: Door) -> None:
    door = twenty_accounts
    told = door("find", "greta ebert")
    assert "acct-0006" in told
    assert "Greta Ebert" in told
    [row] = door.json("find", "GRETA.EBERT@example.com")
    assert row == {
        "account_id": "acct-0006",
        "by": "email",
        "id": None,
        "name": "Greta Ebert",
        "email": "greta.ebert@example.com",
    }
    assert [row["by"] for row in door.json("find", "sub-0006")] == ["subscription"]
    assert door.json("find", "acct-9999") == []
    assert "no customer is found" in door("find", "acct-9999")
    assert "nothing to look for" in (door("find", "  ", exits=1) or door.errors)


@pytest.mark.parametrize("schema", [1, 8])
def test_customers_of_an_older_store_are_found_once_it_is_migrated(
    schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = unpacked(schema, tmp_path, capsys)
    door("find", "muster", exits=1)
    assert "`makegood migrate`" in door.errors
    door("migrate")
    checked = door.json("vault", "index")
    assert checked["ok"]
    with closing(sqlite3.connect(tmp_path / "books.db")) as database:
        accounts = {account for (account,) in database.execute("SELECT DISTINCT account FROM vault_index")}
    assert len(accounts) == 9
    for account in sorted(accounts)[:2]:
        [row] = door.json("find", account)
        assert account in {found["account_id"] for found in door.json("find", row["email"])}
        assert account in {found["account_id"] for found in door.json("find", row["name"])}


def test_an_index_that_lacks_words_is_noticed_and_repaired(twenty_accounts: Door) -> None:
    door = twenty_accounts
    with closing(connect(door.store)) as database, database.writing() as transaction:
        transaction.run("DELETE FROM vault_index WHERE kind = 'email'")
    assert door.json("find", "greta.ebert@example.com") == []
    assert "next: makegood vault index --repair" in door("vault", "index", exits=2) + door.errors
    repaired = door.json("vault", "index", "--repair")
    assert (repaired["missing"], repaired["unfounded"], repaired["repaired"]) == (20, 0, True)
    assert [row["account_id"] for row in door.json("find", "greta.ebert@example.com")] == ["acct-0006"]
    assert door.json("vault", "index")["ok"]
