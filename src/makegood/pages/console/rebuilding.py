"""Projections folded anew from the first event, with their progress: one rebuild at a time, in a thread of its own.
What answers is exchanged at the end, in one transaction, so that nobody who asks meanwhile notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from consumers.lag import projector_lags
from consumers.part import Explained
from ledger.store.database import StoreError
from makegood.pages.console.long_run import LongRun
from makegood.pages.forms import Form
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, fragment, page
from makegood.pages.visitor import Visitor, go_to, one_shard, submits, visits
from projections.catalog import CATALOG
from projections.rebuild import Rebuild, Rebuilt

router = APIRouter(include_in_schema=False, route_class=PageRoute)

REBUILD = "/console/operations/rebuild"
ENTRIES = (Entry("operations", "Projections", REBUILD, "status.read"),)
ALL = "all"
DIFFERING_SHOWN = 100

log = structlog.get_logger("makegood.rebuilding")


@dataclass(frozen=True, slots=True)
class Stands:
    """How far a projection has come in one shard."""

    name: str
    shard: int
    position: int
    behind: int


RebuildRun = LongRun[Rebuilt]


def run_of(request: Request) -> RebuildRun:
    """The rebuild of this server."""
    state = request.app.state
    if not hasattr(state, "rebuild"):
        state.rebuild = RebuildRun(
            "rebuild",
            (StoreError, Explained),
            "{reason}: try `makegood rebuild` on the server",
            lambda ended: log.info("rebuild_ended", of=ended.of, by=ended.by, reason=ended.failed),
        )
    run: RebuildRun = state.rebuild
    return run


@router.get(REBUILD)
def projections(request: Request, visitor: Annotated[Visitor, visits("status.read", "operations")]) -> Response:
    """How far each projection has come, and the rebuild that runs or ran last."""
    return _page(request, visitor, Form())


@router.get(REBUILD + "/progress")
def progress(request: Request, visitor: Annotated[Visitor, visits("status.read", "operations")]) -> Response:
    """The rebuild as a part of the page that is open already."""
    return fragment(visitor.frame, "console/rebuilding.html", run=run_of(request), differing_shown=DIFFERING_SHOWN)


@router.post(REBUILD)
def rebuild(request: Request, visitor: Annotated[Visitor, submits("projection.rebuild", "operations")]) -> Response:
    """Begins a rebuild of one projection, or of all."""
    of = str(visitor.form.get("projection", ""))
    chosen = [projection for projection in CATALOG if of in (ALL, projection.name)]
    if not chosen:
        form = Form()
        form.wrong[""] = "say which projection is to be rebuilt"
        return _page(request, visitor, form)
    name = "all projections" if of == ALL else of
    run, shard, by = run_of(request), one_shard(request), visitor.caller.principal
    name += f", shard {shard.number}" if shard.query else ""

    def work() -> Rebuilt:
        log.info("rebuild_began", of=name, by=by)
        building = Rebuild(shard.house.database, chosen)
        building.begin()
        building.build(run.moved)
        run.at("accounts compared")
        return building.put_in_place(run.moved)

    began = run.begin(by, work, step="events folded", of=name)
    return go_to(visitor, REBUILD + shard.query, "" if began else "A rebuild runs already: wait until it has ended.")


def _page(request: Request, visitor: Visitor, form: Form) -> Response:
    shard = one_shard(request)
    with shard.house.database.reading() as transaction:
        lags = projector_lags(transaction, CATALOG)
    return page(
        visitor.frame,
        "console/projections.html",
        title="Projections",
        lead="The tables that answers are read from, folded from the events. Rebuilding mends rows that differ.",
        status=422 if form.wrong else 200,
        form=form,
        run=run_of(request),
        differing_shown=DIFFERING_SHOWN,
        stands=[Stands(lag.of, lag.number, lag.position, lag.behind) for lag in lags],
        all_of_them=ALL,
        shard=shard,
    )
