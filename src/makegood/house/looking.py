"""Who looked is recorded: by a command before it ends, by a long-running process every few seconds."""

from __future__ import annotations

from makegood.house.actor import actor_of
from makegood.house.looks import Looker
from makegood.house.opening import House


def record_looks(house: House) -> bool:
    """Record all looks that were counted; whether there were any. Raises Conflict, Unavailable and StoreError: what
    was not recorded is counted still."""
    batch = house.looks.taken()
    if batch is None:
        return False
    from ledger.application.looks import record_looks as record
    from ledger.events import Look

    try:
        looks = []
        for seen, count in batch.seen.items():
            by = seen.by or Looker(actor_of(""), "cli")
            looks.append(
                Look(
                    by=by.actor,
                    channel=by.channel,
                    kind=seen.kind,
                    account_id=seen.account_id,
                    times=count.times,
                    records=count.records,
                )
            )
        record(house.ledger, looks, batch.age)
    except BaseException:
        house.looks.put_back(batch)
        raise
    return True
