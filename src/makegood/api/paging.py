"""Lists in pages: plain arrays, as the command line gives them whole, with a link to the next page (RFC 8288).

The link holds the key of a page's last row, which the next page goes on after (ledger/store/reading/page.py).
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import JSONResponse, Response

from ledger.store.reading.page import Key, Listed, Order, Page
from makegood.answers.cursors import CURSOR_LENGTH_MAX, cursor_of, key_in
from makegood.api.paths import sent
from makegood.api.problems import Refused, invalid

LIMIT, LIMIT_MAX = 100, 1_000

Limit = Annotated[
    int, Query(ge=1, le=LIMIT_MAX, description="Maximum number of rows; the header Link leads to the next page.")
]
After = Annotated[
    str | None,
    Query(
        max_length=CURSOR_LENGTH_MAX,
        pattern="^[A-Za-z0-9_=-]+$",
        description="The cursor from the Link header of the previous page, unchanged.",
    ),
]


def pages(order: Order) -> Any:
    """The page that is asked for, of a list in an order."""

    def asked(limit: Limit = LIMIT, after: After = None) -> Page:
        return Page(limit, _key(order, after) if after is not None else None)

    return Depends(asked)


def answer_page(
    request: Request, rows: Listed[Any], answer: Any = None, response: Response | None = None
) -> Response:
    """A page, with the address of the next one where there is one.

    `answer` has the rows in it, if it has more, and `response` if it is no JSON.
    """
    response = response or JSONResponse(rows if answer is None else answer)
    if rows.next is not None:
        response.headers["Link"] = f'<{_address(request, cursor_of(rows.next))}>; rel="next"'
    return response


def _key(order: Order, cursor: str) -> Key:
    try:
        return key_in(cursor, order)
    except ValueError:
        raise _unreadable() from None


def _address(request: Request, cursor: str) -> str:
    parameters = {**request.query_params, "after": cursor}
    return f"{sent(request.scope)}?{urlencode(parameters)}"


def _unreadable() -> Refused:
    return invalid("after", "invalid cursor: take it from the Link header of a page, or leave it out to start over")
