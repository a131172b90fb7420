"""The read port: the ledger's own tables in order and by page, on every kind of store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from ledger.store.instants import to_microseconds
from ledger.store.notice_queue import queue_notices
from ledger.store.reading.kept_messages import KeptMessage, kept_at, kept_left, kept_messages
from ledger.store.reading.notice_queue import OPEN, NoticeStatus, QueuedNotice, notices_in
from ledger.store.reading.page import Listed, Page, in_memory, merged
from ledger.store.reading.waiting import WaitingFact, waiting_facts, waiting_left
from tests.ledger.books import Books

STANDING: tuple[NoticeStatus, ...] = ("failed", "queued", "sent", "queued", "in_doubt", "failed", "discarded")
T = TypeVar("T")
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def page_by_page(asked: Callable[[Page], Listed[T]], size: int) -> list[T]:
    """All rows of a list, as its pages lead on."""
    rows, page = [], Page(size)
    while True:
        found = asked(page)
        assert len(found) <= size
        rows += found
        if found.next is None:
            return rows
        page = Page(size, found.next)


def wait(books: Books, *facts: tuple[str, str, int]) -> None:
    """Facts that wait: of an account, with an id, for so many minutes."""
    columns = ("event_id", "account", "type", "source", "id", "waits_for", "since")
    rows = [
        (f"e-{id_}", account, "cycle-started.v1", "/billing", id_, f"account {account}", to_microseconds(since))
        for account, id_, minutes in facts
        for since in (START - timedelta(minutes=minutes),)
    ]
    with books.database.writing() as transaction:
        transaction.insert("waiting", columns, rows)


def test_facts_that_wait_are_listed_by_account_and_age(books: Books) -> None:
    wait(books, ("b", "m-2", 60), ("a", "m-1", 5), ("_", "m-4", 1), ("B", "m-5", 1), ("a", "m-3", 7))
    with books.database.reading() as transaction:
        found = waiting_facts(transaction)
        assert [(fact.account, fact.id) for fact in found] == [
            ("B", "m-5"),
            ("_", "m-4"),
            ("a", "m-3"),
            ("a", "m-1"),
            ("b", "m-2"),
        ]
        assert waiting_facts(transaction, ["b"]) == [
            WaitingFact("b", "cycle-started.v1", "/billing", "m-2", "account b", START - timedelta(hours=1), "e-m-2")
        ]
        left = waiting_left(transaction)
        assert (left.count, left.since) == (5, START - timedelta(hours=1))
        paged, after = [], None
        for _ in range(3):
            part = waiting_facts(transaction, page=Page(2, after))
            paged += part
            after = part.next
        assert paged == found
        assert after is None


def test_kept_messages_are_listed_the_newest_last(books: Books) -> None:
    at = to_microseconds(START)
    with books.database.writing() as transaction:
        transaction.insert(
            "dead_letters",
            (
                "position",
                "dead_letter_id",
                "origin",
                "reason",
                "field",
                "source",
                "id",
                "account",
                "channel",
                "refused_at",
            ),
            [
                (2, "d2", "file:x:7", "unknown type", "type", "/noc", "m-2", "acct-1", "file", at),
                (1, "d1", "file:x:3", "not JSON", None, None, None, None, "file", at),
            ],
        )
    second = KeptMessage(
        position=2,
        kept_id="d2",
        origin="file:x:7",
        reason="unknown type",
        field="type",
        source="/noc",
        message_id="m-2",
        account="acct-1",
        channel="file",
        kept_at=START,
        status="open",
        closed_by=None,
        closed_at=None,
    )
    with books.database.reading() as transaction:
        found = kept_messages(transaction, "dead-letter", {})
        assert [(each.position, each.account, each.field) for each in found] == [
            (1, None, None),
            (2, "acct-1", "type"),
        ]
        assert kept_messages(transaction, "dead-letter", {"field": "type"}) == [second]
        assert kept_at(transaction, "dead-letter", 2) == second
        assert kept_at(transaction, "dead-letter", 3) is None
        assert (kept_left(transaction, "dead-letter").count, kept_left(transaction, "set-aside").count) == (2, 0)


def test_notices_are_listed_the_oldest_first_however_they_stand(books: Books) -> None:
    queued = [
        QueuedNotice(
            f"n-{n}", f"acct-{n % 2}", "refund", f"e-{n}", n, START + timedelta(minutes=n // 2), status=status
        )
        for n, status in enumerate(("failed", "queued", "sent", "queued", "in_doubt", "failed", "discarded"))
    ]
    with books.database.writing() as transaction:
        queue_notices(transaction, reversed(queued))
    open_ones = [notice for notice in queued if notice.status in OPEN]
    with books.database.reading() as transaction:
        assert notices_in(transaction, OPEN) == open_ones
        assert notices_in(transaction, ["failed"], "acct-1") == [queued[5]]
        for size in (1, 2, 4, 5):
            assert page_by_page(lambda page: notices_in(transaction, OPEN, page=page), size) == open_ones


KEYS = st.tuples(st.text("aB_é😀", max_size=3), st.integers(-3, 3))


@given(divided=st.lists(st.sets(KEYS, max_size=12), min_size=1, max_size=4), limit=st.integers(1, 5))
def test_lists_that_are_merged_page_by_page_are_one_list(divided: list[set[tuple[str, int]]], limit: int) -> None:
    """Of no two lists the same row, as no two shards have the same account."""
    lists = [sorted(rows.difference(*divided[:number])) for number, rows in enumerate(divided)]
    every = sorted(row for rows in lists for row in rows)
    assert merged([in_memory(rows, tuple, None) for rows in lists], None) == every
    assert page_by_page(lambda page: merged([in_memory(rows, tuple, page) for rows in lists], page), limit) == every
