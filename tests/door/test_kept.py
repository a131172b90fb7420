"""Dead letters and messages set aside, as an operator meets them."""

import json
from pathlib import Path

from ledger.store.connecting import connect
from ledger.store.database import beside
from ledger.vault import KEY_BYTES
from tests.door.conftest import USER, Door
from tests.door.test_commands import ACCOUNT, SUBSCRIPTION, message

WRONG = message(
    "m-9",
    "charge.posted",
    {"charge_id": "x", "price": "-1.00", "currency": "EUR", "invoice_id": "i", "description": "for Ada Quill"},
)


def test_refused_messages_are_found_repaired_replayed_and_discarded(sandbox: Door, lines, tmp_path: Path) -> None:
    sandbox.json("ingest", lines(ACCOUNT, WRONG, SUBSCRIPTION, "{"), exits=3)
    assert [row["field"] for row in sandbox.json("dead-letters", "list", "--field", "data.price")] == ["data.price"]
    assert len(sandbox.json("dead-letters", "list", "--account", "acct-1")) == 1

    tried = sandbox.json("dead-letters", "replay", "--every", "--dry-run", exits=3)
    assert [row["outcome"] for row in tried] == ["refused", "refused"]

    body = tmp_path / "repaired.json"
    body.write_text(json.dumps({**WRONG, "data": {**WRONG["data"], "price": "1.00"}}))
    repaired = ("dead-letters", "replay", "1", "--body", str(body), "--reason", "sign, asked Ada Quill")
    assert [row["outcome"] for row in sandbox.json(*repaired, "--actor", "/ops/bob")] == ["accepted"]
    assert [charge["price"] for charge in sandbox.json("account", "acct-1")["charges"]] == ["1.00"]
    assert [row["outcome"] for row in sandbox.json(*repaired)] == ["closed"]

    sandbox("dead-letters", "discard", "2", "--reason", "no message at all", "--dry-run")
    assert len(sandbox.json("dead-letters", "list")) == 1
    sandbox("dead-letters", "discard", "2", "--reason", "no message at all")
    assert sandbox.json("dead-letters", "list") == []
    assert "no open dead letters" in sandbox("dead-letters", "list")
    closed = sandbox.json("dead-letters", "list", "--all")
    assert [row["status"] for row in closed] == ["replayed", "discarded"]
    assert closed[0]["closed_by"] == f"{USER} for /ops/bob"
    sandbox("dead-letters", "discard", "2", "--reason", "again", exits=1)
    assert "was already discarded" in sandbox.errors

    acts = [event for event in sandbox.json("history", "system") if event["type"].startswith("message-")]
    assert [act["type"] for act in acts] == ["message-replayed.v1", "message-discarded.v1"]
    assert acts[0]["actor"] == f"{USER} for /ops/bob"
    assert "Quill" not in json.dumps(acts)


def test_which_ones_must_be_said(sandbox: Door, lines, tmp_path: Path) -> None:
    sandbox("dead-letters", "replay", exits=1)
    assert "--every" in sandbox.errors
    sandbox("dead-letters", "replay", "7", exits=1)
    assert "dead-letters list --all" in sandbox.errors
    sandbox("dead-letters", "replay", "--every", "--body", str(tmp_path / "none"), exits=1)
    assert "give exactly one id" in sandbox.errors
    sandbox("dead-letters", "replay", "--every")
    assert "no open messages" in sandbox.errors


def test_what_cannot_be_recorded_is_set_aside_and_comes_in_again_when_that_is_mended(
    sandbox: Door, store: str, lines
) -> None:
    keys = connect(beside(store, "vault"))
    with keys.writing() as transaction:
        transaction.run(
            "INSERT INTO vault_keys (subject, key, created_at) VALUES ('account/acct-1', ?, 1)", (b"half",)
        )
    taken = sandbox.json("ingest", lines(ACCOUNT, SUBSCRIPTION), exits=3)
    assert (taken["read"], taken["accepted"], taken["set_aside"]) == (2, 1, 1)
    [row] = sandbox.json("aside", "list")
    assert (row["account_id"], row["id"], row["status"]) == ("acct-1", ACCOUNT["id"], "open")
    assert "ValueError in vault.py" in row["reason"]
    assert json.loads(sandbox.json("aside", "show", "1")["body"]) == ACCOUNT
    assert sandbox.json("account", "acct-1")["set_aside"] == 1
    sandbox("account", "acct-1")
    assert "makegood aside list --account acct-1" in sandbox.errors

    with keys.writing() as transaction:
        transaction.run("UPDATE vault_keys SET key = ? WHERE subject = 'account/acct-1'", (bytes(KEY_BYTES),))
    keys.close()
    assert [row["outcome"] for row in sandbox.json("aside", "replay", "--every")] == ["accepted"]
    assert sandbox.json("aside", "list") == []
    assert sandbox.json("account", "acct-1")["set_aside"] == 0
    assert sandbox.json("aside", "list", "--all")[0]["status"] == "replayed"


def test_a_dead_letter_shows_all_errors_of_its_message(sandbox: Door, lines) -> None:
    twice_wrong = {**WRONG, "data": {**WRONG["data"], "currency": "EURO"}}
    sandbox.json("ingest", lines(twice_wrong, "{"), exits=3)
    shown = sandbox.json("dead-letters", "show", "1")
    assert (shown["account_id"], shown["type"], shown["time"]) == (WRONG["subject"], WRONG["type"], WRONG["time"])
    assert {error["field"] for error in shown["errors"]} == {"data.price", "data.currency"}
    assert shown["errors"][0] == {"field": shown["field"], "reason": shown["reason"]}
    told = sandbox("dead-letters", "show", "1")
    assert all(error["reason"] in told for error in shown["errors"])
    unreadable = sandbox.json("dead-letters", "show", "2")
    assert (unreadable["type"], unreadable["time"]) == (None, None)
    assert unreadable["errors"] == [{"field": unreadable["field"], "reason": unreadable["reason"]}]
    sandbox("dead-letters", "discard", "2", "--reason", "no message at all")


def test_the_account_says_who_repaired_a_message(sandbox: Door, lines, tmp_path: Path) -> None:
    sandbox.json("ingest", lines(ACCOUNT, WRONG), exits=3)
    body = tmp_path / "repaired.json"
    right = {**WRONG, "data": {**WRONG["data"], "price": "1.00"}}
    body.write_text(json.dumps({**right, "subject": "acct-2"}))
    asked = ("dead-letters", "replay", "1", "--body", str(body), "--as", "desk")
    [refused] = sandbox.json(*asked, exits=3)
    assert (refused["outcome"], refused["field"]) == ("refused", "subject")
    body.write_text(json.dumps(right))
    assert [row["outcome"] for row in sandbox.json(*asked)] == ["accepted"]
    [fact] = [event for event in sandbox.json("history", WRONG["subject"]) if event["name"] == "ChargePosted"]
    assert (fact["actor"], fact["channel"]) == (f"{USER} for desk", "repaired")
