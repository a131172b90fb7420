"""Versions of accounts: what was read tells its own in `ETag`, and who changes it may insist on it (RFC 9110)."""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from makegood.answers.account import AccountFound
from makegood.api.problems import PRECONDITION, Refused

_TAG = re.compile(r'"(\d{1,18})-\d{1,9}"', re.ASCII)
_TAGS = re.compile(r'(?:W/)?("[^"]*")')

_TAG_SCHEMA = {"type": "string", "pattern": '^"[0-9]+-[0-9]+"$', "examples": ['"17-0"']}
TELLS_VERSION: dict[str, Any] = {
    "headers": {"ETag": {"description": "The account's version, where one can be told.", "schema": _TAG_SCHEMA}}
}
STILL_THE_SAME: dict[str, Any] = {"description": "It is still of the version in If-None-Match."}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags of the account as it was read before: where one still holds, the answer is 304.",
    "schema": {"type": "string", "examples": ['"17-0"']},
}


def answer_version(request: Request, found: AccountFound) -> Response:
    """An account with its version, or only that it is still of the version that the caller has."""
    if found.version is None:
        return JSONResponse(found.answer)
    tag = tag_of(found.version, found.answer["set_aside"])
    had = request.headers.get("if-none-match")
    if had is not None and (had.strip() == "*" or tag in _TAGS.findall(had)):
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse(found.answer, headers={"ETag": tag})


def tag_of(version: int, set_aside: int = 0) -> str:
    """The ETag of an account's version. How many of its messages are set aside is shown with it, and no version."""
    return f'"{version}-{set_aside}"'


def expected_version(request: Request) -> int | None:
    """The version that the account must still have, by the one ETag in If-Match; None where any will do.

    Raises Refused for what is no ETag of an account: nothing can be of that version.
    """
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return None
    match = _TAG.fullmatch(wanted.strip())
    if match is None:
        raise changed()
    return int(match[1])


def changed() -> Refused:
    """The account is not of the version that the caller insists on."""
    return Refused(PRECONDITION, "read the account again, and send its new ETag in If-Match once you have seen it")
