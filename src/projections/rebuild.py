"""Builds projections anew beside those that answer, straight from the store, and puts the new rows in their place.

A copy is an ordinary projection with tables and positions of its own, so that a rebuild that was cut short goes on
where it stood, and so that folds are the only thing that ever writes a row. What changes hands in the end are the
rows of the accounts that differ, under the locks of the positions: nobody's table goes away, so whoever reads sees
all of the old rows or all of the new, and a follower at work goes on from where it stood (docs/decisions/0012).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.store.database import Database, StoreError, Transaction
from ledger.store.positions import Position, Reached
from ledger.store.reading.events import accounts_between, how_many_accounts, read_shard
from ledger.store.reading.shards import shard_ends
from ledger.values import SYSTEM_ACCOUNT
from projections.comparing import Difference, difference, differing_accounts, kept_rows, pages
from projections.follower import BATCH_MAX, Follower, Progress, positions_of
from projections.projection import Projection, copy_of
from projections.stretches import (
    AT_ONCE,
    FEW,
    STRETCHES,
    Building,
    Stretches,
    check_whole,
    cores,
    divide,
    forget_stretches,
    stretches_of,
)

PAGE = 1_000
"""So many accounts share a snapshot; the database compares their rows."""


class Overtaken(StoreError):
    """Another rebuild of the same projection finished first."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild put in place, at which positions, and which accounts' rows it mended."""

    positions: Mapping[str, Reached]
    filled: Sequence[str]
    """The projections that had not come to where their copies were: they have all their rows from these."""
    alike: int
    differences: Sequence[Difference]


class Rebuild:
    """One rebuild of some projections; it may be cut off anywhere, and gone on with by another object or process.

    Of a store that was `restored` it also puts back the projections that are ahead of it.
    """

    def __init__(
        self,
        database: Database,
        projections: Sequence[Projection],
        *,
        restored: bool = False,
        batch: int = BATCH_MAX,
        page: int = PAGE,
        processes: int | None = None,
        few: int = FEW,
        at_once: int = AT_ONCE,
    ) -> None:
        """Without a number of processes there are as many as can work at the same time.

        A store of a `few` events is built by a follower.
        """
        self._restored = restored
        self._database = database
        self._batch = batch
        self._page = page
        self._processes = processes if processes is not None else cores()
        self._few = few
        self._at_once = at_once
        # In the order in which followers take their positions: two that lock in different orders lock each other out.
        self._copies = {p: copy_of(p) for p in sorted(projections, key=lambda p: (p.name, p.version))}
        self._built = False
        self._compared = 0
        self._suspects: dict[Projection, set[str]] = defaultdict(set)
        self._uncompared: set[Projection] = set()

    def prepare(self) -> None:
        """Make the tables that are missing, the copies' too: whoever rebuilds then needs no right to create any."""
        Follower(self._database, [*self._copies, *self._copies.values()]).create()
        self._database.create([STRETCHES])

    def begin(self, *, anew: bool = False) -> int:
        """Make the copies' tables, or find those of a rebuild that was cut short; how many events that had folded.

        `anew` empties what was built before.
        """
        self.prepare()
        if anew:
            with self._database.writing() as transaction:
                self._empty_copies(transaction)
        copies = list(self._copies.values())
        with self._database.reading() as transaction:
            stands, divided = positions_of(transaction, copies), stretches_of(transaction, copies)
        return min(sum(stands[copy].values()) + sum(each.folded for each in divided.get(copy, ())) for copy in copies)

    def build(self, on_progress: Progress | None = None) -> None:
        """Fold the store into the copies, told of how many events are folded of how many; readers notice nothing.

        Raises Overtaken, PositionMissing where the store lacks what a projection has seen, and a Database's errors.
        """
        self._follow(on_progress)

    def put_in_place(self, on_progress: Progress = lambda done, of: None) -> Rebuilt:
        """Compare old rows and new, told of how many accounts are compared of how many, and exchange what differs.

        What was recorded meanwhile is folded too. Raises what `build` raises.
        """
        self._follow()
        self._compare(on_progress)
        while True:
            self._follow()
            with self._database.writing() as transaction:
                if (rebuilt := self._put_in_place(transaction)) is not None:
                    return rebuilt

    def _follow(self, on_progress: Progress | None = None) -> None:
        """Bring every copy to where its projection stands now."""
        if not self._built:
            self._build_by_account(on_progress)
        with self._database.reading() as transaction:
            stands = positions_of(transaction, [*self._copies, *self._copies.values()])
            together = self._goals(transaction, stands)
        self._make_sure_of_copies(stands)
        for goal, projections in together.items():
            copies = [self._copies[projection] for projection in projections]
            Follower(self._database, copies).catch_up(on_progress, self._batch, to=goal)
        self._built = True

    def _goals(
        self, transaction: Transaction, stands: Mapping[Projection, Reached]
    ) -> dict[Reached, list[Projection]]:
        """Where projections stand, those that stand at one place together.

        One that never began, or is ahead of a store that was restored, is to come to the store's end.
        """
        ends = shard_ends(transaction)
        together: dict[Reached, list[Projection]] = defaultdict(list)
        for projection in self._copies:
            begun = any(stands[projection].values())
            ahead = self._restored and not ends.covers(stands[projection])
            together[stands[projection] if begun and not ahead else ends].append(projection)
        return together

    def _build_by_account(self, on_progress: Progress | None) -> None:
        """Build the copies of a store that has more than a few events in stretches of accounts, as far as one goal.

        Those that were begun otherwise are left to go on as they were begun.
        """
        with self._database.writing() as transaction:
            self._divide(transaction)
        with self._database.reading() as transaction:
            divided = stretches_of(transaction, list(self._copies.values()))
        together: dict[Stretches, list[Projection]] = defaultdict(list)
        for projection, copy in self._copies.items():
            if copy in divided:
                together[divided[copy]].append(projection)
        for projections in together.values():
            building = Building(self._database, projections, self._at_once, self._few)
            building.build(self._processes, on_progress or (lambda done, of: None))
            with self._database.writing() as transaction:
                self._have_built(transaction, projections)

    def _divide(self, transaction: Transaction) -> None:
        ends, copies = shard_ends(transaction), list(self._copies.values())
        if sum(ends.values()) <= self._few:
            return
        for copy in copies:
            _hold(transaction, copy, list(ends))
        stands = positions_of(transaction, [*self._copies, *copies])
        divided = stretches_of(transaction, copies)
        for goal, projections in self._goals(transaction, stands).items():
            of_these = [self._copies[projection] for projection in projections]
            new = [copy for copy in of_these if copy not in divided and not any(stands[copy].values())]
            if new and ends.covers(goal):
                divide(transaction, new, goal)

    def _have_built(self, transaction: Transaction, projections: Sequence[Projection]) -> None:
        """Copies stand at the goal of their stretches from now on."""
        copies = [self._copies[projection] for projection in projections]
        for copy in copies:
            _hold(transaction, copy, list(shard_ends(transaction)))
        divided = stretches_of(transaction, copies)
        stands = positions_of(transaction, copies)
        for projection, copy in zip(projections, copies, strict=True):
            if copy in divided:
                check_whole(divided[copy])
                _move(transaction, copy, divided[copy][0].goal)
            elif not any(stands[copy].values()):
                raise Overtaken(_overtaken(projection))
        forget_stretches(transaction, copies)

    def _make_sure_of_copies(self, stands: Mapping[Projection, Reached]) -> None:
        for projection, copy in self._copies.items():
            if self._built and any(stands[projection].values()) and not any(stands[copy].values()):
                raise Overtaken(_overtaken(projection))

    def _compare(self, on_progress: Progress) -> None:
        """Find the accounts whose old rows and new rows differ, or may: those are looked at again in the end.

        Rows that are alike at one position stay alike: both are folded from the same events by the same fold.
        """
        done = 0
        with self._database.reading() as transaction:
            of = how_many_accounts(transaction)
        everything = [*self._copies, *self._copies.values()]
        for accounts in pages(self._database, list(self._copies), self._page):
            self._follow()
            with self._database.reading() as transaction:
                stands = positions_of(transaction, everything)
                for projection, copy in self._copies.items():
                    if not stands[projection].covers(stands[copy]):
                        self._uncompared.add(projection)
                    if projection not in self._uncompared:
                        unsettled = accounts_between(transaction, stands[copy], stands[projection])
                        differing = differing_accounts(transaction, projection, copy, accounts)
                        self._suspects[projection] |= {*accounts} & unsettled | differing
            done += len(accounts)
            self._compared += len(accounts) - (SYSTEM_ACCOUNT in accounts)
            on_progress(done, max(of, done))

    def _put_in_place(self, transaction: Transaction) -> Rebuilt | None:
        """Exchange, in one transaction, the rows of the accounts that differ, and empty the copies.

        A projection that was not compared is filled whole. One that stands before its copy, or ahead of the store, is
        put where that stands: a follower at work on it is fenced off, and reads where it stands then. None where a
        projection went on by more than may be folded while it is held.
        """
        ends = shard_ends(transaction)
        shards = list(ends)
        for projection in self._copies:
            _hold(transaction, projection, shards)
        stands = positions_of(transaction, [*self._copies, *self._copies.values()])
        self._make_sure_of_copies(stands)
        for projection, copy in self._copies.items():
            for shard in shards:
                at, to = stands[copy][shard], stands[projection][shard]
                if self._restored:
                    to = min(to, ends[shard])
                if to - at > self._batch:
                    return None
                if at < to:
                    missing = read_shard(transaction, shard, at, to - at)
                    Follower(self._database, [copy]).advance_in(transaction, [copy], shard, at, missing)
                    stands[copy] = stands[copy].moved(Position(shard, to))
        differences: list[Difference] = []
        filled = []
        for projection, copy in self._copies.items():
            if stands[projection] == stands[copy] and projection not in self._uncompared:
                differences += self._mend(transaction, projection)
            else:
                filled.append(projection.name)
                _fill(transaction, projection, copy)
                _move(transaction, projection, stands[copy])
        self._empty_copies(transaction)
        mended = {each.account for each in differences} - {SYSTEM_ACCOUNT}
        return Rebuilt(
            {projection.name: stands[copy] for projection, copy in self._copies.items()},
            filled,
            self._compared - len(mended) if len(filled) < len(self._copies) else 0,
            sorted(differences, key=lambda each: (each.account, each.projection)),
        )

    def _differences(
        self, transaction: Transaction, projection: Projection, accounts: Sequence[str]
    ) -> list[Difference]:
        old = kept_rows(transaction, projection, accounts)
        new = kept_rows(transaction, self._copies[projection], accounts)
        return [
            found
            for account in accounts
            if (found := difference(projection, account, old[account], new[account])) is not None
        ]

    def _mend(self, transaction: Transaction, projection: Projection) -> list[Difference]:
        suspects = sorted(self._suspects[projection])
        differing: list[Difference] = []
        for start in range(0, len(suspects), self._page):
            differing += self._differences(transaction, projection, suspects[start : start + self._page])
        accounts = [(each.account,) for each in differing]
        copy = self._copies[projection]
        for table in projection.tables:
            columns = ", ".join(table.columns)
            name = projection.stored_name(table)
            transaction.delete(name, ("account",), accounts)
            rebuilt = f"SELECT {columns} FROM {copy.stored_name(table)} WHERE account = ?"
            for account in accounts:
                transaction.run(f"INSERT INTO {name} ({columns}) {rebuilt}", account)
        return differing

    def _empty_copies(self, transaction: Transaction) -> None:
        for copy in self._copies.values():
            for table in copy.tables:
                transaction.run(f"DELETE FROM {copy.stored_name(table)}")
            transaction.run(
                "DELETE FROM projection_positions WHERE projection = ? AND version = ?", (copy.name, copy.version)
            )
        forget_stretches(transaction, list(self._copies.values()))


def _overtaken(projection: Projection) -> str:
    return f"another rebuild of {projection.name} finished meanwhile; nothing is left to do"


def _hold(transaction: Transaction, projection: Projection, shards: Sequence[int]) -> None:
    """Lock a projection's positions: no follower writes a row of it until the transaction ends."""
    keys = [(projection.name, projection.version, shard) for shard in shards]
    rows = [(*key, 0) for key in keys]
    transaction.insert("projection_positions", ("projection", "version", "shard", "position"), rows, new_only=True)
    for key in keys:
        transaction.run(
            "UPDATE projection_positions SET position = position WHERE projection = ? AND version = ? AND shard = ?",
            key,
        )


def _move(transaction: Transaction, projection: Projection, stands: Reached) -> None:
    for shard, position in stands.items():
        transaction.run(
            "UPDATE projection_positions SET position = ? WHERE projection = ? AND version = ? AND shard = ?",
            (position, projection.name, projection.version, shard),
        )


def _fill(transaction: Transaction, projection: Projection, copy: Projection) -> None:
    for table in projection.tables:
        columns = ", ".join(table.columns)
        name = projection.stored_name(table)
        transaction.run(f"DELETE FROM {name}")
        transaction.run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {copy.stored_name(table)}")
