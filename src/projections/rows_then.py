"""Accounts' rows as they were at another time, in a database of their own, where questions find them as they find
those that stand now (decision 0045).

What had been recorded by then, or what was assessed anew, is folded by the same folds into the same tables. So a list
of another time has the filters, the order and the pages of the list of today, and nothing about it is said twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger.store.connecting import connect
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.schema import TABLES
from projections.account_state import ASSESSED, FOLDED
from projections.follower import Follower, write
from projections.movements import MOVEMENTS
from projections.projection import Projection, Rows, Told, stored_types

_SET_ASIDE = tuple(
    statement
    for statement in TABLES
    if statement.startswith(("CREATE TABLE IF NOT EXISTS set_aside ", "CREATE TABLE IF NOT EXISTS closures "))
)
"""What the ledger's own tables say of accounts whose payouts wait."""
_COLUMNS = ("position", "set_aside_id", "origin", "reason", "source", "id", "account", "channel", "set_aside_at")


@dataclass(frozen=True, slots=True)
class AccountThen:
    """What is told of an account: events in order, and those by which its money moved, which may bear other instants.

    `set_aside` are how many of its messages had been set aside.
    """

    account: str
    events: Iterable[Told]
    moved: Iterable[Told]
    assessed: bool
    set_aside: int = 0


class RowsThen:
    """The rows of accounts, each as it was told."""

    def __init__(self, database: Database, at: datetime) -> None:
        self.database = database
        self._at = to_microseconds(at)
        self._set_aside = 0
        Follower(database, (*FOLDED, MOVEMENTS)).create()
        database.create(_SET_ASIDE)

    def add(self, accounts: Sequence[AccountThen]) -> None:
        """Have the rows of some accounts, which it does not have yet."""
        rows = {projection: Rows(projection.tables) for projection in (*FOLDED, MOVEMENTS)}
        for then in accounts:
            _fold(rows, ASSESSED if then.assessed else FOLDED, then.events)
            _fold(rows, (MOVEMENTS,), then.moved)
        with self.database.writing() as transaction:
            for projection, kept in rows.items():
                for table, changes in kept.changes().items():
                    write(transaction, projection.stored_name(table), table, changes)
            messages = [then.account for then in accounts for _ in range(then.set_aside)]
            transaction.insert(
                "set_aside",
                _COLUMNS,
                [
                    (number, str(number), "", "", "", "", account, "", self._at)
                    for number, account in enumerate(messages, self._set_aside + 1)
                ],
            )
            self._set_aside += len(messages)


def _fold(rows: dict[Projection, Rows], projections: Sequence[Projection], told: Iterable[Told]) -> None:
    takes = {projection: stored_types(projection.handles) for projection in projections}
    for each in told:
        taking = [projection for projection, types in takes.items() if each.type in types]
        if taking:
            event = each.event()
            for projection in taking:
                projection.fold(rows[projection], each, event)


@contextmanager
def rows_then(at: datetime, *, in_memory: bool) -> Iterator[RowsThen]:
    """A place for the rows of accounts at an instant, which is gone afterwards.

    Those of a few accounts are kept in memory, those of all in a file that only its owner can read.
    """
    with ExitStack() as until_the_end:
        place = ":memory:"
        if not in_memory:
            folder = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="makegood-"))
            place = str(Path(folder, "then.db"))
        database = connect(f"sqlite:///{place}")
        until_the_end.callback(database.close)
        yield RowsThen(database, at)
