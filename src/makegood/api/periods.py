"""Months over HTTP: the closed ones, one with its figures worked out anew, its cut-off report, and closing it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from ledger.application import requests
from ledger.application.acts import By
from ledger.application.periods import PeriodRefused
from ledger.application.requests import KeyReused
from ledger.store.reading.events import find_event
from ledger.store.reading.page import Page
from makegood.access.caller import Caller
from makegood.answers import periods as answering
from makegood.answers.periods import CutOff, PeriodInFull
from makegood.api.act_request import KEY, Key, check_key
from makegood.api.acts.bodies import like
from makegood.api.asked import InMonth
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.problems import CONFLICT, Refused, invalid, unavailable
from makegood.api.questions import answers
from makegood.api.wait_for import POSITION
from projections import periods as closings

router = APIRouter(tags=["Months"], route_class=Guarded)


ThePeriod = Annotated[InMonth, Path(description="The month.", examples=["2026-01"])]


class ClosePeriod(BaseModel):
    """Close a month."""

    model_config = like()


CLOSE = ClosePeriod()
"""A body that says nothing: there need be none."""

_CALCULATING = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """One month at a time is worked out in a process: it takes long, and others wait for the processor meanwhile.

    Raises Refused.
    """
    if not _CALCULATING.acquire(blocking=False):
        raise unavailable("the figures of a month are being calculated for another request; try again")
    try:
        yield
    finally:
        _CALCULATING.release()


@router.get("/periods", summary="List closed months", responses=answers(list[closings.Period]))
def periods(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("period.read")],
    page: Annotated[Page, pages(closings.ORDER)],
) -> Response:
    """The closed months in their order, as they were closed."""
    return answer_page(request, answering.periods(house, page))


@router.get("/periods/{period}", summary="Get a month", responses=answers(PeriodInFull))
def period(
    house: TheHouse,
    _: Annotated[Caller, allowed("period.read")],
    period: ThePeriod,
) -> Response:
    """A closed month as it was closed, with whether its figures follow from the events; an open one as it stands."""
    with alone():
        return JSONResponse(answering.period(house, period))


@router.get("/periods/{period}/cut-off", summary="Get a month's cut-off report", responses=answers(CutOff))
def cut_off(house: TheHouse, _: Annotated[Caller, allowed("period.read")], period: ThePeriod) -> Response:
    """Movements of this month that are booked in a later one, and those of earlier months that are booked in it."""
    with alone():
        return JSONResponse(answering.cut_off(house, period))


@router.post(
    "/periods/{period}/close",
    summary="Close a month",
    responses={
        HTTPStatus.CREATED.value: {
            "model": PeriodInFull,
            "description": "Closed",
            "headers": {
                POSITION: {"description": "The position of the closing's event.", "schema": {"type": "string"}}
            },
        }
    },
)
def close_period(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("period.close")],
    period: ThePeriod,
    key: Key = None,
    _: Annotated[ClosePeriod, Body()] = CLOSE,
) -> Response:
    """Close a month that has ended, for good, with everything known of it now. It is never opened again."""
    check_key(key)
    assert key is not None
    asked = requests.Request(
        caller.principal, key, requests.digest_of(house.ledger, f"POST /periods/{period}/close".encode())
    )
    try:
        with alone():
            closing, answer = answering.close(house, period, By(caller.principal, CHANNEL), request=asked)
    except KeyReused:
        raise invalid(KEY, "this key was used for another request: choose a new key for every request") from None
    except PeriodRefused as refused:
        raise Refused(CONFLICT, str(refused)) from None
    request.app.state.recorded()
    with house.database.reading() as transaction:
        stored = find_event(transaction, closing.event_id)
    assert stored is not None, "it was recorded"
    return JSONResponse(answer, HTTPStatus.CREATED.value, {POSITION: str(stored.at)})
