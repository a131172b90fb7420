"""htmx and its extension for server-sent events, as pages are configured for them, under the policy of every page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from playwright.sync_api import Browser, Page, expect

from makegood.api.serving import Serving, listening
from makegood.pages.shell import HEADERS, Frame, page, static_files, static_url
from tests.pages.browser import Watched, context_of, no_violations

SCRIPTS = "".join(f'<script src="{static_url(name)}" defer></script>' for name in ("htmx.min.js", "sse.js"))
LIST = """
<form action="/list" method="get" hx-get="/list" hx-select="#rows" hx-target="#rows" hx-swap="outerHTML"
  hx-push-url="true">
<label>Status <input name="status"></label><button>Filter</button></form>
<div hx-ext="sse" sse-connect="/changes" hx-get="/newest" hx-trigger="sse:changed" hx-target="#newest">
<p id="newest">waiting</p></div>
<button type="button" hx-get="/stored" hx-target="#newest">What somebody stored</button>
<ul id="rows"><li>everything</li></ul>
"""
STORED = """<script>document.title = "obeyed"</script><span hx-on:click="document.title = 'obeyed'"
  hx-on::load="document.title = 'obeyed'" hx-get="/newest"
  hx-trigger="click[document.title = 'obeyed']">evil</span>"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = FastAPI()
    app.router.routes.extend(static_files.routes)

    @app.get("/list")
    def whole(status: str = "") -> HTMLResponse:
        text = bytes(page(Frame(), "base.html", title="A list").body).decode()
        text = text.replace("</head>", f"{SCRIPTS}</head>").replace("</main>", f"{LIST}</main>")
        return HTMLResponse(text.replace("everything", status or "everything"), headers=HEADERS)

    @app.get("/newest")
    def newest() -> HTMLResponse:
        return HTMLResponse("changed", headers=HEADERS)

    @app.get("/stored")
    def stored() -> HTMLResponse:
        return HTMLResponse(STORED, headers=HEADERS)

    @app.get("/changes")
    def changes() -> StreamingResponse:
        async def told() -> AsyncIterator[str]:
            yield "event: changed\ndata: \n\n"
            while not app.state.draining():
                await asyncio.sleep(0.05)

        return StreamingResponse(told(), media_type="text/event-stream", headers=HEADERS)

    part = Serving(app, listening("127.0.0.1:0"))
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield part.address
    stop.set()
    thread.join(20)


@pytest.fixture
def watched(address: str) -> Iterator[Watched]:
    found = Watched(address)
    yield found
    found.check()


@pytest.fixture
def listed(chromium: Browser, watched: Watched) -> Iterator[Page]:
    with context_of(chromium, watched) as context:
        found = context.new_page()
        found.goto("/list")
        yield found


def test_a_filter_changes_the_list_and_the_address_and_keeps_nothing_in_the_browser(
    listed: Page, address: str
) -> None:
    """What a page showed is not to be found in the browser by whoever sits down at it next."""
    listed.get_by_label("Status").fill("due")
    listed.get_by_role("button", name="Filter").click()
    expect(listed.locator("#rows")).to_contain_text("due")
    expect(listed).to_have_url(f"{address}/list?status=due")
    no_violations(listed)
    assert listed.evaluate("[localStorage.length, sessionStorage.getItem('htmx-history-cache')]") == [0, None]
    listed.go_back()
    expect(listed.locator("#rows")).to_contain_text("everything")


def test_a_change_is_told_and_fetched(listed: Page) -> None:
    expect(listed.locator("#newest")).to_have_text("changed")


def test_what_somebody_stored_as_markup_is_not_obeyed_even_if_it_came_into_a_page(
    listed: Page, watched: Watched
) -> None:
    watched.allowed.append("htmx:evalDisallowedError")
    expect(listed.locator("#newest")).to_have_text("changed")  # or what was fetched would come over it later
    listed.get_by_role("button", name="What somebody stored").click()
    listed.get_by_text("evil").click()
    listed.wait_for_timeout(100)
    assert listed.title() != "obeyed"
    assert any("evalDisallowed" in each for each in watched.complaints)
