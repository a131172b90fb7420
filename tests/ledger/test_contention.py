"""Several writers about the same accounts: a batch is split, an account alone takes its turn, and all get through."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count

import pytest

from consumers.apart import take_apart
from consumers.files import ingest
from ledger.application.due_work import do_due_work
from ledger.application.record import take
from ledger.application.shards import Shards
from ledger.application.statement import Refusal, Taken
from ledger.store.database import CommitUnknown, Unavailable
from ledger.store.writing import ReaderFenced, ReaderMove, take_over_reader
from tests.ledger.books import Books
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream, read_all
from tests.ledger.test_kept import KeysDamaged

READER = "kafka:c/t/0"


def customers(books: Books, number: int) -> list[Upstream]:
    """Upstream's writers about so many accounts, which are known already."""
    writers = [Upstream(f"acct-{n:02}") for n in range(number)]
    books.take([message for writer in writers for message in writer.customer()])
    return writers


def others_are_faster(books: Books, upstream: Upstream, times: int = 1) -> None:
    """Another process is faster than each of this one's next writes, always with something about one account."""
    other = books.another_process()
    for number in range(times):
        message = upstream.payment_failed(message_id=f"faster-{number}")
        books.database.before_writing.append(lambda said=message: other.take([said]))


def taken_apart(books: Books, messages: Sequence[Message | bytes]) -> Taken:
    """Take messages as a file's or a request's."""
    taken = Taken()
    take_apart(Shards([books.ledger]), read_all(messages), taken)
    return taken


@pytest.mark.parametrize("fenced", [False, True])
def test_a_batch_of_two_readers_moves_both_or_neither(books: Books, fenced: bool) -> None:
    one, two = Upstream("acct-1"), Upstream("acct-2")
    moves = []
    for name in (READER, f"{READER}1"):
        with books.database.writing() as transaction:
            position, epoch = take_over_reader(transaction, name)
        moves.append(ReaderMove(name, epoch, position, 4))
    if fenced:
        with books.database.writing() as transaction:
            take_over_reader(transaction, READER)
        with pytest.raises(ReaderFenced):
            take(books.ledger, read_all([*one.customer(), *two.customer()]), *moves)
    else:
        assert take(books.ledger, read_all([*one.customer(), *two.customer()]), *moves).accepted == 8
    stands = books.rows("SELECT position FROM readers ORDER BY reader")
    assert stands == ([(0,), (0,)] if fenced else [(4,), (4,)])
    assert len(recorded(books)) == (0 if fenced else 8)


def recorded(books: Books) -> list[str]:
    """The ids of all messages that became facts, each account's in the order of its history."""
    rows = books.rows("SELECT envelope FROM events WHERE account <> 'system' ORDER BY account, account_version")
    found = [json.loads(row[0])["data"].get("message") for row in rows]
    return [message["id"] for message in found if message is not None]


def test_four_writers_and_a_file_about_the_same_accounts_all_get_through(pg_books: Books) -> None:
    """Nobody is told to try again, and everything is recorded exactly once."""
    accounts = customers(pg_books, 3)
    before = recorded(pg_books)
    told: list[Message] = []
    for number in range(190):
        upstream = accounts[number % 3]
        told += [upstream.outage_reported(f"out-{number}"), upstream.outage_resolved(f"out-{number}")]
    done = threading.Event()

    def hammer(name: str) -> list[str]:
        process, said = pg_books.another_process(), []
        for number in count():
            if done.is_set() and number >= 30:
                break
            upstream = Upstream(accounts[number % 3].account, source=f"/writer/{name}")
            process.take([upstream.payment_failed(message_id=f"{name}-{number}")])
            said.append(f"{name}-{number}")
        return said

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(hammer, name) for name in ("north", "east", "south", "west")]
        try:
            lines = [json.dumps(message).encode() for message in told]
            taken = ingest(pg_books.another_process().ledger, lines, "story")
        finally:
            done.set()
        said = [message_id for writer in writers for message_id in writer.result()]
    assert (taken.read, taken.accepted, taken.duplicates, taken.refused) == (380, 380, 0, [])
    assert sorted(recorded(pg_books)) == sorted([*before, *said, *(message["id"] for message in told)])
    pg_books.check_positions()


@pytest.mark.parametrize(("held_max", "writings"), [(0, 2), (1, 1)], ids=["who has lost", "who brings little"])
def test_an_account_is_held_while_it_is_decided_about_by(
    pg_books: Books, monkeypatch: pytest.MonkeyPatch, held_max: int, writings: int
) -> None:
    """A third writer, which would have been faster again, waits until the one in turn is done."""
    monkeypatch.setattr("ledger.application.record.HELD_MAX", held_max)
    [upstream] = customers(pg_books, 1)
    others_are_faster(pg_books, upstream)
    third, on_its_way = pg_books.another_process(), threading.Event()
    third.database.before_writing.append(on_its_way.set)
    with ThreadPoolExecutor(1) as pool:

        def before_it_commits() -> None:
            pool.submit(third.take, [upstream.outage_resolved()])
            assert on_its_way.wait(30)

        pg_books.database.before_commit.append(before_it_commits)
        pg_books.database.writings = 0
        pg_books.take([upstream.outage_reported()])
    assert (pg_books.database.writings, third.database.writings) == (writings, writings), "in vain only where it lost"
    assert [type_ for type_ in pg_books.types() if type_.startswith("outage")] == [
        "outage-reported.v1",
        "outage-resolved.v1",
    ]
    pg_books.check_positions()


@pytest.mark.usefixtures("deciding_first")
class TestABatch:
    """Messages of several accounts, of which others write about some."""

    def test_only_those_near_the_account_that_others_write_about_are_decided_about_again_and_again(
        self, books: Books
    ) -> None:
        accounts = customers(books, 24)
        others_are_faster(books, accounts[5], 12)
        books.database.writings = 0
        taken = books.take([upstream.outage_reported() for upstream in accounts])
        assert (taken.accepted, taken.duplicates, taken.refused) == (24, 0, [])
        assert books.types().count("outage-reported.v1") == 24
        # All together in vain; eight parts of three, of which one in vain; each of its accounts alone, and in turn.
        assert books.database.writings == 1 + 8 + 3
        books.check_positions()

    def test_what_became_of_each_message_is_said_in_the_order_in_which_they_came(self, books: Books) -> None:
        one, two = customers(books, 2)
        known = one.outage_reported("known")
        books.take([known])
        others_are_faster(books, one)
        other = known | {"time": "2026-04-01T00:00:00Z"}
        told = [two.outage_reported(), b"not JSON", known, one.outage_reported("new"), other, two.outage_resolved()]
        taken = taken_apart(books, told)
        assert [isinstance(each, Refusal) or each for each in taken.each] == [
            "accepted",
            True,
            "duplicate",
            "accepted",
            True,
            "accepted",
        ]
        assert [refusal.message_id for refusal in taken.refused] == [None, known["id"]]
        assert (taken.read, taken.accepted, taken.duplicates) == (6, 3, 1)
        assert books.rows("SELECT count(*) FROM dead_letters") == [(2,)]

    def test_messages_of_an_account_keep_their_order(self, books: Books) -> None:
        accounts = customers(books, 3)
        told = [upstream.outage_reported(f"out-{n}") for n in range(5) for upstream in accounts]
        others_are_faster(books, accounts[1], 3)
        books.take(told)
        for upstream in accounts:
            theirs = [message["id"] for message in told if message["subject"] == upstream.account]
            assert [message_id for message_id in recorded(books) if message_id in theirs] == theirs

    def test_of_two_accounts_messages_under_one_identity_the_first_is_taken_however_it_is_split(
        self, books: Books
    ) -> None:
        one, two, three = customers(books, 3)
        others_are_faster(books, one)
        taken = books.take(
            [
                one.outage_reported(),
                two.outage_reported("a", message_id="apart"),
                three.outage_reported("b", message_id="shared"),
                two.outage_reported("c", message_id="shared"),
            ]
        )
        assert (taken.accepted, [refusal.account for refusal in taken.refused]) == (3, [two.account])

    def test_one_that_fails_is_set_aside_though_others_were_faster(self, open_books: Opener) -> None:
        """What was recorded before it failed is not called a duplicate afterwards."""
        books = open_books(keys=KeysDamaged({"account/acct-09"}))
        accounts = customers(books, 3)
        others_are_faster(books, accounts[0])
        stranger = Upstream("acct-09")
        told = [accounts[0].outage_reported(), accounts[1].outage_reported(), stranger.account_registered()]
        told += [accounts[0].outage_resolved(), stranger.outage_reported(), accounts[2].outage_reported()]
        taken = taken_apart(books, told)
        assert taken.each == ["accepted", "accepted", "set aside", "accepted", "accepted", "accepted"]
        assert (taken.read, taken.accepted, taken.set_aside) == (6, 5, 1)
        assert books.rows("SELECT id FROM set_aside") == [(told[2]["id"],)]

    def test_what_a_lost_answer_leaves_open_in_a_part_is_found_out(self, books: Books) -> None:
        accounts = customers(books, 3)
        others_are_faster(books, accounts[1])

        def answer_lost() -> None:
            raise CommitUnknown("the answer to a commit was lost")

        books.database.after_commit.extend([lambda: None, answer_lost])
        taken = books.take([upstream.outage_reported() for upstream in accounts])
        assert (taken.accepted, taken.duplicates) == (3, 0)
        assert books.types().count("outage-reported.v1") == 3

    def test_accounts_that_fall_due_are_not_kept_waiting_by_one_that_others_write_about(self, books: Books) -> None:
        books.clock.at = datetime(2026, 2, 1, tzinfo=UTC)
        accounts = customers(books, 24)
        books.clock.at = datetime(2026, 3, 15, tzinfo=UTC)
        others_are_faster(books, accounts[5], 12)
        assert do_due_work(books.ledger, books.clock()) == 24
        assert books.rows("SELECT account FROM heads WHERE due_at <= 1773532800000000") == []
        assert [e["data"]["after"] for e in books.stored() if e["type"] == "subscription-status-changed.v1"].count(
            "active"
        ) == 24


@pytest.mark.usefixtures("deciding_first")
class TestAReader:
    """A partition's messages, which are recorded with the position behind them (design rule 1)."""

    def test_it_moves_with_the_last_part_past_all_of_them(self, books: Books) -> None:
        accounts = customers(books, 3)
        move = taken_over(books)
        positions = []
        others_are_faster(books, accounts[0])
        books.database.before_writing.extend([lambda: positions.append(position_of(books))] * 3)
        books.take([upstream.outage_reported() for upstream in accounts], reader=move)
        assert (positions, position_of(books)) == ([0, 0, 0], 3)

    def test_it_stays_before_all_of_them_where_a_part_cannot_be_recorded(self, books: Books) -> None:
        """They are read again, and what was recorded is known by then."""
        accounts = customers(books, 3)
        move = taken_over(books)
        told = [upstream.outage_reported() for upstream in accounts]
        others_are_faster(books, accounts[0])
        books.database.before_writing.extend([lambda: None, out_of_reach])
        with pytest.raises(Unavailable):
            books.take(told, reader=move)
        assert position_of(books) == 0
        assert books.types().count("outage-reported.v1") == 1
        taken = books.take(told, reader=move)
        assert (taken.accepted, taken.duplicates, position_of(books)) == (2, 1, 3)

    def test_no_part_is_recorded_by_a_reader_that_was_taken_over(self, books: Books) -> None:
        accounts = customers(books, 3)
        move = taken_over(books)
        others_are_faster(books, accounts[0])
        books.database.before_writing.extend([lambda: None, lambda: taken_over(books.another_process())])
        with pytest.raises(ReaderFenced):
            books.take([upstream.outage_reported() for upstream in accounts], reader=move)
        assert books.types().count("outage-reported.v1") == 1, "the part before it was"
        assert position_of(books) == 0


def taken_over(books: Books) -> ReaderMove:
    """A move past three messages by whoever has just taken the reader over."""
    with books.database.real.writing() as transaction:
        position, epoch = take_over_reader(transaction, READER)
    return ReaderMove(READER, epoch, position, position + 3)


def position_of(books: Books) -> int:
    [(position,)] = books.rows("SELECT position FROM readers WHERE reader = ?", READER)
    return int(position)


def out_of_reach() -> None:
    raise Unavailable("the store cannot be reached")
