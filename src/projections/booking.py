"""In which month a movement is booked (decision 0040).

A movement occurred on a day of the provider's calendar, and became known with the event that stands at its position.
It is booked in the month of that day, or, where that one had been closed without it, in the next one that had not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger.events import PeriodClosed
from ledger.store.positions import Position, Reached, reached_from_text
from ledger.values import Month, month_from_text, month_of


@dataclass(frozen=True, slots=True)
class Booked:
    """The month in which a movement occurred, and the one that it is booked in."""

    occurred_in: Month
    booked_in: Month

    @property
    def late(self) -> bool:
        """Whether the month in which it occurred had been closed when it became known."""
        return self.booked_in != self.occurred_in


@dataclass(frozen=True, slots=True)
class _Closing:
    """One month's closing, and how many were closed before it."""

    number: int
    month: Month
    zone: str
    covers: Reached


class Booking:
    """Books movements, with the months that were closed, in their order, and the time zone in which others will be.

    A closing is held to the time zone by which it was made, whatever the provider's is now, so that every movement is
    in one month.
    """

    def __init__(self, closed: Sequence[PeriodClosed], zone: str) -> None:
        self._closings = [
            _Closing(
                number,
                month_from_text(each.data.period),
                each.data.time_zone,
                reached_from_text(each.data.position),
            )
            for number, each in enumerate(closed)
        ]
        self._number = {closing.month: closing.number for closing in self._closings}
        self._zone = zone

    def book(self, occurred_at: datetime, at: Position) -> Booked:
        """The month of a movement that occurred at an instant and became known at a position."""
        for closing in self._closings[self._first_that_covers(at) :]:
            occurred_in = month_of(occurred_at, closing.zone)
            if self._open_from(occurred_in, closing.number) == closing.month:
                return Booked(occurred_in, closing.month)
        occurred_in = month_of(occurred_at, self._zone)
        return Booked(occurred_in, self._open_from(occurred_in, len(self._closings)))

    def _first_that_covers(self, at: Position) -> int:
        """The number of the first closing with a position in it: each covers all that those before it do."""
        low, high = 0, len(self._closings)
        while low < high:
            middle = (low + high) // 2
            if self._closings[middle].covers.covers(at):
                high = middle
            else:
                low = middle + 1
        return low

    def _open_from(self, month: Month, closings: int) -> Month:
        """The first month from one on that was open after so many closings."""
        while self._number.get(month, closings) < closings:
            month = month.next
        return month
