"""What waits for a decision: the approval queue, and claims for which too much went out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.store.reading.page import Listed
from makegood.answers import owed
from makegood.pages.console.deciding import APPROVALS, CLAIM, GOODWILL, OVERPAID, REFUND
from makegood.pages.lists import ACCOUNT, LIVE_ROWS, asked_list, asked_page, second_list, shown_list
from makegood.pages.live import live_of
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, page
from makegood.pages.visitor import Visitor, house_of, visits
from projections import goodwill as goodwill_
from projections import overpaid as overpaid_
from projections import refunds as refunds_
from projections.linked_goodwill import GoodwillLinked

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ENTRIES = (
    Entry("finance", "Approvals", APPROVALS, "refund.read"),
    Entry("finance", "Overpaid", OVERPAID, "overpaid.read"),
)


@router.get(APPROVALS)
def approvals(request: Request, visitor: Annotated[Visitor, visits("refund.read", "finance")]) -> Response:
    """Refunds and goodwill credits that wait for a second person."""
    mark, house, sight = live_of(request).mark(), house_of(request), visitor.caller.sight
    asked = asked_list(request, (), refunds_.ORDER, LIVE_ROWS)
    waiting = owed.refunds(house, sight, status="due", page=asked.page)
    proposed: Listed[GoodwillLinked] = Listed()
    if visitor.may("goodwill.read"):
        of_goodwill = asked_page(request, "goodwill", goodwill_.ORDER, LIVE_ROWS)
        proposed = owed.goodwill(house, sight, still_open=True, page=of_goodwill)
    return page(
        visitor.frame,
        "console/approvals.html",
        title="Approvals",
        shown=shown_list(request, asked, waiting),
        refund=REFUND,
        goodwill=second_list(request, "goodwill", proposed),
        of_goodwill=GOODWILL,
        live=mark,
    )


@router.get(OVERPAID)
def overpaid(request: Request, visitor: Annotated[Visitor, visits("overpaid.read", "finance")]) -> Response:
    """Claims for which too much went out, the longest overpaid first."""
    asked = asked_list(request, (ACCOUNT,), overpaid_.ORDER)
    rows = owed.overpaid(house_of(request), visitor.caller.sight, account=asked.filters.account, page=asked.page)
    return page(
        visitor.frame,
        "console/overpaid.html",
        title="Overpaid",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=[],
        claim=CLAIM,
    )
