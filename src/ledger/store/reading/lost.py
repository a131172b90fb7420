"""Ranges of messages that were lost before they were taken, and who closed each.

They are few, and read from the events of the account `system` themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.events import LostRange, LostRangeClosed, MessagesLost
from ledger.store.database import Transaction
from ledger.store.reading.events import events_of_type
from ledger.store.reading.left_for_people import Left
from ledger.store.reading.page import Listed, Order, Page, in_memory
from ledger.values import SYSTEM_ACCOUNT

ORDER: Order = {"position": int}


@dataclass(frozen=True, slots=True)
class LostMessages:
    """A lost range; `position` is its number among all, from 1, in the order in which they were noticed."""

    position: int
    lost_id: str
    range: LostRange
    since: datetime
    closed_by: str | None
    closed_at: datetime | None


def lost_ranges(transaction: Transaction, *, closed: bool = True, page: Page | None = None) -> Listed[LostMessages]:
    """The lost ranges in order; those closed too, unless told otherwise."""
    events = [event for _, event in events_of_type(transaction, SYSTEM_ACCOUNT, MessagesLost, LostRangeClosed)]
    closings = {event.data.lost_id: event for event in events if isinstance(event, LostRangeClosed)}
    found = []
    for position, event in enumerate((event for event in events if isinstance(event, MessagesLost)), 1):
        closing = closings.get(event.event_id)
        if closing is None:
            found.append(LostMessages(position, event.event_id, event.data, event.recorded_at, None, None))
        elif closed:
            by, at = closing.actor, closing.recorded_at
            found.append(LostMessages(position, event.event_id, event.data, event.recorded_at, by, at))
    return in_memory(found, lambda lost: (lost.position,), page)


def lost_left(transaction: Transaction) -> Left:
    """How many ranges nobody has closed."""
    found = lost_ranges(transaction, closed=False)
    return Left(len(found), found[0].since if found else None)
