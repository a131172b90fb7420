"""`--known-at CHECKPOINT`: what was known when a checkpoint was signed, if it was signed over this history."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ledger.audit import Checkpoint, SignatureType, SigningKey, leaf_digest, root_of, signed
from ledger.store.audit import write_leaves
from ledger.store.connecting import connect
from ledger.store.reading.audit import leaves_after, origin_of, tree_reader
from ledger.store.writing import ReaderMove, move_reader, take_over_reader
from tests.door.conftest import Door

SIZE = 700
Signed = Callable[..., str]


@pytest.fixture
def sign(store: str, tmp_path: Path) -> Signed:
    """Sign a checkpoint over the first events of the store, or over something else; the file of its note."""

    def written(name: str, size: int = SIZE, root: bytes | None = None, origin: str | None = None) -> str:
        with closing(connect(store)) as database, database.reading() as transaction:
            digests = [leaf_digest(leaf.envelope) for leaf in leaves_after(transaction, 0, 0, size)]
            origin = origin or origin_of(transaction, 0)
        checkpoint = Checkpoint(origin, size, root or root_of(digests))
        file = tmp_path / name
        file.write_text(str(signed(checkpoint, [SigningKey.new(origin, SignatureType.ED25519)], 1_700_000_000)))
        return str(file)

    return written


def test_what_was_known_when_a_checkpoint_was_signed(
    twenty_accounts_in_july: Door, sign: Signed, tmp_path: Path
) -> None:
    """It is what was known at the position up to which it covers, whatever is asked."""
    door, checkpoint = twenty_accounts_in_july, sign("checkpoint")
    file = tmp_path / "exported.csv"

    def told(known_at: str) -> list[str | bytes]:
        one = ("--account", "acct-0006")
        found: list[str | bytes] = [
            door("account", "acct-0006", "--known-at", known_at, "--json"),
            *(
                door(*command.split(), *one, "--known-at", known_at, "--json")
                for command in ("claims", "owed --by clause", "movements")
            ),
        ]
        door("export", "claims", *one, "--format", "csv", "--to", str(file), "--force", "--known-at", known_at)
        diff = ("audit", "diff", *one, "--from", known_at, "--to", "0:999999", "--json")
        return [*found, file.read_bytes(), door("changes", *one, "--since", known_at, "--json"), door(*diff)]

    expected = told(f"0:{SIZE}")
    assert told(checkpoint) == expected
    said = door("claims", "--account", "acct-0006", "--known-at", checkpoint)
    assert said.startswith(f"Claims, known at 0:{SIZE}\n")
    with closing(connect(door.store)) as database, database.writing() as transaction:
        digests = [leaf_digest(leaf.envelope) for leaf in leaves_after(transaction, 0, 0, 500)]
        write_leaves(transaction, 0, 0, digests)
        position, epoch = take_over_reader(transaction, tree_reader(0))
        move_reader(transaction, ReaderMove(tree_reader(0), epoch, position, len(digests)))
    of_one = ("claims", "--account", "acct-0006", "--json", "--known-at")
    assert door(*of_one, checkpoint) == door(*of_one, f"0:{SIZE}"), "the tree was built in part"
    assert door(*of_one, sign("empty", size=0)) == "[]\n"


def test_a_checkpoint_over_another_history_is_refused(twenty_accounts: Door, sign: Signed) -> None:
    door = twenty_accounts
    door("owed", "--known-at", sign("other", root=bytes(32)), exits=1)
    assert f"the first {SIZE} events of shard 0 are not those that were signed" in door.errors
    door("claims", "--known-at", sign("longer", size=999_999, root=bytes(32)), exits=1)
    assert "covers 999999 events of shard 0" in door.errors
    door("claims", "--known-at", sign("elsewhere", origin="makegood/another/0"), exits=1)
    assert "this store has no such log" in door.errors
    door("claims", "--known-at", ",".join((sign("one"), sign("another"))), exits=1)
    assert "two checkpoints are of shard 0" in door.errors


def test_a_file_that_is_no_checkpoint_is_wrong_usage(door: Door, tmp_path: Path) -> None:
    door("init", "--sandbox")
    note = tmp_path / "note"
    note.write_text("nothing signed\n")
    door("claims", "--known-at", str(note), exits=64)
    assert "is not a signed checkpoint" in door.errors
    for nothing in (str(tmp_path / "absent"), str(tmp_path), "yesterday"):
        door("claims", "--known-at", nothing, exits=64)
        assert "a file with a signed checkpoint" in door.errors
