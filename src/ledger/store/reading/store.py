"""What the store says of itself: whether it is there, who made it, what it is, and what time it is in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ledger.store.database import Database, NotPermitted, StoreError, Transaction
from ledger.store.instants import from_microseconds
from ledger.store.schema import SCHEMA_VERSION, TABLES

Clock = Callable[[], datetime]


class NoStore(StoreError):
    """The store has no tables yet."""


def store_exists(database: Database) -> bool:
    """Whether the database holds a store. Raises Unavailable where it cannot be reached, and NotPermitted."""
    if not database.may_be_there():
        return False
    with database.reading() as transaction:
        transaction.rows("SELECT 1")
    try:
        with database.reading() as transaction:
            return bool(transaction.rows("SELECT value FROM store WHERE name = 'schema'"))
    except NotPermitted:
        raise
    except StoreError:
        return False


def store_is_older(database: Database) -> bool:
    """Whether an older version made the store, so that it lacks what `Ledger.bring_up_to_date` adds.

    Raises StoreError for a newer version's store.
    """
    with database.reading() as transaction:
        version = int(transaction.rows("SELECT value FROM store WHERE name = 'schema'")[0][0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"this store is from a newer makegood (its tables have version {version}, this program knows "
            f"{SCHEMA_VERSION}): install that one"
        )
    return version < SCHEMA_VERSION or bool(database.lacking(TABLES))


def store_id(transaction: Transaction) -> str:
    """What tells this store's events from another's, where both are published to one topic."""
    return str(transaction.rows("SELECT value FROM store WHERE name = 'id'")[0][0])


def is_sandbox(transaction: Transaction) -> bool:
    """Whether the store's clock may be set."""
    return transaction.rows("SELECT value FROM store WHERE name = 'sandbox'") == [("yes",)]


def clock_is_set(transaction: Transaction) -> bool:
    """Whether a sandbox's clock was set: until then it is the system's."""
    return bool(transaction.rows("SELECT 1 FROM store WHERE name = 'clock'"))


def clock_in(transaction: Transaction, system_clock: Clock) -> Clock:
    """The store's time: the system's, until a sandbox's clock is set, which then stands still."""
    if is_sandbox(transaction):
        rows = transaction.rows("SELECT value FROM store WHERE name = 'clock'")
        if rows:
            standing = from_microseconds(int(rows[0][0]))
            return lambda: standing
    return system_clock
