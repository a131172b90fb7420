"""A page of a long list costs what it shows, on both databases: an index leads to where it begins, and the rest stays
unread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ledger.store.connecting import connect
from ledger.store.database import Database, Transaction
from ledger.store.reading.notice_queue import OPEN, notices_in
from ledger.store.reading.page import Listed, Page
from ledger.store.reading.waiting import waiting_facts
from ledger.store.schema import TABLES
from projections import (
    claims,
    complaints,
    credits,
    disputes,
    instructions,
    linked_goodwill,
    moved,
    outages,
    overpaid,
    owed,
    reconciliation,
    refunds,
)
from projections.follower import Follower
from projections.narrowing import Narrowing
from tests.projections.many import AT, HOUR, fill, plans
from tests.projections.stories import START

ACCOUNTS, SIZE = 5_000, 20
LATER = START.replace(year=2090)
Ask = Callable[[Database, Page | None], Listed[Any]]


def waiting(database: Database, page: Page | None) -> Listed[Any]:
    with database.reading() as transaction:
        return waiting_facts(transaction, page=page)


def notices(database: Database, page: Page | None) -> Listed[Any]:
    with database.reading() as transaction:
        return notices_in(transaction, OPEN, page=page)


LISTS: dict[str, Ask] = {
    "movements": lambda database, page: moved.listed(database, Narrowing(), "recorded_at", page),
    "movements by occurrence": lambda database, page: moved.listed(database, Narrowing(), "occurred_at", page),
    "movements of a period": lambda database, page: moved.listed(
        database, Narrowing(begin=AT, end=AT + 2_000 * HOUR), "recorded_at", page
    ),
    "amounts owed": lambda database, page: owed.listed(database, Narrowing(), LATER, page=page),
    "claims": lambda database, page: claims.listed(database, page=page),
    "claims under a clause": lambda database, page: claims.listed(database, clause="billing_error", page=page),
    "claims with an outcome": lambda database, page: claims.listed(database, outcome="pending", page=page),
    "refunds": lambda database, page: refunds.listed(database, page=page),
    "refunds that failed": lambda database, page: refunds.listed(database, status="failed", page=page),
    "credits": lambda database, page: credits.listed(database, page=page),
    "dormant credits": lambda database, page: credits.listed(database, dormant=True, page=page),
    "overpaid": lambda database, page: overpaid.listed(database, page=page),
    "discrepancies": lambda database, page: reconciliation.listed(database, settled=True, page=page),
    "open discrepancies": lambda database, page: reconciliation.listed(database, page=page),
    "disputes": lambda database, page: disputes.listed(database, START, page=page),
    "open disputes": lambda database, page: disputes.listed(database, START, still_open=True, page=page),
    "overdue disputes": lambda database, page: disputes.listed(
        database, START.replace(year=2090), overdue=True, page=page
    ),
    "complaints": lambda database, page: complaints.listed(database, START, page=page),
    "open complaints": lambda database, page: complaints.listed(database, START, still_open=True, page=page),
    "outages": lambda database, page: outages.listed(database, START, page=page),
    "open outages": lambda database, page: outages.listed(database, START, still_open=True, page=page),
    "outages of a subscription": lambda database, page: outages.listed(
        database, START, subscription="sub-1", page=page
    ),
    "goodwill": lambda database, page: linked_goodwill.listed(database, page=page),
    "open goodwill": lambda database, page: linked_goodwill.listed(database, still_open=True, page=page),
    "instructions": lambda database, page: instructions.listed(database, START, page=page),
    "open instructions": lambda database, page: instructions.listed(database, START, still_open=True, page=page),
    "instructions of a kind": lambda database, page: instructions.listed(
        database, START, kind="invoice.reduced", page=page
    ),
    "waiting": waiting,
    "notices": notices,
}


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def long_lists(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("lists")
    postgres = request.getfixturevalue("postgres") if request.param == "PostgreSQL" else None
    url = postgres.new_database() if postgres is not None else f"sqlite:///{folder}/lists.db"
    database = connect(url)
    database.create(TABLES)
    Follower(database).create()
    fill(database, ACCOUNTS)
    yield database
    database.close()
    if postgres is not None:
        postgres.drop_database(url)


class Watching(Transaction):
    """A transaction that notes what is asked of it, and how many rows come back."""

    def __init__(self, real: Transaction, asked: list[tuple[str, Any]], fetched: list[int]) -> None:
        self._real, self._asked, self._fetched = real, asked, fetched

    def rows(self, sql: str, parameters: Any = ()) -> Any:
        self._asked.append((sql, parameters))
        found = self._real.rows(sql, parameters)
        self._fetched.append(len(found))
        return found

    def rows_in(self, sql: str, values: Any) -> Any:
        found = self._real.rows_in(sql, values)
        self._fetched.append(len(found))
        return found

    def run(self, *_: Any) -> int:
        raise AssertionError("a question changes nothing")

    insert = update = upsert = delete = run  # type: ignore[assignment]


class Watched:
    """A database to ask questions of, with what they ask of it."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.asked: list[tuple[str, Any]] = []
        self.fetched: list[int] = []

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._real.reading() as transaction:
            yield Watching(transaction, self.asked, self.fetched)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_reads_little_more_than_it_shows_wherever_it_begins(long_lists: Database, name: str) -> None:
    ask, page = LISTS[name], Page(SIZE)
    for _ in range(3):
        watched = Watched(long_lists)
        found = ask(watched, page)  # type: ignore[arg-type]
        assert len(found) == SIZE
        assert sum(watched.fetched) <= 12 * SIZE, watched.fetched
        for plan in plans(long_lists, watched.asked):
            assert "Seq Scan" not in plan, plan
            assert "SCAN" not in plan.upper() or "INDEX" in plan.upper(), plan
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE FOR ORDER BY" not in plan, plan
        assert found.next is not None
        page = Page(SIZE, found.next)


@pytest.mark.parametrize("name", LISTS)
def test_pages_add_up_to_the_list(long_lists: Database, name: str) -> None:
    ask = LISTS[name]
    whole = ask(long_lists, None)
    assert whole.next is None
    assert len(whole) > SIZE
    paged: list[Any] = []
    page = Page(len(whole) // 3 + 1)
    while True:
        found = ask(long_lists, page)
        paged += found
        if found.next is None:
            break
        page = Page(page.limit, found.next)
    assert paged == whole
