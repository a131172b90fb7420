"""The pages behind an activation's one-time link: a button, and what the customer came for, once.

Opening the link shows the button only, because programs that scan mail open links too; pressing it fetches the
secret. The pages need no script, and nobody may keep, frame or index them.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

import anyio
import structlog
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from consumers.mail.languages import GERMAN as IN_GERMAN
from consumers.mail.languages import language_of
from consumers.part import reason_of
from ledger.application.activation import Collected, Fetch, NotOpened, collect, open_link
from ledger.application.ledger import Ledger
from ledger.store.database import StoreError
from ledger.store.reading.notice_queue import find_notice
from ledger.store.reading.store import is_sandbox
from ledger.vault import Damaged, Gone
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.secret_fetcher import SecretFetcher
from makegood.pages.activation_words import ENGLISH, GERMAN, Pages, Trouble, Words

PER_CLIENT_MAX, PER_CLIENT_SECONDS = 30, 60.0
"""So many requests of one address are answered in so many seconds."""
CLIENTS_KEPT_MAX = 10_000

FETCHES_MAX, FETCH_WAIT_SECONDS = 32, 5.0
"""So many secrets are fetched at once, in threads of their own: the API's answer none but its own requests, however
slow a keeper is. Whoever waits longer for a turn is asked to come again."""

_STATUS: dict[Trouble, int] = {
    "wrong": 404,
    "erased": 410,
    "lost": 410,
    "expired": 410,
    "used": 410,
    "in_doubt": 409,
    "tried_too_often": 429,
    "not_fetched": 503,
    "too_many": 429,
    "unavailable": 503,
}
_RETRY_AFTER: dict[Trouble, int] = {"tried_too_often": 3600, "not_fetched": 60, "too_many": 60, "unavailable": 60}

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; color: #1d2733; background: #f3f5f7; }
main { max-width: 34rem; margin: 3rem auto; padding: 2rem; background: #fff; border-radius: .5rem; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
button { font: inherit; font-weight: 600; padding: .75rem 1.5rem; border: 0; border-radius: .375rem; color: #fff;
  background: #0b5cad; cursor: pointer; }
button:hover { background: #094a8c; }
button:focus:not(:focus-visible, :active) { pointer-events: none; opacity: .6; }
button:focus-visible { outline: 3px solid #f2a900; outline-offset: 2px; }
dt { color: #51606f; }
dd { margin: 0 0 1rem; overflow-wrap: anywhere; }
code { font: 1.0625rem/1.5 ui-monospace, monospace; user-select: all; }
.secret { display: block; margin-top: .25rem; padding: .75rem 1rem; font-size: 1.25rem; background: #fff6df;
  border-radius: .375rem; white-space: pre-wrap; }
.note { margin: 1.5rem 0 0; font-size: .9375rem; color: #51606f; }
@media (max-width: 36rem) { main { margin: 0; min-height: 100vh; box-sizing: border-box; border-radius: 0;
  padding: 1.5rem; } }
@media (prefers-color-scheme: dark) {
  body { color: #e6ebf0; background: #12181f; } main { background: #1d2733; }
  dt, .note { color: #a9b6c2; } .secret { background: #3a3216; }
}
"""
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}

log = structlog.get_logger("makegood.activation")


class ClientLimit:
    """How many requests of each address are answered, kept in memory."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        per_client: int = PER_CLIENT_MAX,
        seconds: float = PER_CLIENT_SECONDS,
    ) -> None:
        self._monotonic = monotonic
        self._per_client, self._seconds = per_client, seconds
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._turn = threading.Lock()

    def admits(self, client: str) -> bool:
        """Whether one more request of an address is answered now."""
        now = self._monotonic()
        with self._turn:
            seen = self._seen.setdefault(client, deque())
            self._seen.move_to_end(client)
            while seen and seen[0] <= now - self._seconds:
                seen.popleft()
            while len(self._seen) > CLIENTS_KEPT_MAX:
                self._seen.popitem(last=False)
            if len(seen) >= self._per_client:
                return False
            seen.append(now)
        return True


def activation_pages(house: House) -> APIRouter:
    """The pages as the door serves them: secrets from the hosts that are named, and from files in a sandbox."""
    with house.database.reading() as transaction:
        sandbox = is_sandbox(transaction)
    fetch = SecretFetcher.of(house.settings.secret_hosts.split(","), files=sandbox)

    def ledger_of(token: str) -> Ledger:
        """The ledger of the shard whose e-mail the link was in; any for a link that was in none."""
        for each in house.every:
            with each.database.reading() as transaction:
                if find_notice(transaction, token.partition(".")[0]) is not None:
                    return each.ledger
        return house.ledger

    return activation_router(ledger_of, fetch, clock=system_clock)


def activation_router(
    ledger_of: Callable[[str], Ledger],
    fetch: Fetch,
    *,
    clock: Callable[[], datetime],
    limit: ClientLimit | None = None,
) -> APIRouter:
    """The two handlers of `/activate/{token}`. `clock` is the world's time, whatever a sandbox's clock says."""
    router = APIRouter(include_in_schema=False)
    admitting = limit or ClientLimit()
    fetching = anyio.CapacityLimiter(FETCHES_MAX)

    def answered(request: Request, answer: Callable[[], HTMLResponse]) -> HTMLResponse:
        """An answer, or the page that says why there is none."""
        if not admitting.admits(request.client.host if request.client is not None else ""):
            return _trouble("too_many", _accepted(request))
        try:
            return answer()
        except NotOpened as error:
            language = language_of(error.locale).code if error.locale is not None else _accepted(request)
            return _trouble(error.why, language)
        except (StoreError, Gone, Damaged) as error:
            log.error("activation_fails", reason=reason_of(error))  # noqa: TRY400
            return _trouble("unavailable", _accepted(request))

    @router.get("/activate/{token}")
    def ask(token: str, request: Request) -> HTMLResponse:
        """A page with a button; nothing is used up."""

        def answer() -> HTMLResponse:
            language = language_of(open_link(ledger_of(token), token, clock()).locale).code
            return _page(_pages(language).ask, language)

        return answered(request, answer)

    @router.post("/activate/{token}")
    async def show(token: str, request: Request) -> HTMLResponse:
        """The secret, once."""

        def answer() -> HTMLResponse:
            collected = collect(ledger_of(token), token, fetch, clock())
            if not collected.recorded:
                log.error("collection_not_recorded", notice=token.partition(".")[0])
            language = language_of(collected.locale).code
            return _page(_pages(language).show, language, collected=collected)

        turn = object()
        with anyio.move_on_after(FETCH_WAIT_SECONDS) as waiting:
            await fetching.acquire_on_behalf_of(turn)
        if waiting.cancelled_caught:
            return _trouble("unavailable", _accepted(request))
        try:
            return await to_thread.run_sync(answered, request, answer, limiter=anyio.CapacityLimiter(1))
        finally:
            fetching.release_on_behalf_of(turn)

    return router


def _pages(language: str) -> Pages:
    return GERMAN if language == IN_GERMAN.code else ENGLISH


def _accepted(request: Request) -> str:
    """The language that a browser asks for first."""
    return language_of(request.headers.get("accept-language", "").partition(",")[0].partition(";")[0]).code


def _trouble(why: Trouble, language: str) -> HTMLResponse:
    response = _page(_pages(language).trouble[why], language, status=_STATUS[why])
    if why in _RETRY_AFTER:
        response.headers["Retry-After"] = str(_RETRY_AFTER[why])
    return response


def _page(words: Words, language: str, *, status: int = 200, collected: Collected | None = None) -> HTMLResponse:
    text = _LAYOUT.render(words=words, language=language, collected=collected, style=Markup(_STYLE))
    return HTMLResponse(text, status, {**HEADERS, "Content-Language": language})


_LAYOUT = Environment(
    loader=PackageLoader("makegood.pages", "layouts"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("activation.html")
