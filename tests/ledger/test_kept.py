"""Messages that are kept, on each kind of store: set aside, replayed, discarded, each once and by somebody."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable

import pytest

from consumers import apart, files
from consumers.replaying import NothingKept, replay
from consumers.upstream import read_binary
from ledger.application.kept_messages import (
    RUN_MAX,
    SHARE_MAX,
    SHARE_OF,
    AlreadyClosed,
    Closing,
    Kept,
    discard,
    failing_too_often,
    set_aside,
)
from ledger.application.record import take
from ledger.application.statement import Statement
from ledger.store.connecting import connect
from ledger.store.database import CommitUnknown, StoreError
from ledger.store.schema import SCHEMA_VERSION
from ledger.store.vault_keys import KeyDatabase
from ledger.store.writing import ReaderFenced, ReaderMove, take_over_reader
from ledger.vault import Damaged, InStore, Key
from tests.ledger import kept
from tests.ledger.books import Books, StandingClock
from tests.ledger.conftest import Opener
from tests.ledger.messages import Message, Upstream, read_all

BOB = "/makegood/cli/bob"


class KeysDamaged(KeyDatabase):
    """A key database in which the keys of some customers are damaged: what is said about them cannot be sealed."""

    def __init__(self, damaged: set[str]) -> None:
        super().__init__(connect("sqlite:///:memory:"), StandingClock())
        self.damaged = damaged

    def of(self, subjects: Iterable[str], in_store: InStore) -> dict[str, Key]:
        if self.damaged & set(asked := list(subjects)):
            raise Damaged("a key is damaged")
        return dict(super().of(asked, in_store))


def closing(of: Kept, **options: object) -> Closing:
    return Closing(of, BOB, "cli", **options)  # type: ignore[arg-type]


def refused(books: Books) -> tuple[Message, Kept]:
    """A cycle with a negative price, refused."""
    cycle = Upstream().cycle_started(price="-31.00")
    books.take([cycle])
    [letter] = kept.dead_letters(books.database)
    return cycle, Kept("dead-letter", str(letter.kept_id), str(letter.origin))


def acts(books: Books) -> list[dict[str, object]]:
    """What stands in the account `system` besides the agreement's publication."""
    return [e for e in books.stored("system") if e["type"] != "agreement-published.v1"]


class TestReplay:
    def test_what_is_still_wrong_is_refused_again_and_stays_open(self, books: Books) -> None:
        _, letter = refused(books)
        before = books.content()
        became = replay(books.ledger, closing(letter))
        assert (became.outcome, became.field) == ("refused", "data.price")
        assert books.content() == before

    def test_a_repaired_message_is_recorded_and_its_letter_closed_in_one_transaction(self, books: Books) -> None:
        cycle, letter = refused(books)
        repaired = json.dumps(cycle | {"data": cycle["data"] | {"price": "31.00"}}).encode()
        writings = books.database.writings
        asked = closing(letter, reason="Zoë's bill, sign corrected", repaired=True)
        assert replay(books.ledger, asked, repaired=repaired).outcome == "accepted"
        assert books.database.writings == writings + 1
        assert books.types("acct-1") == ["cycle-started.v1"]
        [act] = acts(books)
        [fact] = books.stored("acct-1")
        assert (act["type"], act["actor"], act["stream"]) == (
            "message-replayed.v1",
            BOB,
            f"dead-letter/{letter.kept_id}",
        )
        data = act["data"]
        assert isinstance(data, dict)
        assert (data["fact_event_id"], data["outcome"], data["repaired"]) == (fact["event_id"], "accepted", True)
        assert "Zoë" not in json.dumps(act)
        assert kept.dead_letters(books.database, closed=False) == []
        [shown] = kept.dead_letters(books.database)
        assert (shown.status, shown.closed_by) == ("replayed", BOB)
        books.check_positions()

    def test_the_accounts_own_history_says_who_repaired_it(self, books: Books) -> None:
        cycle, letter = refused(books)
        repaired = json.dumps(cycle | {"data": cycle["data"] | {"price": "31.00"}}).encode()
        replay(books.ledger, closing(letter, repaired=True), repaired=repaired)
        [fact] = books.stored("acct-1")
        assert (fact["actor"], fact["channel"]) == (BOB, "repaired")
        assert fact["data"]["message"]["source"] == cycle["source"]  # type: ignore[index]

    @pytest.mark.parametrize(
        ("attribute", "other"),
        [
            ("subject", "acct-2"),
            ("source", "/payments"),
            ("type", "voip.charge.posted.v1"),
        ],
    )
    def test_a_repaired_one_keeps_the_account_source_and_type(self, books: Books, attribute: str, other: str) -> None:
        _, letter = refused(books)
        before = books.content()
        sent = Upstream().charge_posted() if attribute == "type" else Upstream().cycle_started() | {attribute: other}
        repaired = json.dumps(sent).encode()
        for dry_run in (True, False):
            became = replay(books.ledger, closing(letter, repaired=True), repaired=repaired, dry_run=dry_run)
            assert (became.outcome, became.field) == ("refused", attribute)
            assert "must keep the" in str(became.reason)
        assert books.content() == before

    def test_account_and_source_are_kept_where_the_body_is_gone(self, books: Books) -> None:
        _, letter = refused(books)
        books.database.tamper("DELETE FROM vault")
        repaired = json.dumps(Upstream().cycle_started() | {"subject": "acct-2"}).encode()
        assert replay(books.ledger, closing(letter, repaired=True), repaired=repaired).field == "subject"

    def test_what_could_not_be_taken_may_be_mended(self, books: Books) -> None:
        """A source that is Makegood's own, an unknown type and the account `system` are the errors themselves."""
        right = Upstream().cycle_started()
        for wrong in ({"source": "/makegood/cli/root"}, {"type": "voip.cycle.start.v1"}, {"subject": "system"}):
            books.take([right | {"id": f"m-{wrong}".replace(" ", "")} | wrong])
            [letter] = kept.dead_letters(books.database, closed=False)
            mended = json.dumps(right | {"id": str(letter.kept_id), "time": right["time"]}).encode()
            of = Kept("dead-letter", str(letter.kept_id), str(letter.origin))
            assert replay(books.ledger, closing(of, repaired=True), repaired=mended).outcome == "accepted"

    def test_a_record_in_binary_mode_is_repaired_as_it_is_shown(self, books: Books) -> None:
        cycle = Upstream().cycle_started(price="-31.00")
        headers = [(f"ce_{name}", str(value).encode()) for name, value in cycle.items() if name != "data"]
        data = json.dumps(cycle["data"]).encode()
        take(books.ledger, [read_binary(headers, data, origin="kafka:c/t/0/7", channel="kafka", key=b"acct-1")])
        [row] = kept.dead_letters(books.database)
        letter = Kept("dead-letter", str(row.kept_id), str(row.origin))
        shown = letter.body(books.ledger)
        assert shown is not None
        repaired = shown.replace(b"-31.00", b"31.00")
        assert replay(books.ledger, closing(letter, repaired=True), repaired=repaired).outcome == "accepted"
        assert books.types("acct-1") == ["cycle-started.v1"]

    def test_to_repeat_it_changes_nothing(self, books: Books) -> None:
        cycle, letter = refused(books)
        repaired = json.dumps(cycle | {"data": cycle["data"] | {"price": "31.00"}}).encode()
        replay(books.ledger, closing(letter), repaired=repaired)
        before = books.content()
        with pytest.raises(AlreadyClosed, match=f"was already replayed by {BOB}"):
            replay(books.ledger, closing(letter), repaired=repaired)
        assert books.content() == before

    def test_a_message_that_came_in_meanwhile_is_a_duplicate_and_closes_its_letter(self, books: Books) -> None:
        cycle, letter = refused(books)
        mended = cycle | {"data": cycle["data"] | {"price": "31.00"}}
        books.take([mended])
        became = replay(books.ledger, closing(letter), repaired=json.dumps(mended).encode())
        assert became.outcome == "duplicate"
        assert acts(books)[0]["data"]["outcome"] == "duplicate"  # type: ignore[index]
        assert books.types("acct-1") == ["cycle-started.v1"]

    def test_one_that_conflicts_with_what_was_taken_stays_open_without_a_second_letter(self, books: Books) -> None:
        cycle, letter = refused(books)
        books.take([cycle | {"data": cycle["data"] | {"price": "31.00"}}])
        other = json.dumps(cycle | {"data": cycle["data"] | {"price": "32.00"}}).encode()
        became = replay(books.ledger, closing(letter), repaired=other)
        assert (became.outcome, became.field) == ("refused", "id")
        assert "data.price" in str(became.reason)
        assert len(kept.dead_letters(books.database, closed=False)) == 1

    def test_a_dry_run_says_the_same_and_records_nothing(self, books: Books) -> None:
        cycle, letter = refused(books)
        before = books.content()
        repaired = json.dumps(cycle | {"data": cycle["data"] | {"price": "31.00"}}).encode()
        assert replay(books.ledger, closing(letter), repaired=repaired, dry_run=True).outcome == "accepted"
        assert books.content() == before

    def test_a_commit_whose_answer_is_lost_took_place_once(self, books: Books) -> None:
        cycle, letter = refused(books)

        def lost() -> None:
            raise CommitUnknown("the answer was lost")

        books.database.after_commit.append(lost)
        repaired = json.dumps(cycle | {"data": cycle["data"] | {"price": "31.00"}}).encode()
        assert replay(books.ledger, closing(letter), repaired=repaired).outcome == "accepted"
        assert len(acts(books)) == 1
        books.check_positions()

    def test_a_record_in_binary_mode_comes_in_again_as_it_was(self, books: Books) -> None:
        cycle = Upstream().cycle_started()
        headers = [(f"ce_{name}", str(value).encode()) for name, value in cycle.items() if name != "data"]
        data = json.dumps(cycle["data"]).encode()
        item = read_binary(headers, data, origin="kafka:c/t/0/7", channel="kafka")
        assert isinstance(item, Statement)
        set_aside(books.ledger, item, "KeyError in assess.py:1 assess", None)
        [row] = kept.set_aside(books.database)
        assert (
            replay(books.ledger, closing(Kept("set-aside", str(row.kept_id), str(row.origin)))).outcome == "accepted"
        )
        assert take(books.ledger, [item]).duplicates == 1

    def test_one_set_aside_that_contradicts_what_was_taken_meanwhile_is_a_dead_letter_then(
        self, books: Books
    ) -> None:
        cycle = Upstream().cycle_started()
        set_aside(books.ledger, statement_of(cycle), "a defect", None)
        books.take([cycle | {"data": cycle["data"] | {"price": "32.00"}}])
        [row] = kept.set_aside(books.database)
        aside = Kept("set-aside", str(row.kept_id), str(row.origin))
        assert replay(books.ledger, closing(aside)).outcome == "refused"
        assert kept.set_aside(books.database, closed=False) == []
        [letter] = kept.dead_letters(books.database, closed=False)
        assert (letter.origin, letter.field) == ("file:story:1", "id")
        assert acts(books)[0]["data"]["outcome"] == "refused"  # type: ignore[index]

    def test_where_the_body_is_gone_a_repaired_one_is_asked_for(self, books: Books) -> None:
        _, letter = refused(books)
        books.database.tamper("DELETE FROM vault")
        with pytest.raises(NothingKept, match="--body"):
            replay(books.ledger, closing(letter))


class TestDiscard:
    def test_it_closes_the_letter_with_a_reason_that_only_the_vault_knows(self, books: Books) -> None:
        _, letter = refused(books)
        discard(books.ledger, closing(letter, reason="Zoë called: sent by mistake"))
        [act] = acts(books)
        assert (act["type"], act["actor"]) == ("message-discarded.v1", BOB)
        assert "Zoë" not in json.dumps(act)
        [shown] = kept.dead_letters(books.database)
        assert shown.status == "discarded"
        assert letter.body(books.ledger) is not None

    def test_once(self, books: Books) -> None:
        _, letter = refused(books)
        discard(books.ledger, closing(letter))
        with pytest.raises(AlreadyClosed, match="was already discarded"):
            discard(books.ledger, closing(letter))
        with pytest.raises(AlreadyClosed, match="was already discarded"):
            replay(books.ledger, closing(letter), repaired=json.dumps(Upstream().cycle_started()).encode())
        assert len(acts(books)) == 1


def statement_of(message: Message) -> Statement:
    [item] = read_all([message], file="story")
    assert isinstance(item, Statement)
    return item


class TestSetAside:
    def test_a_message_that_fails_is_set_aside_and_the_others_go_on(self, open_books: Opener) -> None:
        keys = KeysDamaged({"account/acct-2"})
        books = open_books(keys=keys)
        lines = [
            json.dumps(m).encode()
            for upstream in map(Upstream, ("acct-1", "acct-2", "acct-3", "acct-4", "acct-5"))
            for m in (upstream.account_registered(), upstream.cycle_started())
        ]
        taken = files.ingest(books.ledger, lines, "story")
        assert (taken.read, taken.accepted, taken.set_aside) == (10, 9, 1)
        [row] = kept.set_aside(books.database)
        assert (row.account, row.origin, row.status) == ("acct-2", "file:story:3", "open")
        assert "a key is damaged" in str(row.reason)
        again = files.ingest(books.ledger, lines, "story")
        assert (again.accepted, again.duplicates, len(kept.set_aside(books.database))) == (0, 9, 1)

        keys.damaged.clear()
        became = replay(books.ledger, closing(Kept("set-aside", str(row.kept_id), str(row.origin))))
        assert became.outcome == "accepted"
        assert sorted(books.types("acct-2")) == [
            "account-registered.v1",
            "cycle-started.v1",
            "settlement-changed.v1",
        ]
        assert kept.set_aside(books.database, closed=False) == []

    def test_of_a_file_no_more_than_a_few_are_set_aside(self) -> None:
        books = Books.open(keys=KeysDamaged({f"account/acct-{n}" for n in range(99)}))
        lines = [json.dumps(Upstream(f"acct-{n}").account_registered()).encode() for n in range(20)]
        with pytest.raises(Damaged, match="a key is damaged"):
            files.ingest(books.ledger, lines, "story")
        assert len(kept.set_aside(books.database)) == apart.SET_ASIDE_MAX

    def test_the_reader_moves_past_it_in_the_same_transaction_or_it_is_not_kept(self, books: Books) -> None:
        with books.database.real.writing() as transaction:
            position, epoch = take_over_reader(transaction, "intake/c/t/0")
        item = statement_of(Upstream().cycle_started())
        set_aside(books.ledger, item, "a defect", ReaderMove("intake/c/t/0", epoch, position, position + 1))
        assert books.rows("SELECT position FROM readers") == [(1,)]
        other = statement_of(Upstream("acct-2").cycle_started())
        with pytest.raises(ReaderFenced):
            set_aside(books.ledger, other, "a defect", ReaderMove("intake/c/t/0", epoch, position, position + 1))
        assert len(kept.set_aside(books.database)) == 1


class TestLimits:
    """When it is we who are wrong (design rule 8)."""

    @pytest.fixture
    def fail(self) -> Callable[[int], str | None]:
        books = Books.open()
        item = statement_of(Upstream().cycle_started())
        rows = [("r", 1, 0)]
        with books.database.real.writing() as transaction:
            transaction.insert("readers", ("reader", "epoch", "position"), rows)

        def fails_at(offset: int) -> str | None:
            with books.database.reading() as transaction:
                too_often = failing_too_often(transaction, "r", offset)
                stands = int(transaction.rows("SELECT position FROM readers")[0][0])
            if too_often is None:
                at = dataclasses.replace(item, origin=f"kafka:c/t/0/{offset}")
                set_aside(books.ledger, at, "a defect", ReaderMove("r", 1, stands, offset + 1))
            return too_often

        fails_at.books = books  # type: ignore[attr-defined]
        return fails_at

    def test_a_run_of_failures_ends(self, fail: Callable[[int], str | None]) -> None:
        assert [fail(offset) for offset in range(RUN_MAX)] == [None] * RUN_MAX
        assert fail(RUN_MAX) == f"the {RUN_MAX} previous messages were set aside too"
        assert fail(RUN_MAX) is not None, "a restart counts no differently"

    def test_one_good_message_between_ends_the_run(self, fail: Callable[[int], str | None]) -> None:
        for offset in range(RUN_MAX):
            fail(offset)
        assert fail(RUN_MAX + 1) is None

    def test_a_large_share_ends_it_too(self, fail: Callable[[int], str | None]) -> None:
        apart = SHARE_OF // SHARE_MAX
        assert [fail(n * apart) for n in range(SHARE_MAX)] == [None] * SHARE_MAX
        assert fail(SHARE_MAX * apart) == f"{SHARE_MAX} of the {SHARE_OF} previous messages were set aside too"
        assert fail(SHARE_MAX * apart + apart) is None, "the first of them is long ago by then"

    def test_what_was_replayed_no_longer_counts(self, fail: Callable[[int], str | None]) -> None:
        for offset in range(RUN_MAX):
            fail(offset)
        books: Books = fail.books  # type: ignore[attr-defined]
        [first, *_] = kept.set_aside(books.database)
        replay(books.ledger, closing(Kept("set-aside", str(first.kept_id), str(first.origin))))
        assert fail(RUN_MAX) is None


def test_an_older_store_gets_the_tables_that_it_lacks(open_books: Opener) -> None:
    books = open_books()
    books.database.tamper(
        "DROP TABLE set_aside", "DROP TABLE closures", "UPDATE store SET value = '1' WHERE name = 'schema'"
    )
    books.ledger.bring_up_to_date()
    assert books.rows("SELECT value FROM store WHERE name = 'schema'") == [(str(SCHEMA_VERSION),)]
    assert kept.set_aside(books.database) == kept.dead_letters(books.database) == []


def test_a_newer_store_is_left_alone() -> None:
    books = Books.open()
    books.database.tamper("UPDATE store SET value = '99' WHERE name = 'schema'")
    with pytest.raises(StoreError, match="newer makegood"):
        books.ledger.bring_up_to_date()
