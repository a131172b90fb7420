"""A house that stands still: every question that it is asked sees one state of a database, at one time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from datetime import datetime
from typing import Self

from ledger.store.database import Database, Transaction
from makegood.house.opening import House


@contextmanager
def one_state(house: House) -> Iterator[House]:
    """A house whose database and clock stand still, for questions; not for writing. Each shard stands still by
    itself: no state of two is the same."""
    now = house.now()
    with ExitStack() as until_the_end:
        others = [until_the_end.enter_context(one_state(other)) for other in house.others]
        transaction = until_the_end.enter_context(house.database.reading())
        yield StandingHouse(house, OneState(house.database, transaction), now).with_others(others)


class StandingHouse(House):
    """A house on another database, where it is always the same time."""

    def __init__(self, house: House, database: Database, now: datetime) -> None:
        super().__init__(house.settings, database, house.vault, house.projections)
        self.looks, self.looker = house.looks, house.looker
        self._now = now

    def now(self) -> datetime:
        return self._now

    def at(self, now: datetime) -> Self:
        """The same house, at another time."""
        still = copy(self)
        still._now = now
        return still


class OneState(Database):
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
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        yield self._transaction

    def in_dialect(self, ddl: str) -> str:
        return self._database.in_dialect(ddl)

    def close(self) -> None:
        """Whoever opened the database closes it."""
