"""What customers wait for: complaints by age, disputes with their deadlines, outages that go on; and a complaint with
its whole history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from makegood.answers import account as answering
from makegood.answers import complaint_in_full, finance, owed
from makegood.pages.console.accounts import ACCOUNT as ACCOUNT_PATH
from makegood.pages.console.accounts import account_frame
from makegood.pages.console.customer_acts import ACTS
from makegood.pages.console.finance import AGE_LABELS
from makegood.pages.lists import ACCOUNT, FilterField, added_up, asked_list, choice, shown_list
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import Visitor, house_of, visits
from projections import complaints as complaints_
from projections import disputes as disputes_
from projections import outages as outages_
from projections.age_classes import AGE_CLASSES

router = APIRouter(include_in_schema=False, route_class=PageRoute)

COMPLAINTS, DISPUTES, OUTAGES = "/console/complaints", "/console/disputes", "/console/outages"
ENTRIES = (
    Entry("support", "Complaints", COMPLAINTS, "complaint.read"),
    Entry("support", "Disputes", DISPUTES, "dispute.read"),
    Entry("support", "Outages", OUTAGES, "outage.read"),
)

_AGE = choice("age", "Age", AGE_CLASSES, AGE_LABELS)
_ALSO_RESOLVED = choice("all", "Also resolved ones", ("yes",))


@router.get(COMPLAINTS)
def complaints(request: Request, visitor: Annotated[Visitor, visits("complaint.read", "support")]) -> Response:
    """Complaints, those first that have been open longest."""
    house, sight = house_of(request), visitor.caller.sight
    asked = asked_list(request, (ACCOUNT, _AGE, _ALSO_RESOLVED), complaints_.ORDER)
    account = asked.one_of("account")
    rows = owed.complaints(
        house,
        sight,
        account=account,
        still_open=asked.one_of("all") is None,
        age=asked.one_of("age"),
        page=asked.page,
    )
    added = added_up(request, lambda rows: finance.complaint_ages(house, sight, account=account, at_most=rows))
    return page(
        visitor.frame,
        "console/complaints.html",
        title="Complaints",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=[],
        ages=added.sums,
        sums_at=added.at,
        age_labels=AGE_LABELS,
    )


@router.get(DISPUTES)
def disputes(request: Request, visitor: Annotated[Visitor, visits("dispute.read", "support")]) -> Response:
    """Disputes, with until when they are to be investigated."""
    house, sight = house_of(request), visitor.caller.sight
    overdue = choice("overdue", "Overdue only", ("yes",))
    also_decided = choice("all", "Also decided ones", ("yes",))
    asked = asked_list(request, (ACCOUNT, _AGE, overdue, also_decided), disputes_.ORDER)
    account = asked.one_of("account")
    rows = owed.disputes(
        house,
        sight,
        account=account,
        still_open=asked.one_of("all") is None,
        overdue=asked.one_of("overdue") is not None,
        age=asked.one_of("age"),
        page=asked.page,
    )
    added = added_up(request, lambda rows: finance.dispute_ages(house, sight, account=account, at_most=rows))
    return page(
        visitor.frame,
        "console/disputes.html",
        title="Disputes",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=[],
        ages=added.sums,
        sums_at=added.at,
        age_labels=AGE_LABELS,
    )


@router.get(OUTAGES)
def outages(request: Request, visitor: Annotated[Visitor, visits("outage.read", "support")]) -> Response:
    """Outages that go on, or all of them."""
    subscription = FilterField("subscription", "Subscription")
    asked = asked_list(request, (ACCOUNT, subscription, _ALSO_RESOLVED), outages_.ORDER)
    rows = owed.outages(
        house_of(request),
        visitor.caller.sight,
        account=asked.one_of("account"),
        subscription=asked.one_of("subscription"),
        still_open=asked.one_of("all") is None,
        page=asked.page,
    )
    return page(
        visitor.frame,
        "console/outages.html",
        title="Outages",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=[],
    )


_WHILE: dict[str, str] = {"complaint/resolve": "open", "complaint/reopen": "resolved"}
"""What can be done with a complaint only as long as it stands so."""


@router.get(ACCOUNT_PATH + "/complaint")
def complaint(
    request: Request,
    visitor: Annotated[Visitor, visits("complaint.read_words", "support")],
    account: str,
    id: str = "",
) -> Response:
    """A complaint with every step, the words out of the vault, and what it has to do with."""
    house, sight = house_of(request), visitor.caller.sight
    found = complaint_in_full.complaint(house, sight, id, account)
    acts: list[Any] = [
        (act.title, act.path(account, id))
        for act in ACTS
        if act.of_complaint and visitor.may(act.action) and _WHILE.get(act.name, found["status"]) == found["status"]
    ]
    return page(
        account_frame(visitor, answering.time_zone(house, sight, account)).within("support"),
        "console/complaint.html",
        title=f"Complaint {id}",
        complaint=found,
        acts=acts,
    )
