"""Pages over many accounts, each beside the SQL that it asks: one request's statements, noted and run again alone.

The accounts are the sample's, recorded by the ledger, whose rows are then copied under other accounts' names: lists
and sums find many rows, while an account and its history are read from events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.pages.clients import Pages

from bench.messages import SAMPLE
from bench.report import Section, percentile
from bench.timing import timed
from consumers import files
from ledger.application import due_work
from ledger.store.database import Database, Transaction
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.program.http import application
from projections.catalog import CATALOG

OF_THE_SAMPLE = 300
FIRST_QUARTER = 2_500
"""So many of the sample's messages are recorded on 1 April 2026, the others on 1 July."""
ACCOUNT, CLAIM = "acct-0006", "unused/cyc-0006-2026-04-02"
MARK_TIMES, MARK_MORE = 3, 30
"""The mark: the 95th percentile stays under so many times the SQL's, and so many milliseconds."""
PAGES = (
    "/console/months/2026-07",
    "/console/months/2026-06",
    "/console/owed",
    "/console/owed?age=0-7&currency=EUR",
    "/console/refunds",
    "/console/refunds?status=due&currency=EUR",
    "/console/credits",
    "/console/claims",
    "/console/claims?outcome=granted&clause=billing_error",
    "/console/movements",
    "/console/movements?kind=granted&currency=EUR&from=2026-07-01&to=2026-07-31",
    "/console/approvals",
    "/console/overpaid",
    f"/console/accounts/{ACCOUNT}",
    f"/console/accounts/{ACCOUNT}/history",
    f"/console/accounts/{ACCOUNT}/replay?after=5",
    f"/console/explanations?id={CLAIM}&account={ACCOUNT}",
    f"/console/accounts/{ACCOUNT}/timeline",
    f"/console/search?text={CLAIM}",
    "/console/complaints",
    "/console/disputes",
    "/console/outages",
    "/console/operations/status",
)
OF_CUSTOMERS = (f"/portal/{ACCOUNT}", f"/portal/{ACCOUNT}/why?id={CLAIM}", f"/portal/{ACCOUNT}/data")

Asked = list[tuple[str, tuple[Any, ...]]]
"""What a transaction was asked: its functions with what they were given."""


def fill(house: House, accounts: int) -> None:
    """Have so many accounts: the sample's by the ledger, the others as copies of its rows."""
    lines = (SAMPLE / "events.jsonl").read_bytes().splitlines()
    for until, part in (
        (datetime(2026, 4, 1, tzinfo=UTC), lines[:FIRST_QUARTER]),
        (datetime(2026, 7, 1, tzinfo=UTC), lines[FIRST_QUARTER:]),
    ):
        due_work.advance(house.ledger, until)
        files.ingest(house.ledger, part, "bench")
    house.projections.catch_up()
    copies = max(0, accounts // OF_THE_SAMPLE - 1)
    for projection in CATALOG:
        for table in projection.tables:
            _copy(house.database, projection.stored_name(table), list(table.columns), copies)
    with house.database.writing() as transaction:
        transaction.run("ANALYZE")


def _copy(database: Database, name: str, columns: list[str], copies: int) -> None:
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies})"
    copied = ", ".join("account || '-' || n" if column == "account" else column for column in columns)
    with database.writing() as transaction:
        chosen = f"SELECT {copied} FROM {name}, numbers WHERE account LIKE 'acct-%'"
        if copies:
            transaction.run(f"{numbers} INSERT INTO {name} ({', '.join(columns)}) {chosen}")


class _Noting:
    """A transaction of which is noted what it is asked."""

    def __init__(self, transaction: Transaction, asked: Asked) -> None:
        self._transaction = transaction
        self._asked = asked

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._transaction, name)

        def noted(*given: Any) -> Any:
            self._asked.append((name, given))
            return function(*given)

        return noted


def statements_of(database: Database, ask: Callable[[], object]) -> list[Asked]:
    """The statements of each of the transactions in which something reads."""
    found: list[Asked] = []
    reading = database.reading

    @contextmanager
    def noting() -> Iterator[Any]:
        with reading() as transaction:
            found.append([])
            yield _Noting(transaction, found[-1])

    database.reading = noting  # type: ignore[method-assign]
    try:
        ask()
    finally:
        del database.reading
    return found


def alone(database: Database, transactions: list[Asked]) -> None:
    """Run the statements again, and nothing else."""
    for asked in transactions:
        with database.reading() as transaction:
            for name, given in asked:
                getattr(transaction, name)(*given)


def measure(section: Section, house: House, store: str, rounds: int) -> None:
    """Ask for each page and for its SQL alone, in turn, in milliseconds."""
    app = application(house, clock=system_clock)
    pages = Pages(house, app, system_clock)
    staff = pages.staff("finance", "auditor", "support", "operator")
    asked = [(staff, path) for path in PAGES] + [(pages.customer(ACCOUNT), path) for path in OF_CUSTOMERS]
    for client, path in asked:
        answer = client.get(path)
        assert answer.status_code in (200, 303), (path, answer.status_code)
        noted = statements_of(house.database, lambda: client.get(path))  # noqa: B023
        page, sql = [], []
        for _ in range(rounds):
            page.append(1e3 * timed(lambda: client.get(path)))  # noqa: B023
            sql.append(1e3 * timed(lambda: alone(house.database, noted)))  # noqa: B023
        beside = section.add(f"{store} {path}: its SQL", sql, "ms", note=f"{sum(map(len, noted))} statements")
        over = percentile(page) >= MARK_TIMES * percentile(sql) + MARK_MORE
        section.add(f"{store} {path}", page, "ms", beside=beside.name, note="over the mark" if over else "")
