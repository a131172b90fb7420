"""The house of a shard that cannot be reached when a process begins.

Nothing of it was checked, so nothing is done in it, also when its server answers again: until then, and until the
process has opened it as it opens any other, whoever asks is told that it cannot be reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from ledger.store.connecting import connect
from ledger.store.database import Database, Transaction, Unavailable
from ledger.store.vault_keys import KeyDatabase
from ledger.vault import Vault
from makegood.house.clock import system_clock
from makegood.house.logs import say
from makegood.house.opening import House, check_vault
from makegood.house.settings import Settings
from makegood.house.shard_map import open_shard, others_of, settings_of
from projections.follower import Follower


class AwayHouse(House):
    """A house that nobody can enter."""

    def __init__(self, settings: Settings, reason: str) -> None:
        self.reason = reason
        database, keys = _Away(settings.store, reason), KeyDatabase(_Away(settings.vault, reason), system_clock)
        super().__init__(settings, database, Vault(keys), Follower(database))


class _Away(Database):
    """A database that nothing is asked of."""

    def __init__(self, url: str, reason: str) -> None:
        self._real = connect(url)
        self.dialect, self.url = self._real.dialect, url
        self._reason = reason

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        raise Unavailable(self._reason)
        yield  # makes it a generator

    @contextmanager
    def reading(self, *, by_keys: bool = False) -> Iterator[Transaction]:
        raise Unavailable(self._reason)
        yield  # makes it a generator

    def in_dialect(self, ddl: str) -> str:
        return self._real.in_dialect(ddl)

    def close(self) -> None:
        self._real.close()


def open_others(first: House, opened: ExitStack, **how: Any) -> list[House]:
    """The houses of a store's other shards, in their order; an AwayHouse for each that cannot be reached, which is
    said. Raises what `open_or_away` raises."""
    houses = open_or_away(first, others_of(first), opened, **how)
    for number, house in zip(others_of(first), houses, strict=True):
        if isinstance(house, AwayHouse):
            say(f"makegood: shard {number} cannot be reached, its accounts wait: {house.reason}")
    return houses


def open_or_away(first: House, numbers: Sequence[int], opened: ExitStack, **how: Any) -> list[House]:
    """The houses of some shards of the store whose first one is open, with their vaults checked, until `opened` is
    closed; an AwayHouse for each that cannot be reached. `how` is as `open_house` takes it.

    All are opened at once, since one that is away takes its time to be given up. Raises what `open_shard` and
    `check_vault` raise.
    """

    def attempt(number: int) -> House:
        of_it = ExitStack()
        try:
            house = of_it.enter_context(open_shard(first, number, **how))
            check_vault(house)
        except BaseException as error:
            of_it.close()
            if isinstance(error, Unavailable):
                return AwayHouse(settings_of(first.settings, number), str(error))
            raise
        opened.push(of_it)
        return house

    if not numbers:
        return []
    with ThreadPoolExecutor(len(numbers)) as at_once:
        return list(at_once.map(attempt, numbers))
