"""Trees grow behind the events, are signed, and what is signed leaves our hands, wherever the process is killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from structlog.testing import capture_logs

from consumers.checkpoints.comparing import Place, Published, TreeDamaged, found_in_store
from consumers.checkpoints.folder import Folder
from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.rebuilding import EventsContradict, rebuild_tree
from consumers.checkpoints.signing import GROWS_BY, Rhythm, grow_to_end, sign
from consumers.checkpoints.topic import CheckpointTopic
from consumers.checkpoints.witnesses import Answer, Unreachable, Witnesses
from consumers.contract.checkpoint_schema import checkpoint_schema
from consumers.kafka.cluster import Cluster
from consumers.kafka.in_process import InProcessBroker
from consumers.kafka.records import Outgoing
from consumers.kafka.topics import CHECKPOINTS
from ledger.application.acts import By
from ledger.application.log_origins import NotTheLog, begin_log_origin
from ledger.application.verification.trees import tiles_of_leaves
from ledger.audit import (
    Checkpoint,
    Note,
    SignatureType,
    SigningKey,
    TrustPolicy,
    leaf_digest,
    root_of,
    signed,
    verified_log_signatures,
)
from ledger.store.column_types import ColumnChanged
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.audit import checkpoint_note, latest_checkpoint, log_of, origin_of, tree_size
from ledger.store.reading.shards import shard_end
from projections.follower import Follower
from tests.ledger.books import STANDARD, Books, Killed, killed
from tests.ledger.conftest import Opener
from tests.ledger.messages import Upstream
from tests.ledger.test_periods import JANUARY, Finance

AT_ONCE = Rhythm(events=1, after=timedelta(0))
TYPES = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)


@pytest.fixture
def books(open_books: Opener) -> Books:
    """A new store, of each kind in turn."""
    return open_books()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for checkpoints."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def seeded_keys(origin: str, seed: int = 1) -> list[SigningKey]:
    return [SigningKey(origin, type_, bytes([seed]) * 32) for type_ in TYPES]


def part(books: Books, *places: Place, keys: Any = seeded_keys, **how: Any) -> Checkpoints:
    how = {"rhythm": AT_ONCE, "grows_every": 0.0, "looks_every": 0.0, "clock": books.clock, **how}
    return Checkpoints(books.database, keys, places=places, **how)


def work(of: Checkpoints, steps: int = 6) -> None:
    for _ in range(steps):
        of.step()


def fill(books: Books, account: str = "acct-1") -> None:
    books.take([*Upstream(account).customer()])


def origin_in(books: Books) -> str:
    with books.database.reading() as transaction:
        return origin_of(transaction, FIRST_SHARD)


def last(books: Books) -> Checkpoint | None:
    with books.database.reading() as transaction:
        found = latest_checkpoint(transaction, origin_of(transaction, FIRST_SHARD))
    return Checkpoint.parse(Note.parse(found.note).text) if found is not None else None


def what_it_must_be(books: Books) -> Checkpoint:
    """The checkpoint over all events, from their bytes alone."""
    leaves = [leaf_digest(stored.envelope) for stored in books.envelopes()]
    return Checkpoint(origin_in(books), len(leaves), root_of(leaves))


def files(folder: Path) -> list[Checkpoint]:
    return [Checkpoint.parse(Note.parse(file.read_text()).text) for file in sorted(folder.iterdir())]


def test_the_tree_follows_the_events_and_is_signed_by_both_keys(books: Books, out: Path) -> None:
    fill(books)
    works = part(books, Folder(out))
    work(works)
    fill(books, "acct-2")
    work(works)
    expected = what_it_must_be(books)
    assert last(books) == expected
    with books.database.reading() as transaction:
        note = Note.parse(str(checkpoint_note(transaction, expected.origin, expected.size)))
    _, signatures = verified_log_signatures(note, [key.vkey for key in seeded_keys(expected.origin)])
    assert {each.key.type for each in signatures} == set(TYPES)
    assert files(out)[-1] == expected


def test_without_a_key_the_tree_is_built_and_nothing_is_signed(books: Books, out: Path) -> None:
    fill(books)
    work(part(books, Folder(out), keys=lambda _: []))
    with books.database.reading() as transaction:
        assert tree_size(transaction, FIRST_SHARD) == shard_end(transaction, FIRST_SHARD) > 0
    assert last(books) is None
    assert list(out.iterdir()) == []


def test_wherever_it_is_killed_tree_and_notes_are_right_afterwards(open_books: Opener, out: Path) -> None:
    """Before and after each of its commits in turn, and between a checkpoint and its publication."""
    books = open_books()
    for number, when in enumerate(("before_commit", "after_commit") * 3):
        fill(books, f"acct-{number}")
        dying = part(books, Folder(out))
        steps = getattr(books.database, when)
        steps.extend([*[lambda: None] * (number // 2), killed])
        with pytest.raises(Killed):
            work(dying)
        steps.clear()
        work(part(books, Folder(out)))
        expected = what_it_must_be(books)
        assert last(books) == expected
        assert files(out)[-1] == expected
    signed_sizes = [int(size) for (size,) in books.rows("SELECT size FROM audit_checkpoints ORDER BY size")]
    assert signed_sizes == sorted(set(signed_sizes))


def test_a_store_that_is_there_already_gets_its_whole_tree(books: Books) -> None:
    for number in range(4):
        fill(books, f"acct-{number}")
    sizes: list[int] = []
    grow_to_end(books.database, FIRST_SHARD, sizes.append)
    work(part(books))
    assert sizes
    assert len(books.envelopes()) < GROWS_BY
    assert last(books) == what_it_must_be(books)


def test_of_two_processes_one_works_and_the_other_takes_over(books: Books) -> None:
    fill(books)
    now = [0.0]
    first = part(books, monotonic=lambda: now[0])
    second = part(books.another_process(), monotonic=lambda: now[0], stands_by=10.0)
    work(first)
    work(second)
    assert second.holds_all
    work(first, 1)
    assert not first.holds_all
    fill(books, "acct-2")
    work(second)
    assert last(books) == what_it_must_be(books)
    fill(books, "acct-3")
    work(first)
    now[0] += 11
    work(first)
    assert first.holds_all
    assert last(books) == what_it_must_be(books)


def test_a_rotated_key_signs_beside_the_old_one_also_what_was_signed_before(books: Books) -> None:
    fill(books)
    work(part(books))
    signed_once = last(books)
    assert signed_once is not None
    origin = signed_once.origin
    both = [*seeded_keys(origin), *seeded_keys(origin, seed=2)]
    epoch = grow_to_end(books.database, FIRST_SHARD)
    note = sign(books.database, FIRST_SHARD, epoch, signed_once, both, books.clock())
    _, signatures = verified_log_signatures(note, [key.vkey for key in both])
    assert [each.key for each in signatures] == [key.vkey for key in both]
    with books.database.reading() as transaction:
        assert checkpoint_note(transaction, origin, signed_once.size) == str(note)


class TestPublishedBefore:
    """What left our hands is compared with the tree before anything is signed."""

    @pytest.fixture
    def books(self, open_books: Opener) -> Books:
        books = open_books()
        fill(books)
        return books

    def published(self, books: Books, folder: Path, size: int, root: bytes) -> None:
        origin = origin_in(books)
        Folder(folder).put(signed(Checkpoint(origin, size, root), seeded_keys(origin), at=1))

    def test_longer_than_the_store_nothing_is_signed(self, books: Books, out: Path) -> None:
        self.published(books, out, 999, bytes(32))
        with capture_logs() as said:
            work(part(books, Folder(out)))
        assert last(books) is None
        end = len(books.envelopes())
        [refusal] = [each["reason"] for each in said if each["event"] == "checkpoints_refused"]
        assert f"over 999 events, and the store has {end}: no checkpoint is signed" in refusal
        assert "`makegood audit origin new --as NAME --reason …`" in refusal
        with books.database.reading() as transaction:
            assert tree_size(transaction, FIRST_SHARD) > 0, "the tree is built all the same"

    def test_with_another_root_nothing_is_signed(self, books: Books, out: Path) -> None:
        self.published(books, out, 2, bytes(32))
        with capture_logs() as said:
            work(part(books, Folder(out)))
        assert last(books) is None
        [refusal] = [each["reason"] for each in said if each["event"] == "checkpoints_refused"]
        assert "the store's first 2 events have another root: no checkpoint is signed" in refusal

    def test_consistent_it_goes_on(self, books: Books, out: Path) -> None:
        leaves = [leaf_digest(stored.envelope) for stored in books.envelopes()][:2]
        self.published(books, out, 2, root_of(leaves))
        work(part(books, Folder(out)))
        assert last(books) == what_it_must_be(books)

    def test_a_new_origin_follows_the_old_checkpoint_and_is_signed(self, books: Books, out: Path) -> None:
        self.published(books, out, 999, bytes(32))
        works = part(books, Folder(out))
        work(works)
        old = origin_in(books)
        follows = Folder(out).last(old)
        assert follows is not None
        log = begin_log_origin(books.ledger, FIRST_SHARD, follows, "the disk broke", By("/makegood/test", "cli"))
        assert (log.number, log.origin) == (2, f"{old}/2")
        work(works)
        assert last(books) == what_it_must_be(books)
        [event] = [each for each in books.envelopes() if each.type == "log-origin-begun.v1"]
        assert json.loads(event.envelope)["data"]["follows"] == str(follows)
        assert b"disk" not in event.envelope
        with books.database.reading() as transaction:
            assert log_of(transaction, FIRST_SHARD) == log
        with pytest.raises(NotTheLog):
            begin_log_origin(books.ledger, FIRST_SHARD, follows, "again", By("/makegood/test", "cli"))

    def test_a_changed_tile_is_noticed_before_the_next_checkpoint(self, books: Books) -> None:
        works = part(books)
        work(works)
        before = last(books)
        assert before is not None
        with books.database.writing() as transaction:
            transaction.run("UPDATE audit_tiles SET hashes = ?", (bytes(32 * before.size),))
        fill(books, "acct-2")
        work(works)
        assert last(books) == before


class TestTheTopic:
    """What is on the topic is out of our hands: it goes there once, as the contract says, and is compared."""

    @pytest.fixture
    def cluster(self) -> Iterator[Cluster]:
        with InProcessBroker() as broker:
            cluster = broker.cluster()
            cluster.create_topics((CHECKPOINTS,))
            yield cluster

    def test_each_checkpoint_goes_there_and_a_new_process_goes_on_from_it(self, cluster: Cluster) -> None:
        books = Books.open()
        fill(books)
        works = part(books, CheckpointTopic(cluster))
        work(works)
        fill(books, "acct-2")
        work(works)
        works.forget()
        again = part(books, CheckpointTopic(cluster))
        work(again)
        again.forget()
        records = cluster.last_records(CHECKPOINTS.name, 10)
        sizes = [size for (size,) in books.rows("SELECT size FROM audit_checkpoints ORDER BY size")]
        assert [Checkpoint.parse(Note.parse(str(record.value, "utf-8")).text).size for record in records] == sizes
        check = jsonschema_rs.Draft202012Validator(checkpoint_schema().schema)
        for record in records:
            assert record.key == origin_in(books).encode()
            check.validate(str(record.value, "utf-8"))

        # Whoever has the database changes an event, and has the tree be built anew, when other logs went on for long.
        where = record.partition.number
        others = [Outgoing(CHECKPOINTS.name, b"another", b"theirs", partition=where)] * 1_200
        with closing(cluster.sender("test")) as sender:
            sender.send(others, time.monotonic() + 20)
        books.database.tamper(
            "DELETE FROM audit_tiles",
            "DELETE FROM audit_checkpoints",
            "DELETE FROM readers WHERE reader = 'checkpoints'",
            "UPDATE events SET envelope = CAST(envelope || ' ' AS BLOB) WHERE position = 1",
        )
        with capture_logs() as said:
            refuses = part(books, CheckpointTopic(cluster))
            work(refuses)
            refuses.forget()
        assert last(books) is None
        [refusal] = [each["reason"] for each in said if each["event"] == "checkpoints_refused"]
        assert refusal.startswith(f"the topic {CHECKPOINTS.name} has a checkpoint of {origin_in(books)} over")


class TestRhythm:
    def test_it_is_signed_after_so_many_events_or_so_much_time(self) -> None:
        books = Books.open()
        fill(books)
        works = part(books, rhythm=Rhythm(events=5, after=timedelta(seconds=60)))
        work(works)
        first = last(books)
        assert first is not None
        books.publish(STANDARD.replace("standard", "other"))
        work(works)
        assert last(books) == first, "one event is not five, and no time has passed"
        books.clock.at += timedelta(seconds=60)
        work(works)
        assert last(books) == what_it_must_be(books) != first

    def test_a_closed_month_is_signed_at_once(self, books: Books) -> None:
        fill(books)
        works = part(books, rhythm=Rhythm(events=1_000_000, after=timedelta(days=1_000)))
        work(works)
        fill(books, "acct-2")
        work(works)
        before = last(books)
        assert before is not None
        assert before.size < len(books.envelopes()), "neither so many events nor so much time"
        Finance(books).close(JANUARY)
        work(works)
        assert last(books) == what_it_must_be(books)
        work(part(books, rhythm=Rhythm(events=1_000_000, after=timedelta(days=1_000))))
        assert last(books) == what_it_must_be(books), "and only once, also by a process that begins afterwards"


class TestWitnesses:
    """A witness that is wrong, slow or away holds nothing up; what it signs is verified."""

    WITNESS = SigningKey("witness.example/w1", SignatureType.ED25519_COSIGNATURE, bytes([7]) * 32)

    def policy(self, *lines: str) -> TrustPolicy:
        return TrustPolicy.from_text(
            f"witness w1 {self.WITNESS.vkey} http://witness.example/\nquorum w1\n" + "\n".join(lines)
        )

    def witnessed(self, books: Books, ask: Any) -> Sequence[Any]:
        work_with = Witnesses(self.policy().witnesses.values(), ask=ask, monotonic=lambda: 0.0)
        works = part(books, witnesses=work_with)
        for _ in range(8):
            work(works, 1)
            for thread in threading.enumerate():
                if thread.name == "witness":
                    thread.join(5)
        return books.rows("SELECT name, size FROM audit_cosignatures")

    def cosigns(self, text: str) -> str:
        note = Note.parse(text.split("\n\n", 1)[1])
        return f"{self.WITNESS.sign(note.text, 5)}\n"

    def test_its_cosignature_is_kept_with_the_checkpoint(self) -> None:
        books = Books.open()
        fill(books)
        asked: list[str] = []

        def ask(url: str, text: str) -> Answer:
            asked.append(text)
            assert url == "http://witness.example/add-checkpoint"
            return Answer(200, self.cosigns(text))

        checkpoint = what_it_must_be(books)
        assert self.witnessed(books, ask) == [(self.WITNESS.name, checkpoint.size)]
        assert len(asked) == 1, "who has cosigned is not asked again"
        with books.database.reading() as transaction:
            note = Note.parse(str(checkpoint_note(transaction, checkpoint.origin, checkpoint.size)))
        policy = self.policy(*(f"log {key.vkey}" for key in seeded_keys(checkpoint.origin)))
        assert list(policy.check(note).cosigned) == ["w1"]

    def test_it_says_itself_which_checkpoint_it_knows(self) -> None:
        books = Books.open()
        fill(books)
        asked: list[str] = []

        def ask(_: str, text: str) -> Answer:
            asked.append(text.split("\n")[0])
            return Answer(409, "2\n") if asked == ["old 0"] else Answer(200, self.cosigns(text))

        assert self.witnessed(books, ask)
        assert asked == ["old 0", "old 2"]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(422, ""),
            Answer(409, "9999\n"),
            Answer(409, "soon"),
            Answer(404, ""),
            Answer(200, "— witness.example/w1 AAAAAAAA\nno line\n"),
            Answer(503, ""),
            Unreachable("ConnectionRefusedError"),
        ],
    )
    def test_what_is_no_cosignature_is_kept_nowhere(self, answer: Answer | Unreachable) -> None:
        books = Books.open()
        fill(books)

        def ask(*_: str) -> Answer:
            if isinstance(answer, Unreachable):
                raise answer
            return answer

        assert self.witnessed(books, ask) == []
        assert last(books) == what_it_must_be(books)


def test_what_is_not_stored_as_its_type_any_more_stops_every_reader_in_words(tmp_path: Path) -> None:
    """SQLite keeps a text where bytes belong: no reader stumbles over it, or takes something else for it."""
    books = Books.open(f"sqlite:///{tmp_path / 'books.db'}")
    fill(books)
    works, follower = part(books), Follower(books.database)
    follower.create()
    with books.database.writing() as transaction:
        transaction.run("UPDATE events SET envelope = CAST(envelope AS TEXT) WHERE position = 2")
    for reads in (lambda: work(works), follower.catch_up, books.envelopes):
        with pytest.raises(ColumnChanged, match=r"the envelope at 0:2 is not stored as bytes: .*audit verify`"):
            reads()
    with books.database.writing() as transaction:
        transaction.run("UPDATE events SET envelope = CAST(envelope AS BLOB) WHERE position = 2")
    work(works)
    assert last(books) == what_it_must_be(books)
    with books.database.writing() as transaction:
        transaction.run("UPDATE audit_tiles SET hashes = 7 WHERE level = 0")
    fill(books, "acct-2")
    with pytest.raises(TreeDamaged, match=r"tile/0/000 is not stored as bytes"):
        work(works)
    with books.database.writing() as transaction:
        transaction.run("UPDATE readers SET position = 'x' WHERE reader = 'checkpoints'")
    with pytest.raises(ColumnChanged, match="the position of checkpoints is not stored as a whole number"):
        work(works)
    books.close()


# --- a tree made anew ---------------------------------------------------------------------------------------------


DAMAGES = (
    "DELETE FROM audit_tiles",
    "DELETE FROM audit_tiles WHERE level = 1",
    "DELETE FROM audit_tiles WHERE level = 0 AND number = 1",
    "UPDATE audit_tiles SET hashes = (SELECT hashes FROM audit_tiles WHERE level = 1)",
    "INSERT INTO audit_tiles SELECT shard, level, number + 40, hashes FROM audit_tiles",
    "UPDATE readers SET position = position - 3 WHERE reader = 'checkpoints'",
    "DELETE FROM readers WHERE reader = 'checkpoints'",
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_damaged_tree_is_made_anew_from_the_events(
    kind: str, request: pytest.FixtureRequest, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part goes on then, and signs what continues the last checkpoint."""
    url = "sqlite:///:memory:" if kind == "sqlite" else request.getfixturevalue("pg_store")
    with closing(large_books(url, monkeypatch)) as books:
        before = last(books)
        for damage in DAMAGES:
            with books.database.writing() as transaction:
                transaction.run(damage)
            rebuilt = rebuild_tree(books.database, FIRST_SHARD, published(books), told, told)
            assert rebuilt.checkpoint == what_it_must_be(books) == before
            assert rebuilt.mended > 0 or "readers" in damage
            assert tiles_in(books) == tiles_that_must_be(books)
            assert rebuild_tree(books.database, FIRST_SHARD, published(books), told, told).mended == 0
        fill(books, "acct-2")
        work(part(books, Folder(out)))
        assert last(books) == what_it_must_be(books)


def test_the_part_says_how_a_damaged_tree_is_mended_and_waits_for_it(large: Books) -> None:
    with large.database.writing() as transaction:
        transaction.run("DELETE FROM audit_tiles WHERE level = 1")
    fill(large, "acct-3")
    with pytest.raises(TreeDamaged, match=r"tile/1/000 has 0 bytes .*`makegood audit rebuild-tree`"):
        work(part(large))
    assert issubclass(TreeDamaged, Checkpoints.passing), "it is waited for"


def test_a_rebuild_that_was_cut_short_is_gone_on_with(large: Books) -> None:
    with large.database.writing() as transaction:
        transaction.run("DELETE FROM audit_tiles")

    def cut(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_tree(large.database, FIRST_SHARD, published(large), told, cut)
    some = len(tiles_in(large))
    rebuilt = rebuild_tree(large.database, FIRST_SHARD, published(large), told, told)
    assert 0 < some < len(tiles_in(large)) == some + rebuilt.mended
    assert tiles_in(large) == tiles_that_must_be(large)


def test_where_the_events_contradict_a_checkpoint_the_tree_that_shows_it_stays(large: Books) -> None:
    before = tiles_in(large)
    with large.database.writing() as transaction:
        [(envelope,)] = transaction.rows("SELECT envelope FROM events WHERE position = 7")
        transaction.run("UPDATE events SET envelope = ? WHERE position = 7", (bytes(envelope) + b" ",))
        transaction.run("DELETE FROM audit_tiles WHERE level = 1")
    with pytest.raises(EventsContradict, match=r"another root: they are what was changed.*audit verify`"):
        rebuild_tree(large.database, FIRST_SHARD, published(large), told, told)
    assert tiles_in(large) == {place: hashes for place, hashes in before.items() if place[0] != 1}
    checkpoint = what_it_must_be(large)
    beyond = Checkpoint(checkpoint.origin, checkpoint.size + 1, bytes(32))
    found = [Published("the folder out", beyond, signed(beyond, seeded_keys(beyond.origin), 1))]
    with pytest.raises(EventsContradict, match=f"over {beyond.size} events, and the store has {checkpoint.size}"):
        rebuild_tree(large.database, FIRST_SHARD, found, told, told)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    with closing(large_books("sqlite:///:memory:", monkeypatch)) as books:
        yield books


def large_books(url: str, monkeypatch: pytest.MonkeyPatch) -> Books:
    """A signed store whose tree has a second level, and more events than are read together."""
    monkeypatch.setattr("consumers.checkpoints.rebuilding.AT_ONCE", 256)
    books = Books.open(url)
    books.take([message for number in range(105) for message in Upstream(f"large-{number}").customer()])
    work(part(books))
    found = last(books)
    assert found is not None
    assert found.size > 520
    return books


def published(books: Books) -> list[Published]:
    with books.database.reading() as transaction:
        return found_in_store(transaction, FIRST_SHARD)


def told(done: int, of: int) -> None:
    assert 0 < done <= of


def tiles_in(books: Books) -> dict[tuple[int, int], bytes]:
    with books.database.reading() as transaction:
        rows = transaction.rows("SELECT level, number, hashes FROM audit_tiles")
    return {(level, number): bytes(hashes) for level, number, hashes in rows}


def tiles_that_must_be(books: Books) -> dict[tuple[int, int], bytes]:
    """The tiles over all events, from their bytes alone."""
    digests = b"".join(leaf_digest(stored.envelope) for stored in books.envelopes())
    return tiles_of_leaves(digests)
