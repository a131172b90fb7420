"""The pages by which people sign in and out: by a one-time link, and who is signed in where."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consumers.mail.languages import GERMAN as IN_GERMAN
from consumers.mail.languages import language_of
from consumers.mail.writing import NoAddress
from ledger.store.sessions import SignedIn
from ledger.values import instant_to_text
from makegood.access.openid import VALID_FOR as OPENID_VALID_FOR
from makegood.access.openid import Attempt, NoProvider, NotProven, openid_of
from makegood.access.permissions import may
from makegood.access.sessions import Presence, new_token
from makegood.access.sign_in_links import NotSignedIn, SignInLinks
from makegood.access.sign_in_mail import SignInMail, digest_of_address
from makegood.house.mail_server import post_of
from makegood.house.opening import House
from makegood.pages.activation import ClientLimit
from makegood.pages.route import PageRoute
from makegood.pages.shell import NAVIGATION, page
from makegood.pages.sign_in_words import ENGLISH, GERMAN, SignInWords, Trouble
from makegood.pages.visitor import (
    HOME,
    SIGN_IN,
    cannot_keep,
    check_own,
    cookie,
    first_page,
    form_of,
    frame_of,
    is_foreign,
    origin_of,
    own_path,
    own_room,
    presence_of,
    sandbox,
    sessions_of,
)

Form = Annotated[FormData, Depends(form_of)]

_STATUS: Mapping[Trouble, int] = {
    "wrong": 404,
    "used": 410,
    "expired": 410,
    "too_many": 429,
    "too_many_links": 429,
    "no_address": 422,
    "foreign": 403,
    "no_tls": 400,
    "no_provider": 502,
    "refused": 403,
}
_RETRY_AFTER: Mapping[Trouble, int] = {"too_many": 60, "too_many_links": 3600, "no_provider": 60}

LINKS_PER_ADDRESS, LINKS_PER_ADDRESS_SECONDS = 3, 3600.0
"""So many links are sent to one address in so many seconds, whether it is known or not."""

log = structlog.get_logger("makegood.sign_in")


def sign_in_pages(house: House, *, limit: ClientLimit | None = None) -> APIRouter:
    """The pages for signing in and out. Raises Stop where the settings for it make no sense."""
    router = APIRouter(include_in_schema=False, route_class=PageRoute)
    admitting = limit or ClientLimit()
    provider = openid_of(house.settings)
    per_address = ClientLimit(per_client=LINKS_PER_ADDRESS, seconds=LINKS_PER_ADDRESS_SECONDS)
    post = post_of(house.settings)
    sending: list[SignInMail] = []

    def mail(request: Request) -> SignInMail:
        """What sends links to customers, made on first use: until then nobody needs the vault."""
        assert post is not None
        if not sending:
            sending.append(SignInMail(house, post, links(request), sessions_of(request).clock))
            request.app.state.sign_in_mail = sending[0]
        return sending[0]

    def links(request: Request) -> SignInLinks:
        return SignInLinks(house.database, sessions_of(request).clock)

    def turned_away(request: Request) -> Response | None:
        """Why nobody can sign in here now, whatever they have to show."""
        if not admitting.admits(request.client.host if request.client is not None else ""):
            return trouble(request, "too_many")
        return trouble(request, "no_tls") if cannot_keep(request) else None

    def present(request: Request, presence: Presence, home: str) -> Response:
        """The first page of somebody who is signed in: in the console the first that they may see, of their own room
        where there is one, or the portal."""
        if first_page(presence.roles) == "/portal" and presence.accounts:
            return to("/portal" if home != "/portal" else f"/portal/{quote(presence.accounts[0], safe='')}")
        seen = [entry for entry in NAVIGATION if may(entry.action, presence.roles) is not None]
        seen.sort(key=lambda entry: entry.room != own_room(presence.roles))
        return to(seen[0].path if seen else "/sign-out")

    @router.get("/")
    @router.get("/console")
    def home(request: Request) -> Response:
        presence = presence_of(request)
        return present(request, presence, HOME) if presence is not None else to(SIGN_IN)

    @router.get("/portal")
    def portal(request: Request) -> Response:
        presence = presence_of(request)
        if presence is None:
            return to(f"{SIGN_IN}?next=/portal")
        if len(presence.accounts) < 2:
            return present(request, presence, "/portal")
        words = words_in(presence.session.who.language)
        return page(
            frame_of(request, presence),
            "accounts.html",
            title=words.accounts.title,
            words=words,
            accounts=[(account, f"/portal/{quote(account, safe='')}") for account in presence.accounts],
        )

    @router.get(SIGN_IN)
    def ask(request: Request) -> Response:
        wanted = own_path(request.query_params.get("next"))
        if presence_of(request) is not None:
            return to(wanted)
        words = words_in(accepted(request))
        return page(
            frame_of(request, None, language=accepted(request)),
            "sign_in.html",
            title=words.sign_in.title,
            words=words,
            next=wanted,
            staff=f"/sign-in/oidc?next={quote(wanted, safe='/')}" if provider is not None else None,
            customers=house.settings.smtp != "",
            for_trial=sandbox(request),
            address="",
            wrong=None,
        )

    @router.get("/sign-in/link/{token}")
    def look(token: str, request: Request) -> Response:
        """A page with a button; nothing is used up."""
        if (refused := turned_away(request)) is not None:
            return refused
        try:
            who = links(request).look(token)
        except NotSignedIn as error:
            return trouble(request, error.why, error.language)
        language = language_for(request, who)
        words = words_in(language)
        return page(
            frame_of(request, None, language=language),
            "sign_in_link.html",
            title=words.link.title,
            words=words,
            next=own_path(request.query_params.get("next")),
        )

    @router.post("/sign-in/link/{token}")
    def use(token: str, request: Request, form: Form) -> Response:
        """The link is used up, and the browser signed in, as somebody new."""
        if (refused := turned_away(request)) is not None:
            return refused
        if is_foreign(request) is not False:
            return trouble(request, "foreign")
        try:
            session, _ = links(request).use(token, before=request.cookies.get(cookie(request).name))
        except NotSignedIn as error:
            return trouble(request, error.why, error.language)
        response = to(own_path(str(form.get("next", ""))))
        cookie(request).keep(response, session)
        return response

    @router.post("/sign-in/email")
    def by_mail(request: Request, form: Form) -> Response:
        """Have a link sent. Everybody is answered alike, before anything is looked up."""
        if (refused := turned_away(request)) is not None:
            return refused
        if is_foreign(request) is not False:
            return trouble(request, "foreign")
        if post is None:
            raise HTTPException(404)
        language, address = accepted(request), str(form.get("address", ""))
        words = words_in(language)
        try:
            counted = digest_of_address(address)
        except NoAddress:
            return page(
                frame_of(request, None, language=language),
                "sign_in.html",
                title=words.sign_in.title,
                status=_STATUS["no_address"],
                words=words,
                next=HOME,
                staff=None,
                customers=True,
                for_trial=False,
                address=address,
                wrong=words.trouble["no_address"],
            )
        if not per_address.admits(counted):
            return trouble(request, "too_many_links", language)
        mail(request).ask(address)
        return page(
            frame_of(request, None, language=language),
            "turned_away.html",
            title=words.sent.title,
            paragraphs=words.sent.paragraphs,
            leads_to=(SIGN_IN, words.again),
        )

    @router.get("/sign-in/oidc")
    def to_provider(request: Request) -> Response:
        """Lead the browser to the provider, with what binds its answer to this browser in a cookie."""
        if provider is None:
            raise HTTPException(404)
        if (refused := turned_away(request)) is not None:
            return refused
        attempt = Attempt(new_token())
        try:
            response = to(provider.address(attempt, comes_back_to(request)))
        except NoProvider as error:
            log.error("sign_in_fails", reason=error.reason)  # noqa: TRY400
            return trouble(request, "no_provider")
        wanted = own_path(request.query_params.get("next"))
        response.set_cookie(
            cookie(request).sign_in,
            f"{attempt.secret}.{base64.urlsafe_b64encode(wanted.encode()).decode()}",
            max_age=int(OPENID_VALID_FOR.total_seconds()),
            path="/",
            secure=cookie(request).secure,
            httponly=True,
            samesite="lax",
        )
        return response

    @router.get("/sign-in/oidc/return")
    def from_provider(request: Request) -> Response:
        """Sign in whom the provider's answer proves, in the browser that was led to it."""
        if provider is None:
            raise HTTPException(404)
        if (refused := turned_away(request)) is not None:
            return refused
        secret, _, wanted = request.cookies.get(cookie(request).sign_in, "").partition(".")
        try:
            now = sessions_of(request).clock()
            principal = provider.principal(Attempt(secret), request.query_params, comes_back_to(request), now)
        except NoProvider as error:
            log.error("sign_in_fails", reason=error.reason)  # noqa: TRY400
            response = trouble(request, "no_provider")
        except NotProven as error:
            log.warning("sign_in_refused", reason=error.reason)
            response = trouble(request, "refused")
        else:
            before = request.cookies.get(cookie(request).name)
            response = to(own_path(_decoded(wanted)))
            cookie(request).keep(response, sessions_of(request).begin(SignedIn(principal), before))
        response.delete_cookie(
            cookie(request).sign_in, path="/", secure=cookie(request).secure, httponly=True, samesite="lax"
        )
        return response

    @router.get("/sign-out")
    def who(request: Request) -> Response:
        """Who is signed in and since when, and the buttons that end it."""
        presence = presence_of(request)
        if presence is None:
            return to(SIGN_IN)
        words = words_in(presence.session.who.language)
        return page(
            frame_of(request, presence),
            "sign_out.html",
            title=words.signed_in.title,
            words=words,
            since=instant_to_text(presence.session.created_at),
            until=instant_to_text(presence.session.ends_at),
        )

    @router.post("/sign-out")
    def sign_out(request: Request, form: Form) -> Response:
        presence = presence_of(request)
        if presence is not None:
            check_own(request, form, presence, frame_of(request, presence))
            if form.get("everywhere"):
                sessions_of(request).end_all(presence)
            else:
                sessions_of(request).end(presence.token)
        language = presence.session.who.language if presence is not None else accepted(request)
        words = words_in(language)
        response = page(
            frame_of(request, None, language=language),
            "turned_away.html",
            title=words.signed_out.title,
            paragraphs=words.signed_out.paragraphs,
            leads_to=(SIGN_IN, words.again),
        )
        cookie(request).drop(response)
        return response

    return router


def comes_back_to(request: Request) -> str:
    """The address at which the provider's answer is awaited, as the client is registered with it."""
    return f"{origin_of(request)}/sign-in/oidc/return"


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode()
    except ValueError:
        return HOME


def to(path: str) -> Response:
    """Lead to a page."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


def words_in(language: str) -> SignInWords:
    """The texts in a language."""
    return GERMAN if language == IN_GERMAN.code else ENGLISH


def accepted(request: Request) -> str:
    """The language that a browser asks for first."""
    return language_of(request.headers.get("accept-language", "").partition(",")[0].partition(";")[0]).code


def language_for(request: Request, who: SignedIn) -> str:
    """The language in which somebody is addressed who has a link: a customer in their own."""
    return who.language if who.principal is None else accepted(request)


def trouble(request: Request, why: Trouble, language: str | None = None) -> Response:
    """The page that says why nobody is signed in, and what to do."""
    language = language or accepted(request)
    words = words_in(language)
    response = page(
        frame_of(request, None, language=language),
        "turned_away.html",
        title=words.trouble[why].title,
        status=_STATUS[why],
        paragraphs=words.trouble[why].paragraphs,
        leads_to=(SIGN_IN, words.again),
    )
    if why in _RETRY_AFTER:
        response.headers["Retry-After"] = str(_RETRY_AFTER[why])
    return response
