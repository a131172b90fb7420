"""Read your writes: what was written tells its position, and a read can wait until the rows have come that far."""

from __future__ import annotations

import time

import anyio
from fastapi.concurrency import run_in_threadpool

from ledger.store.positions import Reached, reached_from_text
from ledger.store.reading.shards import shard_ends
from makegood.api.problems import invalid, unavailable
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import positions_of

POSITION = "Makegood-Position"
"""The header in which an answer to a write says where its last event stands, as `shard:position`; of events in
several shards, as one position of each with commas between them."""
WAIT_FOR = "Makegood-Wait-For"
"""The header in which a read says up to which position it must have come."""

PATIENCE_SECONDS = 5.0
EVERY_SECONDS = 0.05


async def caught_up(house: House, wanted: str | None) -> None:
    """Return when all projections have come to a position. Raises Refused where they do not within patience.

    A position that the store itself has not come to was told by no write, and is not waited for.
    """
    if wanted is None:
        return
    try:
        position = reached_from_text(wanted.strip())
    except ValueError:
        raise invalid(
            WAIT_FOR, "a position is written shard:position, as the header Makegood-Position says it"
        ) from None
    until = time.monotonic() + PATIENCE_SECONDS
    while not await run_in_threadpool(reached, house, position):
        if time.monotonic() > until:
            raise unavailable("what you wait for is recorded, but not yet shown; try again, or ask without waiting")
        await anyio.sleep(EVERY_SECONDS)


def reached(house: House, wanted: Reached) -> bool:
    """Whether every projection has come to a position. Raises Refused where the store itself has not."""
    with house.database.reading() as transaction:
        end = shard_ends(transaction)
        stand = positions_of(transaction, CATALOG)
    if not end.covers(wanted):
        raise invalid(WAIT_FOR, "no write told this position: the store has not come to it")
    return all(positions.covers(wanted) for positions in stand.values())
