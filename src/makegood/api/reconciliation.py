"""Reconciliation over HTTP: a processor's file compared with what went out, and discrepancies listed and settled."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from consumers.payouts.processor_file import NotReadable
from consumers.upstream.fields import LocalDate
from ledger.application import requests
from ledger.application.acts import By
from ledger.application.reconciliation import DiscrepancyClosed, NoSuchDiscrepancy, settle
from ledger.application.requests import KeyReused
from ledger.store.reading.page import Page
from ledger.store.reading.shards import shard_ends
from makegood.access.caller import Caller
from makegood.answers import reconciliation as answering
from makegood.answers.reconciliation import DiscrepancyDone, Reconciled
from makegood.api.act_request import KEY, Key, check_key
from makegood.api.acts.bodies import Words, like
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.paths import PathId
from makegood.api.problems import CONFLICT, Refused, invalid, not_found
from makegood.api.questions import answers
from makegood.api.wait_for import caught_up
from makegood.house.opening import House
from projections import reconciliation as reconciling
from projections.reconciliation import Discrepancy

router = APIRouter(tags=["Reconciliation"], route_class=Guarded)


class ReconcileFile(BaseModel):
    """Compare a processor's file with what went out. The same file again changes nothing."""

    model_config = ConfigDict(
        **like(
            csv="return_id,reference,amount,currency,date,status\n"
            "ret-0f9d1c6a1b0e4b4f8f3d6f1a2b3c4d5e,re-77,11.90,EUR,2026-01-31,succeeded\n"
        ),
        validate_by_name=True,
    )

    csv: str = Field(
        description="The file: CSV with the columns return_id, refund_id or reference (and account_id where several "
        "accounts have a refund of that id), amount, currency, date and status, or an itemized balance report of "
        "Stripe. Nothing else of it is kept. For files over 1 MiB use `makegood reconcile`."
    )
    first_day: LocalDate | None = Field(
        None, alias="from", description="The first day to compare; by default the file's first."
    )
    last_day: LocalDate | None = Field(
        None, alias="to", description="The last day, included; by default the file's last."
    )


class SettleDiscrepancy(BaseModel):
    """Settle a discrepancy for good."""

    model_config = like(reason="the customer was paid by hand; recorded as refund/unused/cyc-1/1")

    reason: Words


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
    await caught_up(house, await run_in_threadpool(_end, house))
    return await run_in_threadpool(_reconciled, request, house, caller, asked)


def _end(house: House) -> str:
    with house.database.reading() as transaction:
        return str(shard_ends(transaction))


def _reconciled(request: Request, house: House, caller: Caller, asked: ReconcileFile) -> Response:
    by = By(caller.principal, CHANNEL)
    content = asked.csv.encode("utf-8", "surrogatepass")
    try:
        found = answering.reconcile(house, lambda: BytesIO(content), by, asked.first_day, asked.last_day)
    except NotReadable as error:
        raise invalid("csv", str(error)) from None
    request.app.state.recorded()
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
    check_key(key)
    assert key is not None
    said = "\n".join(("POST", "settle", discrepancy_id, asked.reason)).encode()
    sent = requests.Request(caller.principal, key, requests.digest_of(house.ledger, said))
    try:
        settle(house.ledger, discrepancy_id, asked.reason, By(caller.principal, CHANNEL), sent)
    except KeyReused:
        raise invalid(KEY, "this key was used for another request: choose a new key for every request") from None
    except NoSuchDiscrepancy:
        raise not_found("there is no such discrepancy; GET /discrepancies lists them") from None
    except DiscrepancyClosed as closed:
        raise Refused(CONFLICT, str(closed)) from None
    request.app.state.recorded()
    answer: DiscrepancyDone = {"discrepancy_id": discrepancy_id, "outcome": "settled"}
    return JSONResponse(answer)
