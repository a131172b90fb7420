"""Customers are found by an id, an e-mail address, a name or a telephone number."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from makegood.answers.search import ORDER, By, search
from makegood.pages.console.accounts import first_page_of, room_of
from makegood.pages.lists import FilterField, asked_list, shown_list
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import Visitor, house_of, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SEARCH = "/console/search"
ENTRIES = (Entry("support", "Find a customer", SEARCH, "customer.search"),)
LENGTH_MAX = 512
"""No id, name or address that can be found is longer."""
FOUND_BY: dict[By, str] = {
    "account": "the account's id",
    "claim": "a claim's id",
    "credit": "a credit's id",
    "email": "the e-mail address",
    "name": "the name",
    "number": "a telephone number",
    "refund": "a refund's id",
    "subscription": "a subscription's id",
}

_TEXT = (FilterField("text", "Id, e-mail address, name or telephone number"),)


@router.get(SEARCH)
def find(request: Request, visitor: Annotated[Visitor, visits("customer.search")]) -> Response:
    """The accounts that have what was asked for; a single one is shown itself."""
    asked = asked_list(request, _TEXT, ORDER)
    text = asked.given.get("text", "")
    if len(text) > LENGTH_MAX or not text.isprintable():
        asked.wrong["text"] = f"write at most {LENGTH_MAX} letters, in one line"
    found = (
        search(house_of(request), visitor.caller.sight, text, page=asked.page) if text and not asked.wrong else None
    )
    accounts = {each["account_id"] for each in found or ()}
    opens = visitor.may("account.read")
    if (
        found is not None
        and found.next is None
        and len(accounts) == 1
        and opens
        and "after" not in request.query_params
    ):
        return RedirectResponse(first_page_of(visitor, accounts.pop()), 303, {"Cache-Control": "no-store"})
    return page(
        visitor.frame.within(room_of(visitor)),
        "console/search.html",
        title="Find a customer",
        status=422 if asked.wrong else 200,
        asked=asked,
        shown=shown_list(request, asked, found) if found is not None else None,
        found_by=FOUND_BY,
        address_of=(lambda account: first_page_of(visitor, account)) if opens else None,
    )
