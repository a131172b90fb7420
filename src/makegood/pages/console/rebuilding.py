"""Projections folded anew from the first event, with their progress: one rebuild at a time, in a thread of its own.
What answers is exchanged at the end, in one transaction, so that nobody who asks meanwhile notices."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from consumers.lag import projector_lags
from consumers.part import Explained, reason_of
from ledger.store.database import StoreError
from ledger.values import instant_to_text
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.pages.forms import Form
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, fragment, page
from makegood.pages.visitor import Visitor, go_to, house_of, submits, visits
from projections.catalog import CATALOG
from projections.projection import Projection
from projections.rebuild import Rebuild, Rebuilt

router = APIRouter(include_in_schema=False, route_class=PageRoute)

REBUILD = "/console/operations/rebuild"
ENTRIES = (Entry("operations", "Projections", REBUILD, "status.read"),)
ALL = "all"
DIFFERING_SHOWN = 100

log = structlog.get_logger("makegood.rebuilding")


@dataclass(frozen=True, slots=True)
class Ended:
    """A rebuild that ended: what it put in place, or why it could not be done."""

    at: str
    by: str
    of: str
    result: Rebuilt | None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Stands:
    """How far a projection has come in one shard."""

    name: str
    shard: int
    position: int
    behind: int


class RebuildRun:
    """The rebuild that runs in this process, and the last one that ended."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.running = False
        self.of = ""
        self.step: Literal["events folded", "accounts compared"] = "events folded"
        self.done = 0
        self.out_of: int | None = None
        self.last: Ended | None = None

    def begin(self, house: House, projections: Sequence[Projection], of: str, by: str) -> bool:
        """Begin one, unless one runs already."""
        with self._turn:
            if self.running:
                return False
            self.running, self.of, self.step, self.done, self.out_of = True, of, "events folded", 0, None
        log.info("rebuild_began", of=of, by=by)
        threading.Thread(target=self._rebuild, args=(house, projections, by), name="rebuild", daemon=True).start()
        return True

    def _rebuild(self, house: House, projections: Sequence[Projection], by: str) -> None:
        result, failed = None, None
        try:
            rebuild = Rebuild(house.database, projections)
            rebuild.begin()
            rebuild.build(self._moved)
            self.step, self.done, self.out_of = "accounts compared", 0, None
            result = rebuild.put_in_place(self._moved)
        except (StoreError, Explained) as error:
            failed = str(error)
        except Exception as error:
            failed = f"{reason_of(error)}: try `makegood rebuild` on the server"
        log.info("rebuild_ended", of=self.of, by=by, reason=failed)
        self.last = Ended(instant_to_text(system_clock()), by, self.of, result, failed)
        self.running = False

    def _moved(self, done: int, of: int) -> None:
        self.done, self.out_of = done, of


def run_of(request: Request) -> RebuildRun:
    """The rebuild of this server."""
    state = request.app.state
    if not hasattr(state, "rebuild"):
        state.rebuild = RebuildRun()
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
    began = run_of(request).begin(house_of(request), chosen, name, visitor.caller.principal)
    return go_to(visitor, REBUILD, "" if began else "A rebuild runs already: wait until it has ended.")


def _page(request: Request, visitor: Visitor, form: Form) -> Response:
    with house_of(request).database.reading() as transaction:
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
    )
