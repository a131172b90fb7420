"""The store's shards: how many there are, whose accounts they hold, and where each ends."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.store.column_types import as_integer
from ledger.store.database import Transaction
from ledger.store.positions import SYSTEM_SHARD, Reached, event_sequence, shard_of_new


def shards_of(transaction: Transaction) -> range:
    """The numbers of the store's shards. A store from before this was recorded has one."""
    rows = transaction.rows("SELECT value FROM store WHERE name = 'shards'")
    return range(int(rows[0][0]) if rows else 1)


def shards_of_accounts(transaction: Transaction, accounts: Iterable[str | None]) -> dict[str | None, int]:
    """Which shard each account is in, or would be; what is of no account is in that of `system`."""
    named = sorted({account for account in accounts if account is not None})
    found: dict[str | None, int] = {None: SYSTEM_SHARD}
    if named:
        shards = shards_of(transaction)
        found |= {account: shard_of_new(account, shards) for account in named}
        found |= dict(transaction.rows_in("SELECT account, shard FROM heads WHERE account IN (?*)", named))
    return found


def shard_end(transaction: Transaction, shard: int) -> int:
    """The last position of a shard; 0 while it is empty."""
    return sequence_end(transaction, event_sequence(shard))


def sequence_end(transaction: Transaction, sequence: str) -> int:
    """The last position that was given out in a sequence; 0 where none was."""
    rows = transaction.rows("SELECT position FROM sequences WHERE name = ?", (sequence,))
    return as_integer(rows[0][0], f"the position of {sequence}") if rows else 0


ENDS = (
    "SELECT CAST(REPLACE(name, 'shard:', '') AS INTEGER) AS shard, position AS recorded "
    "FROM sequences WHERE name LIKE 'shard:%'"
)
"""Selects how far the store has come, a row for each shard, as part of a statement."""


def shard_ends(transaction: Transaction) -> Reached:
    """How far the store has come, in every shard that anything was recorded in."""
    rows = transaction.rows("SELECT name, position FROM sequences WHERE name LIKE 'shard:%'")
    return Reached(
        {int(name.removeprefix("shard:")): as_integer(position, f"the position of {name}") for name, position in rows}
    )
