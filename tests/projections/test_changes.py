"""What changed since an instant or a position: claims, refunds and credits before and after, on both stores."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.store.database import Database
from ledger.store.positions import Reached
from ledger.store.reading.page import Page
from projections import changes, claims, credits, refunds
from projections.follower import Follower
from projections.narrowing import Narrowing
from tests.projections.stories import START
from tests.projections.test_owed import told


@pytest.fixture
def books(database: Database) -> Database:
    told().write(database)
    Follower(database).create()
    Follower(database).catch_up()
    return database


def said(found: list[changes.Change]) -> list[tuple[str, str, Any, Any]]:
    def amount(row: Any) -> str | None:
        return None if row is None else row.get("left") or row.get("total") or row.get("amount")

    return [(each["account_id"], each["kind"], amount(each["before"]), amount(each["after"])) for each in found]


BOB_PAID_WITH_HIS_CREDIT = ("bob", "credit", "5.95", "3.57")
CLEO_HAS_A_CREDIT = ("cleo", "credit", None, "500")


def test_a_change_has_the_row_of_its_list_before_and_after(books: Database) -> None:
    found = changes.listed(books, Reached({0: 8}), accounts={"bob"})
    assert said(found) == [BOB_PAID_WITH_HIS_CREDIT]
    [change] = found
    [credit] = credits.listed(books, accounts={"bob"})
    assert change["after"] == credit
    assert (change["id"], change["position"]) == ("credit/disruption/cycle-1/1", "0:10")


@pytest.mark.parametrize("since", [Reached({0: 8}), START + timedelta(minutes=8)])
def test_an_instant_and_a_position_tell_alike(books: Database, since: Any) -> None:
    assert said(changes.listed(books, since)) == [
        BOB_PAID_WITH_HIS_CREDIT,
        CLEO_HAS_A_CREDIT,
        ("dan", "refund", None, "3.00"),
    ]


def test_what_came_and_went_since_is_no_change(books: Database) -> None:
    """Dan's claim was granted and fell again; the refund that went out for it stays."""
    everything = said(changes.listed(books, Reached({0: 0})))
    assert [each for each in everything if each[0] == "dan"] == [("dan", "refund", None, "3.00")]
    assert changes.listed(books, Reached({0: 99})) == []


def test_pages_add_up_to_the_list(books: Database) -> None:
    whole = changes.listed(books, Reached({0: 0}))
    found: list[changes.Change] = []
    after = None
    while True:
        page = changes.listed(books, Reached({0: 0}), page=Page(2, after))
        assert len(page) <= 2
        found += page
        if (after := page.next) is None:
            break
    assert found == list(whole)
    assert len(whole) == 6


class TestFilters:
    """The same words narrow claims, refunds and credits."""

    def test_by_currency_clause_agreement_and_plan(self, books: Database) -> None:
        def of(narrowing: Narrowing) -> tuple[list[str], list[str], list[str]]:
            return (
                [row["account_id"] for row in claims.listed(books, narrowing=narrowing)],
                [row["account_id"] for row in refunds.listed(books, narrowing=narrowing)],
                [row["account_id"] for row in credits.listed(books, narrowing=narrowing)],
            )

        assert of(Narrowing()) == (["ann", "bob"], ["ann", "dan"], ["bob", "cleo"])
        assert of(Narrowing(currency="JPY")) == ([], [], ["cleo"])
        assert of(Narrowing(clause="unused_period")) == (["ann"], ["ann", "dan"], [])
        assert of(Narrowing(clause="service_disruption"))[1:] == ([], ["bob"])
        assert of(Narrowing(clause=""))[1:] == ([], ["cleo"]), "an excess has no clause"
        assert of(Narrowing(agreement="standard")) == (["ann", "bob"], ["ann", "dan"], ["bob"])
        assert of(Narrowing(plan="home")) == (["ann"], ["ann"], [])
        assert of(Narrowing(plan="")) == ([], ["dan"], ["cleo"])
        assert of(Narrowing(accounts={"bob"})) == (["bob"], [], ["bob"])

    def test_by_a_minimum_which_is_gross(self, books: Database) -> None:
        def least(amount: str, currency: str) -> list[str]:
            narrowing = Narrowing(currency=currency, min_amount=Decimal(amount))
            return [
                *(row["claim_id"] for row in claims.listed(books, narrowing=narrowing)),
                *(row["refund_id"] for row in refunds.listed(books, narrowing=narrowing)),
                *(row["credit_id"] for row in credits.listed(books, narrowing=narrowing)),
            ]

        assert len(least("0.01", "EUR")) == 5
        assert least("11.90", "EUR") == ["unused/cycle-1", "refund/unused/cycle-1/1"]
        assert least("11.91", "EUR") == []
        assert least("500", "JPY") == ["excess/inv-1"]
        assert least("501", "JPY") == []

    def test_by_a_period(self, books: Database) -> None:
        def between(first: int, last: int) -> Narrowing:
            begin, end = (int((START + timedelta(minutes=m)).timestamp()) * 1_000_000 for m in (first, last))
            return Narrowing(begin=begin, end=end)

        assert [row["account_id"] for row in claims.listed(books, narrowing=between(5, 6))] == ["ann"]
        assert [row["account_id"] for row in refunds.listed(books, narrowing=between(6, 7))] == ["ann"]
        assert [row["account_id"] for row in credits.listed(books, narrowing=between(8, 9))] == ["bob"]
        assert refunds.listed(books, narrowing=between(7, 8)) == []

    def test_credits_by_whether_anything_is_left(self, books: Database) -> None:
        assert [row["account_id"] for row in credits.listed(books, status="open")] == ["bob", "cleo"]
        assert credits.listed(books, status="used") == []
