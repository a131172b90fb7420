"""Every role at every page and every form, for the own account, another's and none, as the application has them.

The pages are those that the application routes, so that one that comes later is tried at once. Whoever may not is
told the same whoever it is about, and a customer is told of another's account what they are told of one that is not
there, byte for byte but for the id that they sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from httpx import Client
from httpx import Response as Answer
from starlette.responses import Response

from ledger.events import ROLES
from makegood.api.app import Endpoint, create_app, without_permission
from makegood.house.stop import Stop
from makegood.pages.route import PageRoute
from makegood.pages.shell import HEADERS, NAVIGATION, page
from makegood.pages.visitor import Visitor, go_to, not_there, submits, visits
from tests.pages.life import ANOTHERS, HOSTILE, IN_HTML, MARKS, NOBODYS, OWN, a_life
from tests.pages.routes import Asked, may, pages_and_forms
from tests.pages.site import COOKIE, Site, Who, served
from tests.parts.stores import Stores

ACCOUNTS = (OWN, ANOTHERS, NOBODYS)
EVERYBODY: tuple[Who, ...] = (*ROLES, "nobody")
ELSEWHERE = "https://evil.example"
WITHOUT_CSRF = ("/activate/{token}", "/processors/stripe")
"""Forms whose sender needs no page of ours before: the address is the credential, or the body is signed."""


class Matrix:
    """A site with somebody of each role signed in."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tokens = {who: site.sign_in(who) for who in EVERYBODY}
        self.http = Client(base_url=site.address, timeout=30)
        self.pages, self.forms = pages_and_forms(site.app)
        self._seen: dict[tuple[Who, Asked], Answer] = {}

    def see(self, who: Who, asked: Asked) -> Answer:
        """What a page is to somebody: asked for once, however many tests look at it, since they record nothing."""
        if (who, asked) not in self._seen:
            self._seen[who, asked] = self.ask(who, asked)
        return self._seen[who, asked]

    def ask(self, who: Who | None, asked: Asked, token: str | None = None) -> Answer:
        """Ask for a page, or send a form as one of our own pages would; `token` is another session's."""
        said = token or (self.tokens[who] if who is not None else None)
        if asked.endpoint.method == "GET":
            return self.http.get(asked.path, headers=cookie(said))
        csrf = self.site.csrf(said) if said is not None and who is not None else "0" * 64
        return self.send(said, asked, {"csrf": csrf}, {"Origin": self.site.address, "Sec-Fetch-Site": "same-origin"})

    def send(self, token: str | None, asked: Asked, fields: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Send a form with nothing but these fields and headers."""
        return self.http.request(
            asked.endpoint.method, asked.path, data=dict(fields), headers={**cookie(token), **headers}
        )

    def recorded(self) -> list[tuple[Any, ...]]:
        """How far each shard has come: whether anything was recorded meanwhile."""
        with self.site.house.database.reading() as transaction:
            return list(transaction.rows("SELECT account, version FROM heads ORDER BY account"))


def cookie(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Cookie": f"{COOKIE}={token}"}


def told(answer: Answer, asked: Asked) -> tuple[int, dict[str, str], str]:
    """An answer as it can be compared with another, but for when it came and for what was asked for.

    A customer's own account may stand on each of their pages: then only the address is what they asked for.
    """
    sent = [asked.path] if asked.account == OWN else [asked.path, asked.account]
    headers, text = dict(answer.headers), answer.text
    headers.pop("date", None)
    for each in sent:
        headers = {name: value.replace(each, "…") for name, value in headers.items()}
        text = text.replace(each, "…")
    return answer.status_code, headers, text


@pytest.fixture(scope="module")
def matrix(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """One for all tests that record nothing."""
    store = stores.new("sqlite", tmp_path_factory.mktemp("matrix"), a_life)
    with served(store) as site:
        found = Matrix(site)
        with found.http:
            yield found


@pytest.fixture
def changing(site: Site) -> Iterator[Matrix]:
    """One for a test of its own, on each kind of store."""
    found = Matrix(site)
    with found.http:
        yield found


class TestPages:
    def test_whatever_the_navigation_leads_to_is_a_page_of_that_action(self, matrix: Matrix) -> None:
        actions = {each.path: each.action for each in matrix.pages}
        assert {entry.path: entry.action for entry in NAVIGATION}.items() <= actions.items()

    def test_who_may_sees_them_and_who_may_not_is_told_the_same_whoever_they_are_about(self, matrix: Matrix) -> None:
        for each, who in product(matrix.pages, EVERYBODY):
            answers = {of: matrix.see(who, Asked(each, of)) for of in ACCOUNTS}
            statuses = {of: answer.status_code for of, answer in answers.items()}
            cell = (str(each), who, statuses)
            if may(who, each):
                assert not {403, 405, 500, 501, 502, 503} & set(statuses.values()), cell
                assert "/sign-in" not in answers[OWN].headers.get("location", ""), cell
                if "{" not in each.path.replace("{account}", "").replace("{month}", ""):
                    assert statuses[OWN] in (200, 303, 422), (*cell, "say in routes.py what it is asked with")
                if Asked(each, OWN).is_of_an_account:
                    assert statuses[NOBODYS] == 404, cell
                    if who == "customer":
                        assert statuses[ANOTHERS] == 404, cell
            else:
                assert set(statuses.values()) == {404 if who == "customer" else 403}, cell
                assert len({repr(told(answer, Asked(each, of))) for of, answer in answers.items()}) == 1, cell

    def test_anothers_account_is_to_a_customer_as_if_it_were_not(self, matrix: Matrix) -> None:
        of_accounts = [each for each in (*matrix.pages, *matrix.forms) if "{account" in each.path]
        for endpoint, method in product(of_accounts, ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE")):
            asked = Endpoint(method, endpoint.path, endpoint.action)
            hidden, absent = (
                told(matrix.ask("customer", Asked(asked, of)), Asked(asked, of)) for of in (ANOTHERS, NOBODYS)
            )
            assert hidden == absent, (method, endpoint.path)

    def test_nobody_is_led_to_the_sign_in_and_back_whatever_they_asked_for(self, matrix: Matrix) -> None:
        for each, of in product(matrix.pages, ACCOUNTS):
            asked = Asked(each, of)
            for token in (None, "made-up"):
                answer = matrix.ask(None, asked, token)
                assert answer.status_code == 303, (str(each), answer.text)
                assert answer.headers["location"] == f"/sign-in?next={quote(asked.path, safe='/')}"
                assert "no-store" in answer.headers.get("cache-control", "no-store")

    def test_a_customers_pages_name_nothing_of_anothers(self, matrix: Matrix) -> None:
        for each in matrix.pages:
            answer = matrix.see("customer", Asked(each, OWN))
            assert not any(mark in f"{answer.headers}{answer.text}" for mark in MARKS), str(each)

    def test_what_somebody_wrote_in_html_is_shown_and_not_obeyed(self, matrix: Matrix) -> None:
        own = matrix.site.sign_in("customer", HOSTILE)
        for each, who in product(matrix.pages, ROLES):
            text = matrix.ask(who, Asked(each, HOSTILE), own if who == "customer" else None).text
            for obeyed in ("<script>alert", "<img src=x", "&amp;49"):
                assert obeyed not in text, (str(each), who)

    def test_every_answer_has_the_headers_of_a_page_and_brings_no_script_or_style_of_its_own(
        self, matrix: Matrix
    ) -> None:
        for each, who, of in product(matrix.pages, EVERYBODY, (OWN, NOBODYS)):
            answer = matrix.see(who, Asked(each, of))
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            cell = (str(each), who, of)
            for name in ("Content-Security-Policy", "Cache-Control", "X-Frame-Options", "X-Content-Type-Options"):
                assert answer.headers.get(name) == HEADERS[name], (cell, name)
            assert "Cookie" in answer.headers.get("vary", ""), cell
            assert re.findall(r"<[^>]* (?:style|on\w+)=|<style|<script(?! src=)|javascript:", answer.text) == [], cell


class TestForms:
    def test_who_may_not_is_refused_whoever_it_is_about(self, matrix: Matrix) -> None:
        before = matrix.recorded()
        for form, who in product(matrix.forms, EVERYBODY):
            if not may(who, form):
                answers = {of: matrix.ask(who, Asked(form, of)) for of in ACCOUNTS}
                cell = (str(form), who, {of: answer.status_code for of, answer in answers.items()})
                assert {answer.status_code for answer in answers.values()} == {404 if who == "customer" else 403}, (
                    cell
                )
                assert len({repr(told(answer, Asked(form, of))) for of, answer in answers.items()}) == 1, cell
        assert matrix.recorded() == before

    def test_a_form_that_none_of_our_pages_sent_is_refused(self, matrix: Matrix) -> None:
        """By somebody who may: without the token, with another session's, and from another site with the right."""
        before, own = matrix.recorded(), {"Origin": matrix.site.address, "Sec-Fetch-Site": "same-origin"}
        for form, who in product(matrix.forms, ROLES):
            if not may(who, form):
                continue
            token, another = matrix.tokens[who], matrix.site.csrf(matrix.site.sign_in(who))
            right = {"csrf": matrix.site.csrf(token)}
            for fields, headers in (
                ({}, own),
                ({"csrf": ""}, own),
                ({"csrf": another}, own),
                ({"csrf": token}, own),
                (right, {"Origin": ELSEWHERE}),
                (right, {"Origin": "null"}),
                (right, {"Origin": matrix.site.address, "Sec-Fetch-Site": "cross-site"}),
                (right, {"Sec-Fetch-Site": "same-site"}),
            ):
                answer = matrix.send(token, Asked(form, OWN), fields, headers)
                assert answer.status_code == 403, (str(form), who, fields, headers)
        assert matrix.recorded() == before

    def test_nobody_is_told_that_they_are_not_signed_in_whatever_they_send(self, matrix: Matrix) -> None:
        before = matrix.recorded()
        for form in matrix.forms:
            answers = {
                repr(told(matrix.ask(None, Asked(form, of), token), Asked(form, of)))
                for of, token in product(ACCOUNTS, (None, "made-up"))
            }
            assert len(answers) == 1, str(form)
            assert answers.pop().startswith("(403"), str(form)
        assert matrix.recorded() == before

    def test_forms_for_which_nobody_signs_in_are_taken_from_our_own_pages_only(self, matrix: Matrix) -> None:
        open_ones = [
            (method, route.path_format)
            for route in without_permission(matrix.site.app)
            for method in route.methods or ()
            if method not in ("GET", "HEAD") and route.path_format not in WITHOUT_CSRF
        ]
        assert ("POST", "/sign-out") in open_ones
        for method, path in open_ones:
            asked = Asked(Endpoint(method, path, "account.read"), OWN)
            for headers in ({"Origin": ELSEWHERE}, {"Sec-Fetch-Site": "cross-site", "Origin": matrix.site.address}):
                answer = matrix.send(matrix.tokens["finance"], asked, {}, headers)
                assert answer.status_code == 403, (path, headers, answer.status_code)
        assert matrix.site.csrf(matrix.tokens["finance"]), "nobody was signed out"

    def test_an_empty_form_of_who_may_is_answered_with_what_is_missing(self, changing: Matrix) -> None:
        for form, who in product(changing.forms, ROLES):
            if may(who, form):
                token = changing.site.sign_in(who)
                answer = changing.ask(who, Asked(form, OWN), token)
                assert answer.status_code not in (403, 405), (str(form), who)
                assert answer.status_code < 500, (str(form), who, answer.text)


def test_a_page_that_names_no_action_does_not_start(site: Site) -> None:
    careless = APIRouter()

    @careless.get("/console/careless")
    def shown() -> str:
        return "for everybody"

    with pytest.raises(Stop, match="/console/careless requires no permission"):
        create_app(site.house, [careless])


class TestTheMatrixItself:
    """Careless pages and forms, of which it must notice each."""

    def test_it_takes_careful_ones_for_sound(self, planted: Callable[[APIRouter], Matrix]) -> None:
        router = APIRouter(route_class=PageRoute)

        @router.get("/portal/{account}/careful")
        def shown(visitor: Annotated[Visitor, visits("account.read")], account: str) -> Response:
            return (
                page(visitor.frame, "base.html", title=f"About {account}") if is_there(account) else absent(visitor)
            )

        @router.get("/console/careful")
        def listed(visitor: Annotated[Visitor, visits("claim.read")]) -> Response:
            return page(visitor.frame, "base.html", title="Claims of all customers")

        @router.post("/portal/{account}/careful")
        def taken(visitor: Annotated[Visitor, submits("outage.report")], account: str) -> Response:
            return go_to(visitor, f"/portal/{account}/careful") if is_there(account) else absent(visitor)

        matrix = planted(router)
        assert {str(each) for each in (*matrix.pages, *matrix.forms)} == {
            "GET /console/careful",
            "GET /portal/{account}/careful",
            "POST /portal/{account}/careful",
        }
        for noticed in NOTICED:
            noticed(matrix)

    def test_it_notices_an_account_that_is_not_checked(self, planted: Callable[[APIRouter], Matrix]) -> None:
        router = APIRouter(route_class=PageRoute)

        @router.get("/portal/{account_id}/careless")
        def shown(visitor: Annotated[Visitor, visits("account.read")], account_id: str) -> Response:
            title = f"About {account_id}"
            return page(visitor.frame, "base.html", title=title) if is_there(account_id) else absent(visitor)

        matrix = planted(router)
        for noticed in (
            TestPages().test_who_may_sees_them_and_who_may_not_is_told_the_same_whoever_they_are_about,
            AS_IF_NOT,
        ):
            with pytest.raises(AssertionError, match="careless"):
                noticed(matrix)

    def test_it_notices_a_form_that_anybodys_page_may_send(self, planted: Callable[[APIRouter], Matrix]) -> None:
        router = APIRouter(route_class=PageRoute)

        @router.post("/console/careless")
        def taken(visitor: Annotated[Visitor, visits("outage.report")]) -> Response:
            return go_to(visitor, "/console")

        with pytest.raises(AssertionError, match="careless"):
            TestForms().test_a_form_that_none_of_our_pages_sent_is_refused(planted(router))

    def test_it_notices_what_is_not_escaped_and_a_style_within_a_page(
        self, planted: Callable[[APIRouter], Matrix]
    ) -> None:
        router = APIRouter(route_class=PageRoute)

        @router.get("/console/careless")
        def shown(visitor: Annotated[Visitor, visits("account.read")]) -> Response:
            return HTMLResponse(f"<p style='color: red'>{IN_HTML}</p>", headers=HEADERS)

        matrix = planted(router)
        for noticed in (
            TestPages().test_what_somebody_wrote_in_html_is_shown_and_not_obeyed,
            TestPages().test_every_answer_has_the_headers_of_a_page_and_brings_no_script_or_style_of_its_own,
        ):
            with pytest.raises(AssertionError, match="careless"):
                noticed(matrix)


AS_IF_NOT = TestPages().test_anothers_account_is_to_a_customer_as_if_it_were_not
NOTICED = (
    TestPages().test_who_may_sees_them_and_who_may_not_is_told_the_same_whoever_they_are_about,
    AS_IF_NOT,
    TestPages().test_nobody_is_led_to_the_sign_in_and_back_whatever_they_asked_for,
    TestPages().test_a_customers_pages_name_nothing_of_anothers,
    TestForms().test_who_may_not_is_refused_whoever_it_is_about,
    TestForms().test_a_form_that_none_of_our_pages_sent_is_refused,
    TestForms().test_nobody_is_told_that_they_are_not_signed_in_whatever_they_send,
    TestForms().test_an_empty_form_of_who_may_is_answered_with_what_is_missing,
)


def is_there(account: str) -> bool:
    return account in (OWN, ANOTHERS, HOSTILE)


def absent(visitor: Visitor) -> Response:
    return not_there(visitor.frame)


@pytest.fixture
def planted(stores: Stores, tmp_path: Path) -> Iterator[Callable[[APIRouter], Matrix]]:
    """A matrix of some routes that a site has besides its own, which it leaves out here."""
    with ExitStack() as closing:

        def plant(router: APIRouter) -> Matrix:
            site = closing.enter_context(served(stores.new("sqlite", tmp_path, a_life), router))
            found = Matrix(site)
            for each in (found.pages, found.forms):
                each[:] = [endpoint for endpoint in each if "/care" in endpoint.path]
            closing.enter_context(found.http)
            return found

        yield plant
