"""What a customer sees behind the link: a button, then the password, once; and for every trouble one clear page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ledger.application.activation import VALID_FOR, FetchUnclear, NotFetched
from ledger.application.record import take
from ledger.store.database import Unavailable
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.pages.activation import PER_CLIENT_MAX, ClientLimit, activation_pages, activation_router
from makegood.pages.activation_words import ENGLISH, GERMAN, Pages, Words
from makegood.program.running import notices_for
from tests.consumers.conftest import authority, pem, postbox
from tests.consumers.postbox import Postbox
from tests.ledger.books import Books, KeysByName
from tests.ledger.messages import Upstream, read_all
from tests.ledger.test_activation import NOW, SECRET, Keeper, activate, token

__all__ = ["authority", "pem", "postbox"]

SCRIPT = "<script>alert(1)</script>"


class Site:
    """The pages, with somebody in front of them."""

    def __init__(self) -> None:
        self.keys = KeysByName()
        self.books = Books.open(keys=self.keys)
        activate(self.books)
        self.keeper = Keeper()
        self.now = NOW
        self.seconds = 0.0
        app = FastAPI()
        limit = ClientLimit(lambda: self.seconds)
        app.include_router(
            activation_router(
                lambda token: self.books.ledger, lambda ref: self.keeper(ref), clock=lambda: self.now, limit=limit
            )
        )
        self.client = TestClient(app, raise_server_exceptions=False)
        self.link = f"/activate/{token(self.books)}"


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.books.close()


def says(answer: Any, words: Words) -> bool:
    import html

    return all(said in html.unescape(answer.text) for said in (words.title, *words.paragraphs))


def test_the_link_shows_a_button_and_the_button_the_password(site: Site) -> None:
    first = site.client.get(site.link)
    assert first.status_code == 200
    assert says(first, GERMAN.ask)
    assert '<form method="post">' in first.text
    assert SECRET not in first.text
    assert site.keeper.asked == []
    second = site.client.post(site.link)
    assert second.status_code == 200
    assert says(second, GERMAN.show)
    for said in (SECRET, "zoe.quux", "sip.ruf.example"):
        assert said in second.text
    for again in (site.client.post(site.link), site.client.get(site.link)):
        assert again.status_code == 410
        assert says(again, GERMAN.trouble["used"])
        assert SECRET not in again.text


def test_the_whole_way_from_a_message_to_the_secret(tmp_path: Path, postbox: Postbox, pem: Path) -> None:
    """Registered, paid, written to by a real mail server, and the link of that e-mail followed."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    settings = Settings(
        store=f"sqlite:///{tmp_path}/books.db",
        smtp=postbox.url(),
        smtp_ca=str(pem),
        mail_from="Ruf <service@ruf.example>",
        public_url="http://testserver",
    )
    with open_house(settings, create=True, sandbox=True) as house:
        upstream = Upstream()
        reference = f"file://{tmp_path}/secret"
        registered = upstream.subscription_registered(
            credentials={"username": "zoe.quux", "server": "sip.ruf.example", "secret_ref": reference}
        )
        cycle = upstream.cycle_started()
        take(house.ledger, read_all([upstream.payment_captured(), cycle, registered, upstream.account_registered()]))
        part = notices_for(house, lambda: None)
        while part.queue() or part.send_next():
            pass
        [received] = postbox.received
        [link] = re.findall(r"http://testserver(/activate/\S+)", received.text)
        app = FastAPI()
        app.include_router(activation_pages(house))
        client = TestClient(app)
        assert client.get(link).status_code == 200
        assert SECRET in client.post(link).text
        assert client.post(link).status_code == 410
        assert SECRET not in received.content.decode()


def test_a_double_click_presses_once(site: Site) -> None:
    """The browser would show the second answer, that somebody had the password, and drop the first, which has it.

    Without a script the page can only take the pointer off a button that was clicked; seen in a browser, not here.
    """
    page = site.client.get(site.link).text
    assert "button:focus:not(:focus-visible, :active) { pointer-events: none;" in page


def test_nobody_may_keep_frame_or_script_a_page(site: Site) -> None:
    for answer in (site.client.get(site.link), site.client.post(site.link), site.client.get("/activate/wrong")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "<script" not in answer.text
        assert "style=" not in answer.text, "the policy would not allow it"


def test_the_style_is_the_one_that_the_policy_allows(site: Site) -> None:
    import base64
    from hashlib import sha256

    answer = site.client.get(site.link)
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


def test_what_is_shown_is_shown_and_not_obeyed(site: Site) -> None:
    site.keeper = lambda reference: f"{SCRIPT}&lt;"  # type: ignore[assignment]
    answer = site.client.post(site.link)
    assert SCRIPT not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt;" in answer.text


def test_a_slow_keeper_holds_up_nobody_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the API's threads are one here, and all turns to fetch are one: neither is waited for by others."""
    monkeypatch.setattr("makegood.pages.activation.FETCH_WAIT_SECONDS", 0.3)
    monkeypatch.setattr("makegood.pages.activation.FETCHES_MAX", 1)
    asked, over = threading.Event(), threading.Event()

    def slow(reference: str) -> str:
        asked.set()
        over.wait(10)
        return SECRET

    app = FastAPI()
    app.include_router(activation_router(lambda token: site.books.ledger, slow, clock=lambda: site.now))
    with TestClient(app) as client, ThreadPoolExecutor(1) as customers:
        assert client.portal is not None
        client.portal.call(only_one_thread)
        first = customers.submit(client.post, site.link)
        assert asked.wait(10)
        assert client.get(site.link).status_code == 409, "the page is answered while the keeper is not"
        waited = client.post(site.link)
        assert (waited.status_code, waited.headers["retry-after"]) == (503, "60")
        assert not first.done()
        over.set()
        assert SECRET in first.result().text


async def only_one_thread() -> None:
    to_thread.current_default_thread_limiter().total_tokens = 1


@pytest.mark.parametrize(
    ("trouble", "status", "retry_after"),
    [
        ("wrong", 404, None),
        ("erased", 410, None),
        ("lost", 410, None),
        ("expired", 410, None),
        ("in_doubt", 409, None),
        ("not_fetched", 503, "60"),
        ("tried_too_often", 429, "3600"),
        ("unavailable", 503, "60"),
    ],
)
def test_every_trouble_has_one_page_that_says_what_to_do(
    trouble: str, status: int, retry_after: str | None, site: Site
) -> None:
    pages: Pages = GERMAN
    match trouble:
        case "wrong":
            site.link, pages = site.link[:-1] + ("0" if site.link[-1] != "0" else "1"), ENGLISH
        case "erased":
            site.keys.destroyed.add("account/acct-1")
            pages = ENGLISH
        case "lost":
            site.books.database.lose_keys("account/acct-1")
            pages = ENGLISH
        case "expired":
            site.now += VALID_FOR
        case "in_doubt":
            site.keeper = Keeper(FetchUnclear())
        case "not_fetched":
            site.keeper = Keeper(NotFetched())
        case "tried_too_often":
            site.keeper = Keeper(*[NotFetched()] * 9)
            for _ in range(5):
                site.client.post(site.link)
        case "unavailable":
            pages = ENGLISH

            def away() -> None:
                raise Unavailable("gone")

            site.books.database.before_writing.append(away)
    answer = site.client.post(site.link)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == retry_after
    assert says(answer, pages.trouble[trouble])  # type: ignore[index]
    assert answer.headers["content-language"] == ("de" if pages is GERMAN else "en")


def test_where_the_customer_is_not_known_the_browser_says_the_language(site: Site) -> None:
    answer = site.client.get("/activate/nothing", headers={"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"})
    assert says(answer, GERMAN.trouble["wrong"])
    answer = site.client.get("/activate/nothing", headers={"Accept-Language": "fr"})
    assert says(answer, ENGLISH.trouble["wrong"])


def test_one_address_is_answered_so_often_in_a_minute(site: Site) -> None:
    for _ in range(PER_CLIENT_MAX):
        assert site.client.get("/activate/guess").status_code == 404
    answer = site.client.post(site.link)
    assert answer.status_code == 429
    assert site.keeper.asked == []
    site.seconds = 61.0
    assert site.client.post(site.link).status_code == 200


def test_addresses_are_forgotten_before_they_fill_the_memory() -> None:
    limit = ClientLimit(lambda: 0.0)
    for number in range(20_000):
        assert limit.admits(str(number))
    assert len(limit._seen) <= 10_000


def test_no_log_has_the_secret_or_the_link(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.now += timedelta(days=1)

    def away() -> None:
        raise Unavailable("gone")

    def fetch(reference: str) -> str:
        site.books.database.before_writing.extend([away] * 20)
        return SECRET

    site.keeper = fetch  # type: ignore[assignment]
    assert SECRET in site.client.post(site.link).text, "though it could not be recorded"
    said = capsys.readouterr()
    assert "collection_not_recorded" in said.out
    for secret in (SECRET, site.link, "zoe"):
        assert secret not in said.out + said.err


@pytest.mark.parametrize("pages", [ENGLISH, GERMAN], ids=["en", "de"])
def test_every_page_can_be_used_by_keyboard_and_read_aloud(pages: Pages, site: Site) -> None:
    """One heading, a language, a title, and nothing that can be pressed but buttons."""

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[str, dict[str, str | None]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.append((tag, dict(attrs)))

    from makegood.pages.activation import _page

    for words in (pages.ask, pages.show, *pages.trouble.values()):
        tags = Tags()
        tags.feed(bytes(_page(words, "de" if pages is GERMAN else "en").body).decode())
        names = [tag for tag, _ in tags.seen]
        assert names.count("h1") == names.count("main") == names.count("title") == 1
        assert dict(tags.seen)["html"]["lang"] == ("de" if pages is GERMAN else "en")
        assert names.count("button") == (words.button is not None)
        assert {"a", "script", "img", "input"} & set(names) == set()


def test_both_languages_have_every_page() -> None:
    assert ENGLISH.trouble.keys() == GERMAN.trouble.keys()
    for one, other in ((ENGLISH.ask, GERMAN.ask), (ENGLISH.show, GERMAN.show)):
        assert (one.button is None) == (other.button is None)
