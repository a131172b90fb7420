"""Errors as problem documents (RFC 9457): the kind of problem, and what to do next.

No problem quotes the request, and none shows where in the program it arose.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
from ledger.store.database import Conflict, NotPermitted, StoreError, Unavailable
from ledger.store.reading.shards import WrongShard
from ledger.store.vault_keys import VaultMismatch
from ledger.vault import Erased, Gone
from makegood.acts.refused import NO_SUCH_ACCOUNT, ActRefused, WrongField
from makegood.answers.explanation import SeveralHaveIt, Unexplained
from makegood.answers.filters import FilterRefused
from makegood.answers.periods import Calculating
from makegood.answers.unknown import Unknown
from makegood.api.paths import sent
from projections.asking import UnknownAccount

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
"""The `Retry-After` of a temporary failure."""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="The kind of problem, for programs.")
    title: str
    status: int
    detail: str = Field(description="The cause, and what to do next.")
    instance: str = Field(description="The path of the request.")
    errors: list[WrongField] | None = Field(None, description="The invalid fields, if there are any.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; contract §3a lists them."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The URN that programs recognise it by."""
        return f"urn:makegood:problem:{self.name}"


UNREADABLE = Kind("unreadable", 400, "Malformed request")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Authentication required")
FORBIDDEN = Kind("forbidden", 403, "Permission denied")
NOT_FOUND = Kind("not-found", 404, "Not found")
METHOD = Kind("method-not-allowed", 405, "Method not allowed")
CONFLICT = Kind("conflict", 409, "Conflict with the recorded state")
PRECONDITION = Kind("precondition-failed", 412, "Account changed since it was read")
TOO_LARGE = Kind("too-large", 413, "Request too large")
MEDIA = Kind("unsupported-media-type", 415, "Unsupported media type")
INVALID = Kind("invalid", 422, "Invalid request")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests")
INTERNAL = Kind("internal", 500, "Internal error")
UNAVAILABLE = Kind("unavailable", 503, "Temporarily unavailable")

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
    TOO_MANY,
    INTERNAL,
    UNAVAILABLE,
)
"""All kinds of problem."""

_NO_SUCH_ADDRESS = "this address does not exist; GET /openapi.json lists all addresses"
_FAILED = "the error is on our side, not in your request; try again later, and tell the operator if it persists"


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
    """One field of the request is invalid."""
    return Refused(INVALID, _fields_are_wrong([field]), [WrongField(field=field, reason=reason)])


def unavailable(detail: str) -> Refused:
    """A temporary failure, with `Retry-After`."""
    return Refused(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def not_found(detail: str) -> Refused:
    """The requested object does not exist, or the caller has no access to it."""
    return Refused(NOT_FOUND, detail)


def changed() -> Refused:
    """The account does not have the version that the caller requires."""
    return Refused(PRECONDITION, "read the account again, check what has changed, and send its new ETag in If-Match")


def problem(path: str, refused: Refused, more: Mapping[str, Any] | None = None) -> Response:
    """The problem document; `more` are the further members of one kind of problem."""
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


def failed() -> Refused:
    """An unexpected error."""
    return Refused(INTERNAL, _FAILED)


Refusing = Callable[[Request, Refused], Awaitable[Response]]
"""How a request is answered that ends in a problem."""


async def as_document(request: Request, refused: Refused) -> Response:
    """The answer to programs: a problem document."""
    return problem(sent(request.scope), refused)


def answer_problems(app: FastAPI, refusing: Refusing) -> None:
    """Have every error of an application answered as a problem."""

    async def handle(request: Request, error: Exception) -> Response:
        refused = as_refused(error)
        if refused.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            request.state.reason = reason_of(error)
        return await refusing(request, refused)

    for kind in (
        HTTPException,
        RequestValidationError,
        ActRefused,
        Calculating,
        StoreError,
        Gone,
        Unexplained,
        FilterRefused,
        Unknown,
        UnknownAccount,
    ):
        app.add_exception_handler(kind, handle)


def as_refused(error: Exception) -> Refused:
    """The problem that stands for a known error."""
    match error:
        case Refused():
            return error
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return _of_framework(error)
        case ActRefused():
            return _of_act(error)
        case UnknownAccount():
            return not_found(NO_SUCH_ACCOUNT)
        case SeveralHaveIt():
            return Refused(CONFLICT, "several accounts have this id; choose one with the parameter `account`")
        case Unexplained():
            return not_found(
                "no claim, refund or credit has this id, or you have no access to it; GET /claims lists the claims"
            )
        case FilterRefused():
            return invalid(error.word, str(error))
        case Unknown():
            return not_found("this name or id does not exist; see the list that it belongs to")
        case Calculating():
            return unavailable("the figures of a month are being calculated for another request; try again")
        case Conflict():
            return unavailable("too many simultaneous changes; try again")
        case VaultMismatch():
            return unavailable("the key database is not this store's: ask the server's operator to restore it")
        case Unavailable():
            return unavailable("the database cannot be reached; try again")
        case NotPermitted():
            return unavailable("the server may only read its database: ask its operator to permit writing")
        case WrongShard():
            return Refused(
                INVALID,
                "an account of this request is in another shard than this server answers for: ask that shard's",
            )
        case Erased():
            return Refused(CONFLICT, "the personal data that this request needs was erased for good")
        case Gone():
            return Refused(CONFLICT, "the key of the personal data that this request needs was lost for good")
    return Refused(INTERNAL, _FAILED)


def _of_act(refused: ActRefused) -> Refused:
    if refused.why == "changed":
        return changed()
    return Refused(_WHY[refused.why], refused.detail, refused.errors)


_WHY = {"invalid": INVALID, "conflict": CONFLICT, "not_found": NOT_FOUND}


def _of_validation(error: RequestValidationError) -> Refused:
    errors = [
        WrongField(field=_field(details["loc"]), reason=_reason(details["loc"][0], details))
        for details in error.errors()
    ]
    return Refused(INVALID, _fields_are_wrong(error.field for error in errors), errors)


def _reason(place: int | str, details: Mapping[str, Any]) -> str:
    """The reason why a field is invalid: in a body the same as in a message, which has the same kinds of field."""
    reasons = REASONS | SENTENCES if place == "body" else REASONS
    reason: str = reasons.get(details["type"], details["msg"])
    return reason.format_map(details.get("ctx", {}))


REASONS = {
    "string_pattern_mismatch": "invalid value: use it exactly as Makegood returned it",
    "missing": "required",
    "extra_forbidden": "unknown name: leave it out",
    "json_invalid": "invalid JSON",
}
"""Our own reasons; all others are pydantic's, which name the expected value and never quote the one sent."""


def _field(loc: Sequence[int | str]) -> str:
    """The dotted path of a field, without the part of the request (body, query, header) that it is in."""
    return ".".join(shown(str(part)) for part in loc[1:]) or str(loc[0])


def _fields_are_wrong(fields: Iterable[str]) -> str:
    named = sorted(set(fields))
    return f"correct the {'fields' if len(named) > 1 else 'field'} listed in `errors`"


_OF_FRAMEWORK = {
    400: (UNREADABLE, "send the request in the form that GET /openapi.json describes"),
    404: (NOT_FOUND, _NO_SUCH_ADDRESS),
    405: (METHOD, "use one of the methods in the header Allow"),
    413: (TOO_LARGE, "send at most 1 MiB; split many messages over several requests"),
    415: (MEDIA, "send JSON with Content-Type: application/json"),
}


def _of_framework(error: HTTPException) -> Refused:
    kind, detail = _OF_FRAMEWORK.get(
        error.status_code, (Kind("about", error.status_code, HTTPStatus(error.status_code).phrase), _FAILED)
    )
    return Refused(kind, detail, headers=error.headers)
