"""All rows of a list in one state of the store, a page at a time: memory stays flat however many they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ledger.store.database import Database, Transaction
from ledger.store.positions import Reached
from ledger.store.reading.page import Listed, Page
from makegood.exports.columns import Row
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import positions_of

ROWS_AT_ONCE = 2_000

Question = Callable[[House, Page], Listed[Any]]
"""A list's question, with its filters: the rows of a page."""


@contextmanager
def one_state(house: House) -> Iterator[House]:
    """A house whose database and clock stand still, for questions; not for writing."""
    now = house.now()
    with house.database.reading() as transaction:
        yield _Standing(house, _OneState(house.database, transaction), now)


class _Standing(House):
    def __init__(self, house: House, database: Database, now: datetime) -> None:
        super().__init__(house.settings, database, house.vault, house.projections)
        self._now = now

    def now(self) -> datetime:
        return self._now


class _OneState(Database):
    """A database of which every question sees the state of one transaction."""

    def __init__(self, database: Database, transaction: Transaction) -> None:
        self.dialect = database.dialect
        self.url = database.url
        self._database = database
        self._transaction = transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        raise TypeError("one state of the store is for reading")
        yield  # makes it a generator

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        yield self._transaction

    def in_dialect(self, ddl: str) -> str:
        return self._database.in_dialect(ddl)

    def close(self) -> None:
        """Whoever opened the database closes it."""


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
    with house.database.reading() as transaction:
        stand = list(positions_of(transaction, CATALOG).values())
    return Reached({shard: min(reached.get(shard, 0) for reached in stand) for shard in stand[0]})
