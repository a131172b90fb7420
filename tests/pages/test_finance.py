"""Finance's pages over twenty accounts of the sample: their figures are those of the lists, and add up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ledger.store.reading.page import Listed
from ledger.values import month_from_text
from makegood.access.sight import EVERYTHING
from makegood.answers import finance, owed
from makegood.answers.month_board import month_board
from makegood.pages import lists
from tests.door.conftest import with_twenty_accounts_in_july
from tests.pages.clients import Client, Pages, pages_over
from tests.parts.stores import Stores

ROWS: dict[str, tuple[Callable[..., Listed[Any]], Callable[..., list[Any]], dict[str, str]]] = {
    "claims": (owed.claims, owed.claim_totals, {"amount": "amount", "tax": "tax"}),
    "refunds": (owed.refunds, owed.refund_totals, {"net": "net", "tax": "tax", "total": "total"}),
    "credits": (owed.credits, owed.credit_totals, {"total": "total", "used": "used", "left": "left"}),
}
FILTERS: list[tuple[str, dict[str, Any]]] = [
    ("claims", {}),
    ("claims", {"outcome": "granted", "clause": "unused_period"}),
    ("claims", {"currency": "JPY", "min_amount": "10"}),
    ("refunds", {}),
    ("refunds", {"status": "due"}),
    ("refunds", {"status": "rejected"}),
    ("credits", {}),
    ("credits", {"status": "open", "plan": "solo-voip"}),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def busy_pages(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[Pages]:
    """The pages over twenty accounts of the sample, at the end of its months."""
    url = stores.new(request.param, tmp_path, with_twenty_accounts_in_july)
    with pages_over(url) as found:
        yield found
    stores.give_back(url)


@pytest.fixture
def finance_person(busy_pages: Pages) -> Client:
    return busy_pages.staff("finance")


def test_the_totals_of_a_list_are_the_sums_of_its_rows(busy_pages: Pages) -> None:
    for what, filters in FILTERS:
        rows, totals, columns = ROWS[what]
        sums: dict[str, dict[str, Decimal]] = {}
        counts: dict[str, int] = defaultdict(int)
        for row in rows(busy_pages.house, EVERYTHING, **filters):
            counts[row["currency"]] += 1
            so_far = sums.setdefault(row["currency"], dict.fromkeys(columns, Decimal(0)))
            for column in columns:
                so_far[column] += Decimal(row[column])
        found = totals(busy_pages.house, EVERYTHING, **filters)
        assert [(each["currency"], each["count"]) for each in found] == sorted(counts.items()), (what, filters)
        for each in found:
            for column, amount in sums[each["currency"]].items():
                assert each["sums"][column] == str(amount), (what, filters, each)


def test_the_board_of_a_month_says_what_the_lists_say(busy_pages: Pages) -> None:
    house = busy_pages.house
    recorded = finance.movements(house, EVERYTHING)[-1]["recorded_at"]
    month = month_from_text(recorded[:7])
    board = month_board(house, EVERYTHING, month)
    assert board["currencies"]
    for of in board["currencies"]:
        assert (of["other_agreements"], of["other_plans"]) == (None, None), "there are few"
        for rows in (of["by_age"], of["by_clause"], of["by_agreement"], of["by_plan"]):
            assert sum((Decimal(row["total"]) for row in rows), Decimal(0)) == Decimal(of["owed"]["total"])
        totals = finance.movement_totals(
            house, EVERYTHING, from_=month.first_day, to=month.last_day, currency=of["currency"]
        )
        moved = {each["kind"]: Decimal(each["total"]) for each in totals}
        flows = {flow["flow"]: Decimal(flow["amount"]) for flow in of["flows"]}
        assert flows["granted"] == moved["granted"] > 0
        assert flows["paid"] == moved.get("refunded", 0) + moved.get("credit_refunded", 0)
        assert flows["credited"] == moved.get("credited", 0)
        assert flows["reduced"] == moved.get("reduced", 0) + moved.get("set_off", 0)
        amounts = [Decimal(row["total"]) for row in of["largest"]]
        assert amounts == sorted(amounts, reverse=True)
    following = month_board(house, EVERYTHING, month.next)
    assert {of["currency"]: of["owed_before"] for of in following["currencies"]} == {
        of["currency"]: of["owed"]["total"] for of in board["currencies"]
    }


def test_a_month_that_is_present_leads_to_the_months_around_it(finance_person: Client) -> None:
    first = finance_person.get("/console/months")
    assert first.status_code == 303
    page = finance_person.get(first.headers["location"])
    assert page.status_code == 200
    assert "The month is not over" in page.text
    assert finance_person.get("/console/months/2026-13").status_code == 404
    assert "Nothing was owed" in finance_person.get("/console/months/2001-01").text


def test_a_filter_stands_in_the_address_and_in_the_form(finance_person: Client) -> None:
    page = finance_person.get("/console/claims?outcome=granted&account=acct-0006&min=").text
    assert re.findall(r'<option value="(\w+)" selected>', page) == ["granted"]
    assert 'value="acct-0006"' in page
    assert set(re.findall(r'href="/console/accounts/([^"]+)"', page)) == {"acct-0006"}
    assert 'href="/console/exports/claims?outcome=granted&amp;account=acct-0006&amp;format=xlsx"' in page


def test_a_filter_that_cannot_be_meant_is_marked_and_said(finance_person: Client) -> None:
    page = finance_person.get("/console/refunds?min=12&from=tomorrow&status=lost")
    assert page.status_code == 200
    assert "name it with the filter currency" in page.text
    assert "write a date, such as 2026-04-24" in page.text
    assert "choose one of the list" in page.text


def test_each_page_of_a_list_leads_to_the_next_with_the_same_filters(
    finance_person: Client, busy_pages: Pages
) -> None:
    address: str | None = "/console/movements?clause=service_disruption"
    pages, seen = 0, []
    while address is not None:
        text = finance_person.get(address).text
        seen += re.findall(r'data-label="Position">([^<]+)<', text)
        onward = re.search(r'href="([^"]+)" rel="next"', text)
        address = onward[1].replace("&amp;", "&") if onward else None
        assert address is None or "clause=service_disruption" in address
        pages += 1
    assert pages > 1
    rows = finance.movements(busy_pages.house, EVERYTHING, clause="service_disruption")
    assert seen == [row["position"] for row in rows]


def test_an_export_has_all_rows_of_the_list(finance_person: Client, busy_pages: Pages) -> None:
    answer = finance_person.get("/console/exports/refunds?format=csv&status=due")
    assert int(answer.headers["makegood-rows"]) == len(owed.refunds(busy_pages.house, EVERYTHING, status="due"))
    assert answer.headers["cache-control"] == "no-store"
    assert finance_person.get("/console/exports/refunds?format=doc").status_code == 404
    assert finance_person.get("/console/exports/vault?format=csv").status_code == 404
    assert finance_person.get("/console/exports/refunds?format=csv&min=1").status_code == 422


def test_who_has_nothing_to_do_with_money_is_told_which_role_they_lack(busy_pages: Pages) -> None:
    answer = busy_pages.staff("provisioning").get("/console/owed")
    assert answer.status_code == 403
    assert "approver, auditor, finance" in answer.text


@pytest.mark.parametrize("month", ["2026-03", "2026-04"], ids=["closed", "present"])
def test_each_figure_of_a_month_leads_to_rows_that_come_to_it(open_pages: Callable[..., Pages], month: str) -> None:
    finance_person = open_pages().staff("finance")
    board = finance_person.get(f"/console/months/{month}").text
    figures = re.findall(r'<a class="value" href="([^"]+)"><span class="money[^"]*">([^<]+)</span>', board)
    assert len(figures) == 5
    assert not all(re.match(r"0\D", amount) for _, amount in figures)
    for href, amount in figures:
        address = unescape(href)
        totals = finance_person.get(address).text.partition("Totals of all rows")[2]
        is_one_total = address.startswith("/console/owed?") or "kind=" in address
        assert amount in totals or not is_one_total or re.match(r"0\D", amount), (address, amount)


def test_a_moment_that_cannot_be_meant_is_marked_beside_its_filter(finance_person: Client) -> None:
    page = finance_person.get("/console/owed?known_at=yesterday").text
    assert 'id="filter-known_at-wrong"' in page
    assert "an instant with its offset" in page


def test_a_long_list_is_added_up_when_somebody_asks(finance_person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/console/claims", "/console/refunds?status=due", "/console/movements", "/console/owed"):
        _, told, totals = finance_person.get(path).text.partition("<caption>Totals of all rows with these filters")
        assert told
        with monkeypatch.context() as patched:
            patched.setattr(lists, "ADDED_UP_AT_ONCE", 0)
            page = finance_person.get(path).text
            assert "Totals of all rows" not in page
            leads = re.search(r'<a href="([^"]+)">Add all of them up</a>', page)
            assert leads is not None
            answer = finance_person.get(path.partition("?")[0] + unescape(leads[1]).partition("#")[0]).text
        assert answer.partition("<caption>Totals of all rows with these filters")[2] == totals
