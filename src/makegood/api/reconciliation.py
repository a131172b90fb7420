"""Reconciliation over HTTP: a processor's file compared with what went out, and discrepancies listed and settled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from ledger.application.acts import By
from ledger.store.reading.page import Page
from makegood.access.caller import Caller
from makegood.acts import reconciliation as acts
from makegood.acts.reconciliation import ReconcileFile, SettleDiscrepancy
from makegood.answers import reconciliation as answering
from makegood.answers.caught_up import end_of
from makegood.answers.reconciliation import DiscrepancyDone, Reconciled
from makegood.api.act_request import Key, keyed
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.paths import PathId
from makegood.api.questions import answers
from makegood.api.wait_for import caught_up
from makegood.house.opening import House
from projections import reconciliation as reconciling
from projections.reconciliation import Discrepancy

router = APIRouter(tags=["Reconciliation"], route_class=Guarded)


@router.get("/discrepancies", summary="List discrepancies", responses=answers(list[Discrepancy]))
def discrepancies(
    request: Request,
    house: TheHouse,
    _: Annotated[Caller, allowed("discrepancy.read")],
    page: Annotated[Page, pages(reconciling.ORDER)],
    everything: Annotated[bool, Query(alias="all", description="Include settled ones.")] = False,
) -> Response:
    """Open discrepancies between processors' files and what went out, those found first in front."""
    return answer_page(request, answering.discrepancies(house, settled=everything, page=page))


@router.post("/reconciliations", summary="Reconcile a processor's file", responses=answers(Reconciled))
async def reconcile(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("discrepancy.find")],
    asked: ReconcileFile,
) -> Response:
    """Discrepancies stay listed until a person settles them, or both sides match in a file reconciled later.

    After a 5xx answer, send the same file again.
    """
    await caught_up(house, str(await run_in_threadpool(end_of, house.every)))
    return await run_in_threadpool(_reconciled, request, house, caller, asked)


def _reconciled(request: Request, house: House, caller: Caller, asked: ReconcileFile) -> Response:
    found = acts.reconcile(house, By(caller.principal, CHANNEL), request.app.state.recorded, asked)
    return JSONResponse(found)


@router.post(
    "/discrepancies/{discrepancy_id}/settle", summary="Settle a discrepancy", responses=answers(DiscrepancyDone)
)
def settle_discrepancy(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("discrepancy.settle")],
    discrepancy_id: Annotated[PathId, Path(examples=["dsc-0f9d1c6a1b0e4b4f"])],
    asked: SettleDiscrepancy,
    key: Key = None,
) -> Response:
    """The reason is kept in the vault."""
    answer = acts.settle_discrepancy(keyed(request, house, caller, key), discrepancy_id, asked)
    return JSONResponse(answer)
