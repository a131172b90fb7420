"""The route of a page: whatever goes wrong ends in a page that says what to do, and never in a document for
programs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consumers.part import reason_of
from ledger.store.database import NotPermitted, StoreError
from ledger.store.vault_keys import VaultMismatch
from ledger.vault import Erased, Gone
from makegood.answers.explanation import Unexplained
from makegood.answers.unknown import Unknown
from makegood.pages.shell import Frame, page
from makegood.pages.visitor import HOME, TurnedAway, frame_of, not_there, presence_of
from projections.asking import UnknownAccount

RETRY_SECONDS = 5
"""The `Retry-After` of a temporary failure."""


class PageRoute(APIRoute):
    """A page, or a form of one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """How a request is answered."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except TurnedAway as turned_away:
                return turned_away.response
            except (UnknownAccount, Unknown, Unexplained, RequestValidationError, HTTPException):
                return not_there(_frame(request))
            except (StoreError, Gone) as error:
                request.state.reason = reason_of(error)
                return _failed(request, *_why(error))
            except Exception as error:
                request.state.reason = reason_of(error)
                return _failed(
                    request,
                    500,
                    "The error is on our side, not in what you did. Try again later, and tell the operator if it "
                    "persists.",
                )

        return answered


def _why(error: Exception) -> tuple[int, str]:
    match error:
        case Erased():
            return 410, "The personal data that this page needs was erased for good."
        case Gone():
            return 410, "The key of the personal data that this page needs was lost for good."
        case VaultMismatch():
            return 503, "The key database is not this store's. Ask the server's operator to restore it."
        case NotPermitted():
            return 503, "The server may only read its database. Ask its operator to permit writing."
    return 503, "The database cannot be reached, or too many changes came at once. Try again in a moment."


def _failed(request: Request, status: int, why: str) -> Response:
    return page(
        _frame(request),
        "turned_away.html",
        title="This did not work",
        status=status,
        headers={"Retry-After": str(RETRY_SECONDS)} if status == 503 else {},
        paragraphs=(why, "Nothing was recorded."),
        leads_to=(HOME, "To the first page"),
    )


def _frame(request: Request) -> Frame:
    """What stands around a page, as far as it can be known now."""
    try:
        return frame_of(request, presence_of(request))
    except StoreError:
        return Frame()
