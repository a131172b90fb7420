"""Closing a month: what it comes to, what was booked late, and the button that closes it for good."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.application.acts import By
from ledger.values import Month
from makegood.acts.once import Once
from makegood.acts.periods import close_period
from makegood.acts.refused import ActRefused
from makegood.answers.periods import Calculating, alone, cut_off, period
from makegood.pages.acting import wait_until_shown
from makegood.pages.console.finance import asked_month
from makegood.pages.forms import Form, sent_form
from makegood.pages.route import PageRoute
from makegood.pages.shell import page
from makegood.pages.visitor import Visitor, go_to, house_of, submits, visits

router = APIRouter(include_in_schema=False, route_class=PageRoute)

CLOSE = "/console/months/{month}/close"


@router.get(CLOSE)
def closing(request: Request, visitor: Annotated[Visitor, visits("period.read", "finance")], month: str) -> Response:
    """A month with its figures by kind and clause, worked out from the events, and its cut-off report."""
    return _closing_page(request, visitor, asked_month(visitor, month), Form())


@router.post(CLOSE)
def close(request: Request, visitor: Annotated[Visitor, submits("period.close", "finance")], month: str) -> Response:
    """Closes the month for good."""
    asked = asked_month(visitor, month)
    form = sent_form(visitor.form)
    if visitor.form.get("sure") != "yes":
        form.wrong["sure"] = "confirm that the month is to be closed for good"
        return _closing_page(request, visitor, asked, form)
    once = Once(house_of(request), By(visitor.caller.principal, "console"), form.key, request.app.state.recorded)
    try:
        wait_until_shown(request, str(close_period(once, asked).position))
    except ActRefused as refused:
        form.wrong[""] = refused.detail
        return _closing_page(request, visitor, asked, form)
    except Calculating:
        form.wrong[""] = "another month is being worked out at the moment: try again in a minute"
        return _closing_page(request, visitor, asked, form)
    return go_to(visitor, f"/console/months/{asked}", f"{month} is closed.")


def _closing_page(request: Request, visitor: Visitor, month: Month, form: Form) -> Response:
    house = house_of(request)
    try:
        with alone():
            found, late = period(house, month), cut_off(house, month)
    except Calculating:
        return page(
            visitor.frame,
            "turned_away.html",
            title="Another month is being worked out",
            status=503,
            headers={"Retry-After": "10"},
            paragraphs=(
                "Working out a month takes a while, and one is done after the other: try again in a minute.",
            ),
            leads_to=(f"/console/months/{month}", "To the month board"),
        )
    return page(
        visitor.frame,
        "console/close.html",
        title=f"Close {month}",
        status=422 if form.wrong else 200,
        form=form,
        period=found,
        cut_off=late,
        month=str(month),
    )
