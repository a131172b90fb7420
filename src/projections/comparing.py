"""Says whether rows are what the ledger's events make of them: a digest for each account and projection.

Accounts are looked at a page at a time, each page in a snapshot of its own, so that neither memory nor a transaction
grows with the store. A projection is compared at the position where it stands in that snapshot: one that goes on
meanwhile, or lags, is not found to differ for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from pydantic_core import to_json

from ledger.events import STORED_TYPES
from ledger.store.database import Database, Transaction
from ledger.store.positions import Reached
from ledger.store.reading.events import (
    StoredEnvelope,
    account_pages,
    accounts_among,
    how_many_accounts,
    in_turn,
    read_accounts,
)
from ledger.store.reading.shards import shard_ends
from ledger.values import SYSTEM_ACCOUNT
from projections.follower import Progress, positions_of
from projections.projection import Key, Projection, Rows, Table, Values, stored_types

PAGE = 100
"""So many accounts share a snapshot: their events and rows are in memory together."""

AccountRows = Mapping[Table, Mapping[Key, Values]]
"""One account's rows in one projection."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose rows in a projection are not what the events make of them."""

    projection: str
    account: str
    rows: Mapping[str, int]
    """How many rows differ, by the name of their table: too many, missing, or saying something else."""
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing found; `alike` counts the accounts that are alike in every projection compared."""

    positions: Mapping[str, Reached]
    behind: Mapping[str, int]
    """How many events of the store each projection had still to fold."""
    alike: int
    differences: Sequence[Difference]


def digest(rows: AccountRows) -> str:
    """The SHA-256 of an account's rows, each table's in the order of their keys."""
    content = [[table.name, [kept[key] for key in sorted(kept, key=repr)]] for table, kept in rows.items()]
    return sha256(to_json(content, bytes_mode="base64")).hexdigest()


def difference(projection: Projection, account: str, found: AccountRows, expected: AccountRows) -> Difference | None:
    """How rows differ from those that they should be; None where they do not."""
    if found == expected:  # by value and type: the digest of a text is that of the same text as bytes
        return None
    differing = {
        table.name: sum(
            found[table].get(key) != expected[table].get(key) for key in {*found[table], *expected[table]}
        )
        for table in projection.tables
    }
    return Difference(
        projection.name,
        account,
        {name: rows for name, rows in differing.items() if rows},
        digest(found),
        digest(expected),
    )


def kept_rows(transaction: Transaction, projection: Projection, accounts: Sequence[str]) -> dict[str, AccountRows]:
    """The rows of some accounts as they are kept in a projection's tables."""
    found: dict[str, dict[Table, dict[Key, Values]]] = {
        account: {table: {} for table in projection.tables} for account in accounts
    }
    for table in projection.tables:
        for values in transaction.rows_in(
            f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)} WHERE account IN (?*)", accounts
        ):
            key = table.key_in(values)
            found[key[0]][table][key] = values
    return dict(found)


def differing_accounts(
    transaction: Transaction, one: Projection, other: Projection, accounts: Sequence[str]
) -> set[str]:
    """Those of some accounts whose rows one projection has otherwise than another that folds alike.

    The database compares them, which takes a tenth of what it takes to fetch them all.
    """
    found: set[str] = set()
    for table in one.tables:
        columns = ", ".join(table.columns)
        both = " UNION ALL ".join(f"SELECT {columns} FROM {each.stored_name(table)}" for each in (one, other))
        rows = transaction.rows_in(
            f"SELECT DISTINCT account FROM (SELECT account FROM ({both}) AS both_rows WHERE account IN (?*) "
            f"GROUP BY {columns} HAVING COUNT(*) <> 2) AS odd",
            accounts,
        )
        found |= {row[0] for row in rows}
    return found


def folded_rows(
    projections: Sequence[Projection],
    envelopes: Iterable[StoredEnvelope],
    stands: Mapping[Projection, Reached],
) -> dict[Projection, AccountRows]:
    """The rows that one account's events make, for each projection those up to where it stands."""
    rows = {projection: Rows(projection.tables) for projection in projections}
    takes = {projection: stored_types(projection.handles) for projection in projections}
    for envelope in envelopes:
        at = envelope.at
        taking = [
            projection
            for projection in projections
            if envelope.type in takes[projection] and stands[projection].covers(at)
        ]
        # A type that only a newer program knows is decoded too, which says so: nothing can be compared without it.
        if taking or envelope.type not in STORED_TYPES:
            event = envelope.event()
            for projection in taking:
                projection.fold(rows[projection], envelope, event)
    return {
        projection: {
            table: {key: values for key, values in changes.items() if values is not None}
            for table, changes in kept.changes().items()
        }
        for projection, kept in rows.items()
    }


def pages(database: Database, projections: Sequence[Projection], limit: int = PAGE) -> Iterator[list[str]]:
    """All accounts that have events, and then those that only rows name, which nothing can have made."""
    yield from account_pages(database, limit)
    tables = [projection.stored_name(table) for projection in projections for table in projection.tables]
    for page in in_turn(database, partial(_named_after, tables=tables, limit=limit)):
        with database.reading() as transaction:
            known = accounts_among(transaction, page)
        if strangers := {*page} - known:
            yield sorted(strangers, key=str)


def _named_after(transaction: Transaction, account: str, *, tables: Sequence[str], limit: int) -> list[str]:
    """The next accounts that any of some tables names."""
    each = [
        f"SELECT * FROM (SELECT DISTINCT account FROM {table} WHERE account > ? ORDER BY account LIMIT ?) AS named"
        for table in tables
    ]
    rows = transaction.rows(
        f"SELECT account FROM ({' UNION '.join(each)}) AS named ORDER BY account LIMIT ?",
        (*(account, limit) * len(tables), limit),
    )
    return [row[0] for row in rows]


def differences_of(
    transaction: Transaction, projections: Sequence[Projection], events: Mapping[str, Sequence[StoredEnvelope]]
) -> list[Difference]:
    """How the rows of some accounts differ from what their events make of them, in one state of the store."""
    stands = positions_of(transaction, projections)
    kept = {projection: kept_rows(transaction, projection, list(events)) for projection in projections}
    return [
        differing
        for account, of_account in events.items()
        for projection, folded in folded_rows(projections, of_account, stands).items()
        if (differing := difference(projection, account, kept[projection][account], folded)) is not None
    ]


def compare_with_store(
    database: Database,
    projections: Sequence[Projection],
    on_progress: Progress = lambda done, of: None,
    page: int = PAGE,
) -> Comparison:
    """Fold the store afresh, account by account, and compare with the rows as they stand. Writes nothing."""
    differences: list[Difference] = []
    alike = done = 0
    with database.reading() as transaction:
        of = how_many_accounts(transaction)
    for accounts in pages(database, projections, page):
        with database.reading() as transaction:
            events = read_accounts(transaction, accounts)
            found = differences_of(transaction, projections, {each: events.get(each, ()) for each in accounts})
        differences += found
        alike += len({*accounts} - {differing.account for differing in found} - {SYSTEM_ACCOUNT})
        done += len(accounts)
        on_progress(done, max(of, done))
    with database.reading() as transaction:
        stands, ends = positions_of(transaction, projections), shard_ends(transaction)
    return Comparison(
        {projection.name: stands[projection] for projection in projections},
        {
            projection.name: sum(end - stands[projection].get(shard, 0) for shard, end in ends.items())
            for projection in projections
        },
        alike,
        sorted(differences, key=lambda differing: (str(differing.account), differing.projection)),
    )
