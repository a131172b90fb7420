"""Why any amount is what it is: a sentence, the formula with its numbers, the facts, and what was recorded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from makegood.answers.explanation import SeveralHaveIt, Unexplained, explain
from makegood.answers.explanation_types import Explanation
from makegood.answers.unknown import Unknown
from makegood.pages.lists import slice_of
from makegood.pages.route import PageRoute
from makegood.pages.shell import page
from makegood.pages.visitor import TurnedAway, Visitor, house_of, not_there, visits
from projections.asking import UnknownAccount

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/console/explanations")
def explanation(
    request: Request,
    visitor: Annotated[Visitor, visits("explanation.read", "finance")],
    id: str = "",
    account: str = "",
) -> Response:
    """The explanation of a claim, refund or credit."""
    try:
        why = explain(house_of(request), visitor.caller.sight, id, account or None)
    except (Unexplained, Unknown, UnknownAccount, SeveralHaveIt):
        raise TurnedAway(not_there(visitor.frame)) from None
    return page(visitor.frame, "console/explanation.html", title=f"Why {why['id']}", **explained(request, why))


def explained(request: Request, why: Explanation | None) -> dict[str, Any]:
    """What `console/explained.html` needs: an explanation, and slices of its long lists."""
    if why is None:
        return {"why": None}
    return {
        "why": why,
        "working": slice_of(request, "working", why["working"]),
        "facts": slice_of(request, "facts", why["facts"]),
        "steps": slice_of(request, "steps", why["steps"]),
    }
