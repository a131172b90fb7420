"""Acts on an outage: report it, resolve it, and say that it was not resolved after all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from makegood.acts import outages
from makegood.acts.outages import ReopenOutage, ReportOutage, ResolveOutage
from makegood.api.act_request import ANSWERS, Asked, acting
from makegood.api.guard import Guarded
from makegood.api.paths import PathId

OUTAGES = "/accounts/{account_id}/outages"

router = APIRouter(tags=["Outages"], route_class=Guarded)

OutageId = Annotated[PathId, Path(description="The outage.")]


@router.post(OUTAGES, summary="Report an outage", responses=ANSWERS)
def report_outage(act: Annotated[Asked, acting("outage.report")], asked: ReportOutage) -> Response:
    """A customer's report has an unknown cause and counts from its arrival; the customer may state the severity."""
    return act.answer(outages.report_outage(asked))


@router.post(f"{OUTAGES}/{{outage_id}}/resolve", summary="Resolve an outage", responses=ANSWERS)
def resolve_outage(
    outage_id: OutageId, act: Annotated[Asked, acting("outage.resolve")], asked: ResolveOutage
) -> Response:
    """The outage counts until then. A later resolution or reopening of the same outage replaces an earlier one."""
    return act.answer(outages.resolve_outage(outage_id, asked))


@router.post(f"{OUTAGES}/{{outage_id}}/reopen", summary="Reopen an outage", responses=ANSWERS)
def reopen_outage(
    outage_id: OutageId, act: Annotated[Asked, acting("outage.reopen")], asked: ReopenOutage
) -> Response:
    """The outage counts as unresolved again."""
    return act.answer(outages.reopen_outage(outage_id, asked))
