"""Every page in a browser, whatever pages there are: on a screen, on a phone in the dark, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Error, Page, Response

from ledger.events import ROLES
from makegood.api.app import Endpoint
from tests.pages.browser import Watched, no_violations
from tests.pages.life import OWN
from tests.pages.routes import Asked, may, pages_and_forms
from tests.pages.site import Site, Who

SignedIn = Callable[..., Page]
OPEN = ("/sign-in", "/sign-in/link/made-up", "/activate/made-up")
"""Pages for which nobody has to sign in."""
SLOWLY = 20_000
"""The bytes a second of a line on which a page comes in many pieces."""
_FRAME = """() => ({
  headings: document.querySelectorAll("h1").length, mains: document.querySelectorAll("main").length,
  wide: Math.max(0, document.documentElement.scrollWidth - window.innerWidth),
  unnamed: [...document.querySelectorAll("table:not([aria-labelledby])")].filter(table => !table.caption).length})"""

_RIGHT_TO_LEFT = """() => {
  document.documentElement.dir = "rtl";
  return document.documentElement.scrollWidth > window.innerWidth}"""


def looked_at(site: Site) -> Iterator[tuple[Who, Endpoint]]:
    """Each page once, by somebody who may see it: a customer where they may, else the first role."""
    for page in pages_and_forms(site.app)[0]:
        yield next((who for who in ("customer", *ROLES) if may(who, page)), "auditor"), page


def visited(site: Site, browser: Page) -> Iterator[tuple[Endpoint, Response | None]]:
    """Each page, in one browser for all who may see them: beginning another takes as long as ten visits."""
    before: Who | None = None
    for who, page in sorted(looked_at(site), key=lambda looked: looked[0]):
        if who != before:
            browser.goto("about:blank")  # else a page refreshes by itself for somebody else
            site.let_in(browser.context, before := who)
        yield page, opened(browser, Asked(page, OWN).path)


def opened(browser: Page, path: str) -> Response | None:
    """The answer to a visit; None for a file, which a browser takes instead of showing it."""
    try:
        return browser.goto(path)
    except Error as error:
        if "Download is starting" in error.message:
            return None
        raise


def is_whole(answer: Response | None) -> bool:
    """Whether an answer is a whole page, and no part of one that is fetched into it, and no file."""
    if answer is None:
        return False
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    return is_html and answer.text().lstrip().startswith("<!DOCTYPE")


def as_it_should_be(page: Page) -> list[str]:
    """What is wrong with a page: it has one heading, one main part, tables with names, and nothing sideways."""
    found = page.evaluate(_FRAME)
    told = [] if found == {"headings": 1, "mains": 1, "wide": 0, "unnamed": 0} else [f"{page.url} {found}"]
    try:
        no_violations(page)
    except AssertionError as error:
        told.append(str(error))
    return told


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (320, True)], ids=["screen", "phone in the dark"])
def test_it_reads_well(site: Site, signed_in: SignedIn, width: int, dark: bool) -> None:
    told: list[str] = []
    browser = signed_in("auditor", width=width, dark=dark)
    for _, answer in visited(site, browser):
        if is_whole(answer):
            told += as_it_should_be(browser)
    anybody = signed_in("nobody", width=width, dark=dark)
    for path in ("/sign-out", *OPEN):
        anybody.goto(path)
        told += as_it_should_be(anybody)
    assert not told, "\n".join(told)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_it_does_not_move_while_it_comes_over_a_slow_line(site: Site, signed_in: SignedIn, watched: Watched) -> None:
    page = signed_in("auditor")
    page.goto("/console/movements")
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": SLOWLY, "uploadThroughput": SLOWLY},
    )
    for path in ("movements", "claims", "months/2026-03"):
        page.goto(f"/console/{path}")
    watched.check()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_it_is_there_without_javascript_and_whichever_way_a_language_is_written(
    site: Site, signed_in: SignedIn, watched: Watched
) -> None:
    told: list[str] = []
    browser = signed_in("auditor", width=320, script=False)
    for page, answer in visited(site, browser):
        if is_whole(answer):
            assert browser.locator("h1").count() == 1, page
            if browser.evaluate(_RIGHT_TO_LEFT):
                told.append(f"{page} is wider than the screen from right to left")
    assert len(watched.visited) >= len({who for who, _ in looked_at(site)})
    assert not told, "\n".join(told)
