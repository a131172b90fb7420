"""Whole ways through the pages in a real browser, on each kind of store, with JavaScript and without it.

All of them share a house. What one decides is of another account than what the next decides, so that they can be
walked in any order.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from ledger.application.access import grant
from ledger.events import ROLES, Grant
from makegood.access.sight import EVERYTHING
from makegood.access.sign_in_links import sandbox_links
from makegood.answers import owed
from makegood.answers.audit.checkpoints import new_key, sign_now
from makegood.house.clock import system_clock
from tests.pages.browser import Watched, context_of
from tests.pages.clients import BY, Pages
from tests.pages.life import ANOTHERS, OWN, PRINCIPALS, a_life
from tests.pages.site import COOKIE, Site, served
from tests.pages.test_deciding import hidden
from tests.parts.stores import Stores

PROPOSER = "support-1"
"""Who proposed the goodwill credits of the life."""
SHOWN_WITHIN = 20_000
"""Milliseconds within which a page that refreshes by itself shows what was done."""
STEPS = 60
"""So often somebody looks whether a verification is done."""


@dataclass
class Walked:
    """A site with one browser for each role and way of looking."""

    url: str
    site: Site
    watched: Watched
    open_for: Callable[[bool], BrowserContext]
    vkeys: list[str] = field(default_factory=list)

    def by(self, principal: str, *, script: bool) -> Page:
        """A page of somebody who is signed in already."""
        page = self._left(script)
        token = self.site.sign_in_as(principal)
        page.context.add_cookies([{"name": COOKIE, "value": token, "url": self.site.address}])
        return page

    def by_link(self, link: str, *, script: bool) -> Page:
        """A page of somebody who signs in by a link, as it is opened from a terminal or an e-mail."""
        page = self._left(script)
        page.goto(f"/sign-in/link/{link}")
        page.get_by_role("button", name="Sign in").click()
        return page

    def _left(self, script: bool) -> Page:
        """The browser's one page, as whoever had it before leaves it: beginning one takes as long as ten visits."""
        context = self.open_for(script)
        page = context.pages[0] if context.pages else context.new_page()
        page.goto("about:blank")  # else it refreshes by itself for who is not there any more
        context.clear_cookies()
        return page


@contextmanager
def walking(url: str, chromium: Browser, **settings: str) -> Iterator[Walked]:
    """Serve a store, and walk through it."""
    with served(url, **settings) as site, ExitStack() as closing:
        watched = Watched(site.address)
        contexts: dict[bool, BrowserContext] = {}

        def open_for(script: bool) -> BrowserContext:
            if script not in contexts:
                contexts[script] = context_of(chromium, watched, script=script)
                closing.callback(contexts[script].close)
            return contexts[script]

        yield Walked(url, site, watched, open_for)
        watched.check()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def walked(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> Iterator[Walked]:
    folder = tmp_path_factory.mktemp("walks")
    url = stores.new(request.param, folder, a_life)
    with walking(url, chromium, audit_key=str(folder / "audit.key")) as found:
        new_key(found.site.house, 0)
        found.vkeys += sign_now(found.site.house, 0, [], None, lambda size: None)["vkeys"]
        yield found
    stores.give_back(url)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def script(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


# --- signing in -----------------------------------------------------------------------------------------------------


def test_each_role_signs_in_by_a_link_and_begins_where_it_works(walked: Walked, chromium: Browser) -> None:
    """Every other role with JavaScript, which on the other kind of store are those without it."""
    links = sandbox_links(walked.site.house, system_clock, BY, OWN)
    assert {link.role for link in links} == set(ROLES)
    # At a door of its own: of each, one address may open only so many sign-in pages in a minute.
    with walking(walked.url, chromium) as door:
        for number, link in enumerate(links):
            page = door.by_link(link.token, script=(number % 2 == 0) == walked.url.startswith("sqlite"))
            begins = page.url.removeprefix(door.site.address)
            of_customers = link.role == "customer"
            assert begins.startswith("/portal/acct-1" if of_customers else ("/console/", "/sign-out")), link
            if of_customers:
                expect(page.get_by_role("navigation", name="Your account")).to_be_visible()
            else:
                expect(page.locator(".who a")).to_have_text(link.principal)
            expect(page.get_by_role("complementary", name="Sandbox")).to_be_visible()
            page.get_by_role("button", name="Sign out", exact=True).first.click()
            page.goto("/console/refunds")
            assert page.url.startswith(f"{door.site.address}/sign-in?next="), "signed out is signed out"


# --- finance --------------------------------------------------------------------------------------------------------


def test_finance_goes_from_a_figure_to_its_rows_and_takes_the_same_rows_along(
    walked: Walked, *, script: bool
) -> None:
    page = walked.by(PRINCIPALS["finance"], script=script)
    page.goto("/console/months/2026-03")
    figure = page.locator(".figure", has_text="Granted").first.locator(".value")
    amount = figure.inner_text()
    figure.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Movements")
    expect(page.get_by_role("region", name="Totals")).to_contain_text(amount)
    page.get_by_label("Account").fill(OWN)
    page.get_by_role("button", name="Apply").click()
    rows = page.locator("#rows tbody tr")
    assert rows.count() > 0
    expect(rows.filter(has_text=ANOTHERS)).to_have_count(0)
    shown = [_number(text) for text in rows.locator("td[data-label=Total]").all_inner_texts()]
    with page.expect_download() as downloading:
        page.get_by_role("link", name="CSV").click()
    taken = list(csv.DictReader(StringIO(downloading.value.path().read_text(encoding="utf-8-sig"))))
    assert {row["account_id"] for row in taken} == {OWN}
    assert [Decimal(row["total"]) for row in taken] == shown


def _number(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.\-]", "", text.replace("\N{MINUS SIGN}", "-")))


def test_an_approver_decides_what_another_proposed_and_not_their_own(walked: Walked, *, script: bool) -> None:
    account = OWN if script else ANOTHERS
    credit = next(
        row
        for row in owed.goodwill(walked.site.house, EVERYTHING, account=account, still_open=True)
        if row["proposed_by"] == PROPOSER
    )
    grant(walked.site.house.ledger, Grant(principal=PROPOSER, role="approver", account_id=None), BY)
    walked.site.house.projections.catch_up()
    themselves = walked.by(PROPOSER, script=script)
    _look_at(themselves, account, credit["credit_id"])
    themselves.get_by_role("button", name="Approve").click()
    expect(themselves.get_by_role("alert")).to_contain_text("another person must decide")
    another = walked.by(PRINCIPALS["approver"], script=script)
    _look_at(another, account, credit["credit_id"])
    expect(another.get_by_role("main")).to_contain_text(PROPOSER)
    another.get_by_role("button", name="Approve").click()
    expect(another.get_by_role("heading", level=1)).to_have_text("Approvals")
    expect(another.get_by_role("status")).to_be_visible()
    expect(_row(another, account, credit["credit_id"])).to_have_count(0)


def _look_at(page: Page, account: str, item: str) -> None:
    page.goto("/console/approvals")
    _row(page, account, item).get_by_role("link", name="Look and decide").click()


def _row(page: Page, account: str, item: str) -> Locator:
    return page.get_by_role("row").filter(has_text=account).filter(has_text=item)


def test_a_list_of_what_waits_for_approval_refreshes_with_its_totals(walked: Walked) -> None:
    due = {"account": ANOTHERS, "refund": "refund/unused/cyc-1/1"}
    page = walked.by(PRINCIPALS["finance"], script=True)
    page.goto("/console/refunds?status=due&currency=EUR")
    row = page.locator("#rows tbody tr").filter(has_text=due["account"]).filter(has_text=due["refund"])
    expect(row).to_have_count(1)
    totals = page.locator("#totals").inner_text()
    approver = Pages(walked.site.house, walked.site.app, system_clock).staff("approver")
    address, asked = f"/console/approvals/{due['account']}/refund", f"?id={due['refund']}"
    text = approver.get(address + asked).text
    fields = {name: hidden(text, name) for name in ("key", "seen")}
    assert approver.submit(f"{address}/approve{asked}", fields).status_code == 303
    expect(row).to_have_count(0, timeout=SHOWN_WITHIN)
    expect(page.locator("#totals")).not_to_have_text(totals, use_inner_text=True, timeout=SHOWN_WITHIN)


# --- audit ----------------------------------------------------------------------------------------------------------


def test_the_auditor_finds_why_in_two_clicks(walked: Walked, *, script: bool) -> None:
    page = walked.by(PRINCIPALS["auditor"], script=script)
    page.goto("/console/refunds")
    page.locator("#rows tbody tr td[data-label=Refund] a").first.click()
    _says_why(page)
    page.goto("/console/months/2026-03")
    page.locator("a.value").first.click()
    page.locator("#rows tbody tr td[data-label=Claim] a").first.click()
    _says_why(page)


def _says_why(page: Page) -> None:
    for part in ("Why", "The numbers in it", "The facts it rests on", "What was recorded of it"):
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()
    expect(page.locator(".formula")).not_to_be_empty()


def test_the_auditor_sets_both_clocks_and_replays(walked: Walked, *, script: bool) -> None:
    page = walked.by(PRINCIPALS["auditor"], script=script)
    page.goto(f"/console/accounts/{OWN}")
    now = page.get_by_role("main").inner_text()
    page.get_by_label("Known at").fill("2026-03-20T00:00:00Z")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_role("main").inner_text() != now
    expect(page.locator(".lead")).to_contain_text("Known at 2026-03-20T00:00:00Z")
    page.get_by_label("As of").fill("2026-03-05")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".lead")).to_contain_text("Assessed anew as of")
    page.get_by_role("link", name="History").click()
    page.get_by_label("Days are those").select_option("occurrence")
    page.get_by_label("From", exact=True).fill("2026-03-01")
    page.get_by_label("To", exact=True).fill("2026-03-31")
    page.get_by_role("button", name="Apply").click()
    positions = page.locator("td[data-label=Position] a")
    assert positions.count() > 5
    positions.nth(3).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"Event \d+ of \d+, position 0:\d+"))
    before = page.url
    page.get_by_role("link", name="Next").click()
    assert page.url != before
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"It changed (\d+|no) rows?"))


def test_the_auditor_verifies_and_takes_a_pack_that_verifies_elsewhere(
    walked: Walked, tmp_path: Path, *, script: bool
) -> None:
    page = walked.by(PRINCIPALS["auditor"], script=script)
    page.goto("/console/verify")
    page.get_by_role("button", name="Verify now").click()
    sound = page.get_by_role("heading", name="All is as it was recorded")
    if script:
        expect(sound).to_be_visible(timeout=60_000)  # the page looks by itself
    for _ in range(STEPS):
        if sound.is_visible():
            break
        page.wait_for_timeout(250)
        page.reload()
    expect(sound).to_be_visible()
    page.get_by_role("link", name="Evidence", exact=True).click()
    section = page.locator("section", has=page.get_by_role("heading", name="Of an account"))
    section.get_by_label("Account").fill(OWN)
    with page.expect_download() as downloading:
        section.get_by_role("button", name="Download the pack").click()
    downloading.value.save_as(pack := tmp_path / "pack.zip")
    with zipfile.ZipFile(pack) as packed:
        packed.extract("verify.py", tmp_path)
    keys = [word for key in walked.vkeys for word in ("--key", key)]
    asked = [sys.executable, "-I", str(tmp_path / "verify.py"), "pack", str(pack), *keys]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "sound" in told.stdout
