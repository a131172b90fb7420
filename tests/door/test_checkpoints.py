"""Keys, checkpoints and origins at the command line: what is signed, what is refused, and what is said about it."""

from __future__ import annotations

import base64
import shutil
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consumers.checkpoints.folder import Folder
from ledger.audit import (
    Checkpoint,
    Note,
    SignatureType,
    SigningKey,
    VerifierKey,
    leaf_digest,
    root_of,
    signed,
    verified_log_signatures,
)
from ledger.store.connecting import connect
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from tests.door.conftest import SAMPLE, USER, Door
from tests.door.test_older_stores import OLDER, unpacked


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys are."""
    monkeypatch.setenv("MAKEGOOD_AUDIT_KEY", str(tmp_path / "audit.key"))
    return tmp_path / "audit.key"


def root_in(store: str) -> tuple[int, str]:
    """How many events a store has, and the root over their bytes, worked out from these alone."""
    database = connect(store)
    with database.reading() as transaction:
        rows = transaction.rows("SELECT envelope FROM events ORDER BY position")
    database.close()
    return len(rows), base64.b64encode(root_of(leaf_digest(bytes(envelope)) for (envelope,) in rows)).decode()


def checked(answer: dict[str, Any]) -> Checkpoint:
    """The checkpoint of an answer, whose signatures its keys made."""
    checkpoint, signatures = verified_log_signatures(
        Note.parse(answer["note"]), [VerifierKey.from_text(vkey) for vkey in answer["vkeys"]]
    )
    assert [str(each.key) for each in signatures] == answer["vkeys"]
    assert (checkpoint.size, base64.b64encode(checkpoint.root).decode()) == (answer["size"], answer["root"])
    return checkpoint


@pytest.mark.usefixtures("twenty_accounts")
def test_a_checkpoint_is_signed_by_both_keys_covers_all_events_and_goes_into_the_folder(
    door: Door, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door("audit", "checkpoint", exits=1)
    assert "nothing was signed: make one with `makegood audit key new`" in door.errors
    made = door.json("audit", "key", "new")
    assert (made["file"], stat.S_IMODE(key.stat().st_mode)) == (str(key), 0o600)
    assert [VerifierKey.from_text(vkey).type for vkey in made["vkeys"]] == [
        SignatureType.ED25519,
        SignatureType.MLDSA44_COSIGNATURE,
    ]
    found = door.json("audit", "checkpoint", "--to", str(tmp_path / "out"))
    checked(found)
    assert (found["size"], found["root"]) == root_in(door.store)
    assert (found["vkey"], found["vkeys"]) == (made["vkey"], made["vkeys"])
    [file] = (tmp_path / "out").iterdir()
    assert (str(file), file.read_text()) == (found["file"], found["note"])
    assert door.json("audit", "checkpoint")["note"] == found["note"], "nothing came since"
    assert door("audit", "checkpoint") == found["note"]

    door("audit", "key", "new")
    rotated = door.json("audit", "checkpoint")
    checked(rotated)
    assert len(rotated["vkeys"]) == 4
    assert rotated["note"].startswith(found["note"])

    [stands] = door.json("status")["checkpoints"]
    assert (stands["size"], stands["uncovered"], stands["origin"]) == (found["size"], 0, checked(found).origin)
    assert f"signed  {found['size']} events by the checkpoint of {stands['origin']}" in door("status")
    [signing] = [check for check in door.json("doctor")["checks"] if check["check"] == "signing"]
    assert signing["verdict"] == "well"
    (tmp_path / "policy").write_text(f"log {found['vkey']}\nquorum none\n")
    with monkeypatch.context() as environment:
        environment.setenv("MAKEGOOD_AUDIT_POLICY", str(tmp_path / "policy"))
        assert door.json("status")["checkpoints"][0]["trusted"] is True
        witness = SigningKey("witness.example/w1", SignatureType.ED25519_COSIGNATURE, bytes(32)).vkey
        (tmp_path / "policy").write_text(f"log {found['vkey']}\nwitness w1 {witness}\nquorum w1\n")
        assert "without the signatures that the trust policy asks for" in door("status")
        (tmp_path / "policy").write_text("quorum w1\n")
        assert any("line 1 of the trust policy" in problem for problem in door.json("status", exits=1)["problems"])
    key.chmod(0o640)
    [signing] = [check for check in door.json("doctor", exits=1)["checks"] if check["check"] == "signing"]
    assert (signing["verdict"], signing["next"]) == ("broken", f"run `chmod 600 {key}`")


def forged(store: str, key: Path, out: Path, size: int, root: bytes) -> str:
    """A checkpoint that the log's key signed and the store contradicts, in a folder; the log's origin."""
    keys = [SigningKey.from_text(line) for line in key.read_text().splitlines()]
    Folder(out).put(signed(Checkpoint(keys[0].name, size, root), keys, 1))
    return keys[0].name


@pytest.mark.usefixtures("sandbox")
def test_after_a_restore_nothing_is_signed_until_a_new_origin_follows_the_old_checkpoint(
    door: Door, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    door("audit", "origin", "new", "--reason", "the disk broke", exits=1)
    assert "no checkpoint of makegood/" in door.errors
    door("audit", "key", "new")
    events, root = root_in(door.store)
    origin = forged(door.store, key, out, events + 7, bytes(32))
    monkeypatch.setenv("MAKEGOOD_AUDIT_FOLDER", str(out))

    door("audit", "checkpoint", exits=1)
    assert f"{origin} over {events + 7} events, and the store has {events}: no checkpoint is signed" in door.errors
    assert "`makegood audit origin new --as NAME --reason …`" in door.errors
    assert any("no checkpoint is signed" in problem for problem in door.json("status", exits=1)["problems"])

    begun = door.json("audit", "origin", "new", "--as", "ada", "--reason", "the disk broke")
    assert (begun["origin"], begun["number"], begun["follows_size"]) == (f"{origin}/2", 2, events + 7)
    assert Checkpoint.parse(Note.parse(begun["follows"]).text).root == bytes(32)
    found = door.json("audit", "checkpoint")
    assert checked(found).origin == begun["origin"]
    assert (found["size"], found["root"]) == root_in(door.store) != (events, root)
    assert found["vkeys"] == begun["vkeys"]
    [row] = [row for row in door.json("history", "system") if row["type"] == "log-origin-begun.v1"]
    assert row["actor"] == f"{USER} for ada"
    assert door.json("status")["problems"] == []


@pytest.mark.usefixtures("sandbox")
def test_a_new_origin_follows_nothing_that_the_log_did_not_sign(door: Door, key: Path, tmp_path: Path) -> None:
    door("audit", "key", "new")
    origin = SigningKey.from_text(key.read_text().splitlines()[0]).name
    stranger = SigningKey(origin, SignatureType.ED25519, bytes(32))
    file = tmp_path / "stranger"
    file.write_text(str(signed(Checkpoint(origin, 999, bytes(32)), [stranger], 1)))
    door("audit", "origin", "new", "--reason", "lost", "--checkpoint", str(file), exits=1)
    assert "no known key of the log" in door.errors
    file.write_text("no note")
    door("audit", "origin", "new", "--reason", "lost", "--checkpoint", str(file), exits=1)
    assert "is not a signed checkpoint: give the file of one" in door.errors


def test_what_is_no_key_is_told_by_its_line_and_quoted_nowhere(
    key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = Door(f"sqlite:///{tmp_path}/books.db", capsys)
    door("init")
    key.write_text("# keys\nPRIVATE+KEY+a+00000000+c2VjcmV0\n")
    for command in ("key new", "checkpoint"):
        door("audit", *command.split(), exits=1)
        assert f"line 2 of the key file {key} is not a signing key" in door.errors
        assert "c2VjcmV0" not in door.errors
    key.unlink()
    key.mkdir()
    door("audit", "key", "new", exits=1)
    assert "correct MAKEGOOD_AUDIT_KEY" in door.errors


def test_a_store_of_an_older_version_gets_its_whole_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = unpacked(max(OLDER), tmp_path, capsys)
    door("migrate")
    door("audit", "key", "new")
    found = door.json("audit", "checkpoint")
    checked(found)
    assert (found["size"], found["root"]) == root_in(door.store)


def test_two_copies_of_a_store_that_went_on_apart_are_told_from_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup put back, and gone on from until it is as long as what was published."""
    store, out = tmp_path / "books.db", tmp_path / "out"
    door = Door(f"sqlite:///{store}", capsys)
    door("init", "--sandbox")
    door("audit", "key", "new")
    for suffix in ("", "-vault"):
        shutil.copy(tmp_path / f"books{suffix}.db", tmp_path / f"backup{suffix}.db")
    door("agreement", "publish", str(SAMPLE / "agreements" / "standard.toml"))
    published = door.json("audit", "checkpoint", "--to", str(out))
    for suffix in ("", "-vault"):
        shutil.copy(tmp_path / f"backup{suffix}.db", tmp_path / f"books{suffix}.db")
    changed = (SAMPLE / "agreements" / "standard.toml").read_text().replace('name = "standard"', 'name = "other"')
    (tmp_path / "other.toml").write_text(changed)
    door("agreement", "publish", str(tmp_path / "other.toml"))
    assert root_in(door.store)[0] == published["size"]
    door("audit", "checkpoint", "--to", str(out), exits=1)
    assert f"the store's first {published['size']} events have another root" in door.errors
    assert [file.read_text() for file in out.iterdir()] == [published["note"]]
    with open_house(Settings(store=door.store)) as house, house.database.reading() as transaction:
        assert transaction.rows("SELECT count(*) FROM audit_checkpoints") == [(0,)]


@pytest.mark.usefixtures("sandbox")
def test_a_damaged_tree_is_made_anew_unless_the_events_contradict_what_was_published(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door("audit", "key", "new")
    signed_before = door.json("audit", "checkpoint", "--to", str(tmp_path / "out"))
    monkeypatch.setenv("MAKEGOOD_AUDIT_FOLDER", str(tmp_path / "out"))
    change(door.store, "DELETE FROM audit_tiles")
    [problem] = door.json("status", exits=1)["problems"][:1]
    assert "make it anew from the events with `makegood audit rebuild-tree`" in problem
    rebuilt = door.json("audit", "rebuild-tree")
    assert (rebuilt["size"], rebuilt["root"], rebuilt["mended"]) == (signed_before["size"], signed_before["root"], 1)
    assert door.json("status")["problems"] == []
    assert "; 0 of its tiles were damaged" in door("audit", "rebuild-tree")

    change(door.store, "DELETE FROM audit_checkpoints")
    with closing(connect(door.store)) as database, database.reading() as transaction:
        [(envelope,)] = transaction.rows("SELECT envelope FROM events WHERE position = 1")
    change(door.store, "UPDATE events SET envelope = ? WHERE position = 1", bytes(envelope) + b" ")
    door("audit", "rebuild-tree", exits=2)
    assert "out has a checkpoint of makegood/" in door.errors
    assert "they are what was changed, and no tree was written; `makegood audit verify` names" in door.errors


def change(store: str, sql: str, *values: bytes) -> None:
    database = connect(store)
    with database.writing() as transaction:
        transaction.run(sql, values)
    database.close()
