"""Months over HTTP: the closed ones, one with its figures worked out anew, its cut-off report, and closing it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request
from starlette.responses import JSONResponse, Response

from ledger.store.reading.page import Page
from makegood.access.caller import Caller
from makegood.acts import periods as acts
from makegood.acts.periods import ClosePeriod
from makegood.answers import periods as answering
from makegood.answers.periods import CutOff, PeriodInFull, alone
from makegood.api.act_request import Key, keyed
from makegood.api.asked import InMonth
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.questions import answers
from makegood.api.wait_for import POSITION
from projections import periods as closings

router = APIRouter(tags=["Months"], route_class=Guarded)


ThePeriod = Annotated[InMonth, Path(description="The month.", examples=["2026-01"])]


CLOSE = ClosePeriod()
"""A body that says nothing: there need be none."""


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
    closed = acts.close_period(keyed(request, house, caller, key), period)
    return JSONResponse(closed.period, HTTPStatus.CREATED.value, {POSITION: str(closed.position)})
