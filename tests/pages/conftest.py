"""A browser for the tests of pages, and a site for it: served for real, over a store with a life in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.pages.browser import Watched, browser, context_of
from tests.pages.clients import Pages, pages_over
from tests.pages.life import OWN, a_life
from tests.pages.site import Site, Who, served
from tests.parts.stores import Stores


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of pages; it is closed before other tests begin, which may run event loops."""
    with browser() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[str]:
    """A store of each kind with a life in it; `parametrize("store", ["sqlite"], indirect=True)` leaves one out."""
    url = stores.new(request.param, tmp_path, a_life)
    yield url
    stores.give_back(url)


@pytest.fixture
def site(store: str) -> Iterator[Site]:
    """The API and the pages over a life of this test's own."""
    with served(store) as found:
        yield found


@pytest.fixture
def watched(site: Site) -> Iterator[Watched]:
    """What the browsers of this test did: the test fails for whatever they should not have."""
    found = Watched(site.address)
    yield found
    found.check()


@pytest.fixture
def visiting(chromium: Browser, watched: Watched) -> Iterator[Callable[..., BrowserContext]]:
    """Browsers of people who are not signed in; it takes what `context_of` takes."""
    with ExitStack() as closing:

        def visit(**more: Any) -> BrowserContext:
            context = context_of(chromium, watched, **more)
            closing.callback(context.close)
            return context

        yield visit


@pytest.fixture
def open_pages(store: str) -> Iterator[Callable[..., Pages]]:
    """The pages over a life of this test's own, asked without a browser; it takes routes and settings."""
    with ExitStack() as open_ones:
        yield lambda *more, **settings: open_ones.enter_context(pages_over(store, *more, **settings))


@pytest.fixture
def signed_in(site: Site, visiting: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """A page in the browser of somebody of a role, who has just signed in: `signed_in("customer", account=…)`.

    It takes what `context_of` takes, too.
    """

    def sign_in(who: Who, *, account: str = OWN, **more: Any) -> Page:
        context = visiting(**more)
        site.let_in(context, who, account, more.get("language", "en"))
        return context.new_page()

    return sign_in
