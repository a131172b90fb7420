"""Which accounts are found by a word of their customer's (decision 0053)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ledger.finding import Sought
from ledger.store.database import Transaction
from ledger.store.reading.page import Where
from ledger.vault import IndexEntry, Vault

WHOLE_INDEX = "vault_index"
"""The row of `store` that says under which key the index has all that the vault has."""

COUNTED = 1_000
"""Of words that so many have it does not matter which one more have."""
_SAME_ACCOUNT = 'o.account COLLATE "C" = i.account COLLATE "C"'
"""By the order that the index goes by, so that PostgreSQL finds it there."""


def index_is_whole(transaction: Transaction) -> bool:
    """Whether the index has all that the vault has, and not only what was recorded since it began to be filled."""
    return bool(transaction.rows("SELECT 1 FROM store WHERE name = ?", (WHOLE_INDEX,)))


def accounts_found(
    transaction: Transaction, vault: Vault, sought: Sought, *, from_account: str, limit: int
) -> list[str]:
    """So many of the accounts that are found, in order of code points, the first of them `from_account` or later."""
    found: set[str] = set()
    for spelling in sought.whole:
        found |= set(_with_all(transaction, [vault.token(sought.kind, spelling)], from_account, limit))
    if sought.words:
        tokens = [vault.token(sought.kind, word) for word in sought.words]
        found |= set(_with_all(transaction, tokens, from_account, limit))
    return sorted(found)[:limit]


def _with_all(transaction: Transaction, tokens: Sequence[bytes], from_account: str, limit: int) -> Iterator[str]:
    """The accounts that have all of these tokens: those of the one that fewest have, in order.

    The others are looked up for each by itself: PostgreSQL would join all accounts of two words if it liked.
    """
    first, *others = sorted(tokens, key=lambda token: _how_many(transaction, token)) if len(tokens) > 1 else tokens
    where = Where().that("i.token = ?", first).that('i.account COLLATE "C" >= ?', from_account)
    for token in others:
        where.that(f"(SELECT 1 FROM vault_index o WHERE o.token = ? AND {_SAME_ACCOUNT} LIMIT 1) IS NOT NULL", token)
    rows = transaction.rows(
        f'SELECT DISTINCT i.account COLLATE "C" FROM vault_index i{where} ORDER BY 1 LIMIT {limit}', where.values
    )
    return (account for (account,) in rows)


def _how_many(transaction: Transaction, token: bytes) -> int:
    """How many entries have a token, counted no further than it matters."""
    counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM vault_index WHERE token = ? LIMIT {COUNTED}) AS found"
    return int(transaction.rows(counted, (token,))[0][0])


def index_of(transaction: Transaction, refs: Collection[str]) -> set[IndexEntry]:
    """What the index has of some entries of the vault."""
    rows = transaction.rows_in("SELECT token, kind, account, ref FROM vault_index WHERE ref IN (?*)", sorted(refs))
    return {IndexEntry(bytes(token), kind, account, ref) for token, kind, account, ref in rows}


def entries_of_nothing(transaction: Transaction) -> int:
    """How many entries of the index name an entry of the vault that is not there, or is lost."""
    rows = transaction.rows(
        "SELECT COUNT(*) FROM vault_index i LEFT JOIN vault ON vault.ref = i.ref "
        "LEFT JOIN vault_lost ON vault_lost.ref = i.ref WHERE vault.ref IS NULL OR vault_lost.ref IS NOT NULL"
    )
    return int(rows[0][0])
