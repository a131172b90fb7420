"""Reading what was just written: whether the projections have reached it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ledger.store.positions import Reached
from ledger.store.reading.shards import shard_ends
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import positions_of

PATIENCE_SECONDS = 5.0
"""So long somebody who asks waits for the projections."""
EVERY_SECONDS = 0.05


class BeyondTheEnd(ValueError):
    """A position beyond the end of the store, which comes from no write."""


def reached(house: House, wanted: Reached) -> bool:
    """Whether every projection has reached a position. Raises BeyondTheEnd."""
    left = dict(wanted)
    are_there: list[bool] = []
    for each in house.every:
        with each.database.reading() as transaction:
            end = shard_ends(transaction)
            stand = positions_of(transaction, CATALOG)
        of_it = Reached({shard: left.pop(shard) for shard in end if shard in left})
        if not end.covers(of_it):
            raise BeyondTheEnd
        are_there.append(all(positions.covers(of_it) for positions in stand.values()))
    if any(left.values()):
        raise BeyondTheEnd
    return all(are_there)


def end_of(houses: Iterable[House]) -> Reached:
    """The last position of each of some shards."""
    ends: list[Reached] = []
    for each in houses:
        with each.database.reading() as transaction:
            ends.append(shard_ends(transaction))
    return Reached.of_shards(ends)


def caught_up(house: House, wanted: Reached) -> bool:
    """Whether every projection has reached a position within PATIENCE_SECONDS, waited for. Raises BeyondTheEnd."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not reached(house, wanted):
        if time.monotonic() > until:
            return False
        time.sleep(EVERY_SECONDS)
    return True
