"""Finance's views say what the answers say, row by row and to the cent, on both databases."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.store.amounts import COLUMN_MAX, from_minor_units
from ledger.store.connecting import connect
from ledger.store.database import Database, StoreError, Unavailable
from ledger.store.instants import to_microseconds
from ledger.values import CURRENCY_SCALES, Month, instant_to_text, zero
from projections import account_state, claims, complaints, credits, disputes, moved, overpaid, owed, periods, refunds
from projections.catalog import CATALOG
from projections.claims import CLAIMS
from projections.complaints import COMPLAINTS
from projections.finance_views import FINANCE
from projections.follower import Follower
from projections.making_views import all_views, name_of, renew
from projections.movements import MOVEMENTS, MOVEMENTS_MADE
from projections.narrowing import Narrowing
from projections.projection import Projection
from projections.rebuild import Rebuild
from projections.views import Column, View, Views
from tests.ledger.books import Books
from tests.ledger.conftest import Opener, open_books
from tests.ledger.messages import Upstream
from tests.ledger.test_periods import Finance
from tests.ledger.test_refunds import BY_HAND, IN_APRIL, Desk
from tests.oracle import histories
from tests.projections.test_payouts import _something as something
from tests.projections.test_payouts import caught_up
from tests.search import sample

__all__ = ["open_books"]

VIEWS = {view.name: view for view in all_views(FINANCE)}
LEFT_OUT = {
    "disputes": {"age_seconds", "overdue", "complaint_ids"},
    "refunds": {"returns", "waits_for"},
    "credits": {"applied", "recovered"},
    "overpaid": {"went_out"},
    "owed": {"age", "age_days"},
    "complaints": {"steps", "links", "age_seconds"},
    "periods": {"status", "totals", "late", "recomputed"},
}
"""The fields of answers that views have not: what depends on when it is asked, and lists, which are views beside."""
CALLED = {("credits", "left_over"): "left"}
BESIDE = {
    "disputes": {"amount", "tax", "currency"},
    "refunds": {"attempt"},
    "owed": {"owed"},
    "period_totals": {"period", "counted"},
}
"""The columns of views that answers have not."""


def rows(database: Database, view: View | str) -> list[dict[str, Any]]:
    """The rows of a view, each value as an answer has it."""
    found = VIEWS[view] if isinstance(view, str) else view
    names = ", ".join(column.name for column in found.columns)
    name = name_of(database, FINANCE, found.name)
    with database.reading() as transaction:
        told = transaction.rows(f"SELECT {names} FROM {name}")
    return [
        {column.name: shown(database, column, value) for column, value in zip(found.columns, row, strict=True)}
        for row in told
    ]


def shown(database: Database, column: Column, value: Any) -> Any:
    """A value of a view as an answer has it; it must come from the database in the type that is promised."""
    if value is None:
        return None
    real = database.dialect == "postgresql"
    match column.kind:
        case "amount":
            assert isinstance(value, Decimal if real else str), (column, value)
            return str(value)
        case "instant":
            assert isinstance(value, datetime if real else str), (column, value)
            return instant_to_text(value if real else datetime.fromisoformat(value))
        case "date":
            assert isinstance(value, date if real else str), (column, value)
            return value.isoformat() if real else value
        case "boolean":
            assert isinstance(value, bool if real else int), (column, value)
            return bool(value)
        case "integer":
            assert type(value) is int, (column, value)
            return value
    assert isinstance(value, str), (column, value)
    return value


def check(database: Database, now: datetime) -> dict[str, int]:
    """Every view says what the answers say; how many rows each has."""
    renew(database, FINANCE)
    answered = answers(database, now)
    counted = {}
    for name, answer in answered.items():
        view = VIEWS[name]
        told = rows(database, view)
        columns = {column.name for column in view.columns} - BESIDE.get(name, set())
        for row in answer:
            fields = {field for field in row if field not in LEFT_OUT.get(name, ())}
            assert fields == {CALLED.get((name, column), column) for column in columns}, name
        said = [{column: row[CALLED.get((name, column), column)] for column in columns} for row in answer]
        assert in_order({c: row[c] for c in columns} for row in told) == in_order(said), name
        counted[name] = len(told)
    assert counted.keys() == VIEWS.keys() - {"about"}
    return counted


def in_order(told: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in told)


def answers(database: Database, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """What the answers say of what each view shows."""
    with database.reading() as transaction:
        everybody = [str(account) for (account,) in transaction.rows("SELECT account FROM heads")]
    accounts = [account_state.account(database, each).state for each in everybody if each != "system"]
    found = refunds.listed(database)
    credited = credits.listed(database)
    complained = complaints.listed(database, now)
    closed = periods.listed(database)
    return {
        "claims": [*claims.listed(database)],
        "disputes": [*disputes.listed(database, now)],
        "refunds": [*found],
        "returns": [
            {
                **part,
                **{name: refund[name] for name in ("account_id", "refund_id", "currency")},
                "attempt": attempts(database)[refund["account_id"], refund["refund_id"]],
            }
            for refund in found
            for part in refund["returns"]
        ],
        "credits": [*credited],
        "credit_uses": [*uses(credited)],
        "owed": [*owed.listed(database, Narrowing(), now)],
        "overpaid": [*overpaid.listed(database)],
        "movements": [*moved.listed(database, Narrowing(), "recorded_at")],
        "invoices": [row for account in accounts for row in account["invoices"]],
        "charges": [row for account in accounts for row in account["charges"]],
        "payments": [row for account in accounts for row in account["payments"]],
        "balances": [
            {"account_id": account["account_id"], **row}
            for account in accounts
            for row in account["balances"]
            if any(value != str(zero(row["currency"])) for name, value in row.items() if name != "currency")
        ],
        "complaints": [*complained],
        "complaint_links": [
            {"account_id": row["account_id"], "complaint_id": row["complaint_id"], **link}
            for row in complained
            for link in row["links"]
        ],
        "periods": [*closed],
        "period_totals": [total for period in closed for total in (*period["totals"], *period["late"])],
    }


def attempts(database: Database) -> dict[tuple[str, str], int]:
    return {(row["account_id"], row["refund_id"]): row["attempt"] for row in rows(database, "refunds")}


def uses(credited: Iterable[credits.Credit]) -> Iterator[dict[str, Any]]:
    for credit in credited:
        of = {"account_id": credit["account_id"], "credit_id": credit["credit_id"], "currency": credit["currency"]}
        for each in credit["applied"]:
            place = {"charge_id": each["charge_id"], "invoice_id": each["invoice_id"], "claim_id": None}
            said = {"application_id": each["application_id"], "amount": each["amount"], "used_at": each["applied_at"]}
            yield {**of, "kind": "applied", **place, **said}
        for kept in credit["recovered"]:
            place = {"charge_id": None, "invoice_id": None, "claim_id": kept["claim_id"]}
            said = {
                "application_id": kept["application_id"],
                "amount": kept["amount"],
                "used_at": kept["recovered_at"],
            }
            yield {**of, "kind": "recovered", **place, **said}


def lived(books: Books, seed: int) -> Books:
    """A random history, in which people decide about refunds and the payment processor answers."""
    chance = random.Random(f"views {seed}")
    desk = Desk(books)
    money = bool(seed % 2)
    for message in histories.history(seed, account="acct-1", instructed=not money, money=money):
        books.take([message])
        if chance.random() < 0.4:
            something(desk, chance)
    for _ in range(8):
        something(desk, chance)
    return caught_up(books)


@pytest.mark.parametrize("seed", range(sample(5)))
def test_views_say_what_the_answers_say_in_every_history(open_books: Opener, seed: int) -> None:
    agreements = tuple(histories.agreement_texts(money=True).values())
    books = lived(open_books(agreements=agreements), seed)
    check(books.database.real, books.clock.at)


@pytest.fixture
def told(open_books: Opener) -> Books:
    """A customer with something of everything that finance asks about."""
    desk = Desk(open_books(now=IN_APRIL, agreements=[BY_HAND]))
    says = desk.customer
    desk.billed(("card", "a", "60.00"), ("bank", "b", "40.00"), price="100.00", tax="0.00")
    desk.tell(says.subscription_registered(), says.cycle_started("cyc-1", price="31.00"))
    desk.overcharged("10.00")
    desk.approve()
    desk.submit()
    returns = [each["return_id"] for each in desk.submitted()[0]["returns"]]
    desk.succeeded(returns[0])
    desk.failed(returns[1])
    desk.tell(
        says.charge_posted("chg-2", price="50.00", invoice_id="inv-2"),
        says.payment_captured("inv-2", "60.00", payment_id="c"),
        says.overcharge_confirmed("dis-3", "chg-2", amount="6.00", settle_as="credit"),
    )
    desk.overcharged("4.00", time="2026-02-01T00:00:00Z")
    desk.decide_overpaid("overpaid.recovery_ordered")
    desk.tell(
        says.overcharge_confirmed("dis-2", "chg-2", amount="1.00", settle_as="credit"),
        says.charge_posted("chg-3", price="2.00", invoice_id="inv-3"),
        says.billing_error_reported("dis-4", "chg-3"),
        says.complaint_opened("cmp-1"),
        says.complaint_resolved("cmp-1", time="2026-03-02T00:00:00Z"),
        says.complaint_opened("cmp-2"),
        says.complaint_noted("cmp-2"),
        says.complaint_linked("cmp-2", kind="dispute", linked_id="dis-4"),
        says.goodwill_proposed("gw-1", "cmp-2"),
        says.subscription_terminated(),
    )
    desk.refund_credit("credit/billing-error/dis-3/1")
    Finance(desk.books).close(Month(2026, 3))
    caught_up(desk.books)
    return desk.books


def test_views_say_what_the_answers_say_of_one_of_everything(told: Books) -> None:
    counted = check(told.database.real, told.clock.at)
    assert [name for name, rows_ in counted.items() if not rows_] == []


# --- when what stands behind them changes ---------------------------------------------------------------------------


def told_by(database: Database) -> dict[str, list[str]]:
    """The rows of all views, but of what each says about itself."""
    return {name: in_order(rows(database, view)) for name, view in VIEWS.items() if name != "about"}


def next_version(of: Projection) -> Projection:
    return replace(of, version=of.version + 1)


def test_views_go_over_to_the_next_version_of_a_projection(told: Books) -> None:
    database = told.database.real
    renew(database, FINANCE)
    before, about = told_by(database), rows(database, "about")
    catalog = [next_version(each) if each in (CLAIMS, MOVEMENTS, COMPLAINTS) else each for each in CATALOG]
    follower = Follower(database, catalog)
    follower.create()
    follower.catch_up()
    assert renew(database, FINANCE, catalog), "the tables behind the views are others"
    assert not renew(database, FINANCE, catalog)
    with database.writing() as transaction:
        for projection in (CLAIMS, MOVEMENTS, COMPLAINTS):
            for table in projection.tables:
                transaction.run(f"DROP TABLE {projection.stored_name(table)}")
    assert told_by(database) == before
    now = rows(database, "about")
    assert [row["definition"] for row in now] != [row["definition"] for row in about]
    assert [row["position"] for row in now] == [row["position"] for row in about]


def test_views_answer_before_and_after_a_rebuild(told: Books) -> None:
    database = told.database.real
    renew(database, FINANCE)
    before = told_by(database)
    with database.writing() as transaction:
        transaction.run(f"DELETE FROM {CLAIMS.stored_name(CLAIMS.tables[0])}")
    assert told_by(database)["claims"] == []
    rebuild = Rebuild(database, CATALOG)
    rebuild.begin()
    rebuild.build()
    rebuild.put_in_place()
    assert told_by(database) == before
    assert not renew(database, FINANCE), "a rebuild puts rows in place, and no tables"


def test_about_tells_how_far_the_rows_have_come(open_books: Opener) -> None:
    books = open_books()
    database = books.database.real
    Follower(database).create()
    renew(database, FINANCE)
    [row] = rows(database, "about")
    assert (row["version"], row["position"]) == (FINANCE.version, 0)
    recorded = row["ledger_position"]
    books.take(Upstream().customer())
    [row] = rows(database, "about")
    assert row["position"] == 0 < recorded < row["ledger_position"]
    Follower(database, [CLAIMS]).catch_up()
    assert rows(database, "about") == [row], "the others have not come as far"
    Follower(database).catch_up()
    assert rows(database, "about") == [{**row, "position": row["ledger_position"]}]


def test_of_an_empty_store_about_tells_the_version(database: Database) -> None:
    Follower(database).create()
    renew(database, FINANCE)
    [row] = rows(database, "about")
    assert (row["version"], row["shard"], row["position"], row["ledger_position"]) == (FINANCE.version, None, 0, 0)


# --- exact in every database ----------------------------------------------------------------------------------------


def moved_exactly(number: int, currency: str, net: int, at: datetime) -> tuple[Any, ...]:
    row = dict.fromkeys(MOVEMENTS_MADE.columns)
    said = {"account": "acct-1", "event_id": "e", "number": number, "kind": "granted", "currency": currency}
    instants = {"recorded_at": to_microseconds(at), "occurred_at": to_microseconds(at)}
    return MOVEMENTS_MADE.values_of({**row, **said, "net": net, "tax": -net, "shard": 7, "position": 1, **instants})


def test_amounts_of_every_currency_and_instants_of_every_year_are_exact(database: Database) -> None:
    Follower(database).create()
    instants = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    amounts = [0, 1, -1, 9, 10, -99, 100, 12_345, -10_000, COLUMN_MAX, -COLUMN_MAX]
    given = [(currency, amount) for currency in CURRENCY_SCALES for amount in amounts]
    told = [moved_exactly(n, *each, instants[n % len(instants)]) for n, each in enumerate(given)]
    with database.writing() as transaction:
        transaction.insert(MOVEMENTS.stored_name(MOVEMENTS_MADE), tuple(MOVEMENTS_MADE.columns), told)
    renew(database, FINANCE)
    found = sorted(rows(database, "movements"), key=lambda row: row["number"])
    assert [(row["currency"], row["net"], row["tax"], row["total"], row["recorded_at"]) for row in found] == [
        (
            currency,
            str(from_minor_units(amount, currency)),
            str(from_minor_units(-amount, currency)),
            str(zero(currency)),
            instant_to_text(instants[number % len(instants)]),
        )
        for number, (currency, amount) in enumerate(given)
    ]


def test_instants_on_sqlite_sort_as_they_came(memory: Database) -> None:
    Follower(memory).create()
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    told = [moved_exactly(n, "EUR", 1, at + timedelta(microseconds=250_000 * n)) for n in range(9)]
    with memory.writing() as transaction:
        transaction.insert(MOVEMENTS.stored_name(MOVEMENTS_MADE), tuple(MOVEMENTS_MADE.columns), told)
    renew(memory, FINANCE)
    with memory.reading() as transaction:
        found = transaction.rows("SELECT number FROM finance_movements ORDER BY recorded_at")
        since = transaction.rows("SELECT COUNT(*) FROM finance_movements WHERE recorded_at >= '2026-03-01T09:00:01'")
    assert [number for (number,) in found] == [*range(9)]
    assert since == [(5,)]


# --- renewal on PostgreSQL ------------------------------------------------------------------------------------------

SHORT = Views(
    "finance",
    1,
    (View("claims", "Claims.", (Column("claim_id", "text", "The claim."),), "{claims}"), *FINANCE.views[1:]),
)
"""An earlier set of views, with fewer columns of a claim."""
OTHER = Views(
    "finance",
    2,
    (View("claims", "Claims.", (Column("clause", "text", "The clause."),), "{claims}"), *FINANCE.views[1:]),
)
"""A version that took a column away."""


@pytest.fixture
def server(pg_store: str) -> Iterator[Database]:
    """A store on PostgreSQL without views: those of a test before may be there still, because they lie beside it."""
    with closing(connect(pg_store)) as opened:
        schema = name_of(opened, FINANCE, "about").rpartition(".")[0]
        run(opened, f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        yield opened


def run(database: Database, *statements: str) -> None:
    with database.writing() as transaction:
        for statement in statements:
            transaction.run(statement)


def comment(database: Database, view: str) -> Any:
    with database.reading() as transaction:
        return transaction.rows(f"SELECT obj_description('{name_of(database, FINANCE, view)}'::regclass)")[0][0]


def test_a_column_more_leaves_the_views_that_others_made_of_ours(server: Database) -> None:
    renew(server, SHORT)
    claims_view = name_of(server, FINANCE, "claims")
    run(
        server,
        f"CREATE VIEW theirs AS SELECT claim_id FROM {claims_view}",
        f"GRANT SELECT ON {claims_view} TO PUBLIC",
    )
    assert renew(server, replace(FINANCE, views=(longer(SHORT.views[0]), *FINANCE.views[1:])))
    with server.reading() as transaction:
        assert transaction.rows("SELECT * FROM theirs") == []
        transaction.rows(f"SELECT claim_id, clause FROM {claims_view}")
        assert transaction.rows(f"SELECT has_table_privilege('public', '{claims_view}'::regclass, 'SELECT')") == [
            (True,)
        ]


def longer(view: View) -> View:
    return replace(view, columns=(*view.columns, Column("clause", "text", "The clause.")))


def test_a_column_less_is_made_anew_unless_others_depend_on_it(server: Database) -> None:
    renew(server, SHORT)
    claims_view = name_of(server, FINANCE, "claims")
    run(server, f"CREATE VIEW theirs AS SELECT claim_id FROM {claims_view}")
    with pytest.raises(StoreError, match="view theirs depends on view"):
        renew(server, OTHER)
    assert comment(server, "claims") == "Claims."
    run(server, "DROP VIEW theirs")
    assert renew(server, OTHER)
    with server.reading() as transaction:
        transaction.rows(f"SELECT clause FROM {claims_view}")


def test_every_view_and_column_has_its_comment(server: Database) -> None:
    renew(server, FINANCE)
    for view in all_views(FINANCE):
        assert comment(server, view.name) == view.description
        with server.reading() as transaction:
            found = transaction.rows(
                "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) "
                f"FROM pg_attribute WHERE attrelid = '{name_of(server, FINANCE, view.name)}'::regclass "
                "ORDER BY attnum"
            )
        assert [tuple(row) for row in found] == [
            (column.name, POSTGRESQL_TYPES[column.kind], column.description) for column in view.columns
        ]


POSTGRESQL_TYPES = {
    "text": "text",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "date",
    "instant": "timestamp with time zone",
    "amount": "numeric",
}


def test_several_programs_that_start_at_once_make_the_views_once(server: Database, pg_store: str) -> None:
    with closing(connect(pg_store)) as other, ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda database: renew(database, FINANCE), (server, other)))
    assert any(done)
    assert len(rows(server, "about")) == 1


def test_what_reads_the_views_for_long_keeps_no_program_from_starting(server: Database, pg_store: str) -> None:
    renew(server, SHORT)
    with closing(connect(pg_store)) as reader, reader.reading() as transaction:
        transaction.rows(f"SELECT * FROM {name_of(server, FINANCE, 'claims')}")
        with pytest.raises(Unavailable, match="lock timeout"):
            renew(server, FINANCE)
    assert renew(server, FINANCE)
