"""What is owed and what moved, on both stores: tables that an accountant can check by hand, and sums that foot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.events import AgreementBound, CreditApplied, SubscriptionRegistered
from ledger.store.amounts import COLUMN_MAX, exact_sum, from_minor_units, in_columns, sums_of, to_minor_units
from ledger.store.database import Database
from ledger.store.positions import Reached
from ledger.store.reading.page import Page
from projections import moved, owed
from projections.age_classes import AGE_CLASSES, age_class
from projections.follower import Follower
from projections.movement_kinds import KINDS, OWED
from projections.narrowing import NONE, Narrowing
from tests.projections.stories import START, Story, gone_out, granted, part, standing

NOW = START + timedelta(days=1)


def told() -> Story:
    """Four accounts: a refund due, a credit used in part, an excess that becomes a credit, and too much gone out."""
    story = Story()
    for name, plan in (("ann", "home"), ("bob", "business")):
        registered = story.tell(
            SubscriptionRegistered, name, subscription_id="sub-1", agreement="standard", plan=plan
        )
        bound = {"agreement": "standard", "version": 2, "sha256": "0" * 64, "time_zone": "UTC"}
        bound |= {"subscription_id": "sub-1", "registration": registered.event().event_id}
        story.tell(AgreementBound, name, **bound)
    # Ann is owed a refund of 11.90.
    story.assess(None, granted("10.00", "1.90"), "ann")
    story.settle(part("refund", "refund/unused/cycle-1/1", "10.00", "1.90"), account="ann")
    # Bob had a credit of 5.95, and 2.38 of it paid for his next charge.
    credit = "credit/disruption/cycle-1/1"
    of_bob: dict[str, Any] = {"account": "bob", "claim_id": "disruption/cycle-1"}
    story.assess(None, granted("5.00", "0.95"), clause="service_disruption", **of_bob)
    story.settle(part("credit", credit, "5.00", "0.95"), **of_bob)
    used = {"application_id": "a-1", "credit_id": credit, "claim_id": "disruption/cycle-1", "charge_id": "cycle-2"}
    used |= {"invoice_id": "inv-2", "currency": "EUR", "rules": 1, "now": START}
    story.tell(CreditApplied, "bob", amount=Decimal("2.38"), net=Decimal("2.00"), tax=Decimal("0.38"), **used)
    story.settle(gone_out("credit", credit, "2.00", "0.38"), part("credit", credit, "3.00", "0.57"), **of_bob)
    # Cleo paid 500 yen too much, which became a credit.
    paid = {"paid_in_money": "1500", "excess": "500"}
    story.stand(in_yen("1000", **paid), "cleo", currency="JPY")
    story.stand(in_yen("1000", **paid, excess_credit="500"), "cleo", currency="JPY")
    # Dan was refunded 3.00 for a claim that fell.
    story.assess(None, granted("3.00"), "dan")
    story.settle(gone_out("refund", "refund/unused/cycle-1/1", "3.00"), account="dan")
    story.assess(granted("3.00"), None, "dan")
    story.settle(
        gone_out("refund", "refund/unused/cycle-1/1", "3.00"),
        part("overpaid", "overpaid/unused/cycle-1", "-3.00"),
        account="dan",
    )
    return story


def in_yen(charged: str, **amounts: Any) -> Any:
    """An invoice that stands in whole yen."""
    stands = standing(charged, **amounts)
    return stands.model_copy(
        update={name: value.quantize(Decimal(1)) for name, value in stands if isinstance(value, Decimal)}
    )


@pytest.fixture
def books(database: Database) -> Database:
    told().write(database)
    Follower(database).create()
    Follower(database).catch_up(limit=3)
    return database


def sums(rows: Any, *groups: str) -> dict[Any, str]:
    """Each row in a line: what is owed, and how many there are."""
    return {
        (row["currency"], *(row[group] for group in groups)): " ".join(
            [*(f"{name} {row[name]}" for name in (*OWED, "total") if Decimal(row[name])), f"count {row['count']}"]
        )
        for row in rows
    }


class TestOwed:
    def test_it_is_told_by_currency(self, books: Database) -> None:
        rows = owed.summed(books, Narrowing(), NOW)
        assert sums(rows) == {
            ("EUR",): "refunds_due 11.90 credits_left 3.57 overpaid 3.00 total 12.47 count 3",
            ("JPY",): "credits_left 500 total 500 count 1",
        }
        assert owed.totals(rows) == rows

    def test_it_is_told_by_clause_agreement_and_plan(self, books: Database) -> None:
        assert sums(owed.summed(books, Narrowing(), NOW, ("clause",)), "clause") == {
            ("EUR", "service_disruption"): "credits_left 3.57 total 3.57 count 1",
            ("EUR", "unused_period"): "refunds_due 11.90 overpaid 3.00 total 8.90 count 2",
            ("JPY", None): "credits_left 500 total 500 count 1",
        }
        assert sums(owed.summed(books, Narrowing(), NOW, ("agreement", "plan")), "agreement", "plan") == {
            ("EUR", "standard", None): "overpaid 3.00 total -3.00 count 1",
            ("EUR", "standard", "business"): "credits_left 3.57 total 3.57 count 1",
            ("EUR", "standard", "home"): "refunds_due 11.90 total 11.90 count 1",
            ("JPY", None, None): "credits_left 500 total 500 count 1",
        }

    def test_what_was_known_at_a_position_or_an_instant_is_what_was_recorded_by_then(self, books: Database) -> None:
        expected = {
            5: {},
            6: {("EUR",): "refunds_due 11.90 total 11.90 count 1"},
            8: {("EUR",): "refunds_due 11.90 credits_left 5.95 total 17.85 count 2"},
            10: {("EUR",): "refunds_due 11.90 credits_left 3.57 total 15.47 count 2"},
            11: {
                ("EUR",): "refunds_due 11.90 credits_left 3.57 total 15.47 count 2",
                ("JPY",): "excess 500 total 500 count 1",
            },
        }
        for position, said in expected.items():
            at = START + timedelta(minutes=position)
            assert sums(owed.summed(books, Narrowing(), NOW, known_at=Reached({0: position}))) == said
            assert sums(owed.summed(books, Narrowing(), NOW, known_at=at)) == said
        assert owed.summed(books, Narrowing(), NOW, known_at=Reached({7: 99})) == []
        with books.reading() as transaction:
            assert owed.instant_of(transaction, Reached({0: 6})) == START + timedelta(minutes=6)

    def test_ages_are_those_of_the_instant_that_is_asked_about(self, books: Database) -> None:
        due_since = START + timedelta(minutes=6)
        for days, age in ((0, "0-7"), (7.99, "0-7"), (8, "8-30"), (30.99, "8-30"), (31, "31-60"), (61, "over-60")):
            at = due_since + timedelta(days=days)
            only_ann = Narrowing(accounts={"ann"})
            rows = owed.summed(books, only_ann, at, ("age",))
            assert [row["age"] for row in rows] == [age], days
            items = owed.listed(books, only_ann, at)
            assert [(item["age"], item["age_days"]) for item in items] == [(age, int(days))]
            for each in AGE_CLASSES:
                assert bool(owed.summed(books, only_ann, at, age=each)) == (each == age)
                assert bool(owed.listed(books, only_ann, at, age=each)) == (each == age)

    def test_an_item_stays_as_old_as_it_is_when_something_is_taken_of_it(self, books: Database) -> None:
        [credit] = owed.listed(books, Narrowing(accounts={"bob"}), NOW)
        assert credit["since"] == (START + timedelta(minutes=8)).isoformat().replace("+00:00", "Z")
        assert credit["position"] == "0:10", "and the event that set the amount is the last"

    @pytest.mark.parametrize("known_at", [None, Reached({0: 11}), Reached({0: 13}), NOW])
    @pytest.mark.parametrize("groups", [(), ("clause",), ("age", "clause"), ("plan", "agreement", "age", "clause")])
    def test_every_sum_is_that_of_the_rows_that_its_filter_gives(
        self, books: Database, groups: tuple[owed.Grouping, ...], known_at: Any
    ) -> None:
        at = START + timedelta(days=8, minutes=9)
        rows = owed.summed(books, Narrowing(), at, groups, known_at=known_at)
        assert rows
        assert rows == owed.summed_of(owed.listed(books, Narrowing(), at, known_at=known_at), groups)
        for row in rows:
            named = {name: row.get(name) or NONE for name in groups if name != "age"}
            narrowing = Narrowing(currency=row["currency"], **named)  # type: ignore[arg-type]
            items = owed.listed(books, narrowing, at, known_at=known_at, age=row.get("age"))
            assert len(items) == row["count"]
            for name in OWED:
                of_it = [Decimal(item["total"]) for item in items if item["counted_as"] == name]
                assert sum(of_it, Decimal(0)) == Decimal(row[name])

    def test_pages_add_up_to_the_list(self, books: Database) -> None:
        whole = owed.listed(books, Narrowing(), NOW, known_at=NOW)
        found, after = [], None
        while True:
            page = owed.listed(books, Narrowing(), NOW, known_at=NOW, page=Page(1, after))
            found += page
            if (after := page.next) is None:
                break
        assert found == list(whole)
        assert len(found) == 4

    def test_a_minimum_is_of_one_currency(self, books: Database) -> None:
        found = owed.listed(books, Narrowing(currency="EUR", min_amount=Decimal("3.57")), NOW)
        assert sorted(item["total"] for item in found) == ["11.90", "3.57"]
        assert owed.listed(books, Narrowing(currency="EUR", min_amount=Decimal("11.91")), NOW) == []


class TestMoved:
    def test_each_movement_has_its_row(self, books: Database) -> None:
        rows = moved.listed(books, Narrowing(), "recorded_at")
        assert [(row["account_id"], row["kind"], row["net"], row["tax"], row["position"]) for row in rows] == [
            ("ann", "granted", "10.00", "1.90", "0:5"),
            ("ann", "refund_due", "10.00", "1.90", "0:6"),
            ("bob", "granted", "5.00", "0.95", "0:7"),
            ("bob", "credited", "5.00", "0.95", "0:8"),
            ("bob", "applied", "2.00", "0.38", "0:10"),
            ("cleo", "paid_in_excess", "500", "0", "0:11"),
            ("cleo", "excess_credited", "500", "0", "0:12"),
            ("dan", "granted", "3.00", "0.00", "0:13"),
            ("dan", "refund_due", "3.00", "0.00", "0:14"),
            ("dan", "refunded", "3.00", "0.00", "0:14"),
            ("dan", "granted", "-3.00", "0.00", "0:15"),
            ("dan", "overpaid", "3.00", "0.00", "0:16"),
        ]
        assert {(row["account_id"], row["plan"]) for row in rows} == {
            ("ann", "home"),
            ("bob", "business"),
            ("cleo", None),
            ("dan", None),
        }

    @pytest.mark.parametrize("groups", [(), ("clause",), ("settlement", "plan"), moved.GROUPINGS])
    def test_every_sum_is_that_of_the_rows_that_its_filter_gives(
        self, books: Database, groups: tuple[moved.Grouping, ...]
    ) -> None:
        rows = moved.summed(books, Narrowing(), "recorded_at", groups)
        assert sum(row["count"] for row in rows) == 12
        for row in rows:
            named = {name: row.get(name) for name in groups}
            accounts = {str(named.pop("account"))} if "account" in named else None
            more = {"kind": row["kind"]} | {
                name: named.pop(name) or NONE for name in ("settlement",) if name in named
            }
            of = {name: value or NONE for name, value in named.items()}
            narrowing = Narrowing(accounts, row["currency"], more=more, **of)  # type: ignore[arg-type]
            found = moved.listed(books, narrowing, "recorded_at")
            assert len(found) == row["count"]
            for name in ("net", "tax", "total"):
                assert sum((Decimal(each[name]) for each in found), Decimal(0)) == Decimal(row[name])

    def test_a_period_includes_its_beginning_and_not_its_end(self, books: Database) -> None:
        at = int((START + timedelta(minutes=8)).timestamp()) * 1_000_000
        assert [r["kind"] for r in moved.listed(books, Narrowing(begin=at, end=at + 1), "recorded_at")] == [
            "credited"
        ]
        assert moved.listed(books, Narrowing(begin=at + 1, end=at + 60_000_000), "recorded_at") == []

    def test_sums_of_kinds_come_in_the_order_of_the_glossary(self, books: Database) -> None:
        kinds = [row["kind"] for row in moved.summed(books, Narrowing(currency="EUR"), "recorded_at")]
        assert kinds == [kind for kind in KINDS if kind in kinds]


class TestExactNumbers:
    GREATEST = Decimal("999999999999999.9999")
    """The greatest amount that a message may state, in a currency with four decimals: more than 64 bits of units."""

    def test_minor_units_are_exact_in_every_currency(self) -> None:
        for amount, currency, units in (
            ("11.20", "EUR", 1120),
            ("-0.01", "EUR", -1),
            ("7", "JPY", 7),
            ("0.001", "KWD", 1),
            ("999999999999999.9999", "CLF", 9_999_999_999_999_999_999),
        ):
            assert to_minor_units(Decimal(amount), currency) == units
            assert str(from_minor_units(units, currency)) == amount

    def test_an_amount_beyond_a_column_takes_several_rows(self) -> None:
        rows = list(in_columns(2 * COLUMN_MAX + 5, -COLUMN_MAX - 1))
        assert rows == [(COLUMN_MAX, -COLUMN_MAX), (COLUMN_MAX, -1), (5, 0)]
        assert list(in_columns(1120, 213)) == [(1120, 213)]
        assert list(in_columns(0, 0)) == [(0, 0)]

    def test_sums_are_exact_beyond_64_bits(self, database: Database) -> None:
        story = Story()
        amount = str(self.GREATEST)
        for name in ("ann", "bob", "cleo"):
            stands = standing("0.0000", paid_in_money=amount, excess=amount)
            story.stand(stands, name, currency="CLF")
        story.write(database)
        Follower(database).create()
        Follower(database).catch_up()

        [row] = owed.summed(database, Narrowing(), NOW)
        assert (row["excess"], row["count"]) == ("2999999999999999.9997", 3)
        [row] = moved.summed(database, Narrowing(), "recorded_at")  # type: ignore[assignment]
        assert row["total"] == "2999999999999999.9997"
        assert len(owed.listed(database, Narrowing(), NOW)) > 3, "each takes several rows"

    def test_negative_amounts_add_up_too(self, database: Database) -> None:
        with database.writing() as transaction:
            transaction.run("CREATE TABLE exact_numbers (amount BIGINT)")
            values = [-1, 1, -999_999_999, 1_000_000_001, -COLUMN_MAX, COLUMN_MAX - 7]
            transaction.insert("exact_numbers", ("amount",), [(value,) for value in values])
        with database.reading() as transaction:
            [found] = transaction.rows(f"SELECT {exact_sum('amount')} FROM exact_numbers")
            [of_none] = transaction.rows(f"SELECT {exact_sum('amount')} FROM exact_numbers WHERE amount = 0")
        assert sums_of(found) == [sum(values)]
        assert sums_of(of_none) == [0]

    def test_an_age_is_of_whole_days(self) -> None:
        since = datetime(2026, 1, 1, tzinfo=UTC)
        units = int(since.timestamp()) * 1_000_000
        assert age_class(units, since - timedelta(days=1)) == "0-7", "a sandbox's clock may stand before"
        assert age_class(units, since + timedelta(days=61)) == "over-60"
        assert age_class(units, since + timedelta(days=61) - timedelta(microseconds=1)) == "31-60"
