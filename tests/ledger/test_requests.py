"""A request under a caller's key happens once and is answered alike for ever; a version that moved stops one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.application.acts import Act
from ledger.application.record import take
from ledger.application.requests import (
    Answered,
    KeyReused,
    NotTaken,
    Request,
    VersionMoved,
    answered,
    carry_out,
    check_version,
    digest_of,
)
from ledger.application.statement import Statement
from ledger.events import ClaimAssessed, SettlementChanged, SubscriptionStatusChanged
from ledger.events.event_ids import message_event_id
from ledger.store.database import CommitUnknown, Conflict, StoreError
from ledger.store.positions import Position
from tests.ledger.books import Books, Killed, killed
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream, read
from tests.ledger.test_store import answer_lost, in_a_thread
from tests.search import sample

CALLER = "anna"


def asked(books: Books, key: str, what: str = "cancel sub-1") -> Request:
    return Request(CALLER, key, digest_of(books.ledger, what.encode()))


def instruct(
    books: Books, key: str, message: Message, *more: Message, what: str = "", expects: Mapping[str, int] | None = None
) -> Answered:
    """What the door does with a request under a key."""
    return carried_out(books, asked(books, key, what or str(message["data"])), message, *more, expects=expects)[0]


def carried_out(
    books: Books, request: Request, *messages: Message, expects: Mapping[str, int] | None = None
) -> tuple[Answered, bool]:
    """A request that becomes messages about one account; what became of it, and whether that was now."""
    account = str(messages[0]["subject"])

    def say(act: Act) -> list[Statement]:
        check_version(act, account, (expects or {}).get(account))
        return [statement for m in messages if isinstance(statement := read(m), Statement)]

    return carry_out(books.ledger, request, account, say)


def plain(answer: Answered | None) -> Any:
    assert answer is not None
    return answer.account, answer.account_version, answer.position, [e.envelope for e in answer.envelopes]


def cancellation(key: str, **other: Any) -> Message:
    return Upstream(source="/door").says(
        "cancellation.requested",
        message_id=f"{key}/{CALLER}",
        time="2026-03-11T10:00:00Z",
        **{"subscription_id": "sub-1", "requested_at": "2026-03-11T10:00:00Z", "channel": "portal"} | other,
    )


def version_of(books: Books, account: str = "acct-1") -> int:
    [(version,)] = books.rows("SELECT version FROM heads WHERE account = ?", account)
    return int(version)


@pytest.fixture
def served(books: Books) -> Books:
    """A store of each kind in turn, with a customer and a month of service."""
    books.take(Upstream().customer())
    return books


class TestOnce:
    """Same key, same request: it happened once, and what became of it reads the same."""

    def test_the_answer_holds_the_fact_and_what_followed_from_it(self, served: Books) -> None:
        before = version_of(served)
        answer = instruct(served, "k1", cancellation("k1"))
        assert answer is not None
        [fact] = answer.facts
        assert fact.event_id == message_event_id("/door", f"k1/{CALLER}")
        assert answer.envelopes[0].account_version == before + 1
        assert answer.account_version == version_of(served) == before + len(answer.envelopes)
        [(end,)] = served.rows("SELECT max(position) FROM events")
        assert answer.position == Position(0, end)
        kinds = {type(event) for event in answer.decided}
        assert kinds == {ClaimAssessed, SettlementChanged, SubscriptionStatusChanged}
        assert all(event.causation_id == fact.event_id for event in answer.decided)

    def test_later_events_of_the_account_change_no_answer(self, served: Books) -> None:
        first = plain(instruct(served, "k1", cancellation("k1")))
        assert served.take([Upstream(source="/monitoring").outage_reported()]).accepted == 1
        served.clock.at += timedelta(days=1)
        assert plain(instruct(served, "k1", cancellation("k1"))) == first
        assert plain(answered(served.another_process().ledger, asked(served, "k1", str(cancellation("k1")["data"]))))

    def test_another_message_under_the_key_is_not_even_looked_at(self, served: Books) -> None:
        """The default instant of a request that is sent again is another: the key says it is the same request."""
        first = instruct(served, "k1", cancellation("k1"), what="cancel")
        content = served.content()
        again = cancellation("k1", requested_at="2026-03-12T10:00:00Z")
        assert not carried_out(served, asked(served, "k1", "cancel"), again)[1]
        assert served.content() == content
        assert plain(instruct(served, "k1", again, what="cancel")) == plain(first)

    def test_another_request_under_the_key_is_refused_by_the_ledger(self, served: Books) -> None:
        instruct(served, "k1", cancellation("k1"), what="cancel")
        content = served.content()
        with pytest.raises(KeyReused):
            carried_out(served, asked(served, "k1", "another"), cancellation("k1"))
        with pytest.raises(KeyReused):
            answered(served.ledger, asked(served, "k1", "another"))
        assert served.content() == content

    def test_keys_belong_to_their_callers(self, served: Books) -> None:
        instruct(served, "k1", cancellation("k1"), what="cancel")
        assert answered(served.ledger, Request("berta", "k1", "another digest")) is None

    def test_what_is_kept_of_a_request_can_be_guessed_by_nobody(self, served: Books) -> None:
        """It may hold words of a customer, and few words are soon tried."""
        another = Books.open()
        assert digest_of(served.ledger, b"cancel") != digest_of(another.ledger, b"cancel")

    def test_two_messages_of_one_request_go_in_together(self, served: Books) -> None:
        upstream = Upstream(source="/door")
        outage, complaint = upstream.outage_reported("out-1"), upstream.complaint_opened("com-1")
        answer = instruct(served, "k1", outage, complaint)
        assert answer is not None
        assert [fact.type for fact in answer.facts] == ["outage-reported.v1", "complaint-opened.v2"]
        assert answer.account_version == version_of(served)

    def test_nothing_of_a_request_is_recorded_where_a_part_is_refused(self, served: Books) -> None:
        upstream = Upstream(source="/door")
        outage, complaint = upstream.outage_reported("out-1"), upstream.complaint_opened()
        served.take([complaint])
        content = served.content()
        other = complaint | {"data": complaint["data"] | {"category": "another"}}
        with pytest.raises(NotTaken, match=r"recorded before with other content in data\.category"):
            carried_out(served, asked(served, "k1"), outage, other)
        assert served.content() == content, "no dead letter either: the caller is told at once"
        assert answered(served.ledger, asked(served, "k1")) is None

    def test_a_request_whose_message_is_recorded_already_becomes_nothing(self, served: Books) -> None:
        message = cancellation("k1")
        served.take([message])
        content = served.content()
        with pytest.raises(StoreError, match="damaged"):
            carried_out(served, asked(served, "k1"), message)
        assert served.content() == content

    def test_a_request_without_its_fact_is_damage_and_is_said_to_be(self) -> None:
        books = Books.open()
        books.take(Upstream().customer())
        instruct(books, "k1", cancellation("k1"), what="cancel")
        books.database.tamper("DELETE FROM events WHERE type = 'cancellation-requested.v1'")
        with pytest.raises(StoreError, match="damaged"):
            answered(books.ledger, asked(books, "k1", "cancel"))


class TestFaults:
    """Whatever happens between a request and its answer, sent again it has the same answer."""

    @pytest.mark.parametrize("happened", [False, True], ids=["did not happen", "happened"])
    def test_after_a_lost_answer_to_the_commit(self, served: Books, happened: bool) -> None:
        moment = served.database.after_commit if happened else served.database.before_commit
        moment.append(answer_lost)
        answer = instruct(served, "k1", cancellation("k1"), expects={"acct-1": version_of(served)})
        assert answer is not None
        assert served.types().count("cancellation-requested.v1") == 1
        assert plain(instruct(served.another_process(), "k1", cancellation("k1"))) == plain(answer)
        served.check_positions()

    def test_after_every_attempt_was_lost_and_the_last_one_happened(self, served: Books) -> None:
        served.database.before_commit.extend([answer_lost] * 11)
        served.database.before_writing.extend([lambda: None] * 11)
        served.database.before_writing.append(lambda: served.database.after_commit.append(answer_lost))
        with pytest.raises(CommitUnknown):
            instruct(served, "k1", cancellation("k1"))
        assert served.types().count("cancellation-requested.v1") == 1
        assert instruct(served, "k1", cancellation("k1")) is not None

    @pytest.mark.parametrize("moment", ["before_writing", "before_commit", "after_commit"])
    def test_after_the_process_was_killed(self, served: Books, moment: str) -> None:
        getattr(served.database, moment).append(killed)
        with pytest.raises(Killed):
            instruct(served, "k1", cancellation("k1"))
        again = instruct(served.another_process(), "k1", cancellation("k1", requested_at="2026-03-11T10:00:00Z"))
        assert plain(instruct(served, "k1", cancellation("k1"))) == plain(again)
        assert served.types().count("cancellation-requested.v1") == 1
        served.check_positions()

    @settings(max_examples=sample(20))
    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "c"]),
                st.sampled_from(["cancel", "withdraw"]),
                st.sampled_from(["nothing", "lost", "happened", "killed", "killed late", "faster"]),
            ),
            max_size=12,
        )
    )
    def test_whatever_order_requests_and_faults_come_in(self, steps: list[tuple[str, str, str]]) -> None:
        """The first body under a key wins; the same one gets the same answer, another one is told so."""
        books = Books.open()
        books.take(Upstream().customer())
        stood: dict[str, str] = {}
        answers: dict[str, Any] = {}
        for number, (key, what, fault) in enumerate(steps):
            faults: dict[str, tuple[Any, Callable[[], object]]] = {
                "lost": (books.database.before_commit, answer_lost),
                "happened": (books.database.after_commit, answer_lost),
                "killed": (books.database.before_commit, killed),
                "killed late": (books.database.after_commit, killed),
                "faster": (
                    books.database.before_writing,
                    lambda n=number: books.another_process().take([Upstream(source=f"/{n}").charge_posted()]),
                ),
            }
            for moments in (books.database.before_writing, books.database.before_commit, books.database.after_commit):
                moments.clear()
            if fault in faults:
                moments, happens = faults[fault]
                moments.append(happens)
            try:
                answer = plain(instruct(books, key, cancellation(key), what=what))
            except Killed:
                if fault == "killed late":
                    stood.setdefault(key, what)
            except KeyReused:
                assert stood[key] != what
            else:
                assert stood.setdefault(key, what) == what
                assert answers.setdefault(key, answer) == answer
        assert books.types().count("cancellation-requested.v1") == len(stood)
        books.check_positions()

    def test_of_many_at_once_under_one_key_one_records_and_all_have_its_answer(self, served: Books) -> None:
        processes = [served.another_process() for _ in range(6)]

        def again_until_answered(process: Books) -> Any:
            while True:
                try:
                    return plain(instruct(process, "k1", cancellation("k1")))
                except Conflict:
                    continue

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(again_until_answered, processes))
        assert answers == [answers[0]] * 6
        assert served.types().count("cancellation-requested.v1") == 1
        served.check_positions()

    def test_of_two_at_once_with_one_key_and_two_bodies_the_slower_one_is_told(self, served: Books) -> None:
        """They are about different accounts, so that nothing but the key stands between them."""
        served.take(Upstream("acct-2").customer())
        other = served.another_process()
        faster = Upstream("acct-2", source="/door").complaint_opened()
        served.database.before_writing.append(lambda: instruct(other, "k1", faster, what="complain"))
        with pytest.raises(KeyReused):
            instruct(served, "k1", cancellation("k1"), what="cancel")
        assert "cancellation-requested.v1" not in served.types()
        served.check_positions()


class TestVersions:
    """A caller who decides by what they saw is stopped where it is no longer so."""

    def test_the_version_that_was_seen_lets_it_in(self, served: Books) -> None:
        assert instruct(served, "k1", cancellation("k1"), expects={"acct-1": version_of(served)})

    @pytest.mark.parametrize("other", [-1, 1, 10**15])
    def test_any_other_version_stops_it_and_nothing_is_recorded(self, served: Books, other: int) -> None:
        content = served.content()
        with pytest.raises(VersionMoved):
            instruct(served, "k1", cancellation("k1"), expects={"acct-1": version_of(served) + other})
        assert served.content() == content
        assert answered(served.ledger, asked(served, "k1", str(cancellation("k1")["data"]))) is None

    def test_a_version_that_moves_between_reading_and_writing_stops_it(self, served: Books) -> None:
        other = served.another_process()
        charge = Upstream(source="/billing").charge_posted()
        served.database.before_writing.append(lambda: other.take([charge]))
        with pytest.raises(VersionMoved):
            instruct(served, "k1", cancellation("k1"), expects={"acct-1": version_of(served)})
        assert "cancellation-requested.v1" not in served.types()

    def test_of_many_who_saw_the_same_version_one_gets_in(self, open_books: Opener) -> None:
        books = open_books()
        books.take(Upstream().customer())
        seen = version_of(books)
        processes = [books.another_process() for _ in range(5)]

        def once(numbered: tuple[int, Books]) -> bool:
            number, process = numbered
            while True:
                try:
                    instruct(process, f"k{number}", cancellation(f"k{number}"), expects={"acct-1": seen})
                except VersionMoved:
                    return False
                except Conflict:
                    continue
                return True

        with ThreadPoolExecutor(5) as pool:
            assert sum(pool.map(once, enumerate(processes))) == 1
        assert books.types().count("cancellation-requested.v1") == 1

    def test_a_request_that_is_sent_again_is_not_stopped_by_what_it_did_itself(self, served: Books) -> None:
        seen = {"acct-1": version_of(served)}
        first = plain(instruct(served, "k1", cancellation("k1"), what="cancel", expects=seen))
        assert plain(instruct(served, "k1", cancellation("k1"), what="cancel", expects=seen)) == first
        assert not carried_out(served, asked(served, "k1", "cancel"), cancellation("k1"), expects=seen)[1]

    def test_a_lost_commit_is_not_taken_for_another_writers(self, served: Books) -> None:
        served.database.after_commit.append(answer_lost)
        seen = {"acct-1": version_of(served)}
        assert carried_out(served, asked(served, "k1"), cancellation("k1"), expects=seen)[1]


def test_what_became_of_each_message_of_a_batch_is_told_in_order(books: Books) -> None:
    upstream = Upstream()
    cycle = upstream.cycle_started()
    other = cycle | {"data": cycle["data"] | {"price": "32.00"}}
    books.take([cycle])
    taken = books.ledger and take(
        books.ledger, [read(upstream.account_registered()), read(cycle), read(other), read(cycle)]
    )
    assert [each if isinstance(each, str) else "refused" for each in taken.each] == [
        "accepted",
        "duplicate",
        "refused",
        "duplicate",
    ]
    assert taken.each[2] is taken.refused[0]


def test_a_lost_answer_does_not_make_an_accepted_message_a_duplicate(books: Books) -> None:
    books.database.after_commit.append(answer_lost)
    assert take(books.ledger, [read(Upstream().account_registered())]).each == ["accepted"]


def test_requests_wait_for_nobody_else(pg_books: Books) -> None:
    """A request about one account goes in while another account's transaction is under way."""
    pg_books.take([*Upstream().customer(), *Upstream("acct-2").customer()])
    other = pg_books.another_process()

    def meanwhile() -> None:
        done = in_a_thread(lambda: instruct(other, "k2", cancellation("k2")))
        assert done.result(timeout=20) is not None

    pg_books.database.before_writing.append(meanwhile)
    complaint = Upstream("acct-2", source="/door").complaint_opened()
    assert instruct(pg_books, "k1", complaint) is not None
