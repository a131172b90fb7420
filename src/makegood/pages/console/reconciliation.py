"""Reconciliation: a processor's file compared with what went out, and discrepancies to settle."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from ledger.application.acts import By
from makegood.acts.once import Once
from makegood.acts.reconciliation import ReconcileFile, SettleDiscrepancy, reconcile, settle_discrepancy
from makegood.acts.refused import ActRefused
from makegood.answers.caught_up import caught_up, end_of
from makegood.answers.reconciliation import Reconciled, discrepancies
from makegood.pages.forms import Form
from makegood.pages.lists import FilterField, asked_list, choice, shown_list
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import TurnedAway, Visitor, go_to, house_of, not_there, submits, visits
from projections import reconciliation as reconciling

router = APIRouter(include_in_schema=False, route_class=PageRoute)

RECONCILIATION = "/console/reconciliation"
ENTRIES = (Entry("finance", "Reconciliation", RECONCILIATION, "discrepancy.read"),)

_FILTERS: tuple[FilterField, ...] = (choice("all", "Also settled ones", ("yes",)),)
_FIELDS = ("csv", "reason")


@router.get(RECONCILIATION)
def reconciliation(request: Request, visitor: Annotated[Visitor, visits("discrepancy.read", "finance")]) -> Response:
    """Open discrepancies, and a form for a processor's file."""
    return _page(request, visitor, Form())


@router.post(RECONCILIATION)
def reconcile_file(request: Request, visitor: Annotated[Visitor, submits("discrepancy.find", "finance")]) -> Response:
    """Compares a file that was pasted with what went out; what differs is recorded and listed."""
    form = Form({"csv": str(visitor.form.get("csv", "")).strip()})
    if not form.get("csv"):
        form.wrong["csv"] = "paste the processor's file here, with its heading"
        return _page(request, visitor, form)
    house, by = house_of(request), By(visitor.caller.principal, "console")
    if not caught_up(house, end_of(house.every)):
        form.wrong[""] = "the newest events are not in the lists yet: try again in a moment"
        return _page(request, visitor, form)
    try:
        found = reconcile(house, by, request.app.state.recorded, ReconcileFile(csv=form.values["csv"]))
    except ActRefused as refused:
        form.refuse_by(refused, _FIELDS)
        return _page(request, visitor, form)
    return _page(request, visitor, Form(), found)


@router.post(RECONCILIATION + "/{discrepancy}")
def settle(
    request: Request, visitor: Annotated[Visitor, submits("discrepancy.settle", "finance")], discrepancy: str
) -> Response:
    """Settles a discrepancy for good, with a reason."""
    form = Form({name: str(visitor.form.get(name, "")).strip() for name in ("key", "reason")})
    try:
        asked = SettleDiscrepancy(reason=form.values["reason"])
        once = Once(house_of(request), By(visitor.caller.principal, "console"), form.key, request.app.state.recorded)
        settle_discrepancy(once, discrepancy, asked)
    except ValidationError as error:
        form.refuse_by(error, _FIELDS)
        return _page(request, visitor, form, wrong_of=discrepancy)
    except ActRefused as refused:
        if refused.why == "not_found":
            raise TurnedAway(not_there(visitor.frame)) from None
        form.refuse([("", refused.detail)], _FIELDS)
        return _page(request, visitor, form, wrong_of=discrepancy)
    return go_to(visitor, RECONCILIATION, f"Discrepancy {discrepancy} is settled.")


def _page(
    request: Request, visitor: Visitor, form: Form, found: Reconciled | None = None, wrong_of: str | None = None
) -> Response:
    asked = asked_list(request, _FILTERS, reconciling.ORDER)
    rows = discrepancies(house_of(request), settled=asked.one_of("all") is not None, page=asked.page)
    return page(
        visitor.frame,
        "console/reconciliation.html",
        title="Reconciliation",
        status=422 if form.wrong else 200,
        form=form,
        found=found,
        asked=asked,
        shown=shown_list(request, asked, rows),
        wrong_of=wrong_of,
        address_of=lambda id_: f"{RECONCILIATION}/{quote(id_, safe='')}",
        key=Form().key,
    )
