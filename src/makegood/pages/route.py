"""The route of a page: whatever goes wrong ends in a page that says what to do, and never in a document for
programs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consumers.part import reason_of
from ledger.store.database import NotPermitted, StoreError
from ledger.store.vault_keys import VaultMismatch
from ledger.vault import Erased, Gone
from makegood.answers.explanation import Unexplained
from makegood.answers.periods import Calculating
from makegood.answers.unknown import Unknown
from makegood.pages.shell import Frame, page
from makegood.pages.turned_away_words import words_in
from makegood.pages.visitor import HOME, TurnedAway, frame_of, not_there, presence_of
from projections.asking import UnknownAccount

RETRY_SECONDS = 5
"""The `Retry-After` of a temporary failure."""

_ROOMS = ("/console", "/portal", "/sign-in", "/sign-out")


def is_of_a_page(path: str) -> bool:
    """Whether an address is of a page, or of one that there could be: a person looks, and no program."""
    return path == HOME or any(path == room or path.startswith(f"{room}/") for room in _ROOMS)


def error_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The page for a request that came to no page of its own, by the status of the answer."""
    frame = _frame(request)
    words = words_in(frame.language)
    if status == 413:
        return _failed(frame, status, words.too_large, headers)
    if status >= 500:
        return _failed(frame, status, words.unavailable if status == 503 else words.our_error, headers)
    return not_there(frame, status, headers)


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
            except (UnknownAccount, Unknown, Unexplained, RequestValidationError):
                return await run_in_threadpool(error_page, request, 404)
            except HTTPException as error:
                return await run_in_threadpool(error_page, request, error.status_code, error.headers)
            except Exception as error:
                request.state.reason = reason_of(error)
                frame = await run_in_threadpool(_frame, request)
                return _failed(frame, *_why(error, frame))

        return answered


def _why(error: Exception, frame: Frame) -> tuple[int, str]:
    words = words_in(frame.language)
    match error:
        case Erased():
            return 410, words.erased
        case Gone():
            return 410, words.key_lost
        case Calculating() if not frame.is_customer:
            return 503, "The figures of a month are being calculated for another page. Try again in a moment."
        case VaultMismatch() if not frame.is_customer:
            return 503, "The key database is not this store's. Ask the server's operator to restore it."
        case NotPermitted() if not frame.is_customer:
            return 503, "The server may only read its database. Ask its operator to permit writing."
        case Calculating() | VaultMismatch() | StoreError():
            return 503, words.unavailable
    return 500, words.our_error


def _failed(frame: Frame, status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    words = words_in(frame.language)
    return page(
        frame,
        "turned_away.html",
        title=words.failed,
        status=status,
        headers={**({"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}), **(headers or {})},
        paragraphs=(why, words.nothing_recorded),
        leads_to=(HOME, words.first_page),
        **words.frame,
    )


def _frame(request: Request) -> Frame:
    """What stands around a page, as far as it can be known now."""
    try:
        return frame_of(request, presence_of(request))
    except StoreError:
        return Frame()
