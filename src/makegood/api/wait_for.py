"""Read your writes: a write returns its position, and a read can wait until the projections have reached it."""

from __future__ import annotations

import time

import anyio
from fastapi.concurrency import run_in_threadpool

from ledger.store.positions import Reached, reached_from_text
from makegood.answers.caught_up import EVERY_SECONDS, PATIENCE_SECONDS, BeyondTheEnd, reached
from makegood.api.problems import invalid, unavailable
from makegood.house.opening import House

POSITION = "Makegood-Position"
"""The response header with the position of the last event written, as `shard:position`; for events of several
shards, their positions separated by commas."""
WAIT_FOR = "Makegood-Wait-For"
"""The request header with the position that a read must have reached."""


async def caught_up(house: House, wanted: str | None) -> None:
    """Return once all projections have reached a position. Raises Refused where that takes over PATIENCE_SECONDS.

    A position beyond the end of the store comes from no write and is refused at once.
    """
    if wanted is None:
        return
    try:
        position = reached_from_text(wanted.strip())
    except ValueError:
        raise invalid(
            WAIT_FOR, "a position has the form shard:position, as in the header Makegood-Position"
        ) from None
    until = time.monotonic() + PATIENCE_SECONDS
    while not await run_in_threadpool(_reached, house, position):
        if time.monotonic() > until:
            raise unavailable(
                "the write is recorded, but not yet visible in reads; try again, or leave out Makegood-Wait-For"
            )
        await anyio.sleep(EVERY_SECONDS)


def _reached(house: House, wanted: Reached) -> bool:
    try:
        return reached(house, wanted)
    except BeyondTheEnd:
        raise invalid(
            WAIT_FOR, "this position is beyond the last recorded event: use one from Makegood-Position"
        ) from None
