"""What is held about the customer: to look at, and to take along."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from makegood.answers.personal_data import personal_data
from makegood.pages.lists import slice_of
from makegood.pages.portal.here import PORTAL, here
from makegood.pages.portal.words import LANGUAGES
from makegood.pages.route import PageRoute
from makegood.pages.shell import HEADERS
from makegood.pages.visitor import Visitor, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Exporting = Annotated[Visitor, visits("subject.export")]


@router.get(PORTAL + "/data")
def own_data(request: Request, visitor: Exporting, account: str) -> Response:
    """Who the customer is, how much is held, which e-mails they were sent, and the download."""
    at = here(request, visitor, account)
    held = personal_data(at.house, account, visitor.caller.sight)
    locale = held["customer"]["locale"] if held["customer"] is not None else None
    spoken = LANGUAGES.get((locale or "").replace("_", "-").partition("-")[0].lower())
    return at.page(
        "data",
        title=at.words.own_data,
        held=held,
        emails=slice_of(request, "emails", held["emails"][::-1]),
        spoken=spoken.language if spoken is not None else locale,
        download=at.path("/data/download"),
    )


@router.get(PORTAL + "/data/download")
def download(request: Request, visitor: Exporting, account: str) -> Response:
    """The same as data."""
    at = here(request, visitor, account)
    text = json.dumps(personal_data(at.house, account, visitor.caller.sight), ensure_ascii=False, indent=2)
    # Opened as a page in spite of its type, it is still no markup.
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    named = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(text, 200, {**HEADERS, **named}, "application/json")
