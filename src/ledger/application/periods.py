"""Months are closed, each by an act of the account `system`, and never opened again.

What a month comes to takes long to work out, so it is worked out up to a position first, while everybody else goes on
recording, and then recorded where no other month was closed meanwhile. How it is worked out is handed in: movements
are a projection's fold, which the ledger knows nothing of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.application.requests import Request, carried_out, keep_request
from ledger.events import PeriodClosed, PeriodFigures
from ledger.events.event_ids import event_id_of
from ledger.store.database import Transaction
from ledger.store.positions import Reached
from ledger.store.reading.periods import closed_periods
from ledger.store.reading.shards import shard_ends
from ledger.values import SYSTEM_ACCOUNT, Month, instant_to_text, stream_name

Compute = Callable[[Reached, Sequence[PeriodClosed]], PeriodFigures]
"""Works out what a month comes to: all that is known up to a position, and in none of the months closed before."""


class PeriodRefused(ValueError):
    """A month that cannot be closed; the message says why."""


class NotEnded(PeriodRefused):
    """The month has not ended in the provider's time zone."""


class AlreadyClosed(PeriodRefused):
    """The month is closed."""

    def __init__(self, closed: PeriodClosed) -> None:
        at = instant_to_text(closed.recorded_at)
        super().__init__(
            f"{closed.data.period} was closed at {at} by {closed.actor}; a closed month is never opened again: "
            "what becomes known later is booked in the open month"
        )


class _Overtaken(Exception):
    """Another month was closed while this one was worked out: what is booked in it may have changed."""


def close(
    ledger: Ledger,
    month: Month,
    zone: str,
    movements: int,
    compute: Compute,
    by: By,
    request: Request | None = None,
) -> PeriodClosed:
    """Close a month of a provider in a time zone; what is recorded of it. A repeated request records nothing.

    `movements` is the version of the fold by which `compute` works. Raises AlreadyClosed, NotEnded, KeyReused,
    Conflict, Unavailable, and what `compute` raises.
    """
    while True:
        with ledger.database.reading() as transaction:
            before = closed_periods(transaction)
            if (recorded := _checked(ledger, transaction, month, zone, before, request)) is not None:
                return recorded
            position = shard_ends(transaction)
        data = PeriodClosed.Data(
            period=str(month),
            time_zone=zone,
            position=str(position),
            movements=movements,
            figures=compute(position, before),
        )
        try:
            return _record(ledger, month, data, before, by, request)
        except _Overtaken:
            continue


def _record(
    ledger: Ledger,
    month: Month,
    data: PeriodClosed.Data,
    before: Sequence[PeriodClosed],
    by: By,
    request: Request | None,
) -> PeriodClosed:
    """Record what was worked out. Raises _Overtaken."""
    stream = stream_name("period", str(month))

    def decide(act: Act) -> None:
        if closed_periods(act.transaction) != before:
            raise _Overtaken
        act.record(SystemRecord.empty(stream, 0), PeriodClosed, data, by)
        if request is not None:
            keep_request(act, request, SYSTEM_ACCOUNT, event_id_of("decision", stream, "1"))

    perform(ledger, {SYSTEM_ACCOUNT}, decide)
    with ledger.database.reading() as transaction:
        return next(each for each in closed_periods(transaction) if each.data.period == str(month))


def _checked(
    ledger: Ledger,
    transaction: Transaction,
    month: Month,
    zone: str,
    closed: Sequence[PeriodClosed],
    request: Request | None,
) -> PeriodClosed | None:
    """What a request recorded before. Raises AlreadyClosed where another did, NotEnded, and KeyReused."""
    there = next((each for each in closed if each.data.period == str(month)), None)
    if request is not None and carried_out(transaction, request) is not None:
        return there
    if there is not None:
        raise AlreadyClosed(there)
    ends = month.next.begins(zone)
    if ledger.clock_in(transaction)() < ends:
        raise NotEnded(
            f"{month} ends at {instant_to_text(ends)}, at midnight in {zone}, the provider's time zone: "
            "close it after that"
        )
    return None
