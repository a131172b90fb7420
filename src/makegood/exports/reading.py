"""All rows of a list in one state of the store, a page at a time: memory stays flat however many they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ledger.store.positions import Reached
from ledger.store.reading.page import Listed, Page
from makegood.exports.columns import Row
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import positions_of

ROWS_AT_ONCE = 2_000

Question = Callable[[House, Page], Listed[Any]]
"""A list's question, with its filters: the rows of a page."""


def pages(house: House, question: Question, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[list[Row]]:
    """The rows of a list, page by page, each read when it is asked for."""
    page = Page(rows_at_once)
    while True:
        rows = question(house, page)
        if rows:
            yield rows
        if rows.next is None:
            return
        page = Page(rows_at_once, rows.next)


def covered(house: House) -> Reached:
    """The events that all projections have folded: in each shard those up to a position."""
    found: dict[int, int] = {}
    for each in house.every:
        with each.database.reading() as transaction:
            stand = list(positions_of(transaction, CATALOG).values())
        found |= {shard: min(reached.get(shard, 0) for reached in stand) for shard in stand[0]}
    return Reached(found)
