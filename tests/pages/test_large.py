"""Accounts of many years, claims of many facts and many plans: pages stay small, and every row is on one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from ledger.application.record import take
from ledger.values import month_of
from makegood.access.sight import EVERYTHING
from makegood.answers import account as answering
from makegood.answers import owed
from makegood.answers.explanation import explain
from makegood.answers.finance import owed_items
from makegood.answers.month_board import GROUPS, month_board
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.pages.lists import SLICE_ROWS
from tests.ledger.messages import Message, Upstream, read_all
from tests.pages.browser import BYTES_MAX
from tests.pages.clients import Client, Pages, pages_over
from tests.pages.life import a_life
from tests.parts.stores import Stores

ACCOUNT = "acct-long"
MONTHS = 62
PLANS = 150
OFTEN_OUT, OUTAGES = "acct-often-out", 30


def years() -> Iterator[Message]:
    """Five years of a customer with whom something happens every month."""
    said = Upstream(ACCOUNT, begins="2021-01-01T09:00:00Z")
    yield from said.customer()
    for number in range(MONTHS):
        day = date(2021 + number // 12, number % 12 + 1, 1)
        end = date(2021 + (number + 1) // 12, (number + 1) % 12 + 1, 1)
        cycle = f"cyc-{day:%Y-%m}"
        yield said.cycle_started(cycle, starts_on=f"{day}", ends_on=f"{end}")
        yield said.payment_captured(f"inv-{cycle}", payment_id=f"pay-{day:%Y-%m}")
        began, ended = f"{day:%Y-%m}-10T06:00:00Z", f"{day:%Y-%m}-12T06:00:00Z"
        outage = f"out-{day:%Y-%m}"
        yield said.outage_reported(outage, began_at=began, reported_at=began)
        yield said.outage_resolved(outage, resolved_at=ended)
        yield said.overcharge_confirmed(f"dis-{day:%Y-%m}", cycle, amount="1.00")
        yield said.billing_error_reported(f"dis-{day:%Y-%m}-open", cycle)
        yield said.complaint_opened(f"com-{day:%Y-%m}")
        yield said.complaint_resolved(f"com-{day:%Y-%m}")
        yield said.complaint_opened(f"com-{day:%Y-%m}-open")


def plans() -> Iterator[Message]:
    """A customer of each of many plans, who is owed more by each."""
    for number in range(1, PLANS + 1):
        said = Upstream(f"acct-plan-{number}", begins="2026-01-01T09:00:00Z")
        yield said.account_registered()
        yield said.subscription_registered(plan=f"plan-{number}")
        yield said.cycle_started("cyc", starts_on="2026-01-01", ends_on="2026-02-01")
        yield said.payment_captured("inv-cyc")
        yield said.overcharge_confirmed("dis", "cyc", amount=f"{Decimal(number) / 100:.2f}")


def outages() -> Iterator[Message]:
    """A month in which the service fails again and again: one claim with many facts, and many steps."""
    said = Upstream(OFTEN_OUT, begins="2026-03-01T09:00:00Z")
    yield from said.customer()
    yield said.cycle_started()
    for number in range(2 * OUTAGES):
        day, hour = divmod(number * 10, 24)
        instant = f"2026-03-{day + 2:02}T{hour:02}:00:00Z"
        if number % 2 == 0:
            yield said.outage_reported(f"out-{number}", began_at=instant, reported_at=instant)
        else:
            yield said.outage_resolved(f"out-{number - 1}", resolved_at=instant)


def with_years_and_plans(store: str) -> None:
    """A store with a life in it, the years and the plans."""
    a_life(store)
    with open_house(Settings(store=store)) as house:
        taken = take(house.ledger, read_all([*years(), *plans(), *outages()]))
        assert not taken.refused, taken.refused[:3]
        house.projections.catch_up()


@pytest.fixture(scope="module")
def pages(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    url = stores.new("sqlite", tmp_path_factory.mktemp("years"), with_years_and_plans)
    with pages_over(url) as found:
        yield found
    stores.give_back(url)


def test_its_pages_stay_small(pages: Pages) -> None:
    staff = pages.staff("finance", "auditor", "support", "operator")
    customer = pages.customer(ACCOUNT)
    account, portal = f"/console/accounts/{ACCOUNT}", f"/portal/{ACCOUNT}"
    last = answering.account(pages.house, EVERYTHING, ACCOUNT).version
    looked_at = [
        *((staff, account + below) for below in ("", "/timeline", "/history", "/outage", "/dispute")),
        *((staff, f"{account}/replay?after={number}") for number in (1, last)),
        *((customer, portal + below) for below in ("", "/data", "/errors/report", "/complaints/open")),
        *((staff, f"/console/{of}?account={ACCOUNT}") for of in ("claims", "credits", "outages", "disputes")),
        (staff, f"/console/explanations?id=disruption/cyc-1&account={OFTEN_OUT}"),
        (staff, "/console/refunds?status=due"),
        (staff, f"/console/complaints?account={ACCOUNT}&all=yes"),
        (staff, "/console/approvals"),
        (staff, "/console/months/2025-12"),
    ]
    sizes = {path: _size(client, path) for client, path in looked_at}
    assert {path: size for path, size in sizes.items() if size >= BYTES_MAX} == {}


def _size(client: Client, path: str) -> int:
    """The bytes of a page with its styles and scripts."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    files = set(re.findall(r'"(/static/[^"]+\.(?:css|js))"', answer.text))
    assert files
    return len(answer.content) + sum(len(client.get(file).content) for file in files)


def test_every_row_is_on_one_of_the_parts_of_its_table(pages: Pages) -> None:
    found = answering.account(pages.house, EVERYTHING, ACCOUNT).answer
    auditor = pages.staff("auditor")
    for table, id_ in (("claims", "claim_id"), ("charges", "charge_id"), ("payments", "payment_id")):
        expected = [row[id_] for row in found[table]]  # type: ignore[literal-required]
        assert len(expected) >= 3 * SLICE_ROWS - 1
        seen = list(_seen(auditor, f"/console/accounts/{ACCOUNT}", table, id_))
        assert sorted(seen) == sorted(expected), table


def test_a_customer_reaches_every_decision_and_every_cycle(pages: Pages) -> None:
    customer = pages.customer(ACCOUNT)
    claims = {row["claim_id"] for row in owed.claims(pages.house, EVERYTHING, account=ACCOUNT)}
    asked, seen = f"/portal/{ACCOUNT}", set()
    while asked:
        text = customer.get(asked).text
        section = text[text.index('id="decisions"') :]
        seen |= {each.replace("%2F", "/") for each in re.findall(r"/why\?id=([^\"&]+)", section)}
        asked = _after(text, f"/portal/{ACCOUNT}", "decisions")
    assert seen == claims


def _seen(client: Client, address: str, table: str, id_: str) -> Iterator[str]:
    asked: str | None = address
    while asked:
        text = client.get(asked).text.replace("<wbr>", "")
        part = text[text.index(f'id="{table}"') :].partition("</table>")[0]
        yield from (re.sub(r"<[^>]+>", "", row) for row in re.findall(r'<th scope="row"[^>]*>(.*?)</th>', part))
        asked = _after(text, address, table)


def _after(text: str, address: str, table: str) -> str | None:
    onward = re.search(rf'href="(\?[^"]*{table}=\d+)#{table}" rel="next"', text)
    return address + onward.group(1).replace("&amp;", "&") if onward is not None else None


def test_a_claim_with_many_facts_tells_them_all_in_parts(pages: Pages) -> None:
    why = explain(pages.house, EVERYTHING, "disruption/cyc-1", OFTEN_OUT)
    assert len(why["facts"]) > 2 * SLICE_ROWS
    auditor = pages.staff("auditor")
    address = "/console/explanations"
    asked: str | None = f"{address}?id=disruption/cyc-1&account={OFTEN_OUT}"
    seen: list[str] = []
    while asked:
        text = auditor.get(asked).text
        part = text[text.index('id="facts"') :].partition("</ol>")[0]
        seen += re.findall(r"position (\d+:\d+)", part)
        asked = _after(text, address, "facts")
    assert seen == [fact["position"] for fact in why["facts"]]


def test_plans_by_which_little_is_owed_are_summed(pages: Pages) -> None:
    board = month_board(pages.house, EVERYTHING, month_of(pages.house.now(), "UTC"))
    [euros] = [of for of in board["currencies"] if of["currency"] == "EUR"]
    told = [Decimal(row["total"]) for row in euros["by_plan"]]
    others = euros["other_plans"]
    assert others is not None
    assert (len(told), others["groups"]) == (GROUPS, _plans(pages) - GROUPS)
    assert sum(told) + Decimal(others["total"]) == Decimal(euros["owed"]["total"])
    assert min(told) >= Decimal(f"{Decimal(PLANS - GROUPS) / 100:.2f}")
    page = pages.staff("finance").get(f"/console/months/{board['month']}")
    assert f"{others['groups']} others" in page.text
    assert len(page.content) < BYTES_MAX / 2


def _plans(pages: Pages) -> int:
    rows = owed_items(pages.house, EVERYTHING, currency="EUR")
    return len({row["plan"] for row in rows})
