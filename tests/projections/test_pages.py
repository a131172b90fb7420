"""A page of a long list costs what it shows, on both databases: an index leads to where it begins, and the rest stays
unread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from ledger.store.connecting import connect
from ledger.store.database import Database, Transaction
from ledger.store.reading.notice_queue import OPEN, notices_in
from ledger.store.reading.page import Listed, Page, TooManyRows
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
    narrowing,
    outages,
    overpaid,
    owed,
    reconciliation,
    refunds,
)
from projections.account_state import account_in
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
    "movements of a kind": lambda database, page: moved.listed(
        database, Narrowing(more={"kind": "granted"}), "recorded_at", page
    ),
    "movements in a currency": lambda database, page: moved.listed(
        database, Narrowing(currency="EUR"), "recorded_at", page
    ),
    "amounts owed that are counted as one thing": lambda database, page: owed.listed(
        database, Narrowing(more={"counted_as": "refunds_due"}), LATER, page=page
    ),
    "amounts owed in a currency": lambda database, page: owed.listed(
        database, Narrowing(currency="EUR"), LATER, page=page
    ),
    "claims in a currency": lambda database, page: claims.listed(
        database, narrowing=Narrowing(currency="EUR"), page=page
    ),
    "refunds in a currency": lambda database, page: refunds.listed(
        database, narrowing=Narrowing(currency="EUR"), page=page
    ),
    "credits that are open": lambda database, page: credits.listed(database, status="open", page=page),
    "credits in a currency": lambda database, page: credits.listed(
        database, narrowing=Narrowing(currency="EUR"), page=page
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
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        with self._real.reading(by_keys=by_keys) as transaction:
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


BY_CLAIM: dict[str, Callable[[Database, Page, Narrowing], Listed[Any]]] = {
    "refunds": lambda database, page, of: refunds.listed(database, narrowing=of, page=page),
    "credits": lambda database, page, of: credits.listed(database, narrowing=of, page=page),
    "claims": lambda database, page, of: claims.listed(database, narrowing=of, page=page),
}
"""The lists whose rows are narrowed by what stands in the row of their claim."""
NOBODYS = (
    Narrowing(plan="nobodys"),
    Narrowing(agreement="nobodys"),
    Narrowing(plan="legacy", agreement="nobodys"),
    Narrowing(begin=AT + 2 * ACCOUNTS * HOUR),
    Narrowing(min_amount=Decimal(12), currency="EUR"),
)
"""What no row of these lists has."""


def page_plan(database: Database, ask: Callable[[Any], Listed[Any]]) -> str:
    """How the statement that finds a page's rows is gone about; what is looked at before it is found by indexes."""
    watched = Watched(database)
    ask(watched)
    looks = [each for each in watched.asked if each[0].startswith("SELECT COUNT(*) FROM (SELECT account")]
    for look in plans(database, looks):
        assert "INDEX" in look.upper(), look
    (plan,) = plans(database, [each for each in watched.asked if 'ORDER BY account COLLATE "C"' in each[0]])
    return plan


@pytest.mark.parametrize("name", BY_CLAIM)
class TestNarrowedByWhatTheirClaimHas:
    def test_a_list_of_many_is_read_in_its_order_until_the_page_is_full(
        self, long_lists: Database, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(narrowing, "FEW", 100)
        of = Narrowing(plan="team", agreement="standard", begin=AT, min_amount=Decimal(1), currency="EUR")
        plan = page_plan(long_lists, lambda watched: BY_CLAIM[name](watched, Page(SIZE), of))
        for whole in ("Seq Scan", "Hash", "Sort", "TEMP B-TREE"):
            assert whole not in plan, plan
        assert "INDEX" in plan.upper()

    def test_of_few_their_accounts_are_named(self, long_lists: Database, name: str) -> None:
        of = Narrowing(plan="legacy")
        watched = Watched(long_lists)
        found = BY_CLAIM[name](watched, Page(SIZE), of)  # type: ignore[arg-type]
        assert 0 < len(found) <= ACCOUNTS // 1000
        assert sum(watched.fetched) <= 12 * SIZE, watched.fetched
        plan = page_plan(long_lists, lambda watched: BY_CLAIM[name](watched, Page(SIZE), of))
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan.upper() or "INDEX" in plan.upper(), plan

    def test_of_none_the_list_is_not_looked_at(self, long_lists: Database, name: str) -> None:
        for of in NOBODYS:
            watched = Watched(long_lists)
            assert BY_CLAIM[name](watched, Page(SIZE), of) == []  # type: ignore[arg-type]
            assert "1 = 0" in next(sql for sql, _ in watched.asked if 'ORDER BY account COLLATE "C"' in sql)

    @pytest.mark.parametrize("few", [0, 100, 10_000])
    def test_pages_add_up_to_the_list_either_way(
        self, long_lists: Database, name: str, few: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(narrowing, "FEW", few)
        for of in (
            Narrowing(plan="team"),
            Narrowing(plan="legacy"),
            Narrowing(plan=""),
            Narrowing(agreement=""),
            Narrowing(clause="unused_period", begin=AT + 50 * HOUR, end=AT + 300 * HOUR),
            Narrowing(min_amount=Decimal("11.90"), currency="EUR", end=AT + 300 * HOUR),
        ):
            whole = BY_CLAIM[name](long_lists, None, of)  # type: ignore[arg-type]
            paged: list[Any] = []
            page: Page | None = Page(len(whole) // 2 + 1)
            while page is not None:
                found = BY_CLAIM[name](long_lists, page, of)
                paged += found
                page = Page(page.limit, found.next) if found.next is not None else None
            assert paged == whole


def test_amounts_owed_of_an_age_are_read_in_order_where_there_are_many_and_not_at_all_where_there_are_none(
    long_lists: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert owed.listed(long_lists, Narrowing(), LATER, age="0-7", page=Page(SIZE)) == []
    monkeypatch.setattr(narrowing, "FEW", 100)
    plan = page_plan(
        long_lists, lambda watched: owed.listed(watched, Narrowing(), LATER, age="over-60", page=Page(SIZE))
    )
    for whole in ("Seq Scan", "Sort", "TEMP B-TREE"):
        assert whole not in plan, plan


class TestAddingUp:
    def test_a_long_list_is_not_added_up_where_few_rows_may_be(self, long_lists: Database) -> None:
        everything = Narrowing()
        for add_up in (
            lambda database, rows: refunds.totals(database, at_most=rows),
            lambda database, rows: refunds.totals(database, narrowing=Narrowing(plan="team"), at_most=rows),
            lambda database, rows: claims.totals(database, at_most=rows),
            lambda database, rows: credits.totals(database, at_most=rows),
            lambda database, rows: moved.summed(database, everything, "recorded_at", at_most=rows),
            lambda database, rows: owed.summed(database, everything, LATER, at_most=rows),
            lambda database, rows: complaints.by_age(database, LATER, at_most=rows),
            lambda database, rows: disputes.by_age(database, LATER, at_most=rows),
        ):
            watched = Watched(long_lists)
            with pytest.raises(TooManyRows):
                add_up(watched, 10)
            assert " LIMIT 11)" in watched.asked[-1][0], "it counts no further"
            assert add_up(long_lists, 10 * ACCOUNTS) == add_up(long_lists, None)


def test_sums_do_not_read_rows_in_the_order_of_an_index_of_their_groups(long_lists: Database) -> None:
    watched = Watched(long_lists)
    moved.summed(watched, Narrowing(), "recorded_at")  # type: ignore[arg-type]
    owed.summed(watched, Narrowing(), LATER, ("age",))  # type: ignore[arg-type]
    refunds.totals(watched)  # type: ignore[arg-type]
    for plan in plans(long_lists, watched.asked):
        assert "INDEX" not in plan.upper(), plan


class Exchanges(Watching):
    """A transaction that counts how often it is waited for."""

    def rows_in_each(self, statements: Any, values: Any) -> Any:
        self._fetched.append(1)
        return self._real.rows_in_each(statements, values)


def test_an_account_is_read_in_few_exchanges(long_lists: Database) -> None:
    exchanges: list[int] = []
    with long_lists.reading() as real:
        found = account_in(Exchanges(real, [], exchanges), "acct-000001")
    assert found.state["refunds"]
    assert len(exchanges) <= 6
