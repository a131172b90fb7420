"""Ranges of messages that were lost before they were taken, and what became of each (contract §3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.reading import lost
from ledger.store.reading.lost import LostMessages
from ledger.store.reading.page import Listed, Page
from ledger.values import instant_to_text
from makegood.house.opening import House
from projections.shown_values import Instant


class LostRange(TypedDict):
    """A range of messages that were lost, by their offsets in a partition of a topic, the last one included."""

    position: int
    lost_id: str
    cluster: str
    topic: Annotated[str, Field(examples=["provisioning.events"])]
    topic_id: str
    partition: int
    first: int
    last: int
    cause: Literal["deleted", "damaged"]
    offsets: int
    since: Instant
    status: Literal["open", "closed"]
    closed_by: str | None
    closed_at: Instant | None


def lost_ranges(house: House, *, closed: bool = True, page: Page | None = None) -> Listed[LostRange]:
    """The lost ranges in the order in which they were noticed; those closed too, unless told otherwise."""
    with house.database.reading() as transaction:
        found = lost.lost_ranges(transaction, closed=closed, page=page)
    return found.told(map(_shown, found))


def _shown(found: LostMessages) -> LostRange:
    of = found.range
    return {
        "position": found.position,
        "lost_id": found.lost_id,
        "cluster": of.cluster,
        "topic": of.topic,
        "topic_id": of.topic_id,
        "partition": of.partition,
        "first": of.first,
        "last": of.last,
        "cause": of.cause,
        "offsets": of.last - of.first + 1,
        "since": instant_to_text(found.since),
        "status": "open" if found.closed_at is None else "closed",
        "closed_by": found.closed_by,
        "closed_at": instant_to_text(found.closed_at) if found.closed_at is not None else None,
    }
