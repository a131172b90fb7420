"""Who looks at a page or sends a form, and whether they may: the one check that every page names its action to.

A page that is asked for by nobody who is signed in leads to the sign-in, and back. A customer is told of another's
account, and of the console, what they are told of what is not there.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData
from starlette.responses import Response

from consumers.mail.languages import language_of
from ledger.events import Role
from ledger.store.positions import FIRST_SHARD, Position
from ledger.store.reading.audit import latest_checkpoint
from ledger.store.reading.audit import origin_of as origin_of_log
from ledger.store.reading.shards import shards_of
from ledger.store.reading.store import is_sandbox
from ledger.values import instant_to_text
from makegood.access.caller import Caller
from makegood.access.permissions import PERMISSIONS, Action, guards, may
from makegood.access.sessions import ABSOLUTE, Presence, Sessions
from makegood.house.opening import House
from makegood.pages.shell import Frame, Room, page, path_of
from makegood.pages.turned_away_words import words_in

SIGN_IN, HOME = "/sign-in", "/"

SAID_SECONDS = 20
"""For so long what was done is told on the page that a form leads to."""
FIELDS_MAX = 1_000
FORM = "application/x-www-form-urlencoded"


class TurnedAway(Exception):
    """Somebody is not shown the page, or their form is not taken; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in and may do what they ask for: as whom, for which accounts, and what they sent."""

    presence: Presence
    caller: Caller
    """As the answers and acts know them."""
    frame: Frame
    """What stands around the page that they are shown."""
    cookie: Cookie
    """How their cookies are called."""
    form: FormData = field(default_factory=FormData)
    """The fields of the form that they sent."""

    @property
    def csrf(self) -> str:
        """The token that each form sends back in its field `csrf`."""
        return self.presence.csrf

    @property
    def zone(self) -> str:
        """The time zone in which they are shown times."""
        return self.frame.zone

    @property
    def language(self) -> str:
        """The language in which they are addressed."""
        return self.frame.language

    def may(self, action: Action, account: str | None = None) -> bool:
        """Whether another action is permitted too: at all, or for an account."""
        return self.caller.may_also(action, account)


def house_of(request: Request) -> House:
    """The house that the pages answer from, in which it is known who looks: of a page about an account that of its
    shard, of any other that by which all shards are asked."""
    house: House = request.app.state.house
    looker: tuple[str, str] | None = getattr(request.state, "looker", None)
    seen = house.seen_by(*looker) if looker is not None else house
    account: str | None = request.path_params.get("account")
    return seen.of(account) if account is not None else seen


@dataclass(frozen=True, slots=True)
class OneShard:
    """The shard that a page is about which shows what a shard has for itself: the first unless the address names
    another."""

    house: House
    number: int
    shards: int

    @property
    def query(self) -> str:
        """What addresses of the same shard end with."""
        return f"?shard={self.number}" if self.shards > 1 else ""


def one_shard(request: Request) -> OneShard:
    """The shard that an address names with `shard` in its query."""
    every, asked = house_of(request).every, request.query_params.get("shard", "")
    is_there = asked.isdecimal() and len(asked) < 3 and int(asked) < len(every)
    number = int(asked) if is_there else FIRST_SHARD
    return OneShard(every[number], number, len(every))


def sessions_of(request: Request) -> Sessions:
    """The sessions of the people who are signed in."""
    sessions: Sessions = request.app.state.sessions
    return sessions


# --- the check ------------------------------------------------------------------------------------------------------


@cache
def visits(action: Action, room: Room | None = None) -> Any:
    """The permission that a page requires, as a dependency that gives the page its Visitor.

    Of a page whose address names an `account`, the account is checked too.
    """

    async def check(request: Request) -> Visitor:
        return await run_in_threadpool(_permitted, request, action, room)

    return Depends(guards(action, check))


@cache
def submits(action: Action, room: Room | None = None) -> Any:
    """The permission that a form requires, as a dependency that gives its Visitor with the fields that were sent."""

    async def check(request: Request) -> Visitor:
        visitor = await run_in_threadpool(_permitted, request, action, room)
        form = await form_of(request)
        check_own(request, form, visitor.presence, visitor.frame)
        return replace(visitor, form=form)

    return Depends(guards(action, check))


def _permitted(request: Request, action: Action, room: Room | None) -> Visitor:
    presence = presence_of(request)
    if presence is None:
        raise TurnedAway(_unknown(request))
    account: str | None = request.path_params.get("account")
    only_customer = all(role == "customer" for role, _ in presence.roles) and bool(presence.roles)
    of_the_console, of_the_portal = (request.url.path.startswith(room) for room in ("/console/", "/portal/"))
    roles = presence.roles
    if of_the_portal:
        # There somebody is the account's customer and nothing else, whatever they may do in the console.
        roles = tuple(held for held in roles if held[0] == "customer")
    scope = may(action, roles)
    if scope is None or (account is not None and not scope.covers(account)) or (only_customer and of_the_console):
        around = frame_of(request, presence)
        if only_customer:
            raise TurnedAway(not_there(around))
        raise TurnedAway(_portal_of_another(around) if of_the_portal else _not_permitted(around, action))
    frame = replace(frame_of(request, presence, room=room), roles=roles)
    if of_the_console:
        frame = replace(frame, covered=_covered(house_of(request)))
    request.state.looker = presence.principal(account), "portal" if frame.is_customer else "console"
    return Visitor(presence, Caller(presence.principal(account), roles, scope), frame, cookie(request))


def _covered(house: House) -> tuple[tuple[str, str], ...]:
    """Up to which position the last checkpoint of each log covers it, and when that was signed."""
    found = {}
    for each in house.every:
        with each.database.reading() as transaction:
            for shard in shards_of(transaction):
                found[shard] = latest_checkpoint(transaction, origin_of_log(transaction, shard))
    return tuple(
        (str(Position(shard, checkpoint.size)), instant_to_text(checkpoint.signed_at))
        for shard, checkpoint in found.items()
        if checkpoint is not None
    )


def presence_of(request: Request) -> Presence | None:
    """Who is signed in; None for nobody."""
    if not hasattr(request.state, "presence"):
        token = request.cookies.get(cookie(request).name)
        request.state.presence = sessions_of(request).presence(token) if token else None
        if request.state.presence is not None:
            request.state.principal = request.state.presence.principal(request.path_params.get("account"))
    presence: Presence | None = request.state.presence
    return presence


def frame_of(
    request: Request, presence: Presence | None, *, room: Room | None = None, language: str | None = None
) -> Frame:
    """What stands around a page for somebody who is signed in, or for nobody."""
    house = house_of(request)
    about: dict[str, Any] = {"path": path_of(request), "zone": house.settings.time_zone, "sandbox": sandbox(request)}
    if presence is None:
        return Frame(**about, language=language or "en")
    return Frame(
        **about,
        language=language or presence.session.who.language,
        principal=_shown(presence),
        roles=presence.roles,
        csrf=presence.csrf,
        room=room,
        said=_said(request, presence),
    )


def sandbox(request: Request) -> bool:
    """Whether the pages are a sandbox's."""
    state = request.app.state
    if not hasattr(state, "sandbox"):
        with house_of(request).database.reading() as transaction:
            state.sandbox = is_sandbox(transaction)
    found: bool = state.sandbox
    return found


def _shown(presence: Presence) -> str:
    """Who somebody is, as they are shown to themselves: a customer by their account."""
    return ", ".join(presence.accounts) if presence.session.who.principal is None else presence.principal()


# --- who is not shown the page --------------------------------------------------------------------------------------


def _unknown(request: Request) -> Response:
    if request.method == "GET":
        return RedirectResponse(f"{SIGN_IN}?next={quote(path_of(request), safe='/')}", 303)
    language = language_of(request.headers.get("accept-language", "").partition(",")[0].partition(";")[0]).code
    words = words_in(language)
    return page(
        frame_of(request, None, language=language),
        "turned_away.html",
        title=words.signed_out,
        status=403,
        paragraphs=words.signed_out_why,
        leads_to=(SIGN_IN, words.sign_in),
        **words.frame,
    )


def not_there(frame: Frame, status: int = 404, headers: Mapping[str, str] | None = None) -> Response:
    """The page for what is not there, and for what a customer may not know of."""
    words = words_in(frame.language)
    return page(
        frame,
        "turned_away.html",
        title=words.not_there,
        status=status,
        headers=headers,
        paragraphs=words.not_there_why,
        leads_to=(HOME, words.first_page),
        **words.frame,
    )


def _not_permitted(frame: Frame, action: Action) -> Response:
    roles = sorted(role for role in PERMISSIONS[action] if role != "customer")
    needed = f"the role {roles[0]}" if len(roles) == 1 else f"one of the roles {', '.join(roles)}"
    return page(
        frame,
        "turned_away.html",
        title="You have no permission for this page",
        status=403,
        paragraphs=(
            f"It needs {needed}.",
            f"An operator grants it with `makegood access grant {frame.principal} {roles[0]}`.",
        ),
        leads_to=(HOME, "To the first page"),
    )


def _portal_of_another(frame: Frame) -> Response:
    return page(
        frame,
        "turned_away.html",
        title="The portal is the customers' own",
        status=403,
        paragraphs=("Only the customer of the account sees these pages. The console shows what is in them.",),
        leads_to=(HOME, "To the first page"),
    )


# --- forms ----------------------------------------------------------------------------------------------------------


def check_own(request: Request, form: FormData, presence: Presence, frame: Frame) -> None:
    """Raises TurnedAway for a form that none of our own pages sent for this session."""
    token = form.get("csrf")
    if is_foreign(request) or not (isinstance(token, str) and presence.sent_back(token)):
        raise TurnedAway(foreign_form(frame))


async def form_of(request: Request) -> FormData:
    """The fields that were sent; none where they were not sent as a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        return FormData()
    try:
        text = (await request.body()).decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        return FormData()
    return FormData([(name, value) for name, value in fields])


def is_foreign(request: Request) -> bool | None:
    """Whether a page of another site sent a form; None where the browser does not say."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("origin")
    return None if origin is None else origin != origin_of(request)


def foreign_form(frame: Frame) -> Response:
    """The page for a form that was not sent by one of our own pages, or by one of an earlier session."""
    words = words_in(frame.language)
    return page(
        frame,
        "turned_away.html",
        title=words.foreign_form,
        status=403,
        paragraphs=words.foreign_form_why,
        leads_to=(HOME, words.first_page),
        **words.frame,
    )


# --- where a visitor goes next --------------------------------------------------------------------------------------


def own_path(path: str | None) -> str:
    """An address to lead somebody to after the sign-in: a path of ours, else the first page."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return HOME
    parts = urlsplit(path)
    return HOME if parts.scheme or parts.netloc or parts.path.startswith(SIGN_IN) else path


def go_to(visitor: Visitor, path: str, said: str = "") -> Response:
    """Lead somebody to a page after their form, which says what was done."""
    response = RedirectResponse(path, 303, {"Cache-Control": "no-store"})
    if said:
        text = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        response.set_cookie(
            visitor.cookie.said,
            f"{text}.{visitor.presence.mark(f'said:{text}')}",
            max_age=SAID_SECONDS,
            path=urlsplit(path).path,
            secure=visitor.cookie.secure,
            httponly=True,
            samesite="lax",
        )
    return response


def _said(request: Request, presence: Presence) -> str | None:
    text, _, mark = request.cookies.get(cookie(request).said, "").partition(".")
    if not text or not hmac.compare_digest(presence.mark(f"said:{text}").encode(), mark.encode()):
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error):
        return None
    return said if isinstance(said, str) else None


# --- cookies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cookie:
    """How the cookies are called: those that a browser keeps for this host over TLS only, or the plain ones that
    stay on one machine."""

    secure: bool

    @property
    def name(self) -> str:
        """That of the session."""
        return "__Host-makegood" if self.secure else "makegood"

    @property
    def sign_in(self) -> str:
        """That of a sign-in under way."""
        return f"{self.name}-sign-in"

    @property
    def said(self) -> str:
        """That of what was done just now."""
        return "__Secure-makegood-said" if self.secure else "makegood-said"

    def keep(self, response: Response, token: str) -> None:
        """Have the browser keep a session's token."""
        response.set_cookie(
            self.name,
            token,
            max_age=int(ABSOLUTE.total_seconds()),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")


def cookie(request: Request) -> Cookie:
    """The cookies for a request: plain ones only where no public address is set and the browser is on this machine.

    A proxy that does not say by which name and scheme it was asked can therefore not have a customer's session sent
    in the clear.
    """
    public = house_of(request).settings.public_url
    if public:
        return Cookie(secure=urlsplit(public).scheme == "https" or not _is_loopback(urlsplit(public).hostname))
    return Cookie(secure=request.url.scheme == "https" or not _is_loopback(request.url.hostname))


def cannot_keep(request: Request) -> bool:
    """Whether a browser would not keep our cookies: they are for TLS, and it asked without."""
    return cookie(request).secure and origin_of(request).startswith("http:")


def origin_of(request: Request) -> str:
    """The origin of our own pages, as browsers name it."""
    public = house_of(request).settings.public_url
    parts = urlsplit(public) if public else urlsplit(str(request.url))
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, default) else f":{parts.port}")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def first_page(roles: tuple[tuple[Role, str | None], ...]) -> Literal["/console", "/portal"]:
    """Where somebody begins: a customer in the portal, everybody else in the console."""
    return "/console" if any(role != "customer" for role, _ in roles) else "/portal"


_ROOM_OF: tuple[tuple[Role, Room], ...] = (("auditor", "audit"), ("support", "support"), ("privacy", "support"))


def own_room(roles: tuple[tuple[Role, str | None], ...]) -> Room:
    """In which room of the console somebody works: by the first of these roles that they have, else in finance's."""
    held = {role for role, _ in roles}
    return next((room for role, room in _ROOM_OF if role in held), "finance")
