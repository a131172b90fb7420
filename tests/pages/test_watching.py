"""The watch over the browser notices what it is there for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser

from makegood.api.serving import Serving, listening
from tests.pages.browser import Watched, context_of, no_violations, tab_to

HEAD = '<!DOCTYPE html><html lang="en"><head><title>{0}</title><link rel="icon" href="data:,"></head><body>'
BODIES = {
    "sound": '<main><h1>Sound</h1><button type="button">Press</button></main>',
    "noisy": "<script>console.error('something broke')</script>",
    "failing": "<script>nothing.there()</script>",
    "styled": "<p style='color: red'>red</p>",
    "elsewhere": "<img alt='' src='http://127.0.0.1:9/pixel.png'>",
    "moving": "<div id=late></div><p>Read this</p>"
    "<script>setTimeout(() => document.getElementById('late').append(document.createElement('hr'),"
    " ...Array.from({length: 9}, () => document.createElement('br'))), 300)</script>",
    "large": f"<!-- {'x' * 101_000} -->",
    "asking": "<script>alert('stored')</script>",
}
POLICY = {"styled": "style-src 'self'"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A site with one page for each kind of trouble."""
    app = FastAPI()

    @app.get("/{name}")
    def page(name: str) -> HTMLResponse:
        return HTMLResponse(
            HEAD.format(name) + BODIES[name], headers={"Content-Security-Policy": POLICY.get(name, "")}
        )

    part = Serving(app, listening("127.0.0.1:0"))
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield part.address
    stop.set()
    thread.join(20)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("noisy", "something broke"),
        ("failing", "error in a script: .*nothing is not defined"),
        ("styled", "breaks its policy: style-src"),
        ("elsewhere", "asked another host: http://127.0.0.1:9/pixel.png"),
        ("moving", r"/moving shifts by 0\.[0-9]+"),
        ("large", r"/large has 101,\d+ bytes"),
        ("asking", "a dialog opened: stored"),
    ],
)
def test_it_tells_of_trouble(chromium: Browser, address: str, name: str, told: str) -> None:
    watched = Watched(address)
    with context_of(chromium, watched) as context:
        page = context.new_page()
        page.goto(f"/{name}", wait_until="load")
        page.wait_for_timeout(500 if name == "moving" else 50)
    with pytest.raises(AssertionError, match=told):
        watched.check()


def test_a_sound_page_is_sound_and_an_unsound_one_is_told_by_rule(chromium: Browser, address: str) -> None:
    watched = Watched(address)
    with context_of(chromium, watched) as context:
        page = context.new_page()
        page.goto("/sound")
        no_violations(page)
        tab_to(page, "Press")
        with pytest.raises(AssertionError, match="Tab never comes to 'Pull'"):
            tab_to(page, "Pull", most=3)
        watched.check()
        page.goto("/elsewhere")
        page.evaluate("document.documentElement.lang = ''")
        with pytest.raises(AssertionError, match="html-has-lang"):
            no_violations(page)
