"""`makegood audit reperform` on the command line: honest stores, and one in which an amount was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.application.account import TIMER
from ledger.audit import leaf_hash
from ledger.store.connecting import connect
from ledger.store.database import beside
from makegood.answers.audit.reperformance import reperformed
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import SAMPLE, Door
from tests.door.test_older_stores import OLDER, unpacked


def forge(store: str, account: str, change: Callable[[dict[str, Any]], bool]) -> str:
    """Change the first event of an account that `change` takes, and chain those after it anew; where it stands.

    What is left of the store says the same as before, as somebody would leave it who hopes that nobody looks.
    """
    position, previous = None, None
    with closing(connect(store)) as database, database.writing() as transaction:
        rows = transaction.rows(
            "SELECT shard, position, envelope FROM events WHERE account = ? ORDER BY account_version", (account,)
        )
        for shard, number, stored in rows:
            said = json.loads(bytes(stored))
            if position is None and change(said):
                position = f"{shard}:{number}"
            said["previous"] = previous
            envelope = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
            previous = leaf_hash(envelope)
            transaction.run(
                "UPDATE events SET envelope = ? WHERE shard = ? AND position = ?", (envelope, shard, number)
            )
        transaction.run("UPDATE heads SET leaf_hash = ? WHERE account = ?", (previous, account))
    assert position is not None
    return position


def forge_amount(store: str, claim: dict[str, Any]) -> str:
    """Change the amount of a claim's first assessment; where it stands."""

    def raise_amount(said: dict[str, Any]) -> bool:
        if said["data"].get("claim_id") != claim["claim_id"] or not said["data"].get("after"):
            return False
        said["data"]["after"]["amount"] = "99.99"
        return True

    return forge(store, claim["account_id"], raise_amount)


@pytest.mark.usefixtures("twenty_accounts_in_july")
def test_a_sound_store_and_an_amount_that_was_changed(door: Door) -> None:
    sound = door.json("audit", "reperform")
    assert sound["decisions"] > 200
    assert (sound["accounts"], sound["not_reperformable"], sound["differing"]) == (20, 0, [])
    months = {
        month: door.json("audit", "reperform", "--period", month)["decisions"] for month in ("2026-06", "2026-07")
    }
    assert sum(months.values()) <= sound["decisions"]
    claim = next(
        row for row in door.json("claims") if row["outcome"] == "granted" and row["clause"] == "unused_period"
    )
    position = forge_amount(door.store, claim)
    found = door.json("audit", "reperform", exits=2)
    assert found["decisions"] == sound["decisions"]
    assert found["differing"] == [
        {
            "position": position,
            "account_id": claim["account_id"],
            "type": "claim-assessed.v2",
            "claim_id": claim["claim_id"],
            "recorded": {"after.amount": "99.99"},
            "recomputed": {"after.amount": claim["amount"]},
        }
    ]
    assert (
        door.json("audit", "reperform", "--account", claim["account_id"], exits=2)["differing"] == found["differing"]
    )
    told = door("audit", "reperform", exits=2)
    assert position in told
    assert "after.amount 99.99" in told
    with open_house(Settings(store=door.store)) as house:
        assert reperformed(house, processes=2)["differing"] == found["differing"]
    others = door.json("audit", "reperform", "--period", "2020-01")
    assert (others["decisions"], others["differing"]) == (0, [])


def test_closings_are_performed_again(twenty_accounts_in_july: Door) -> None:
    """A figure of a closed month that was raised is found, and so is a fold that no release had."""
    door = twenty_accounts_in_july
    before = door.json("audit", "reperform")["decisions"]
    for month in ("2026-01", "2026-02"):
        door("period", "close", month, "--as", "felix")
    assert door.json("audit", "reperform")["decisions"] == before + 2
    assert door.json("audit", "reperform", "--account", "system")["decisions"] == 2

    def raise_total(said: dict[str, Any]) -> bool:
        if said["type"] != "period-closed.v1" or said["data"]["period"] != "2026-02":
            return False
        said["data"]["movements"] = 99
        said["data"]["figures"]["manifest"]["events"] += 1
        return True

    position = forge(door.store, "system", raise_total)
    (found,) = door.json("audit", "reperform", exits=2)["differing"]
    assert (found["position"], found["type"]) == (position, "period-closed.v1")
    assert found["recorded"]["movements"] == "99"
    assert int(found["recorded"]["events"]) == int(found["recomputed"]["events"]) + 1
    assert position in door("audit", "reperform", exits=2)


def test_rules_of_no_release_are_a_difference(twenty_accounts_in_july: Door) -> None:
    """Whoever writes a revision of the rules beside an amount has the amount found all the same."""
    door = twenty_accounts_in_july
    claim = next(row for row in door.json("claims") if row["outcome"] == "granted")

    def other_rules(said: dict[str, Any]) -> bool:
        if said["data"].get("claim_id") != claim["claim_id"] or not said["data"].get("after"):
            return False
        said["data"]["rules"] = 7
        return True

    position = forge(door.store, claim["account_id"], other_rules)
    found = door.json("audit", "reperform", exits=2)
    assert found["not_reperformable"] == 0
    assert [(each["position"], each["recorded"]) for each in found["differing"]] == [(position, {"rules": 7})]


def test_decisions_that_fell_due_and_are_missing_at_the_end(twenty_accounts_in_july: Door) -> None:
    """Somebody takes an account's last decisions out of the store, which the timer had made."""
    door = twenty_accounts_in_july
    with closing(connect(door.store)) as database, database.writing() as transaction:
        rows = transaction.rows("SELECT account, account_version, envelope FROM events ORDER BY position")
        last = {account: (version, json.loads(bytes(stored))) for account, version, stored in rows}
        account = next(name for name, (_, said) in last.items() if said["actor"] == TIMER)
        version, said = last[account]
        transaction.run("DELETE FROM events WHERE account = ? AND account_version = ?", (account, version))
    (found,) = door.json("audit", "reperform", exits=2)["differing"]
    assert (found["account_id"], found["type"], found["recorded"]) == (account, said["type"], None)


def test_an_erased_account_is_performed_again(twenty_accounts_in_july: Door) -> None:
    """What people's words were goes with the keys; what was decided rests on facts alone."""
    door = twenty_accounts_in_july
    before = door.json("audit", "reperform")
    door("subject", "erase", "acct-0006", "--as", "priya", "--basis", "letter of 3 May")
    after = door.json("audit", "reperform")
    assert after["differing"] == []
    assert after["accounts"] == before["accounts"]


def test_no_vault_is_needed(twenty_accounts_in_july: Door, tmp_path: Path) -> None:
    if twenty_accounts_in_july.store.startswith("sqlite"):
        Path(beside(twenty_accounts_in_july.store, "vault").removeprefix("sqlite:///")).unlink()
    assert twenty_accounts_in_july.json("audit", "reperform")["differing"] == []


def test_a_clock_that_was_set_after_the_messages_came(sandbox: Door, tmp_path: Path) -> None:
    """The sandbox's first clock may be set back, and then all is assessed anew: that is no difference."""
    door, lines = sandbox, (SAMPLE / "events.jsonl").read_text().splitlines()
    said = [line for line in lines if any(f'"acct-{n:04}"' in line for n in range(1, 12))]
    (tmp_path / "said.jsonl").write_text("\n".join(said))
    door("ingest", str(tmp_path / "said.jsonl"))
    assert door.json("audit", "reperform")["differing"] == []
    for instant in ("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z", "2027-01-01T00:00:00Z"):
        door("advance", instant)
        assert door.json("audit", "reperform")["differing"] == []


@pytest.mark.parametrize("schema", OLDER)
def test_what_older_rules_decided_is_counted_apart(
    schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = unpacked(schema, tmp_path, capsys)
    door("migrate")
    found = door.json("audit", "reperform")
    assert found["differing"] == []
    assert (found["not_reperformable"] > 0) == (schema < 4)
    assert [each["why"] for each in found["not_judged"]] == ["older rules"] * (schema < 4)
    if schema < 4:
        assert "by an earlier revision of the rules" in door("audit", "reperform")
    assert found["decisions"] > found["not_reperformable"]


def test_an_unknown_account_and_a_month_that_is_none(door: Door) -> None:
    door("init", "--sandbox")
    door("audit", "reperform", "--account", "nobody", exits=1)
    assert "nobody" in door.errors
    door("audit", "reperform", "--period", "2026-13", exits=64)
