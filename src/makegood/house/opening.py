"""Puts the parts together: a store, its vault's keys, the ledger on both, and the projections that follow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from copy import copy
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self

from ledger.store.connecting import CONNECTIONS, connect, create_if_missing, lacks_database
from ledger.store.database import Database, StoreError, redacted
from ledger.store.positions import FIRST_SHARD, shard_of
from ledger.store.reading.generations import AheadOfLedger
from ledger.store.reading.shards import place_in_store
from ledger.store.reading.store import NoStore, clock_in, store_exists, store_is_older
from ledger.store.reading.vault import vault_of
from ledger.store.reading.vault_index import index_is_whole
from ledger.store.vault_keys import KeyDatabase, VaultMismatch
from ledger.vault import Ring, Vault
from makegood.house.clock import system_clock
from makegood.house.logs import say
from makegood.house.looks import Looker, Looks, Seen
from makegood.house.settings import Settings
from projections.ahead import projections_ahead
from projections.follower import Follower

if TYPE_CHECKING:
    from ledger.application.ledger import Ledger
    from ledger.events import LookedAt


INDEXED_BETWEEN_LINES = 100_000
"""After so many entries of the vault a line says how far indexing them has come."""


class House:
    """The store, vault, ledger and projections, opened together."""

    def __init__(self, settings: Settings, database: Database, vault: Vault, projections: Follower) -> None:
        self.settings = settings
        self.database = database
        self.vault = vault
        self.projections = projections
        self.looks = Looks()
        self.looker: Looker | None = None
        """Who looks; None for whoever runs the command."""
        self.others: Sequence[House] = ()
        """The houses of the store's other shards, in their order, where all of it is asked."""

    @cached_property
    def ledger(self) -> Ledger:
        """The write side. It is loaded when it is first asked for: a command that only reads starts without it."""
        from ledger.application.ledger import Ledger

        return Ledger(self.database, self.vault, system_clock)

    @cached_property
    def _place(self) -> tuple[int, int]:
        with self.database.reading() as transaction:
            return place_in_store(transaction)

    @property
    def shard(self) -> int:
        """Which of the store's shards it is."""
        return self._place[0]

    @property
    def shards(self) -> int:
        """How many shards the whole store has."""
        return self._place[1]

    @property
    def shard_of_several(self) -> int | None:
        """Which of the store's shards it is, where that has to be said: None where there is one."""
        return self.shard if self.shards > 1 else None

    def seen_by(self, actor: str, channel: str) -> Self:
        """The same house, in which it is known who looks."""
        self.ledger  # noqa: B018  # one write side for all who look, with the accounts that it knows
        seen = copy(self)
        seen.looker = Looker(actor, channel)
        seen.others = [other.seen_by(actor, channel) for other in self.others]
        return seen

    def with_others(self, others: Sequence[House]) -> Self:
        """The same house, of the first shard, by which all shards are asked."""
        whole = copy(self)
        whole.others = others
        return whole

    @property
    def every(self) -> Sequence[House]:
        """The houses of all shards that are asked, each by itself."""
        return (self.with_others(()), *self.others) if self.others else (self,)

    def of(self, account: str) -> House:
        """The house of the shard that an account is in."""
        return self.every[shard_of(account, 1 + len(self.others))]

    def looked(self, kind: LookedAt, account: str | None, records: int = 1) -> None:
        """Somebody was shown records of an account, or of all where none is named; it is to be recorded."""
        self.looks.add(Seen(self.looker, kind, account), records)

    def now(self) -> datetime:
        """What time it is in this store."""
        with self.database.reading() as transaction:
            return clock_in(transaction, system_clock)()


class OlderStore(StoreError):
    """An older version made the store, and nobody has brought it up to date."""


def check_vault(house: House) -> Ring:
    """What the key database says of itself, where it is the store's, and as new as the store (design rule 15).

    Whatever reads or writes the vault is held to that too, when it does. Raises VaultMismatch with what to restore,
    and StoreError where the key database cannot be read.
    """
    _check_that_it_is_there(house)
    return house.vault.check()


def _check_that_it_is_there(house: House) -> None:
    if lacks_database(house.database, house.settings.vault):
        raise VaultMismatch(f"the key database {redacted(house.settings.vault)} is missing")


@contextmanager
def open_with_keys(settings: Settings) -> Iterator[tuple[House, KeyDatabase]]:
    """Open a store with a key database that may be missing, empty, older or another store's. Raises NoStore."""
    with closing(connect(settings.store)) as database, closing(connect(settings.vault)) as keys:
        key_database = KeyDatabase(keys, system_clock)
        if not store_exists(database):
            raise _no_store(settings)
        yield House(settings, database, Vault(key_database), Follower(database)), key_database


def create_missing_vault(house: House) -> None:
    """Have a PostgreSQL database for keys, for whoever accepts that the old ones are lost."""
    create_if_missing(house.settings.vault, beside=house.settings.store)


def needs_migration(house: House) -> bool:
    """Whether an older version made the store, or was the last one to bring it up to date. Raises StoreError."""
    return (
        store_is_older(house.database)
        or vault_of(house.database) is None
        or house.projections.lacks_tables()
        or not _index_is_whole(house.database)
    )


def _index_is_whole(database: Database) -> bool:
    with database.reading() as transaction:
        return index_is_whole(transaction)


def _no_store(settings: Settings) -> NoStore:
    return NoStore(
        f"no makegood store at {redacted(settings.store)}; "
        "create one with `makegood init` (or `makegood init --sandbox` for trials)"
    )


def _bring_up_to_date(house: House, keys: KeyDatabase) -> None:
    """Add what the store of an older version lacks, settle it anew, and fill the tables that answers are read from.

    An account that cannot be assessed stays due, and is told of by whoever does due work next.
    """
    from ledger.application.indexing import fill_if_not_whole
    from ledger.application.lost_keys import bind_older

    _check_that_it_is_there(house)
    bind_older(house.ledger, keys)
    say("updating a store of an older version, once: its claims are settled again and its tables are filled")
    # Projections' tables come first: where one may not be created, the store still counts as an older one.
    house.projections.create()
    if house.ledger.bring_up_to_date():
        from ledger.application.due_work import do_due_work

        do_due_work(house.ledger, house.ledger.now(), failing={})
    fill_if_not_whole(house.ledger, _say_indexed)
    house.projections.catch_up()


def _say_indexed(entries: int) -> None:
    if entries % INDEXED_BETWEEN_LINES == 0:
        say(f"making customers findable by their words: {entries:,} entries of the vault so far")


def _renew_views(house: House) -> None:
    """Have the views that finance asks be as this program defines them, if it may make them: it needs none itself."""
    from projections.finance_views import FINANCE
    from projections.making_views import renew

    try:
        renew(house.database, FINANCE)
    except StoreError as error:
        say(
            f"makegood: the views for finance are missing or out of date, and could not be made: {error}; "
            "run `makegood migrate` as who owns the tables and may create the views (docs/finance-views.md)"
        )


def _check_none_ahead(house: House) -> None:
    """Raises AheadOfLedger where a projection says what the ledger does not: nobody may take its answers for true."""
    with house.database.reading() as transaction:
        found = projections_ahead(transaction)
    if found:
        raise AheadOfLedger.of(found, house.shard_of_several)


def apply_erasures(house: House) -> list[str]:
    """Erase again, before anything is answered, what a backup of the store or of the key database brought back: the
    accounts. Raises VaultMismatch and StoreError."""
    from ledger.application.erasure import apply_recorded

    erased = apply_recorded(house.ledger)
    if erased:
        say(f"makegood: erased again, because a backup from before was restored: {', '.join(erased)}")
    return erased


@contextmanager
def open_house(
    settings: Settings,
    *,
    create: bool = False,
    create_missing: bool = False,
    migrate: bool = False,
    restored: bool = False,
    sandbox: bool = False,
    shards: int = 1,
    shard: int = FIRST_SHARD,
    connections: tuple[int, int] = (CONNECTIONS, CONNECTIONS),
) -> Iterator[House]:
    """Open the store and all that belongs to it.

    `create` makes a new store, which is one `shard` of so many, and refuses one that is there; `create_missing` makes
    one only where there is none. `migrate` brings a store of an older version up to date; `restored` opens one also
    where its projections are ahead of it. `connections` are how many it takes at most, to the store and to the keys.
    Raises NoStore where there is none, OlderStore, AheadOfLedger, and StoreError where one of the databases cannot be
    used.
    """
    database, keys = map(connect, (settings.store, settings.vault), connections)
    try:
        key_database = KeyDatabase(keys, system_clock)
        vault = Vault(key_database)
        house = House(settings, database, vault, Follower(database))
        exists = store_exists(database)
        if create or (create_missing and not exists):
            if exists:
                raise StoreError(
                    f"a store already exists at {redacted(settings.store)}; use it, or give another with --store"
                )
            create_if_missing(settings.vault, beside=settings.store)
            house.ledger.create_store(sandbox=sandbox, shards=shards, shard=shard)
        elif not exists:
            raise _no_store(settings)
        for warning in filter(None, (database.warning(), keys.warning() if keys.url != database.url else None)):
            say(f"makegood: {warning}")
        if not exists:
            house.projections.create()
        elif needs_migration(house):
            if not migrate:
                raise OlderStore(
                    f"the store at {redacted(settings.store)} was made by an older version of makegood: back it up, "
                    "and bring it up to date with `makegood migrate`"
                )
            _bring_up_to_date(house, key_database)
        if exists and (bound := vault_of(database)) is not None:
            key_database.belongs_to(bound)
        if exists and not restored:
            _check_none_ahead(house)
        if not exists or migrate:
            _renew_views(house)
        yield house
    finally:
        database.close()
        keys.close()
