"""What every store must hold, whatever goes wrong around it: one contract, on every database there is."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from ledger.application.due_work import do_due_work
from ledger.application.ledger import Decided
from ledger.application.record import take
from ledger.application.statement import Statement, Taken
from ledger.events import from_stored
from ledger.events.event_ids import message_event_id
from ledger.store.connecting import connect
from ledger.store.database import CommitUnknown, Conflict, Unavailable, redacted
from ledger.store.positions import event_sequence
from ledger.store.reading.events import PositionMissing, follow_account
from ledger.store.reading.shards import shard_end
from ledger.store.vault_keys import KeyDatabase
from ledger.store.writing import (
    HeadMoved,
    ReaderFenced,
    ReaderMove,
    Writes,
    next_positions,
    take_over_reader,
)
from ledger.vault import VaultEntry
from tests.ledger.books import LONG_AFTER, STANDARD, Books, Killed, killed, oracle_agreements
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream, read, read_all
from tests.oracle import histories, policy

PATIENCE = 30.0


def answer_lost() -> None:
    raise CommitUnknown("the answer to a commit was lost")


def deadlock() -> None:
    raise Conflict("a deadlock was detected")


def in_a_thread(work: Callable[[], Any]) -> Future[Any]:
    """Start work beside the test; its errors come out where its result is asked for."""
    pool = ThreadPoolExecutor(1)
    started = pool.submit(work)
    pool.shutdown(wait=False)
    return started


def as_one_writer(messages: Sequence[Message], agreements: Sequence[str] = (STANDARD,)) -> list[dict[str, Any]]:
    """The claims that one writer comes to, message by message."""
    books = Books.open(agreements=agreements)
    books.take(messages, batch=1)
    return books.claims()


def take_over(books: Books, reader: str = "kafka:c/t/0") -> tuple[int, int]:
    with books.database.real.writing() as transaction:
        return take_over_reader(transaction, reader)


def position_of(books: Books, reader: str = "kafka:c/t/0") -> int:
    [(position,)] = books.rows("SELECT position FROM readers WHERE reader = ?", reader)
    return int(position)


class TestEveryStore:
    """The contract."""

    # --- positions ---------------------------------------------------------------------------------------------

    def test_positions_count_from_1_in_the_order_of_commit(self, books: Books) -> None:
        assert books.check_positions() == 1, "the agreement's publication"
        books.take(Upstream("acct-a").every_type(), batch=5)
        books.take(Upstream("acct-b").every_type())
        events = books.check_positions()
        with books.database.reading() as transaction:
            assert shard_end(transaction, 0) == events
        accounts = [envelope.account for envelope in books.envelopes()]
        assert accounts == sorted(accounts, key=["system", "acct-a", "acct-b"].index), "acct-b came later"

    def test_a_rollback_takes_no_position_with_it(self, books: Books) -> None:
        before = books.content()
        with pytest.raises(Killed), books.database.writing() as transaction:  # noqa: PT012
            assert next_positions(transaction, event_sequence(0), 7) == 8
            raise Killed
        assert books.content() == before
        books.take(Upstream().customer())
        books.check_positions()

    def test_whoever_would_take_a_higher_position_waits_for_the_lower_one(self, books: Books) -> None:
        """A reader that has seen a position has seen all before it, however long a writer takes to commit."""
        slow, quick, reader = books, books.another_process(), books.another_process()
        reached, release, done = threading.Event(), threading.Event(), threading.Event()

        def hold() -> None:
            reached.set()
            assert release.wait(PATIENCE)

        def follow() -> list[list[int]]:
            seen = []
            while not done.is_set():
                seen.append([envelope.position for envelope in reader.envelopes()])
            return seen

        slow.database.before_commit.append(hold)
        first = in_a_thread(lambda: slow.take(Upstream("acct-slow").customer()))
        assert reached.wait(PATIENCE)
        second = in_a_thread(lambda: quick.take(Upstream("acct-quick").customer()))
        following = in_a_thread(follow)
        assert not second.done()
        done.wait(0.3)
        assert not second.done(), "the second writer must wait for the position's row"
        release.set()
        assert first.result(PATIENCE).accepted == second.result(PATIENCE).accepted == 4
        done.set()
        for positions in following.result(PATIENCE):
            assert positions == list(range(1, len(positions) + 1))
        accounts = [envelope.account for envelope in books.envelopes()]
        assert accounts == sorted(accounts, key=["system", "acct-slow", "acct-quick"].index)
        books.check_positions()

    def test_a_hole_stops_every_reader(self, books: Books) -> None:
        books.take(Upstream().customer())
        with books.database.writing() as transaction:
            transaction.run("DELETE FROM events WHERE position = 3")
        with pytest.raises(PositionMissing, match="position 0:3 is missing"):
            books.envelopes()

    def test_an_account_is_followed_from_its_first_event_on(self, books: Books) -> None:
        books.take([*Upstream("acct-a").customer(), *Upstream("acct-b").customer()])
        followed = list(follow_account(books.database, "acct-b"))
        assert [e.account_version for e in followed] == list(range(1, len(followed) + 1))
        assert {e.account for e in followed} == {"acct-b"}
        assert list(follow_account(books.database, "acct-b", to_version=3)) == followed[:3]
        assert list(follow_account(books.database, "nobody")) == []

    def test_streams_read_back_as_the_library_asks_for_them(self, books: Books) -> None:
        books.take([*Upstream().customer(), *Upstream("acct-2").customer()])
        recorder = books.ledger.recorder
        stream = "subscription/acct-1/sub-1"
        versions = [event.originator_version for event in recorder.select_events(stream)]
        assert versions == list(range(1, len(versions) + 1))
        assert len(versions) > 2
        assert [e.originator_version for e in recorder.select_events(stream, gt=1, lte=2)] == [2]
        newest = recorder.select_events(stream, desc=True, limit=1)
        assert [e.originator_version for e in newest] == versions[-1:]

    # --- one head per account ----------------------------------------------------------------------------------

    @pytest.mark.usefixtures("deciding_first")
    def test_of_two_writers_on_one_account_the_second_decides_again(self, books: Books) -> None:
        """An outage on the subscription, an overcharge on the account: no difference is lost between them."""
        upstream = Upstream()
        customer = upstream.customer()
        outage = [upstream.outage_reported(), upstream.outage_resolved()]
        overcharge = [upstream.overcharge_confirmed(amount="15.50")]
        books.take(customer)
        other = books.another_process()
        books.database.before_writing.append(lambda: other.take(overcharge))
        books.database.writings = 0
        assert books.take(outage).accepted == 2
        assert books.database.writings == 2, "once in vain, and once having seen the other's fact"
        assert books.amounts() == {"billing-error/dis-1": "15.50", "disruption/cyc-1": "1.03"}
        assert books.claims() == as_one_writer([*customer, *overcharge, *outage])
        assert books.claims() == as_one_writer([*customer, *outage, *overcharge])
        books.check_positions()

    def test_a_stale_head_is_refused(self, books: Books) -> None:
        books.take(Upstream().customer())
        upstream = Upstream(begins="2026-04-01T00:00:00Z")
        spent = []
        for message in (
            upstream.says("outage.reported", message_id="one", **upstream.outage_reported()["data"]),
            upstream.says("overcharge.confirmed", message_id="two", **upstream.overcharge_confirmed()["data"]),
        ):
            process = books.another_process()
            with process.database.reading() as transaction:
                accounts = process.ledger.open_accounts(transaction, ["acct-1"])
            statement = read(message)
            assert isinstance(statement, Statement)
            accounts["acct-1"].record(statement, None, books.clock())
            spent.append((process, accounts["acct-1"]))
        (first, its_account), (second, its_stale_account) = spent
        first.ledger.decide(lambda _: Decided([its_account], its_account.collect(), Writes()))
        before = books.content()
        with pytest.raises(HeadMoved):
            second.ledger.decide(lambda _: Decided([its_stale_account], its_stale_account.collect(), Writes()))
        assert books.content() == before

    def test_two_writers_with_the_first_fact_of_one_account_record_both(self, books: Books) -> None:
        upstream = Upstream()
        first, second = upstream.account_registered(), upstream.subscription_registered()
        other = books.another_process()
        books.database.before_writing.append(lambda: other.take([second]))
        books.take([first])
        assert sorted(t for t in books.types() if t.endswith("registered.v1")) == [
            "account-registered.v1",
            "subscription-registered.v1",
        ]
        assert "agreement-bound.v1" in books.types()
        books.check_positions()

    @pytest.mark.parametrize("seeds", [range(6), range(100, 106)], ids=str)
    def test_four_writers_at_once_come_to_the_claims_of_one(self, open_books: Opener, seeds: range) -> None:
        """Their messages are dealt out like cards, so that all four write to every account all the time."""
        told = [histories.history(seed, instructed=True) for seed in seeds]
        messages = [m for turn in range(max(map(len, told))) for h in told if turn < len(h) for m in [h[turn]]]
        books = open_books(agreements=oracle_agreements())
        processes = [books.another_process() for _ in range(4)]

        def write(process: Books, hand: list[Message]) -> int:
            return sum(process.take(hand[start : start + 3]).accepted for start in range(0, len(hand), 3))

        with ThreadPoolExecutor(4) as pool:
            written = [pool.submit(write, process, messages[n::4]) for n, process in enumerate(processes)]
            assert sum(each.result() for each in written) == len(messages)
        assert books.claims() == policy.claims(messages, histories.agreements(), LONG_AFTER)
        alone = Books.open(agreements=oracle_agreements())
        alone.take(messages, batch=7)
        assert books.alarms() == alone.alarms()
        assert books.waiting() == alone.waiting()
        books.check_positions()

    # --- readers -----------------------------------------------------------------------------------------------

    def test_a_readers_position_moves_with_its_batch(self, books: Books) -> None:
        assert take_over(books) == (0, 1)
        books.take(Upstream().customer(), reader=ReaderMove("kafka:c/t/0", epoch=1, position=0, to=4))
        assert position_of(books) == 4
        assert take_over(books) == (4, 2)
        assert take_over(books, "kafka:c/t/1") == (0, 1), "each partition is a reader of its own"

    def test_a_reader_that_was_taken_over_writes_nothing(self, books: Books) -> None:
        position, epoch = take_over(books)
        take_over(books)
        before = books.content()
        with pytest.raises(ReaderFenced):
            books.take(Upstream().customer(), reader=ReaderMove("kafka:c/t/0", epoch, position, to=4))
        assert books.content() == before

    def test_a_reader_whose_position_was_moved_meanwhile_writes_nothing(self, books: Books) -> None:
        _, epoch = take_over(books)
        books.take(Upstream("acct-a").customer(), reader=ReaderMove("kafka:c/t/0", epoch, 0, to=4))
        before = books.content()
        with pytest.raises(ReaderFenced):
            books.take(Upstream("acct-b").customer(), reader=ReaderMove("kafka:c/t/0", epoch, 0, to=4))
        assert books.content() == before

    def test_a_batch_of_duplicates_still_moves_its_reader(self, books: Books) -> None:
        customer = Upstream().customer()
        books.take(customer)
        envelopes = books.envelopes()
        _, epoch = take_over(books)
        taken = books.take(customer, reader=ReaderMove("kafka:c/t/0", epoch, 0, to=4))
        assert (taken.accepted, taken.duplicates, position_of(books)) == (0, 4, 4)
        assert books.envelopes() == envelopes

    def test_a_batch_of_nothing_still_moves_its_reader(self, books: Books) -> None:
        """A stretch of control records, for one."""
        _, epoch = take_over(books)
        books.take([], reader=ReaderMove("kafka:c/t/0", epoch, 0, to=9))
        assert position_of(books) == 9

    # --- the inbox ---------------------------------------------------------------------------------------------

    def test_a_message_taken_by_two_writers_at_once_is_recorded_once(self, books: Books) -> None:
        upstream = Upstream()
        customer, outage = upstream.customer(), upstream.outage_reported()
        books.take(customer)
        other = books.another_process()
        books.database.before_writing.append(lambda: other.take([outage]))
        taken = books.take([outage])
        assert (taken.accepted, taken.duplicates, taken.refused) == (0, 1, [])
        assert books.types().count("outage-reported.v1") == 1
        books.check_positions()

    def test_one_identity_for_two_accounts_at_once_is_a_conflict(self, books: Books) -> None:
        """The two touch no account in common: only the inbox stands between them."""
        one = Upstream("acct-a").says("complaint.resolved", message_id="same", complaint_id="c", resolution="done")
        two = Upstream("acct-b").says("complaint.resolved", message_id="same", complaint_id="c", resolution="done")
        other = books.another_process()
        books.database.before_writing.append(lambda: other.take([two]))
        taken = books.take([one])
        assert [refusal.message_id for refusal in taken.refused] == ["same"]
        assert [e["account"] for e in books.stored()] == ["acct-b"]

    # --- crashes -----------------------------------------------------------------------------------------------

    def test_a_process_killed_before_its_commit_leaves_nothing(self, books: Books) -> None:
        upstream = Upstream()
        customer, later = upstream.customer(), [upstream.outage_reported(), b"not JSON", upstream.outage_resolved()]
        books.take(customer)
        _, epoch = take_over(books)
        move = ReaderMove("kafka:c/t/0", epoch, 0, to=3)
        before = books.content()
        books.database.before_commit.append(killed)
        with pytest.raises(Killed):
            books.take(later, reader=move)
        assert books.content() == before
        taken = books.another_process().take(later, reader=move)
        assert (taken.accepted, taken.duplicates, len(taken.refused)) == (2, 0, 1)
        assert books.amounts() == {"disruption/cyc-1": "2.07"}
        books.check_positions()

    def test_a_process_killed_after_its_commit_has_recorded_everything_once(self, books: Books) -> None:
        customer = Upstream().customer()
        books.database.after_commit.append(killed)
        with pytest.raises(Killed):
            books.take(customer)
        before = books.content()
        taken = books.another_process().take(customer)
        assert (taken.accepted, taken.duplicates) == (0, 4)
        assert books.content() == before

    def test_a_crash_between_the_keys_commit_and_the_ledgers_leaves_an_unused_key(self, open_books: Opener) -> None:
        key_store = connect("sqlite:///:memory:")
        keys = KeyDatabase(key_store, lambda: LONG_AFTER)
        books = open_books(keys=keys)
        customer = Upstream().customer()
        before = books.content()
        books.database.before_commit.append(killed)
        with pytest.raises(Killed):
            books.take([*customer, b"not JSON"])
        assert books.content() == before
        with key_store.reading() as transaction:
            made = transaction.rows("SELECT subject, key FROM vault_keys ORDER BY subject")
        assert len(made) == 3, "the customer's, the dead letter's and the store's own"
        again = books.another_process()
        assert again.take([*customer, b"not JSON"]).accepted == 4
        with key_store.reading() as transaction:
            assert transaction.rows("SELECT subject, key FROM vault_keys ORDER BY subject") == made
        assert open_sealed(again, customer[0])["customer"]["email"] == "zoe@acct-1.example"

    # --- a commit whose answer is lost ---------------------------------------------------------------------------

    @pytest.mark.parametrize("with_reader", [False, True], ids=["no reader", "a reader"])
    @pytest.mark.parametrize("happened", [False, True], ids=["did not happen", "happened"])
    def test_after_a_lost_answer_every_fact_is_there_once_and_counted_rightly(
        self, books: Books, happened: bool, with_reader: bool
    ) -> None:
        upstream = Upstream()
        customer = upstream.customer()
        outage, resolved = upstream.outage_reported(), upstream.outage_resolved()
        books.take(customer)
        _, epoch = take_over(books)
        move = ReaderMove("kafka:c/t/0", epoch, 0, to=6) if with_reader else None
        moment = books.database.after_commit if happened else books.database.before_commit
        moment.append(answer_lost)
        taken = books.take([customer[0], outage, resolved, resolved, b"not JSON", customer[1]], reader=move)
        assert (taken.read, taken.accepted, taken.duplicates, len(taken.refused)) == (6, 2, 3, 1)
        assert books.types().count("outage-reported.v1") == books.types().count("outage-resolved.v1") == 1
        assert books.amounts() == {"disruption/cyc-1": "2.07"}
        assert position_of(books) == (6 if with_reader else 0)
        assert len(books.rows("SELECT * FROM dead_letters")) == 1
        books.check_positions()

    @pytest.mark.parametrize("happened", [False, True], ids=["did not happen", "happened"])
    def test_a_lost_answer_to_a_batch_of_duplicates_moves_the_reader_once(self, books: Books, happened: bool) -> None:
        customer = Upstream().customer()
        books.take(customer)
        _, epoch = take_over(books)
        moment = books.database.after_commit if happened else books.database.before_commit
        moment.append(answer_lost)
        taken = books.take(customer, reader=ReaderMove("kafka:c/t/0", epoch, 0, to=4))
        assert (taken.accepted, taken.duplicates, position_of(books)) == (0, 4, 4)

    def test_answers_lost_twice_and_a_faster_writer_between_change_nothing(self, books: Books) -> None:
        upstream = Upstream()
        books.take(upstream.customer())
        outage, charge = upstream.outage_reported(), upstream.charge_posted()
        other = books.another_process()
        books.database.before_commit.append(answer_lost)
        books.database.before_writing.extend([lambda: None, lambda: other.take([charge])])
        books.database.after_commit.append(answer_lost)
        taken = books.take([outage])
        assert (taken.accepted, taken.duplicates) == (1, 0)
        assert books.types().count("outage-reported.v1") == books.types().count("charge-posted.v1") == 1
        books.check_positions()

    def test_a_reader_taken_over_while_its_answer_was_lost_is_fenced(self, books: Books) -> None:
        """Its batch is recorded and stays so; but another goes on from there."""
        _, epoch = take_over(books)
        customer = Upstream().customer()

        def lost_and_taken_over() -> None:
            take_over(books)
            answer_lost()

        books.database.after_commit.append(lost_and_taken_over)
        with pytest.raises(ReaderFenced):
            books.take(customer, reader=ReaderMove("kafka:c/t/0", epoch, 0, to=4))
        assert position_of(books) == 4
        assert books.types().count("account-registered.v1") == 1

    # --- dead letters ------------------------------------------------------------------------------------------

    def test_a_batch_of_refusals_only_becomes_dead_letters(self, books: Books) -> None:
        _, epoch = take_over(books)
        lines: list[Message | bytes] = [b"not JSON", b"{}", Upstream().cycle_started(price="-1.00")]
        taken = books.take(lines, reader=ReaderMove("kafka:c/t/0", epoch, 0, to=3))
        assert (taken.read, taken.accepted, taken.duplicates, len(taken.refused)) == (3, 0, 0, 3)
        assert books.stored() == []
        assert position_of(books) == 3
        letters = books.rows("SELECT position, origin, field, account, id FROM dead_letters ORDER BY position")
        assert letters == [
            (1, "file:story:1", None, None, None),
            (2, "file:story:2", "specversion", None, None),
            (3, "file:story:3", "data.price", "acct-1", "acct-1.1"),
        ]
        assert books.rows("SELECT * FROM inbox") == [], "a refused message claims no identity"

    def test_a_dead_letter_is_kept_once_however_often_it_comes(self, books: Books) -> None:
        bad = Upstream().cycle_started(price="-1.00")
        good = Upstream("acct-2").customer()
        for process in (books, books.another_process()):
            assert len(process.take([bad, bad, *good, b"not JSON"]).refused) == 3
        assert [row[0] for row in books.rows("SELECT origin FROM dead_letters ORDER BY position")] == [
            "file:story:1",
            "file:story:2",
            "file:story:7",
        ], "the same body seen in another place is another dead letter"
        books.take([b"no JSON either"], file="story")
        assert books.rows("SELECT position, origin FROM dead_letters WHERE position > 3") == [(4, "file:story:1")]

    def test_a_refused_body_can_be_read_back_from_the_vault(self, books: Books) -> None:
        books.take([b'{"customer": "Zo\xc3\xab"'])
        [(letter_id,)] = books.rows("SELECT dead_letter_id FROM dead_letters")
        entry = vault_entry(books, f"dead-letter/{letter_id}")
        assert books.ledger.vault.decrypt(entry) == b'{"customer": "Zo\xc3\xab"'

    # --- agreements --------------------------------------------------------------------------------------------

    def test_publishing_between_a_registrations_decision_and_its_commit_is_seen(self, open_books: Opener) -> None:
        books = open_books(agreements=())
        other = books.another_process()
        books.database.before_writing.append(other.publish)
        books.take(Upstream().customer())
        assert books.types().count("agreement-bound.v1") == 1
        assert books.waiting() == []

    def test_registering_between_a_publications_decision_and_its_commit_is_seen(self, open_books: Opener) -> None:
        books = open_books(agreements=())
        other = books.another_process()
        customer = Upstream().customer()
        books.database.before_writing.append(lambda: other.take(customer))
        assert books.publish()
        assert books.waiting() == [(customer[1]["id"], "agreement standard")]
        assert do_due_work(books.ledger, books.clock()) == 1, "the publication made the account fall due"
        assert books.types().count("agreement-bound.v1") == 1
        assert books.waiting() == books.rows("SELECT * FROM awaiting_agreement") == []

    @pytest.mark.usefixtures("deciding_first")
    def test_threads_that_share_a_ledger_miss_no_publication(self, books: Books) -> None:
        """While one thread decides, others may publish, and read what is published now."""
        books.take([Upstream("acct-1").account_registered()])

        def meanwhile() -> None:
            books.publish(STANDARD.replace("standard", "late"))
            books.take(Upstream("acct-2").customer())

        books.database.after_reading.append(meanwhile)
        upstream = Upstream("acct-1", begins="2026-05-01T00:00:00Z")
        books.take([upstream.says("subscription.registered", message_id="r", **registration("late"))])
        do_due_work(books.ledger, books.clock())
        assert books.waiting() == []
        assert books.types("acct-1").count("agreement-bound.v1") == 1

    @pytest.mark.parametrize("round_", range(3))
    def test_publishing_and_registering_at_once_never_leave_a_subscription_waiting(
        self, open_books: Opener, round_: int
    ) -> None:
        books = open_books(agreements=())
        other = books.another_process()
        start = threading.Barrier(2)
        customers = [Upstream(f"acct-{number}") for number in range(4)]
        told = [message for upstream in customers for message in upstream.customer()]

        def register() -> Taken:
            start.wait(PATIENCE)
            return books.take(told, batch=1 + round_ * 3)

        def publication() -> bool:
            start.wait(PATIENCE)
            return other.publish()

        registering, publishing = in_a_thread(register), in_a_thread(publication)
        assert publishing.result(PATIENCE)
        assert registering.result(PATIENCE).accepted == len(told)
        do_due_work(books.ledger, books.clock() + timedelta(seconds=1))
        assert books.types().count("agreement-bound.v1") == 4
        assert books.waiting() == []
        books.check_positions()

    # --- the database itself -----------------------------------------------------------------------------------

    def test_a_store_is_created_once(self, books: Books) -> None:
        before = books.content()
        with pytest.raises(Conflict):
            books.ledger.create_store(sandbox=True)
        assert books.content() == before

    def test_a_reader_sees_one_state_throughout(self, books: Books) -> None:
        if books.database.real.url == "sqlite:///:memory:":
            return  # its one connection is taken in turn
        other = books.another_process()
        with books.database.reading() as transaction:
            before = transaction.rows("SELECT COUNT(*) FROM events")
            other.take(Upstream().customer())
            assert transaction.rows("SELECT COUNT(*) FROM events") == before

    def test_any_number_of_values_can_be_asked_for_at_once(self, books: Books) -> None:
        customer = Upstream().customer()
        books.take(customer)
        many = [*(f"no-such-{number}" for number in range(70_000)), customer[0]["id"]]
        with books.database.reading() as transaction:
            found = transaction.rows_in("SELECT id FROM inbox WHERE id IN (?*)", many)
            assert found == [(customer[0]["id"],)]
            assert transaction.rows_in("SELECT id FROM inbox WHERE id IN (?*)", []) == []

    def test_several_questions_asked_at_once_are_answered_as_one_by_one(self, books: Books) -> None:
        books.take(Upstream().customer())
        questions = [f"SELECT * FROM {table} WHERE account IN (?*)" for table in ("heads", "events", "waiting")]
        with books.database.real.reading() as transaction:
            at_once = transaction.rows_in_each(questions, ["acct-1", "nobodys"])
            assert at_once == [transaction.rows_in(question, ["acct-1", "nobodys"]) for question in questions]
            assert [bool(rows) for rows in at_once] == [True, True, False]
            assert transaction.rows_in_each([], ["acct-1"]) == []

    def test_ids_are_compared_by_code_point_and_case(self, books: Books) -> None:
        """Whatever the database's collation: é is no e, and A is no a."""
        accounts = ["acct", "Acct", "acct-e\u0301", "acct-é", "acct/%2F", "acct%2F/", "\U0001f600"]
        told = [
            Upstream(account).says("account.registered", message_id=account, **REGISTRATION) for account in accounts
        ]
        assert books.take(told).accepted == len(accounts)
        assert books.take(told).duplicates == len(accounts)
        assert sorted({e["account"] for e in books.stored()}) == sorted(accounts)
        assert len({e["stream"] for e in books.stored()}) == len(accounts)


REGISTRATION = Upstream().account_registered()["data"]


def registration(agreement: str) -> dict[str, Any]:
    data: dict[str, Any] = Upstream().subscription_registered(agreement=agreement)["data"]
    return data


def vault_entry(books: Books, ref: str) -> VaultEntry:
    [row] = books.rows("SELECT ref, subject, nonce, ciphertext FROM vault WHERE ref = ?", ref)
    return VaultEntry(*row)


def open_sealed(books: Books, message: Message) -> dict[str, Any]:
    """What the vault holds of a message, by way of the envelope that refers to it."""
    ref = message_event_id(message["source"], message["id"])
    [(type_, envelope)] = books.rows("SELECT type, envelope FROM events WHERE event_id = ?", ref)
    sealed = from_stored(type_, envelope).data.sealed
    return books.ledger.vault.open(sealed, vault_entry(books, sealed.ref))


def test_the_same_batch_through_take_itself_reads_as_a_whole() -> None:
    """`take` is the only way in: what it returns adds up."""
    books = Books.open()
    customer = Upstream().customer()
    taken = take(books.ledger, read_all([*customer, *customer, b"not JSON"]))
    assert taken.read == taken.accepted + taken.duplicates + len(taken.refused) == 9


def test_a_store_in_which_nobody_ever_gets_through_says_so() -> None:
    """Deadlocks, one after the other: the caller hears of it and tries again later; nothing is half written."""
    books = Books.open()
    books.database.before_commit.extend([deadlock] * 12)
    with pytest.raises(Conflict):
        books.take(Upstream().customer())
    assert books.stored() == []


def test_a_store_that_answers_no_commit_at_all_is_unavailable() -> None:
    books = Books.open()
    books.database.before_commit.extend([answer_lost] * 12)
    with pytest.raises(Unavailable):
        books.take(Upstream().customer())
    assert books.stored() == []


def test_a_connection_that_breaks_at_its_commit_leaves_the_outcome_unknown(pg_books: Books) -> None:
    """The wrapped databases above say what a real one says."""
    with pytest.raises(CommitUnknown), pg_books.database.real.writing() as transaction:  # noqa: PT012
        transaction.run("INSERT INTO store (name, value) VALUES ('a', 'b')")
        break_writers(pg_books)
    assert pg_books.rows("SELECT value FROM store WHERE name = 'a'") == []


def test_a_batch_whose_connection_breaks_at_its_commit_is_taken_all_the_same(pg_books: Books) -> None:
    pg_books.database.before_commit.append(lambda: break_writers(pg_books))
    taken = pg_books.take(Upstream().customer())
    assert (taken.accepted, taken.duplicates) == (4, 0)
    pg_books.check_positions()


def test_a_connection_that_breaks_before_its_commit_is_unavailable(pg_books: Books) -> None:
    with pytest.raises(Unavailable) as raised, pg_books.database.real.writing() as transaction:  # noqa: PT012
        transaction.rows("SELECT 1")
        break_writers(pg_books)
        transaction.run("INSERT INTO store (name, value) VALUES ('a', 'b')")
    assert not isinstance(raised.value, CommitUnknown)
    assert pg_books.take(Upstream().customer()).accepted == 4


def test_a_duplicate_that_a_node_of_citus_found_is_one(pg_books: Books) -> None:
    """Citus tells it without the code by which PostgreSQL tells it (`ReportCopyError` in its multi_copy.c)."""
    said = 'duplicate key value violates unique constraint "inbox_pkey_102100"'
    with pytest.raises(Conflict, match="inbox_pkey"), pg_books.database.writing() as transaction:
        transaction.run(f"DO $$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = 'internal_error'; END $$")


def test_whoever_writes_finds_rows_by_keys_in_a_table_that_the_server_knows_nothing_of(pg_books: Books) -> None:
    """As in a new store, which grows a thousandfold before it is analysed."""
    database = pg_books.database.real
    with database.writing() as transaction:
        transaction.run("CREATE TEMPORARY TABLE fresh (account TEXT, id TEXT, PRIMARY KEY (account, id))")
        rows = [(f"acct-{n}", "a") for n in range(5_000)]
        transaction.insert("fresh", ("account", "id"), rows)
        asked = [account for account, _ in rows[:200]]
        plan = transaction.rows_in("EXPLAIN SELECT id FROM fresh WHERE account IN (?*)", asked)
    assert "Seq Scan" not in str(plan)
    assert "fresh_pkey" in str(plan)
    with database.reading() as transaction:
        assert transaction.rows("SHOW enable_seqscan") == [("on",)]


def test_no_table_is_read_whole_for_messages_while_a_store_grows(pg_url: str) -> None:
    """Whatever was planned while it was small: a message costs what it did when there were few accounts."""
    with closing(connect(pg_url)) as keys:  # beside the store, so that one question tells of both
        books = Books.open(pg_url, keys=KeyDatabase(keys, lambda: LONG_AFTER))
        upstream = [Upstream(f"acct-{n}") for n in range(600)]
        told = [message for each in upstream for message in each.customer()]
        told += [each.outage_reported() for each in upstream]
        assert books.take(told, batch=80).accepted == len(told)
        books.close()
    read = rows_read(pg_url)
    assert max(read.values()) < 2 * len(told), read


def rows_read(url: str) -> dict[str, int]:
    """How many rows of each table, and entries of each index, of a store were read by going through them, once nobody
    of ours is there."""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(OURS).fetchone() != (0,):
            time.sleep(0.01)
        return dict(connection.execute(READ).fetchall())


OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'makegood' AND datname = current_database()"
READ = """
    SELECT 'all of ' || relname, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = current_schema()
    UNION ALL SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = current_schema()
"""


def test_a_writer_that_hangs_keeps_nobody_waiting(pg_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen process holds its locks until the server ends its transaction; woken, it hears that it was late."""
    monkeypatch.setattr("ledger.store.postgresql.IDLE_IN_TRANSACTION", "300ms")
    books = Books.open(pg_store)
    upstream = Upstream()
    books.take(upstream.customer())
    frozen = books.database.real.writing()
    transaction = frozen.__enter__()
    transaction.run("UPDATE heads SET version = 999")
    taken = ThreadPoolExecutor(1).submit(books.take, [upstream.outage_reported()]).result(30)
    assert taken.accepted == 1
    with pytest.raises(CommitUnknown):
        frozen.__exit__(None, None, None)
    with pytest.raises(Unavailable), books.database.real.writing() as another:  # noqa: PT012
        another.rows("SELECT 1")
        time.sleep(1)
        another.run("UPDATE heads SET version = 999")
    assert books.rows("SELECT 1 FROM heads WHERE version = 999") == []
    books.close()


class Line:
    """The way to a PostgreSQL, on which at some moment no more comes through: as when who speaks is frozen."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = (parts.hostname, parts.port)
        login = parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._listener.getsockname()[1]}"))
        self.left: int | None = None
        """So many bytes still come through; None for all."""
        self.is_silent, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._carry, daemon=True).start()

    def _carry(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(self._server) as server:
            while not self._ended.is_set():
                for end in select.select([client, server], [], [], 0.05)[0]:
                    if end is client and self.left == 0:
                        self.is_silent.set()
                        time.sleep(0.01)
                        continue
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is client and self.left is not None:
                        data = data[: self.left]
                        self.left -= len(data)
                    (server if end is client else client).sendall(data)

    def end(self) -> None:
        self._ended.set()
        self._listener.close()


@pytest.mark.parametrize("statement", ["insert", "insert of a long one", "update", "upsert", "delete", "rows_in"])
def test_a_writer_of_whom_only_the_beginning_of_many_rows_arrives_keeps_nobody_waiting(
    pg_store: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr("ledger.store.postgresql.IDLE_IN_TRANSACTION", "300ms")
    books = Books.open(pg_store)
    upstream = Upstream()
    books.take(upstream.customer())
    line = Line(pg_store)
    frozen = connect(line.url)
    rows = [(f"acct-{number}", f"{number:0100}") for number in range(10_000)]

    def speak() -> None:
        with frozen.writing() as transaction:
            transaction.run("UPDATE heads SET version = ?", (999,))
            line.left = 100_000
            columns = {"agreement": "TEXT", "account": "TEXT"}
            match statement:
                case "insert":
                    transaction.insert("awaiting_agreement", tuple(columns), rows)
                case "insert of a long one":
                    transaction.insert("awaiting_agreement", tuple(columns), [("acct-1", "0" * 1_000_000)])
                case "update":
                    transaction.update("awaiting_agreement", {"agreement": "TEXT"}, {"account": "TEXT"}, rows)
                case "delete":
                    transaction.delete("awaiting_agreement", tuple(columns), rows)
                case "upsert":
                    transaction.upsert("awaiting_agreement", columns, tuple(columns), rows)
                case _:
                    transaction.rows_in("SELECT 1 FROM heads WHERE account IN (?*)", [name for _, name in rows])

    with ThreadPoolExecutor(2) as threads:
        spoken = threads.submit(speak)
        try:
            assert line.is_silent.wait(20)
            taken = threads.submit(books.take, [upstream.outage_reported()]).result(20)
        finally:
            line.end()
        assert taken.accepted == 1
        with pytest.raises(Unavailable):
            spoken.result(20)
    assert books.rows("SELECT 1 FROM heads WHERE version = 999") == []
    frozen.close()
    books.close()


def break_writers(books: Books) -> None:
    """Have the server end every session that is in the middle of a transaction."""
    with psycopg.connect(books.database.url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'makegood' AND state = 'idle in transaction'"
        ).fetchall()
    assert ended == [(True,)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://books:hunter2@db/books",
        "postgresql://books:hun/ter2@hunter2@db/books",
        "postgresql://:hunter2@db/books",
        "postgresql://db/books?password=hunter2",
        "postgresql://db:5432/books?sslmode=require&password=hunter2 hunter2",
        "postgresql:///books?pass%77ord=hunter2&host=db",
        "postgresql://books:hunter2@db/books?sslpassword=hunter2@hunter2",
        "postgresql://db/books?PASSWORD=hunter2",
        "host=db password=hunter2 dbname=books",
        "host=db password = 'a \\' hunter2' dbname=books",
        "password='a hunter2",
        "host=db\tpassword=a\\ hunter2",
        "smtps://books:hunter2@mail.example:465",
    ],
)
def test_no_spelling_of_an_address_shows_its_password(url: str) -> None:
    assert "hunter2" not in redacted(url)
    assert redacted(url) != url
    assert redacted(redacted(url)) == redacted(url)
    if "books" in url.rpartition("hunter2")[2]:
        assert "books" in redacted(url), "the rest is shown"


@pytest.mark.parametrize("url", ["sqlite:///books.db", "postgresql://db:5432/books?sslmode=require", "[::1]:8700"])
def test_an_address_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert redacted(url) == url
