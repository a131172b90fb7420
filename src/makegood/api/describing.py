"""The description of the API (OpenAPI 3.1), with everything that all routes have in common."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ledger.store.positions import FIRST_SHARD, PATTERN, Position
from makegood.answers.caught_up import PATIENCE_SECONDS
from makegood.api import problems
from makegood.api.events import SCHEMAS
from makegood.api.problems import MEDIA_TYPE, Problem
from makegood.api.wait_for import WAIT_FOR

_ABOUT = """The ledger that makes good on what a VoIP provider promises its customers.

Amounts are strings in major units. Instants are RFC 3339 in UTC. Lists are arrays, in pages with a `Link` to the next
one. Errors are problem documents (RFC 9457) that say what to do next. Every request needs `Authorization: Bearer …`;
the caller's roles decide what is permitted, and everything else is denied.
"""


_TAGS = {
    "Claims and payments": "Claims, refunds and credits, with their explanations.",
    "Exports": "Lists as files: all rows, not in pages.",
    "Payouts": "Decisions about refunds, credits and overpaid claims.",
    "Finance": "Amounts owed, movements and changes across all accounts.",
    "Accounts": "One account: as it stands, as it stood, and how it came about.",
    "Audit": "Evidence for auditors: the log with its checkpoints, and differences between two moments.",
    "Subscriptions": "Cancelling, suspending, reinstating and terminating.",
    "Outages": "Failures of service.",
    "Disputes": "Billing errors under investigation.",
    "Complaints": "Complaints, their notes and links.",
    "Goodwill": "Goodwill credits, proposed and decided.",
    "Months": "Closed months, their figures recomputed, and cut-off reports.",
    "Reconciliation": "Payment processors' files, and discrepancies with what went out.",
    "Personal data": "Personal data of customers: exporting and erasing them.",
    "Messages": "Messages of upstream systems: sent, refused, set aside, waiting or lost.",
    "Machinery": "Agreements, roles and keys, the status, and the answers to monitors.",
}


def describe(app: FastAPI) -> None:
    """Have an application describe itself."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Makegood",
        version=version("makegood"),
        description=_ABOUT,
        routes=app.routes,
        servers=[{"url": "/", "description": "The address that this document came from."}],
        tags=[{"name": name, "description": said} for name, said in _TAGS.items()],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    whole = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= whole.pop("$defs") | SCHEMAS
    schemas["Problem"] = whole
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    operation.setdefault("security", [])
    for parameter in operation.get("parameters", ()):
        _without_null(parameter)
    responses = operation["responses"]
    responses.pop("422", None)
    for kind in _kinds(path, method, operation):
        known = responses.setdefault(str(kind.status), {"description": kind.title})
        known["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        if kind in (problems.TOO_MANY, problems.UNAVAILABLE):
            known["headers"] = {"Retry-After": _RETRY_AFTER}
    if method == "get" and operation.get("security"):
        operation.setdefault("parameters", []).append(_WAIT_FOR)
        if any(parameter["name"] == "after" for parameter in operation["parameters"]):
            responses["200"]["headers"] = {"Link": _LINK}


def _without_null(parameter: dict[str, Any]) -> None:
    """A parameter that may be left out is not sent as null."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]


def _kinds(path: str, method: str, operation: dict[str, Any]) -> list[problems.Kind]:
    """The problems that an operation can end in."""
    if not operation.get("security"):
        return [problems.TOO_LARGE, problems.INTERNAL]
    kinds = [
        problems.UNAUTHENTICATED,
        problems.FORBIDDEN,
        problems.INVALID,
        problems.TOO_MANY,
        problems.INTERNAL,
        problems.UNAVAILABLE,
    ]
    if "{" in path or path in ("/explanations", "/log/checkpoint"):
        kinds.append(problems.NOT_FOUND)
    if path == "/explanations":
        kinds.append(problems.CONFLICT)
    if method in ("post", "put", "patch"):
        kinds += [problems.UNREADABLE, problems.CONFLICT, problems.PRECONDITION, problems.TOO_LARGE, problems.MEDIA]
    return kinds


_WAIT_FOR = {
    "name": WAIT_FOR,
    "in": "header",
    "required": False,
    "description": (
        "A position from the Makegood-Position header of a write: the answer includes that write. "
        f"After {PATIENCE_SECONDS:.0f} s without it the answer is 503."
    ),
    "schema": {"type": "string", "pattern": PATTERN, "examples": [str(Position(FIRST_SHARD, 1))]},
}
_RETRY_AFTER = {"description": "The seconds to wait before the next try.", "schema": {"type": "integer"}}
_LINK = {
    "description": 'The address of the next page, if there is one, with `rel="next"` (RFC 8288).',
    "schema": {"type": "string"},
}
