"""Whatever goes wrong where people look ends in a page for people; programs get documents as ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from httpx import Response

from makegood.api.outermost import BODY_MAX
from makegood.pages.activation import activation_pages
from makegood.pages.route import PageRoute, is_of_a_page
from makegood.pages.shell import HEADERS, static_files
from projections.accounts import ACCOUNTS, REGISTRATIONS
from tests.pages.clients import Pages
from tests.pages.life import OWN

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@pytest.fixture
def pages(open_pages: Callable[..., Pages]) -> Pages:
    return open_pages()


def is_a_page(answer: Response, status: int) -> bool:
    """Whether an answer is a page with a frame and headers as all have them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    return answer.headers["content-type"].startswith("text/html") and "<h1>" in answer.text


@pytest.mark.parametrize("path", ["/console/nothing", "/portal/a/b/c/d/e", "/sign-in/nothing", "/console/months/x/y"])
def test_an_unknown_address_is_a_page_that_leads_on(pages: Pages, path: str) -> None:
    for client in (pages.client(), pages.staff("finance"), pages.customer(OWN)):
        answer = client.get(path)
        assert is_a_page(answer, 404)
        assert "This page does not exist" in answer.text
        assert 'href="/"' in answer.text


def test_who_is_signed_in_keeps_the_way_around(pages: Pages) -> None:
    assert 'href="/console/months"' in pages.staff("finance").get("/console/nothing").text


def test_a_method_that_a_page_does_not_take_is_a_page(pages: Pages) -> None:
    answer = pages.staff("finance").post("/console/refunds")
    assert is_a_page(answer, 405)
    assert "GET" in answer.headers["allow"]
    assert is_a_page(pages.client().post("/"), 405)


def test_a_form_that_is_too_large_is_a_page(pages: Pages) -> None:
    answer = pages.staff("finance").post("/console/reconciliation", content=b"x" * (BODY_MAX + 1))
    assert is_a_page(answer, 413)
    assert "Shorten its longest text" in answer.text


@pytest.mark.parametrize(
    ("language", "too_large", "failed"),
    [
        ("en", "Shorten its longest text", "This did not work"),
        ("de", "Kürzen Sie den längsten Text", "Das hat nicht geklappt"),
    ],
)
def test_customers_read_of_failures_in_their_language(
    pages: Pages, language: str, too_large: str, failed: str
) -> None:
    client = pages.customer(OWN, language=language)
    answer = client.post(f"/portal/{OWN}/complaints/open", content=b"x" * (BODY_MAX + 1))
    assert is_a_page(answer, 413)
    assert too_large in answer.text
    with pages.house.database.writing() as transaction:
        transaction.run(f"DROP TABLE {ACCOUNTS.stored_name(REGISTRATIONS)}")
    answer = client.get(f"/portal/{OWN}")
    assert is_a_page(answer, answer.status_code)
    assert (answer.status_code >= 500, failed in answer.text) == (True, True)
    others = {"en": "Nothing was recorded", "de": "Es wurde nichts aufgezeichnet"}
    assert {code: text in answer.text for code, text in others.items()} == {code: code == language for code in others}


def test_programs_get_a_document(pages: Pages) -> None:
    for path in ("/nothing", "/consoles", "/claims/x/y/z"):
        answer = pages.client().get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_every_page_is_a_route_whose_errors_are_pages(pages: Pages) -> None:
    apart: tuple[APIRouter, ...] = (static_files, activation_pages(pages.house))
    known = {route.path for router in apart for route in router.routes if isinstance(route, APIRoute)}
    found = [route for route in pages.app.routes if isinstance(route, APIRoute) and "/activate" not in route.path]
    of_pages = [route for route in found if is_of_a_page(route.path)]
    assert len(of_pages) > 20
    assert [route.path for route in of_pages if not isinstance(route, PageRoute)] == []
    assert [route.path for route in found if isinstance(route, PageRoute) and not is_of_a_page(route.path)] == []
    assert not known & {route.path for route in of_pages}
