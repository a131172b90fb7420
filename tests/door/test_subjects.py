"""Personal data at the command line: erased for good, whatever a backup brings back."""

from __future__ import annotations

from contextlib import closing

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
