"""Closing a month."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from ledger.application.periods import PeriodRefused
from ledger.application.requests import KeyReused, Request
from ledger.store.positions import Position
from ledger.store.reading.events import find_event
from ledger.values import Month
from makegood.acts.bodies import like
from makegood.acts.once import Once
from makegood.acts.refused import ActRefused, key_reused
from makegood.answers import periods as answering
from makegood.answers.periods import PeriodInFull, alone
from makegood.house.opening import House


class ClosePeriod(BaseModel):
    """Close a month."""

    model_config = like()


@dataclass(frozen=True, slots=True)
class Closed:
    """A month as it was closed, and where that is recorded."""

    period: PeriodInFull
    position: Position


def close_period(once: Once, month: Month) -> Closed:
    """Close a month that has ended, for good, with everything known of it now.

    Raises ActRefused, Calculating, Conflict, Unavailable.
    """

    def asked(house: House) -> Request:
        return once.request(f"POST /periods/{month}/close", house=house)

    try:
        with alone():
            closing, period = answering.close(once.house, month, once.by, request=asked)
    except KeyReused:
        raise key_reused() from None
    except PeriodRefused as refused:
        raise ActRefused("conflict", str(refused)) from None
    once.recorded()
    with once.house.database.reading() as transaction:
        stored = find_event(transaction, closing.event_id)
    assert stored is not None, "it was recorded"
    return Closed(period, stored.at)
