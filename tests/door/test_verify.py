"""`makegood audit verify`: an honest store is sound, and what was changed in it is named by position and account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ledger.audit import Checkpoint, Note, SignatureType, SigningKey, signed
from ledger.store.connecting import connect
from ledger.store.database import Transaction, beside
from makegood.answers.audit.verification import Verification, verified
from makegood.evidence import verify as verify_py
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from projections.claims import CLAIMS
from tests.door.conftest import Door
from tests.door.test_older_stores import OLDER, unpacked
from tests.door.test_reperform import forge
from tests.parts.signed_log import Log, as_before, export, sign


@contextmanager
def changing(store: str) -> Iterator[Transaction]:
    with closing(connect(store)) as database, database.writing() as transaction:
        yield transaction


def keys_of(log: Log) -> list[str]:
    return [part for vkey in log.vkeys for part in ("--key", vkey)]


def verify(door: Door, *options: str, exits: int = 2) -> Verification:
    found: Verification = door.json("audit", "verify", *options, exits=exits)
    return found


def test_an_honest_store_is_sound_whoever_looks(twenty_accounts_in_july: Door, tmp_path: Path) -> None:
    door = twenty_accounts_in_july
    bare = verify(door, exits=0)
    assert (bare["ok"], bare["bad"], bare["covered_to"], bare["checkpoint"]) == (True, [], None, None)
    assert bare["events"] > 500
    assert "no checkpoint covers them" in door("audit", "verify")
    first = sign(door.store, leave=200)
    log = sign(door.store, first.keys)
    found = verify(door, *keys_of(log), exits=0)
    assert found["covered_to"] == f"0:{bare['events']}"
    assert found["checkpoint"] is not None
    assert found["checkpoint"]["signed_by"] == [key.vkey.key_id.hex() for key in log.keys]
    (tmp_path / "earlier").write_text(str(first.note))
    earlier = verify(door, "--checkpoint", str(tmp_path / "earlier"), *keys_of(log), exits=0)
    assert earlier["covered_to"] == f"0:{bare['events'] - 200}"
    assert verify(door, exits=0)["checkpoint"] == {**found["checkpoint"], "signed_by": []}
    said = door("audit", "verify")
    assert f"{bare['events']} events hashed anew: all that is stored is as recorded" in said
    assert "signatures were not verified" in said
    with open_house(Settings(store=door.store)) as house:
        assert verified(house, processes=2) == verified(house)


def test_a_policy_says_whose_signatures_count(twenty_accounts: Door, tmp_path: Path) -> None:
    door = twenty_accounts
    log = sign(door.store)
    witness = SigningKey.new("example.org/witness", SignatureType.ED25519_COSIGNATURE)
    policy = tmp_path / "policy"
    lines = [*(f"log {vkey}" for vkey in log.vkeys), f"witness w {witness.vkey}", "quorum w"]
    policy.write_text("\n".join(lines))
    cosigned = log.note.with_signatures([witness.sign(log.note.text, 1_800_000_000)])
    file = tmp_path / "checkpoint"
    file.write_text(str(cosigned))
    found = verify(door, "--policy", str(policy), "--checkpoint", str(file), exits=0)
    assert found["witnesses"] == [{"name": "w", "at": "2027-01-15T08:00:00Z"}]
    file.write_text(str(log.note))
    refused = verify(door, "--policy", str(policy), "--checkpoint", str(file))
    assert "has not cosigned" in refused["bad"][0]["what"]
    stranger = SigningKey.new(log.keys[0].name, SignatureType.ED25519)
    file.write_text(str(Note(log.note.text, (stranger.sign(log.note.text, 0),))))
    assert "signed by none" in str(verify(door, *keys_of(log), "--checkpoint", str(file))["bad"])


def test_an_amount_that_was_changed_is_named(twenty_accounts_in_july: Door) -> None:
    door = twenty_accounts_in_july
    log = sign(door.store)
    with changing(door.store) as transaction:
        [(position, account, envelope)] = transaction.rows(
            "SELECT position, account, envelope FROM events WHERE type LIKE 'claim-assessed%' LIMIT 1"
        )
        changed = bytes(envelope).replace(b'"amount":"', b'"amount":"9')
        transaction.run("UPDATE events SET envelope = ? WHERE position = ?", (changed, position))
    found = verify(door, *keys_of(log))
    assert found["first_bad"] == f"0:{position}"
    named = {(each["position"], each["account_id"]) for each in found["bad"] if each["position"]}
    assert named == {(f"0:{position}", account)}
    said = door("audit", "verify", exits=2)
    assert f"0:{position}" in said
    assert account in said


def test_a_last_event_that_cannot_be_read_is_named_and_not_the_one_before_it(twenty_accounts: Door) -> None:
    door = twenty_accounts
    with changing(door.store) as transaction:
        [(position, account)] = transaction.rows(
            "SELECT position, account FROM events WHERE account <> 'system' ORDER BY position DESC LIMIT 1"
        )
        transaction.run("UPDATE events SET envelope = ? WHERE position = ?", (b"{", position))
    found = verify(door)
    assert found["first_bad"] == f"0:{position}"
    assert {each["account_id"] for each in found["bad"] if each["position"]} == {account}


def test_an_amount_that_was_changed_and_chained_again(twenty_accounts_in_july: Door) -> None:
    """What the accounts' chains do not show any more the tree does, and where that was made anew, the checkpoint."""
    door = twenty_accounts_in_july
    log = sign(door.store)
    account = rows(door.store, "SELECT account FROM events WHERE type = 'claim-assessed.v2' ORDER BY position")[0][0]

    def raise_amount(said: dict) -> bool:
        if said["type"] != "claim-assessed.v2":
            return False
        said["data"]["after"]["amount"] = "99.99"
        return True

    position = forge(door.store, account, raise_amount)
    assert verify(door)["first_bad"] == position
    with changing(door.store) as transaction:
        for table in ("audit_tiles", "audit_checkpoints", "readers"):
            transaction.run(f"DELETE FROM {table}")
    again = sign(door.store, log.keys)
    door("rebuild")
    assert verify(door, exits=0)["ok"]
    assert again.note.text != log.note.text


def test_the_checkpoint_that_left_the_house_shows_a_tree_made_anew(twenty_accounts: Door, tmp_path: Path) -> None:
    door = twenty_accounts
    log = sign(door.store)
    file = tmp_path / "kept-elsewhere"
    file.write_text(str(log.note))
    forge(door.store, "acct-0003", lambda said: bool(said.update(channel="cli")) or True)
    with changing(door.store) as transaction:
        for table in ("audit_tiles", "audit_checkpoints", "readers"):
            transaction.run(f"DELETE FROM {table}")
    sign(door.store, log.keys)
    found = verify(door, *keys_of(log), "--checkpoint", str(file))
    assert "another root than the events make" in str(found["bad"])
    assert found["covered_to"] is None


def rows(store: str, sql: str) -> list:
    with closing(connect(store)) as database, database.reading() as transaction:
        return transaction.rows(sql)


CHANGES = {
    "UPDATE events SET account_version = account_version + 5000 WHERE position = 40": "0:40",
    "UPDATE events SET type = 'cycle-ended.v9' WHERE position = 41": "0:41",
    "UPDATE events SET event_id = 'x' WHERE position = 42": "0:42",
    "DELETE FROM events WHERE position = 43": "is missing: positions have no holes",
    "UPDATE heads SET leaf_hash = 'a' WHERE account = 'acct-0004'": "acct-0004",
    "UPDATE heads SET version = version + 1 WHERE account = 'acct-0005'": "acct-0005",
    "DELETE FROM heads WHERE account = 'acct-0006'": "acct-0006",
    "DELETE FROM inbox WHERE id = (SELECT MIN(id) FROM inbox)": "the inbox does not have its message",
    "UPDATE agreements SET text = text || ' '": "kept with another text or hash",
    "DELETE FROM agreements": "kept with another text or hash",
    "UPDATE catalogue SET versions = 7": "the catalogue counts 7",
    "UPDATE sequences SET position = position - 1 WHERE name = 'shard:0'": "the shard's sequence counts",
    "UPDATE readers SET position = position + 1 WHERE reader = 'checkpoints'": "the last ones are gone",
    "DELETE FROM audit_tiles WHERE level = 1": "tile/1/000",
    "UPDATE audit_tiles SET level = -1 WHERE level = 1": "a tile 0 of level -1",
    "UPDATE audit_checkpoints SET size = size - 1": "kept as another one than its note says",
    "UPDATE audit_checkpoints SET note = replace(note, 'makegood', 'makebad')": "another one than its note says",
    "INSERT INTO requests VALUES ('c', 'k', 'd', 'acct-0003', 'x', 1, 0)": "names an event that is not there",
    "INSERT INTO requests SELECT 'c', 'k', 'd', account, event_id, account_version, 0 FROM events "
    "WHERE position = 44": "is not what the request 'k' of c became",
    "INSERT INTO audit_cosignatures VALUES ('o', 1, 'n', 'k', 'l')": "a checkpoint that is not kept",
    f"DELETE FROM {CLAIMS.stored_name(CLAIMS.tables[0])} WHERE account = 'acct-0006'": "rows of claims differ",
}


def test_each_change_is_found_and_named(twenty_accounts: Door) -> None:
    door = twenty_accounts
    sign(door.store)
    with open_house(Settings(store=door.store), restored=True) as house:
        assert verified(house)["bad"] == []
        for change, named in CHANGES.items():
            with as_before(house.database, re.findall("(?:FROM|UPDATE|INTO) ([a-z_0-9]+)", change)[0]):
                with house.database.writing() as transaction:
                    assert transaction.run(change), change
                found = verified(house)
                assert any(named in str(list(each.values())) for each in found["bad"]), (change, found["bad"])
                if named.startswith("0:"):
                    assert found["first_bad"] == named, (change, found["bad"])
                    assert {each["position"] for each in found["bad"]} <= {named, None}, (change, found["bad"])
        assert verified(house)["bad"] == []


def test_no_vault_is_needed(twenty_accounts: Door) -> None:
    if twenty_accounts.store.startswith("sqlite"):
        Path(beside(twenty_accounts.store, "vault").removeprefix("sqlite:///")).unlink()
    assert verify(twenty_accounts, exits=0)["ok"]


@pytest.mark.parametrize("schema", OLDER)
def test_stores_of_older_versions_are_sound(schema: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = unpacked(schema, tmp_path, capsys)
    door("migrate")
    assert verify(door, exits=0)["bad"] == []


def test_a_log_in_a_folder(twenty_accounts: Door, tmp_path: Path) -> None:
    door = twenty_accounts
    log = sign(door.store)
    folder = export(door.store, log.note, tmp_path / "log")
    found = verify(door, "--log", str(folder), *keys_of(log), exits=0)
    assert (found["ok"], found["covered_to"]) == (True, f"0:{found['events']}")
    bundle = folder / "tile/entries/000"
    sound = bundle.read_bytes()
    bundle.write_bytes(sound.replace(b'"channel":"file"', b'"channel":"filf"', 1))
    assert verify(door, "--log", str(folder), *keys_of(log))["first_bad"] is not None
    bundle.write_bytes(sound)
    (folder / "checkpoint").write_text("gone")
    assert not verify(door, "--log", str(folder))["ok"]
    door("audit", "verify", "--log", str(tmp_path / "nowhere"), exits=1)
    assert "export-log" in door.errors


def test_a_checkpoint_of_an_endless_log_keeps_nobody_busy(twenty_accounts: Door, tmp_path: Path) -> None:
    log = sign(twenty_accounts.store)
    folder = export(twenty_accounts.store, log.note, tmp_path / "log")
    checkpoint = Checkpoint.parse(log.note.text)
    endless = signed(Checkpoint(checkpoint.origin, 10**15, checkpoint.root), log.keys, 1)
    (folder / "checkpoint").write_text(str(endless))
    for trusted in ((), keys_of(log)):
        found = verify(twenty_accounts, "--log", str(folder), *trusted)
        assert not found["ok"]
        assert "the log is of another size" in found["bad"][-1]["what"]
    alone = verify_py.verify_log(folder, verify_py.Policy(logs=[verify_py.Key.from_text(key) for key in log.vkeys]))
    assert "the log is of another size" in alone.bad[-1].what


def test_what_could_not_be_checked_exits_with_1(door: Door, tmp_path: Path) -> None:
    door("audit", "verify", exits=1)
    door("init", "--sandbox")
    door("audit", "verify", "--checkpoint", str(tmp_path / "none"), exits=1)
    door("audit", "verify", "--key", "no key", exits=1)
    door("audit", "verify", "--key", "a", "--policy", "b", exits=64)
    assert json.loads(door("audit", "verify", "--json"))["events"] == 0
