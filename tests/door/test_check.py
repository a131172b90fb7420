"""`makegood check` on the command line: of sound books, and of rows that are not what the events make."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from ledger.store.connecting import connect
from projections.refunds import REFUNDS, ROWS
from tests.door.conftest import Door


@pytest.mark.usefixtures("twenty_accounts_in_july")
def test_sound_books_and_a_row_changed_by_hand(door: Door) -> None:
    assert door("check") == "20 accounts checked: every law holds\n"
    assert door.json("check") == {"ok": True, "accounts": 20, "broken": []}
    refund = next(row for row in door.json("refunds") if row["status"] == "due")
    with closing(connect(door.store)) as database, database.writing() as transaction:
        transaction.run(
            f"UPDATE {REFUNDS.stored_name(ROWS)} SET net = '9999.99' WHERE account = ? AND refund_id = ?",
            (refund["account_id"], refund["refund_id"]),
        )
    told = door("check", exits=2)
    assert "the payouts of these accounts are stopped" in told
    found = json.loads(door("check", "--report-only", "--json", exits=2))
    assert [(b["law"], b["account_id"], b["about"]) for b in found["broken"]] == [
        ("projections", refund["account_id"], "refunds: 1 of refunds")
    ]
    alarms = [alarm for alarm in door.json("alarms") if alarm["alarm"] == "law_broken"]
    assert [(a["account_id"], a["about"]) for a in alarms] == [(refund["account_id"], ["projections"])]
    door("rebuild", "refunds")
    assert door("check", "--account", refund["account_id"]) == "1 account checked: every law holds\n"
    assert [alarm for alarm in door.json("alarms") if alarm["alarm"] == "law_broken"] == []


def test_an_account_that_is_not_there(door: Door) -> None:
    door("init", "--sandbox")
    assert "0 accounts checked" in door("check")
    door("check", "--account", "nobody", exits=1)
    assert "nobody" in door.errors
