"""A customer leaves as easily as they came: by keyboard, on a phone, without scripts, with a receipt by e-mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from consumers.mail.sending import MailServer, SmtpMailer
from consumers.mail.writing import mailbox
from consumers.notices import Notices, Post
from ledger.store.sessions import SignedIn
from makegood.access.sign_in_links import SignInLinks
from makegood.house.clock import system_clock
from makegood.pages.portal.words import LANGUAGES
from tests.consumers.postbox import Authority, Postbox, serving
from tests.pages.browser import tab_to
from tests.pages.life import OWN
from tests.pages.site import Site


@pytest.fixture
def postbox(tmp_path: Path) -> Iterator[tuple[Postbox, Path]]:
    """A real mail server over TLS, and the file with the authority that it is trusted by."""
    authority = Authority.new(tmp_path)
    with serving(authority.context_for("127.0.0.1")) as box:
        yield box, authority.file


def test_a_customer_cancels_by_keyboard_on_a_phone_without_scripts_and_reads_the_receipt(
    site: Site, visiting: Callable[..., BrowserContext], postbox: tuple[Postbox, Path]
) -> None:
    words = LANGUAGES["en"]
    page = visiting(width=320, script=False).new_page()
    page.goto(f"/sign-in/link/{SignInLinks(site.house.database, system_clock).make(SignedIn(None, (OWN,), 'en'))}")
    tab_to(page, "Sign in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(words.overview)
    tab_to(page, words.cancel)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel home-voip")
    expect(page.get_by_text("The subscription ends with its cycle, on 1 May 2026.").first).to_be_visible()
    tab_to(page, words.give_back)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label(words.keep)).to_be_checked()
    page.keyboard.press("ArrowUp")
    tab_to(page, words.preview)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=words.what_it_means)).to_be_visible()
    means = page.locator("main").inner_text()
    found = re.search(r"€([\d.]+) comes back to you", means)
    assert found is not None
    tab_to(page, words.cancel_confirm)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("ends on 1 May 2026")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "nothing is cut off"

    box, pem = postbox
    sender = mailbox("Makegood", "service@ruf.example")
    mailer = SmtpMailer(MailServer.at(box.url(), str(pem)), sender.address, patience=10.0)
    notices = Notices(site.house.ledger, Post(mailer, sender, site.address), clock=system_clock, jitter=lambda: 1.0)
    while notices.queue():
        pass
    while notices.send_next():
        pass
    [receipt] = [each for each in box.received if "Your cancellation is confirmed" in each.message["Subject"]][-1:]
    assert receipt.to == [f"zoe@{OWN}.example"]
    assert "1 May 2026" in receipt.text
    totals = [Decimal(total) for total in re.findall(r"Total: ([\d.]+) EUR", receipt.text)]
    assert sum(totals) == Decimal(found[1]), "the amount is that of the page"
    for total in totals:
        assert f"€{total} is" in means, "and so are the ways in which it comes back"
