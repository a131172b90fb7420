"""Personal data at the command line: erased for good, whatever a backup brings back."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from ledger.store.connecting import connect
from ledger.store.database import beside
from tests.door.conftest import USER, Door
from tests.door.test_commands import ACCOUNT, SUBSCRIPTION, message

ERASE = ("subject", "erase", "acct-1", "--as", "pia", "--basis", "her letter of 3 May")
WRONG = message("m-9", "charge.posted", {"charge_id": "x", "price": "-1.00", "currency": "EUR", "invoice_id": "i"})


def kept_keys(store: str) -> set[str]:
    with closing(connect(beside(store, "vault"))) as keys, keys.reading() as transaction:
        return {s for (s,) in transaction.rows("SELECT subject FROM vault_keys WHERE key IS NOT NULL")}


def test_a_customer_is_erased_counted_beforehand_and_said_to_be_when_asked_again(
    sandbox: Door, store: str, lines
) -> None:
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, WRONG), exits=3)
    counts = {"entries": 2, "dead_letters": 1, "set_aside": 0, "still_set_aside": 0, "notices": 0}
    before = kept_keys(store)
    would = sandbox.json(*ERASE, "--dry-run")
    assert would == {"account_id": "acct-1", "outcome": "would be erased", "erased_at": None} | counts
    assert kept_keys(store) == before
    done = sandbox.json(*ERASE)
    assert done == would | {"outcome": "erased", "erased_at": done["erased_at"]}
    assert {key for key in kept_keys(store) if key.partition("/")[0] in ("account", "dead-letter")} == set()
    assert sandbox.json(*ERASE) == done | {"outcome": "erased before"} == sandbox.json(*ERASE, "--dry-run")
    last = sandbox.json("history", "acct-1")[-1]
    assert (last["actor"], last["summary"]) == (
        f"{USER} for pia",
        "The customer's personal data was erased; entries of the vault destroyed: 2",
    )
    assert "erased" in sandbox.json("dead-letters", "show", "1")["unreadable"]
    assert f"already erased at {done['erased_at']}" in sandbox(*ERASE)


def test_what_is_set_aside_is_said_and_keeps_nobody_from_erasing(sandbox: Door, store: str, lines) -> None:
    with closing(connect(beside(store, "vault"))) as keys, keys.writing() as transaction:
        transaction.run(
            "INSERT INTO vault_keys (subject, key, created_at) VALUES ('account/acct-1', ?, 1)", [b"half"]
        )
    sandbox("ingest", lines(ACCOUNT), exits=3)
    sandbox(*ERASE, "--dry-run")
    assert "makegood aside list --account acct-1" in sandbox.errors
    done = sandbox.json(*ERASE)
    assert (done["outcome"], done["set_aside"], done["still_set_aside"]) == ("erased", 1, 1)
    sandbox("aside", "replay", "--every", exits=3)
    assert "erased" in sandbox.errors


def test_nobody_is_erased_of_whom_nothing_is_known_and_nobody_without_a_basis(sandbox: Door) -> None:
    sandbox("subject", "erase", "acct-9", "--as", "pia", "--basis", "a letter", exits=1)
    assert "acct-9 not found" in sandbox.errors
    sandbox("subject", "erase", "acct-9", "--as", "pia", exits=64)
    sandbox("subject", "erase", "acct-9", "--as", "pia", "--basis", " ", exits=1)


@pytest.mark.parametrize("command", [("restored",), ("migrate",)])
def test_what_a_backup_brings_back_is_erased_again_before_anything_is_answered(
    sandbox: Door, store: str, lines, command: tuple[str, ...]
) -> None:
    """The store is put back to before the erasure; the key database, which is backed up apart, still knows of it."""
    sandbox("ingest", lines(ACCOUNT))
    with closing(connect(beside(store, "vault"))) as keys, keys.writing() as transaction:
        transaction.run("UPDATE vault_keys SET key = NULL, erased_at = 1 WHERE subject = 'account/acct-1'")
    sandbox("restored", "--dry-run")
    assert "erased again" not in sandbox.errors
    sandbox(*command)
    assert "erased again, because a backup from before was restored: acct-1" in sandbox.errors
    assert "again after the store was restored" in sandbox.json("history", "acct-1")[-1]["summary"]
    assert sandbox.json("restored")["erased_again"] == []


def test_a_customer_is_given_everything_that_is_held_about_them(sandbox: Door, lines, tmp_path: Path) -> None:
    complaint = {
        "complaint_id": "com-1",
        "category": "quality",
        "channel": "phone",
        "description": "It crackles, says Zoë",
    }
    sandbox("ingest", lines(ACCOUNT, SUBSCRIPTION, message("m-8", "complaint.opened", complaint), WRONG), exits=3)
    sandbox("dead-letters", "discard", "1", "--reason", "sent by mistake")
    file = tmp_path / "zoe.txt"
    told = sandbox.json("subject", "export", "acct-1", "--to", str(file))
    held = json.loads((tmp_path / "zoe.txt.json").read_text())
    assert [other["about"] for other in held["other_words"]] == [
        "A message that was refused",
        "The reason for which a kept message was closed",
    ]
    assert told == {
        "account_id": "acct-1",
        "events": len(held["history"]),
        "other_words": 2,
        "emails": len(held["emails"]),
        "files": [str(file), f"{file}.json"],
    }
    text = file.read_text()
    assert held["customer"]["email"] == ACCOUNT["data"]["customer"]["email"]
    for said in (ACCOUNT["data"]["customer"]["email"], "It crackles, says Zoë", "m-9", "sent by mistake"):
        assert said in text, said
    assert held["account"] == sandbox.json("account", "acct-1")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("zoe*")} == {0o600}
    sandbox("subject", "export", "acct-1", "--to", str(file), exits=1)
    sandbox("subject", "export", "acct-9", "--to", str(tmp_path / "none.txt"), exits=1)
    sandbox(*ERASE)
    sandbox("subject", "export", "acct-1", "--to", str(file), "--force")
    after = json.loads((tmp_path / "zoe.txt.json").read_text())
    assert (after["customer"], after["other_words"], after["erased_at"] is None) == (None, [], False)
    assert [event["words"] for event in after["history"] if event["words"] is not None] == []
    assert "crackles" not in file.read_text()
