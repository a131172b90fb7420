"""The link of an activation as customers meet it in a browser, on any screen, by keyboard, without scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from consumers.mail.languages import GERMAN
from ledger.application.activation import VALID_FOR, link_token
from ledger.application.record import take
from ledger.store.notice_queue import queue_notices
from ledger.store.reading.notice_queue import QueuedNotice
from makegood.house.clock import system_clock
from makegood.pages.activation_words import ENGLISH
from tests.ledger.messages import Upstream, read_all
from tests.pages.browser import Watched, no_violations, tab_to
from tests.pages.life import OWN
from tests.pages.site import Site

SECRET = "correct horse battery staple"
NOTICE = "1" * 32
Visiting = Callable[..., BrowserContext]


@pytest.fixture
def link(site: Site, tmp_path: Path) -> str:
    """The path that an e-mail leads a customer to: their line has been paid for, its password waits in a file."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    up = Upstream(OWN, source="/upstream/line", begins="2026-04-20T09:00:00Z")
    credentials = {"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": f"file://{tmp_path}/secret"}
    said = [
        up.subscription_registered("sub-line", credentials=credentials),
        up.cycle_started("cyc-line", subscription_id="sub-line", starts_on="2026-04-20", ends_on="2026-05-20"),
        up.payment_captured("inv-cyc-line"),
    ]
    taken = take(site.house.ledger, read_all(said))
    assert not taken.refused
    with site.house.database.writing() as transaction:
        [(due,)] = transaction.rows(
            "SELECT event_id FROM events WHERE type = 'activation-due.v1' ORDER BY position DESC LIMIT 1",
        )
        queue_notices(transaction, [QueuedNotice(NOTICE, OWN, "activation", due, 7, system_clock(), status="sent")])
    return f"/activate/{link_token(site.house.vault, OWN, NOTICE, system_clock() + VALID_FOR)}"


@pytest.mark.parametrize("script", [True, False], ids=["with scripts", "without"])
def test_the_button_shows_the_password_once_even_where_it_is_clicked_twice(
    visiting: Visiting, link: str, script: bool
) -> None:
    page = visiting(script=script).new_page()
    page.goto(link)
    button = page.get_by_role("button", name=ENGLISH.ask.button or "")
    button.dblclick()
    expect(page.get_by_text(SECRET)).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text(ENGLISH.trouble["used"].title)


def test_by_keyboard_on_a_phone_in_the_dark(visiting: Visiting, link: str) -> None:
    page = visiting(width=320, dark=True, calm=True).new_page()
    page.goto(link)
    no_violations(page)
    tab_to(page, ENGLISH.ask.button or "")
    page.keyboard.press("Enter")
    expect(page.get_by_text(SECRET)).to_be_visible()
    no_violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "nothing has to be scrolled sideways"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_wrong_link_is_told_so_in_the_browsers_language(visiting: Visiting, watched: Watched) -> None:
    page = visiting(language="de-CH").new_page()
    page.goto("/activate/nothing")
    expect(page.locator("html")).to_have_attribute("lang", GERMAN.code)
    no_violations(page)
    assert watched.visited == [f"{watched.address}/activate/nothing"]
