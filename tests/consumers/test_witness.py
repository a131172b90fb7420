"""A real witness cosigns what goes on from what it knows, and refuses a history that was written anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.witnesses import Witnesses
from ledger.audit import Note, TrustPolicy
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.audit import checkpoint_note, tree_reader
from tests.consumers.test_checkpoints import fill, last, origin_in, part, seeded_keys, what_it_must_be, work
from tests.ledger.books import Books
from tests.parts.witness import Witness, litewitness


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = Books.open(f"sqlite:///{tmp_path}/books.db")
    fill(books)
    yield books
    books.close()


@pytest.fixture
def witness(books: Books) -> Iterator[Witness]:
    with litewitness(seeded_keys(origin_in(books))[0].vkey) as witness:
        yield witness


def policy_of(books: Books, witness: Witness) -> TrustPolicy:
    logs = "".join(f"log {key.vkey}\n" for key in seeded_keys(origin_in(books)))
    return TrustPolicy.from_text(f"{logs}witness w1 {witness.vkey} {witness.url}\nquorum w1\n")


def witnessed_part(books: Books, witness: Witness) -> Checkpoints:
    """The part as a process has it that begins now; who refused is not asked again."""
    return part(books, witnesses=Witnesses(policy_of(books, witness).witnesses.values(), monotonic=lambda: 0.0))


def work_with_witness(works: Checkpoints) -> None:
    for _ in range(6):
        work(works, 1)
        for thread in threading.enumerate():
            if thread.name == "witness":
                thread.join(15)


def cosigned_by(books: Books, witness: Witness) -> list[str]:
    """Who cosigned the last checkpoint, as its note shows to whoever trusts the policy."""
    checkpoint = what_it_must_be(books)
    with books.database.reading() as transaction:
        note = Note.parse(str(checkpoint_note(transaction, checkpoint.origin, checkpoint.size)))
    return list(policy_of(books, witness).check(note).cosigned)


def test_it_cosigns_what_goes_on_and_refuses_what_was_written_anew(books: Books, witness: Witness) -> None:
    works = witnessed_part(books, witness)
    work_with_witness(works)
    assert cosigned_by(books, witness) == ["w1"]
    fill(books, "acct-2")
    work_with_witness(works)
    assert cosigned_by(books, witness) == ["w1"], "by a proof that it goes on from the first"
    fill(books, "acct-3")
    work_with_witness(witnessed_part(books, witness))
    assert cosigned_by(books, witness) == ["w1"], "also by a process that does not know what the witness knows"
    honest = what_it_must_be(books)
    assert witness.knows() == (honest.size, honest.root)

    # Whoever has the database and the key changes an event, and has all be built and signed anew.
    with books.database.writing() as transaction:
        [(envelope,)] = transaction.rows("SELECT envelope FROM events WHERE position = 3")
        transaction.run("UPDATE events SET envelope = ? WHERE position = 3", (bytes(envelope) + b" ",))
        for table in ("audit_tiles", "audit_checkpoints", "audit_cosignatures"):
            transaction.run(f"DELETE FROM {table}")
        transaction.run("DELETE FROM readers WHERE reader = ?", (tree_reader(FIRST_SHARD),))
    for account in (None, "acct-4"):
        if account is not None:
            fill(books, account)
        with capture_logs() as said:
            work_with_witness(witnessed_part(books, witness))
        forged = last(books)
        assert forged is not None
        assert forged.root != honest.root, "it is signed"
        assert books.rows("SELECT name FROM audit_cosignatures") == [], "and not cosigned"
        [refusal] = [each for each in said if each["event"] == "witness_did_not_cosign"]
        assert refusal["reason"].startswith("it cosigned a checkpoint that this one does not go on from")
    assert witness.knows() == (honest.size, honest.root)
