"""The log as auditors get it: proofs that an event is in it and that it only grew, and all of it in a folder.

Other people's libraries accept what the commands write.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.audit import (
    Checkpoint,
    ConsistencyProof,
    LogProof,
    Note,
    TrustPolicy,
    entries_in,
    leaf_digest,
)
from ledger.store.column_types import ColumnChanged
from ledger.store.connecting import connect
from tests.audit.judges import Judges, Refused, judges
from tests.audit.logs import keys_of, signed_now
from tests.door.conftest import Door
from tests.ledger.messages import Upstream

pytestmark = pytest.mark.usefixtures("sandbox")
JULY = datetime(2026, 7, 1, tzinfo=UTC)
CUSTOMER = "acct-1"


@pytest.fixture(scope="module")
def go() -> Iterator[Judges]:
    with judges() as found:
        yield found


def a_customer(door: Door, tmp_path: Path, *accounts: str) -> None:
    """Customers of a month, by the words of upstream."""
    messages = [message for account in accounts or (CUSTOMER,) for message in Upstream(account).customer()]
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(f"{json.dumps(message)}\n" for message in messages))
    door("ingest", str(file))


def sign(door: Door, file: Path | None = None) -> Note:
    with closing(connect(door.store)) as database:
        note = signed_now(database, JULY)
    if file is not None:
        file.write_text(str(note), encoding="utf-8")
    return note


def trusted(note: Note) -> TrustPolicy:
    return TrustPolicy.of_log(*(key.vkey for key in keys_of(Checkpoint.parse(note.text).origin)))


def change(door: Door, statement: str, *values: object) -> None:
    with closing(connect(door.store)) as database, database.writing() as transaction:
        assert transaction.run(statement, values) == 1


# --- proofs --------------------------------------------------------------------------------------------------------


def test_an_event_is_proven_by_position_and_by_id(door: Door, tmp_path: Path, go: Judges) -> None:
    a_customer(door, tmp_path)
    note = sign(door)
    event = door.json("history", CUSTOMER)[1]
    by_position, by_id = tmp_path / "one.tlog-proof", tmp_path / "two.tlog-proof"
    said = door.json("audit", "prove", event["position"], "--to", str(by_position))
    assert door.json("audit", "prove", event["event_id"], "--to", str(by_id)) == {**said, "file": str(by_id)}
    assert by_id.read_text() == by_position.read_text()
    checkpoint = Checkpoint.parse(note.text)
    assert said["position"] == f"0:{said['index'] + 1}" == event["position"]
    assert (said["event_id"], said["account_id"]) == (event["event_id"], CUSTOMER)
    assert (said["origin"], said["size"]) == (checkpoint.origin, checkpoint.size)

    proof = LogProof.from_text(by_id.read_text())
    assert proof.extra is not None
    assert json.loads(proof.extra)["event_id"] == event["event_id"]
    assert leaf_digest(proof.extra).hex() == said["leaf_hash"]
    assert proof.verify(leaf_digest(proof.extra), trusted(note)).checkpoint == checkpoint

    policy = f"log {keys_of(checkpoint.origin)[0].vkey}\nquorum none\n"
    go.judge("torchwood proof", policy=policy, proof=by_id.read_text(), entry=proof.extra)
    with pytest.raises(Refused):
        go.judge("torchwood proof", policy=policy, proof=by_id.read_text(), entry=proof.extra + b" ")


def test_a_checkpoint_that_was_given_away_earlier_proves_it_too(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    older = sign(door, tmp_path / "older")
    a_customer(door, tmp_path, "acct-2")
    newer = sign(door)
    first = door.json("history", CUSTOMER)[0]["position"]
    last = door.json("history", "acct-2")[-1]["position"]
    file = tmp_path / "event.tlog-proof"
    door("audit", "prove", first, "--to", str(file), "--checkpoint", str(tmp_path / "older"))
    assert LogProof.from_text(file.read_text()).checkpoint == older
    assert "exists" in door_says(door, "audit", "prove", first, "--to", str(file))
    said = door("audit", "prove", last, "--to", str(file), "--force")
    assert said.startswith(f"{file} proves that ")
    assert LogProof.from_text(file.read_text()).checkpoint == newer
    uncovered = door_says(
        door, "audit", "prove", last, "--to", str(file), "--force", "--checkpoint", str(tmp_path / "older")
    )
    assert f"is not covered by the checkpoint, which ends at 0:{Checkpoint.parse(older.text).size}" in uncovered


def test_a_later_checkpoint_continues_an_older_one(door: Door, tmp_path: Path, go: Judges) -> None:
    a_customer(door, tmp_path)
    older = sign(door, tmp_path / "older")
    a_customer(door, tmp_path, "acct-2")
    newer = sign(door, tmp_path / "newer")
    before, after = (Checkpoint.parse(each.text) for each in (older, newer))
    file = tmp_path / "continued"
    said = door.json("audit", "consistency", str(tmp_path / "older"), "--to", str(file))
    assert said == {"origin": after.origin, "old_size": before.size, "size": after.size, "file": str(file)}
    proof = ConsistencyProof.from_text(file.read_text())
    proof.verify(older, trusted(newer))
    what = {"old_size": before.size, "size": after.size, "old_root": before.root, "root": after.root}
    go.judge("merkle consistency", **what, hashes=proof.hashes)
    assert "the other way round" in door_says(
        door,
        *("audit", "consistency", str(tmp_path / "newer"), "--to", str(file), "--force"),
        *("--checkpoint", str(tmp_path / "older")),
    )


def door_says(door: Door, *arguments: str, exits: int = 1) -> str:
    assert door(*arguments, exits=exits) == ""
    return door.errors


def test_what_was_changed_is_not_proven(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    sign(door, tmp_path / "checkpoint")
    event = door.json("history", CUSTOMER)[2]
    position = int(event["position"].removeprefix("0:"))
    change(door, "UPDATE events SET envelope = ? WHERE position = ?", b'{"event_id":"forged"}', position)
    file = tmp_path / "event.tlog-proof"
    said = door_says(door, "audit", "prove", event["position"], "--to", str(file), exits=2)
    assert f"the event stored at 0:{position} is not the one that the checkpoint covers" in said
    assert not file.exists()

    hashes = b"".join(leaf_digest(b"forged %d" % number) for number in range(200))
    change(door, "UPDATE audit_tiles SET hashes = ? WHERE level = 0 AND number = 0", hashes)
    said = door_says(door, "audit", "consistency", str(tmp_path / "checkpoint"), "--to", str(file), exits=2)
    assert "is not of the events stored here (their tree has another root): one of the two was changed" in said
    assert not file.exists()
    assert door_says(door, "audit", "export-log", str(tmp_path / "log"), exits=2)
    assert not (tmp_path / "log").exists()


def test_an_event_that_is_not_stored_as_bytes_or_not_at_all_is_a_mismatch(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    sign(door)
    prove = ("audit", "prove", "0:3", "--to", str(tmp_path / "event.tlog-proof"))
    if door.store.startswith("sqlite"):  # the other has a column of bytes only
        change(door, "UPDATE events SET envelope = CAST(envelope AS TEXT) WHERE position = ?", 3)
        said = door_says(door, *prove, exits=2)
        assert "the envelope at 0:3 is not stored as bytes: it was changed from outside" in said
        assert "the envelope at 0:3 is not" in door_says(door, "audit", "export-log", str(tmp_path / "log"), exits=2)
    change(door, "DELETE FROM events WHERE position = ?", 3)
    assert "the event at 0:3 is covered by the last checkpoint, and is not stored" in door_says(door, *prove, exits=2)
    assert "position 0:3 is missing" in door_says(door, "audit", "export-log", str(tmp_path / "log"), exits=2)
    assert not (tmp_path / "event.tlog-proof").exists()
    assert not (tmp_path / "log" / "checkpoint").exists()


@pytest.mark.parametrize("written", [b"no JSON", b"[]", b"{}", b'{"recorded_at": 5}'])
def test_a_last_event_that_is_none_is_said_by_every_command_and_named_by_verify(
    door: Door, tmp_path: Path, written: bytes
) -> None:
    a_customer(door, tmp_path)
    sign(door)
    last = door.json("history", CUSTOMER)[-1]["position"]
    change(door, "UPDATE events SET envelope = ? WHERE position = ?", written, int(last.removeprefix("0:")))
    for command in (
        ("claims",),
        ("history", CUSTOMER),
        ("audit", "diff", "--account", CUSTOMER, "--from", "0:1", "--to", last),
    ):
        said = door_says(door, *command)
        assert f"the envelope at {last} is not stored as an event" in said
        assert "`makegood audit verify`" in said
    said = door_says(door, "audit", "reperform")
    assert f"the envelope at {last} is not stored as an event" in said
    assert last in {each["position"] for each in door.json("audit", "verify", exits=2)["bad"]}
    assert f"the envelope at {last}" in str(door.json("status", exits=1)["problems"])


def test_what_another_process_finds_changed_is_told_in_the_same_words() -> None:
    changed = ColumnChanged("the envelope at 0:3", "bytes")
    assert str(pickle.loads(pickle.dumps(changed))) == str(changed)


def test_a_store_with_fewer_events_than_a_checkpoint_covers(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    note = sign(door)
    checkpoint = Checkpoint.parse(note.text)
    ahead = Checkpoint(checkpoint.origin, checkpoint.size + 5, checkpoint.root).body()
    signatures = tuple(key.sign(ahead, 0) for key in keys_of(checkpoint.origin))
    (tmp_path / "ahead").write_text(str(Note(ahead, signatures)))
    said = door_says(
        door, "audit", "prove", "0:1", "--to", str(tmp_path / "p"), "--checkpoint", str(tmp_path / "ahead"), exits=2
    )
    assert f"covers {checkpoint.size + 5} events, and shard 0 of the store has {checkpoint.size}" in said


def test_what_cannot_be_proven_and_why(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    to = ("--to", str(tmp_path / "proof"))
    said = door_says(door, "audit", "prove", "0:1", *to)
    assert "is signed yet: make a key with `makegood audit key new`" in said
    sign(door)
    for unknown in ("0:99999", "1:1", "nonsense"):
        assert "no event has this position or id" in door_says(door, "audit", "prove", unknown, *to)
    assert "give one position" in door_says(door, "audit", "prove", "0:1,1:1", *to)

    other = tmp_path / "other"
    text = Checkpoint("another.example/0", 1, leaf_digest(b"")).body()
    other.write_text(str(Note(text, (keys_of("another.example/0")[0].sign(text, 0),))))
    said = door_says(door, "audit", "prove", "0:1", *to, "--checkpoint", str(other))
    assert "is not a log of shard 0 of this store" in said
    assert "is not a log of this store" in door_says(door, "audit", "consistency", str(other), *to)
    (tmp_path / "text").write_text("no checkpoint\n")
    for wrong in (tmp_path / "text", tmp_path / "missing"):
        assert f"{wrong}" in door_says(door, "audit", "consistency", str(wrong), *to)
    assert not (tmp_path / "proof").exists()


# --- all of it in a folder -----------------------------------------------------------------------------------------


def test_the_log_in_a_folder_is_accepted_by_others_and_continued(door: Door, tmp_path: Path, go: Judges) -> None:
    folder = tmp_path / "log"
    a_customer(door, tmp_path)
    older = Checkpoint.parse(sign(door).text)
    said = door.json("audit", "export-log", str(folder))
    assert (said["origin"], said["size"], said["folder"]) == (older.origin, older.size, str(folder))
    assert (said["tiles"], said["bundles"], said["written"]) == (1, 1, 2)
    assert door.json("audit", "export-log", str(folder))["written"] == 0

    a_customer(door, tmp_path, *(f"acct-{number}" for number in range(2, 35)))
    note = sign(door)
    newer = Checkpoint.parse(note.text)
    assert newer.size > 256
    said = door("audit", "export-log", str(folder))
    assert f"has the log {newer.origin} with its checkpoint over {newer.size} events" in said
    assert (folder / "checkpoint").read_text() == str(note)
    policy = f"log {keys_of(newer.origin)[0].vkey}\nquorum none\n"
    go.judge("sumdb/tlog tiles", folder=folder, size=newer.size, root=newer.root)
    go.judge("torchwood log", folder=folder, policy=policy)
    verified = door.json("audit", "verify", "--log", str(folder), "--key", str(keys_of(newer.origin)[0].vkey))
    assert (verified["ok"], verified["events"]) == (True, newer.size)

    with closing(connect(door.store)) as database, database.reading() as transaction:
        stored = [
            bytes(row[0]) for row in transaction.rows("SELECT envelope FROM events ORDER BY position LIMIT 256")
        ]
    assert entries_in((folder / "tile/entries/000").read_bytes()) == stored


def test_an_exported_log_that_was_changed_is_not_continued(door: Door, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    a_customer(door, tmp_path)
    checkpoint = Checkpoint.parse(sign(door).text)
    door("audit", "export-log", str(folder))
    bundle = folder / f"tile/entries/000.p/{checkpoint.size}"
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b"acct-1", b"acct-7"))
    assert f"{bundle} is not what the store has" in door_says(door, "audit", "export-log", str(folder), exits=2)
    bundle.unlink()
    assert f"{bundle} is missing" in door_says(door, "audit", "export-log", str(folder), exits=2)
    (folder / "checkpoint").unlink()
    assert door.json("audit", "export-log", str(folder))["written"] == 1, "as after an export that was cut short"
    assert bundle.read_bytes() == content

    ahead = Checkpoint(checkpoint.origin, checkpoint.size + 1, checkpoint.root).body()
    (folder / "checkpoint").write_text(str(Note(ahead, (keys_of(checkpoint.origin)[0].sign(ahead, 0),))))
    assert "the store has lost some" in door_says(door, "audit", "export-log", str(folder), exits=2)
    elsewhere = ahead.replace(checkpoint.origin, "another.example/0")
    (folder / "checkpoint").write_text(str(Note(elsewhere, (keys_of("another.example/0")[0].sign(elsewhere, 0),))))
    assert "has the log another.example/0" in door_says(door, "audit", "export-log", str(folder))
    (folder / "checkpoint").write_text("no checkpoint")
    assert "is not a signed checkpoint" in door_says(door, "audit", "export-log", str(folder))


def test_a_log_goes_into_no_folder_with_other_files(door: Door, tmp_path: Path) -> None:
    a_customer(door, tmp_path)
    sign(door)
    said = door_says(door, "audit", "export-log", str(tmp_path))
    assert f"{tmp_path} has other files than a log's" in said
