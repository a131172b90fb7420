"""Live pages: a stream of server-sent events says that something changed, and the page fetches itself again.

A stream tells nothing else, ends after a while so that a page that nobody touches does not keep its session alive,
and ends when the server shuts down.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Annotated

import anyio
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.responses import Response

from consumers.lag import projector_lags
from ledger.store.database import StoreError, Transaction
from ledger.store.reading.kept_messages import kept_left
from ledger.store.reading.lost import lost_left
from ledger.store.reading.notice_queue import notices_left
from ledger.store.reading.shards import shard_ends
from makegood.house.opening import House
from makegood.pages.route import PageRoute
from makegood.pages.shell import HEADERS
from makegood.pages.visitor import HOME, Visitor, visits
from projections.catalog import CATALOG

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LIVE = "/console/live"
STREAM = "text/event-stream"
STREAMS_MAX, OF_ONE_MAX = 100, 3
"""So many streams there are at most, and of one person: browsers have six connections for all pages of a site."""
LASTS_SECONDS = 25 * 60
LOOKED_EVERY, TOLD_EVERY, ALIVE_EVERY = 2.0, 3.0, 15.0
"""Seconds between two looks at the store, between two changes that are told, and between signs of life."""
_TICK = 0.25


class Live:
    """What the streams of one server have in common. Threads may share it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turn = threading.Lock()
        self._looked_at = float("-inf")
        self._mark = ""
        self._streams: Counter[str] = Counter()

    def mark(self) -> str:
        """How everything stands, as a word that changes with it. All streams share one look at the store."""
        with self._turn:
            if time.monotonic() - self._looked_at >= LOOKED_EVERY:
                self._mark, self._looked_at = mark_of(self._house), time.monotonic()
            return self._mark

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams.total()

    @contextmanager
    def stream(self, principal: str) -> Iterator[bool]:
        """One stream of somebody; False where there are too many."""
        taken = self.streams < STREAMS_MAX and self._streams[principal] < OF_ONE_MAX
        if taken:
            self._streams[principal] += 1
        try:
            yield taken
        finally:
            if taken:
                self._streams[principal] -= 1
                self._streams += Counter()  # forgets who has none


def mark_of(house: House) -> str:
    """How everything stands now, as a word: the store's end, where the projections are, and what waits."""
    stands = ""
    for each in house.every:
        try:
            with each.database.reading() as transaction:
                stands += _stands(transaction)
        except StoreError:
            stands += "unreachable"
    return sha256(stands.encode()).hexdigest()[:16]


def _stands(transaction: Transaction) -> str:
    left = (
        kept_left(transaction, "dead-letter"),
        kept_left(transaction, "set-aside"),
        lost_left(transaction),
        notices_left(transaction),
    )
    positions = [(lag.of, lag.number, lag.position) for lag in projector_lags(transaction, CATALOG)]
    return repr((sorted(shard_ends(transaction).items()), positions, left))


def live_of(request: Request) -> Live:
    """The streams of this server."""
    live: Live = request.app.state.live
    return live


@router.get(LIVE)
async def stream(request: Request, visitor: Annotated[Visitor, visits("waiting.read")]) -> Response:
    """Says `changed` whenever something has; whoever is no reader of streams is led away."""
    if STREAM not in request.headers.get("accept", ""):
        return RedirectResponse(HOME, 303, {"Cache-Control": "no-store"})
    told = _told(request, visitor.caller.principal, request.query_params.get("seen", ""))
    return StreamingResponse(told, 200, {**HEADERS, "X-Accel-Buffering": "no"}, STREAM)


async def _told(request: Request, principal: str, seen: str) -> AsyncIterator[str]:
    live = live_of(request)
    with live.stream(principal) as taken:
        began = told = alive = time.monotonic()
        # A page that is closed for good by `ended` asks no more; one whose connection broke asks again by itself.
        yield "retry: 5000\n\n"
        while taken and not request.app.state.draining():
            now = time.monotonic()
            if now - began >= LASTS_SECONDS:
                break
            mark = await run_in_threadpool(live.mark) if now - told >= TOLD_EVERY or told == began else seen
            if mark != seen:
                seen, told = mark, now
                yield "event: changed\ndata:\n\n"
            elif now - alive >= ALIVE_EVERY:
                alive = now
                yield ": here\n\n"
            await anyio.sleep(_TICK)
        if not request.app.state.draining():
            yield "event: ended\ndata:\n\n"
