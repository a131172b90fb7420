"""Lists in pages: plain arrays, as the command line gives them whole, with a link to the next page (RFC 8288).

A page goes on after the last row of the one before, by that row's key, so that rows which come or go meanwhile make
no other row be missed or shown twice.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic_core import from_json, to_json
from starlette.responses import JSONResponse, Response

from makegood.api.paths import sent
from makegood.api.problems import Refused, invalid
from projections.page import Page

LIMIT, LIMIT_MAX = 100, 1_000
CURSOR_LENGTH_MAX = 12_000

Answer = dict[str, Any]
Key = tuple[str | int, ...]

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


@dataclass(frozen=True, slots=True)
class Listing:
    """The order of a list: the key of each row, which is unique."""

    key: Callable[[Answer], Key]
    shape: tuple[type, ...]

    def asked(self, limit: int, after: str | None) -> Page:
        """The requested page, with one row more than is shown, which tells whether there is a next page."""
        return Page(limit + 1, self._after(after) if after is not None else None)

    def answer(self, request: Request, rows: Sequence[Answer], page: Page) -> Response:
        """The page, taken from ordered rows that may begin before it and end after it."""
        after = page.after
        rest = rows if after is None else [row for row in rows if self.key(row) > after]
        shown = rest[: page.limit - 1]
        response = JSONResponse(shown)
        if len(rest) > len(shown):
            response.headers["Link"] = f'<{_address(request, _cursor(self.key(shown[-1])))}>; rel="next"'
        return response

    def _after(self, cursor: str) -> Key:
        try:
            found = from_json(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            raise _unreadable() from None
        fits = isinstance(found, list) and tuple(type(part) for part in found) == self.shape
        if not fits or any((isinstance(part, str) and "\0" in part) or _too_great(part) for part in found):
            raise _unreadable()
        return tuple(found)


def _too_great(part: Any) -> bool:
    return isinstance(part, int) and not -(2**63) <= part < 2**63


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(to_json(key)).decode("ascii")


def _address(request: Request, cursor: str) -> str:
    parameters = {**request.query_params, "after": cursor}
    return f"{sent(request.scope)}?{urlencode(parameters)}"


def _unreadable() -> Refused:
    return invalid("after", "invalid cursor: take it from the Link header of a page, or leave it out to start over")
