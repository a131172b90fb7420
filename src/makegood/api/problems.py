"""What goes wrong is answered as a problem document (RFC 9457): what it is, and what to do next.

No problem quotes what was sent, and none shows where in the program it arose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from consumers.part import reason_of
from consumers.upstream.findings import SENTENCES, shown
from ledger.store.database import Conflict, StoreError, Unavailable
from ledger.vault import Erased
from makegood.answers.explanation import SeveralHaveIt, Unexplained
from makegood.answers.unknown import Unknown
from makegood.api.paths import sent
from projections.asking import UnknownAccount

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
"""After how long whoever met a passing cause may try again."""


class WrongField(BaseModel):
    """One field that is wrong."""

    field: str = Field(description="The field as a dotted path; a header or a parameter by its name.")
    reason: str = Field(description="What is wrong with it, in words that do not quote it.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="What kind of problem it is; programs go by this.")
    title: str
    status: int
    detail: str = Field(description="What is wrong, and what to do next.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[WrongField] | None = Field(None, description="The fields that are wrong, where fields are.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; contract §3a lists them."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """What programs know it by."""
        return f"urn:makegood:problem:{self.name}"


UNREADABLE = Kind("unreadable", 400, "The request cannot be read")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Nobody is known to ask")
FORBIDDEN = Kind("forbidden", 403, "Your roles do not permit this")
NOT_FOUND = Kind("not-found", 404, "There is nothing here")
METHOD = Kind("method-not-allowed", 405, "This method is not for this address")
CONFLICT = Kind("conflict", 409, "This conflicts with what is recorded")
PRECONDITION = Kind("precondition-failed", 412, "The account has changed since it was read")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
MEDIA = Kind("unsupported-media-type", 415, "Bodies are JSON")
INVALID = Kind("invalid", 422, "Something in the request is wrong")
INTERNAL = Kind("internal", 500, "Makegood failed")
UNAVAILABLE = Kind("unavailable", 503, "Not now")

KINDS = (
    UNREADABLE,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD,
    CONFLICT,
    PRECONDITION,
    TOO_LARGE,
    MEDIA,
    INVALID,
    INTERNAL,
    UNAVAILABLE,
)
"""Every kind there is."""

NO_SUCH_ACCOUNT = (
    "there is no such account, or none that you may see; ids are compared letter by letter, capitals included"
)
_NO_SUCH_ADDRESS = "there is no such address; GET /openapi.json lists all"
_FAILED = "it is not your request's fault; try again later, and tell who runs this service if it stays"


class Refused(HTTPException):
    """A request that ends in a problem."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        errors: Sequence[WrongField] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind.status, detail, dict(headers or {}))
        self.kind = kind
        self.errors = errors


def invalid(field: str, reason: str) -> Refused:
    """One field of the request is wrong."""
    return Refused(INVALID, _fields_are_wrong([field]), [WrongField(field=field, reason=reason)])


def unavailable(detail: str) -> Refused:
    """A passing cause: whoever asks may try again."""
    return Refused(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def not_found(detail: str) -> Refused:
    """There is nothing of that name."""
    return Refused(NOT_FOUND, detail)


def problem(path: str, refused: Refused, more: Mapping[str, Any] | None = None) -> Response:
    """The document itself; `more` are members that one kind of problem has beside those of all."""
    content: dict[str, Any] = {
        "type": refused.kind.type,
        "title": refused.kind.title,
        "status": refused.kind.status,
        "detail": refused.detail,
        "instance": path,
    }
    if refused.errors:
        content["errors"] = [error.model_dump() for error in refused.errors]
    content |= more or {}
    return JSONResponse(content, refused.kind.status, refused.headers, MEDIA_TYPE)


def failed(path: str) -> Response:
    """The answer to an error that nobody expected."""
    return problem(path, Refused(INTERNAL, _FAILED))


def answer_problems(app: FastAPI) -> None:
    """Have every error of an application answered as a problem document."""

    async def handle(request: Request, error: Exception) -> Response:
        refused = as_refused(error)
        if refused.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            request.state.reason = reason_of(error)
        return problem(sent(request.scope), refused)

    for kind in (HTTPException, RequestValidationError, StoreError, Erased, Unexplained, Unknown, UnknownAccount):
        app.add_exception_handler(kind, handle)


def as_refused(error: Exception) -> Refused:
    """The problem that a known error is."""
    match error:
        case Refused():
            return error
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return _of_framework(error)
        case UnknownAccount():
            return not_found(NO_SUCH_ACCOUNT)
        case SeveralHaveIt():
            return Refused(CONFLICT, "several accounts have this id; say which with `account`")
        case Unexplained():
            return not_found("no claim, refund or credit has this id, or none that you may see; see GET /claims")
        case Unknown():
            return not_found("there is nothing of this name; ask for the list that it should stand in")
        case Conflict():
            return unavailable("other writers were faster every time; try again")
        case Unavailable():
            return unavailable("the store cannot be reached; try again")
        case Erased():
            return Refused(CONFLICT, "what this asks for was erased for good")
    return Refused(INTERNAL, _FAILED)


def _of_validation(error: RequestValidationError) -> Refused:
    errors = [
        WrongField(field=_field(details["loc"]), reason=_reason(details["loc"][0], details))
        for details in error.errors()
    ]
    return Refused(INVALID, _fields_are_wrong(error.field for error in errors), errors)


def _reason(place: int | str, details: Mapping[str, Any]) -> str:
    """Why a field is wrong: of a body in the words of messages, which have the same kinds of field."""
    reasons = REASONS | SENTENCES if place == "body" else REASONS
    reason: str = reasons.get(details["type"], details["msg"])
    return reason.format_map(details.get("ctx", {}))


REASONS = {
    "string_pattern_mismatch": "this leads nowhere: take it from where it was told, unchanged",
    "missing": "this is required",
    "extra_forbidden": "nothing of this name is known here: leave it out",
    "json_invalid": "this is not JSON",
}
"""Reasons in our words; those of other errors are pydantic's, which name what is expected and not what was sent."""


def _field(loc: Sequence[int | str]) -> str:
    """The dotted path of a field, without the word that says where in the request it stands."""
    return ".".join(shown(str(part)) for part in loc[1:]) or str(loc[0])


def _fields_are_wrong(fields: Iterable[str]) -> str:
    named = sorted(set(fields))
    return (
        "something is wrong with the fields that `errors` names"
        if len(named) > 1
        else ("something is wrong with the field that `errors` names")
    )


_OF_FRAMEWORK = {
    400: (UNREADABLE, "send the request as GET /openapi.json describes it"),
    404: (NOT_FOUND, _NO_SUCH_ADDRESS),
    405: (METHOD, "the header Allow names the methods that are"),
    413: (TOO_LARGE, "send at most 1 MiB; many messages go in several requests"),
    415: (MEDIA, "send JSON, and say so with Content-Type: application/json"),
}


def _of_framework(error: HTTPException) -> Refused:
    kind, detail = _OF_FRAMEWORK.get(
        error.status_code, (Kind("about", error.status_code, HTTPStatus(error.status_code).phrase), _FAILED)
    )
    return Refused(kind, detail, headers=error.headers)
