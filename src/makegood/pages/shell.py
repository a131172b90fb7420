"""What all pages have in common: their frame, their headers, how values are written, and the files beside them."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal

from babel import Locale
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from ledger.events import Role
from ledger.values import instant_to_text
from makegood.access.permissions import Action, may
from makegood.exports.downloading import Download
from makegood.pages.amounts import amount_by_code, amount_in_words, locale_of, number_in_words
from makegood.pages.instants import age_in_words, date_in_words, instant_in_words, month_in_words

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
"""The headers of every page."""

Room = Literal["finance", "audit", "support", "operations"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that the console's navigation leads to, for those whose roles permit its action."""

    room: Room
    label: str
    path: str
    action: Action

    def is_at(self, path: str) -> bool:
        """Whether an address is of this page, or of one below it."""
        at = path.partition("?")[0]
        return at == self.path or at.startswith(f"{self.path}/")


ROOM_NAMES: Mapping[Room, str] = {
    "finance": "Finance",
    "audit": "Audit",
    "support": "Support",
    "operations": "Operations",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a page: for whom it is, in which language and time zone, and where in the house it is."""

    path: str = "/"
    language: str = "en"
    zone: str = "UTC"
    principal: str | None = None
    """Who is signed in, as they are shown to themselves; None for nobody."""
    roles: tuple[tuple[Role, str | None], ...] = ()
    csrf: str | None = None
    """The token that each form of the page sends back."""
    sandbox: bool = False
    room: Room | None = None
    said: str | None = None
    """What was done just now."""
    covered: tuple[tuple[str, str], ...] | None = None
    """Up to which positions signed checkpoints cover the store, each with when it was signed; None where nobody is
    told so."""

    @property
    def locale(self) -> Locale:
        """The locale by whose habits amounts and dates are written."""
        return locale_of(self.language)

    @property
    def is_customer(self) -> bool:
        """Whether a customer is signed in: the portal's frame, not the console's."""
        return any(role == "customer" for role, _ in self.roles)

    def within(self, room: Room) -> Frame:
        """The same frame in a room."""
        return replace(self, room=room)

    def may(self, action: Action) -> bool:
        """Whether they may do something at all."""
        return may(action, self.roles) is not None

    def rooms(self, navigation: Iterable[Entry]) -> dict[Room, list[Entry]]:
        """The entries of the navigation that lead to pages that they may see, by room."""
        found: dict[Room, list[Entry]] = {}
        for entry in navigation:
            if self.may(entry.action):
                found.setdefault(entry.room, []).append(entry)
        return {room: found[room] for room in ROOM_NAMES if room in found}


NAVIGATION: list[Entry] = []
"""The console's navigation, in order; each room's module adds its pages."""


def page(
    frame: Frame, layout: str, *, title: str, status: int = 200, headers: Mapping[str, str] | None = None, **data: Any
) -> HTMLResponse:
    """A page, made of one of the layouts."""
    text = _LAYOUTS.get_template(layout).render(
        frame=frame, title=title, navigation=frame.rooms(NAVIGATION), room_names=ROOM_NAMES, **data
    )
    return HTMLResponse(text, status, {**HEADERS, "Content-Language": frame.language, **(headers or {})})


def fragment(frame: Frame, layout: str, **data: Any) -> HTMLResponse:
    """A part of a page, for a page that is open already."""
    return HTMLResponse(_LAYOUTS.get_template(layout).render(frame=frame, **data), 200, HEADERS)


def file_answer(file: Download) -> Response:
    """A file to take away, which nobody keeps on the way."""
    headers = {"Cache-Control": "no-store", **file.headers}
    return StreamingResponse(file.chunks(), media_type=file.media_type, headers=headers)


# --- files beside the pages -----------------------------------------------------------------------------------------

_KEPT_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def _static_file(name: str) -> bytes | None:
    """The content of a file beside the pages; None for a name that none has."""
    folder = files("makegood.pages").joinpath("static")
    known = {file.name: file for file in folder.iterdir() if file.is_file()}
    return known[name].read_bytes() if name in known else None


@cache
def static_url(name: str) -> str:
    """The address of a file beside the pages, which changes with its content."""
    content = _static_file(name)
    if content is None:
        raise LookupError(f"no file {name} beside the pages")
    return f"/static/{sha256(content).hexdigest()[:16]}/{name}"


static_files = APIRouter(include_in_schema=False)


@static_files.get("/static/{digest}/{name}")
def static_file(digest: str, name: str) -> Response:
    """A file beside the pages; nobody needs to sign in for it."""
    content = _static_file(name)
    if content is None or static_url(name) != f"/static/{digest}/{name}":
        raise HTTPException(404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(content, 200, {"Cache-Control": _KEPT_FOR_EVER, "X-Content-Type-Options": "nosniff"}, kind)


def path_of(request: Request) -> str:
    """The address of a page, with its filters."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


# --- how values are written -----------------------------------------------------------------------------------------


def _frame_of(context: Context) -> Frame:
    frame: Frame = context["frame"]
    return frame


@pass_context
def _money(context: Context, amount: str | None, currency: str) -> Markup:
    """An amount, `1,234.50 EUR` in the console and `1.234,50 €` for a German customer; a dash for none."""
    if amount is None:
        return Markup("–")
    frame = _frame_of(context)
    write = amount_in_words if frame.is_customer else amount_by_code
    minus = " minus" if amount.startswith("-") else ""
    return Markup(f'<span class="money{minus}">{escape(write(amount, currency, frame.locale))}</span>')


@pass_context
def _moment(context: Context, instant: str | None, other: str | None = None, *, called: str = "recorded") -> Markup:
    """An instant in the reader's zone, the other clock on hover and in print; a dash for none."""
    if instant is None:
        return Markup("–")
    frame = _frame_of(context)
    # A line may end between date and time, and nowhere else.
    shown = instant_in_words(instant, frame.zone, frame.locale).replace(" ", "\xa0").replace(",\xa0", ", ")
    if other is None:
        return Markup(f'<time datetime="{escape(instant)}">{escape(shown)}</time>')
    beside = f"{called} {instant_in_words(other, frame.zone, frame.locale)}"
    return Markup('<time datetime="{}" title="{}" data-other="{}">{}</time>').format(instant, beside, beside, shown)


@pass_context
def _day(context: Context, day: str | None) -> Markup:
    if day is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(day, date_in_words(day, _frame_of(context).locale))


@pass_context
def _month(context: Context, month: str) -> str:
    return month_in_words(month, _frame_of(context).locale)


@pass_context
def _number(context: Context, number: int) -> str:
    return number_in_words(number, _frame_of(context).locale)


def _words(name: str | None) -> str:
    """A name of the contract, such as `service_disruption`, in words."""
    return "–" if name is None else str(name).replace("_", " ")


BADGES: Mapping[str, str] = {
    **dict.fromkeys(("succeeded", "granted", "confirmed", "approved", "active", "resolved", "closed", "ok"), "good"),
    **dict.fromkeys(
        (
            "due",
            "pending",
            "submitted",
            "investigating",
            "open",
            "waiting",
            "late",
            "suspended",
            "cancelling",
            "in_doubt",
        ),
        "warn",
    ),
    **dict.fromkeys(("failed", "declined", "rejected", "overdue", "withdrawn", "terminated", "wrong"), "bad"),
}
"""What colour a status has; it never says more than its word."""


def _badge(status: str | None) -> Markup:
    if status is None:
        return Markup("–")
    kind = BADGES.get(status, "")
    return (
        Markup('<span class="badge {}">{}</span>').format(kind, _words(status))
        if kind
        else Markup('<span class="badge">{}</span>').format(_words(status))
    )


def _breaks(identifier: str) -> Markup:
    """An identifier that may go on in another line after each slash."""
    return Markup("/<wbr>").join(identifier.split("/"))


def _id(identifier: str | None) -> Markup:
    return Markup("–") if identifier is None else Markup('<span class="id">{}</span>').format(_breaks(identifier))


_COMMAND = re.compile(r"`([^`]+)`")


def _commands(sentence: str) -> Markup:
    """A sentence with its commands set apart, which stand between backquotes in it."""
    pieces = _COMMAND.split(sentence)
    written = (
        Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece) for at, piece in enumerate(pieces)
    )
    return Markup("").join(written)


_LAYOUTS = Environment(
    loader=PackageLoader("makegood.pages", "layouts"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_LAYOUTS.globals["static_url"] = static_url
_LAYOUTS.filters |= {
    "money": _money,
    "moment": _moment,
    "instant": instant_to_text,
    "day": _day,
    "month": _month,
    "number": _number,
    "age": age_in_words,
    "words": _words,
    "badge": _badge,
    "id": _id,
    "breaks": _breaks,
    "commands": _commands,
}
