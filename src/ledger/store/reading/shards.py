"""Which shard of a store a database holds, of how many, whose accounts those are, and where it ends.

A shard is a whole store, with a `system` and a catalogue of its own. What goes over its positions goes over all that
its database has, so that it may have had others' some day.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.store.column_types import as_integer
from ledger.store.database import StoreError, Transaction
from ledger.store.positions import FIRST_SHARD, Reached, event_sequence, shard_for
from ledger.values import SYSTEM_ACCOUNT


class WrongShard(StoreError):
    """An account was to be recorded in a shard where it does not belong."""


def own_shard(transaction: Transaction) -> int:
    """The number of the shard that this database holds; the first one in a store from before it was recorded."""
    return place_in_store(transaction)[0]


def shards_of(transaction: Transaction) -> range:
    """The numbers of the shards that this database holds: its own."""
    own = own_shard(transaction)
    return range(own, own + 1)


def place_in_store(transaction: Transaction) -> tuple[int, int]:
    """The number of the shard that this database holds, and how many the whole store has: one where nothing says."""
    said: dict[str, str] = dict(transaction.rows("SELECT name, value FROM store WHERE name IN ('shard', 'shards')"))
    return int(said.get("shard", FIRST_SHARD)), int(said.get("shards", 1))


def shard_of_new(transaction: Transaction, accounts: Iterable[str]) -> int:
    """The shard in which accounts are recorded that are new here. Raises WrongShard where one belongs elsewhere."""
    own, number = place_in_store(transaction)
    for account in accounts:
        if number > 1 and account != SYSTEM_ACCOUNT and (belongs := shard_for(account, number)) != own:
            raise WrongShard(
                f"account {account} belongs in shard {belongs} of this store, and this is shard {own}: "
                "correct the shard map, or MAKEGOOD_SHARD"
            )
    return own


def shards_of_accounts(transaction: Transaction, accounts: Iterable[str | None]) -> dict[str | None, int]:
    """Which shard what is kept about each account is in; what is of no account, or of a new one, is in this one."""
    named = sorted({account for account in accounts if account is not None})
    found: dict[str | None, int] = dict.fromkeys([None, *named], own_shard(transaction))
    if named:
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
