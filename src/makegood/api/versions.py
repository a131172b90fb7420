"""Versions of accounts: `ETag`, `If-None-Match` and `If-Match` (RFC 9110)."""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from makegood.answers.account import AccountFound
from makegood.api.problems import changed

_TAG = re.compile(r'"(\d{1,18})-\d{1,9}"', re.ASCII)
_TAGS = re.compile(r'(?:W/)?("[^"]*")')

_TAG_SCHEMA = {"type": "string", "pattern": '^"[0-9]+-[0-9]+"$', "examples": ['"17-0"']}
TELLS_VERSION: dict[str, Any] = {
    "headers": {"ETag": {"description": "The account's version, where it has one.", "schema": _TAG_SCHEMA}}
}
STILL_THE_SAME: dict[str, Any] = {"description": "Not modified since the version in If-None-Match"}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags of earlier reads of the account. The answer is 304 while one of them is current.",
    "schema": {"type": "string", "examples": ['"17-0"']},
}


def answer_version(request: Request, found: AccountFound) -> Response:
    """An account with its ETag, or 304 where the caller has the current version."""
    if found.version is None:
        return JSONResponse(found.answer)
    tag = tag_of(found.version, found.answer["set_aside"])
    had = request.headers.get("if-none-match")
    if had is not None and (had.strip() == "*" or tag in _TAGS.findall(had)):
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse(found.answer, headers={"ETag": tag})


def tag_of(version: int, set_aside: int = 0) -> str:
    """An account's ETag: its version, and its number of messages set aside, which changes without a new version."""
    return f'"{version}-{set_aside}"'


def expected_version(request: Request) -> int | None:
    """The account version that the caller requires in If-Match; None where the caller requires none.

    Raises Refused where If-Match holds anything but one ETag of an account, because no version can match it.
    """
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return None
    match = _TAG.fullmatch(wanted.strip())
    if match is None:
        raise changed()
    return int(match[1])
