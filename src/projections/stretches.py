"""Builds copies account by account, in stretches of accounts that several processes take at the same time.

No fold looks at another account's rows, so that accounts can be folded in any order. Each is folded whole in memory:
nothing is loaded for it, and each of its rows is written once, where a `Follower`, which goes by positions, loads and
writes an account's rows again with every batch that has an event of it. All stretches go as far as one position of
each shard, the goal. When the last of them has ended that becomes the copy's position, from which a `Follower` takes
it on. How far a stretch has come is kept with the rows, so that one that is cut short goes on where it was.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from ledger.store.connecting import connect
from ledger.store.database import Database, StoreError, Transaction
from ledger.store.positions import Reached, reached_from_text
from ledger.store.reading.events import PositionMissing, accounts_at_every, read_by_account
from projections.catalog import CATALOG
from projections.follower import Progress, ReaderFenced, fold_into, load, write
from projections.projection import Projection, Rows, copy_of

STRETCHES = """CREATE TABLE IF NOT EXISTS rebuild_stretches (
    projection TEXT NOT NULL, version INTEGER NOT NULL, stretch INTEGER NOT NULL, goal TEXT NOT NULL, last TEXT,
    account TEXT NOT NULL, account_version BIGINT NOT NULL, folded BIGINT NOT NULL, ended INTEGER NOT NULL,
    PRIMARY KEY (projection, version, stretch))"""
"""Of each copy that is being built: the stretches, the account with which each ends, and the event to which it has
come, by its account and that one's version."""

AT_ONCE = 8_000
"""So many events are read, folded and written together."""
FEW = 30_000
"""So many events are folded by one process before another has begun."""
STRETCHES_MAX = 32
"""So many that processes end at about the same time, and few enough to be looked at with every page."""
GIVES_WAY = 5
"""By so much a process that builds is nicer than those that answer questions meanwhile."""
LOOKS_EVERY = 1
"""The seconds between two looks at how far all processes have come."""
_WHOLE = 2**62
"""Behind every version that an account can have."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some accounts that come one after the other, and how far they are folded."""

    number: int
    goal: Reached
    last: str | None
    """The account with which it ends; None for the stretch that has all that come then."""
    account: str
    account_version: int
    folded: int
    ended: bool


Stretches = tuple[Stretch, ...]


def cores() -> int:
    """How many processes can work here at the same time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def stretches_of(transaction: Transaction, copies: Sequence[Projection]) -> dict[Projection, Stretches]:
    """The stretches of those copies that are being built account by account."""
    rows = transaction.rows(
        "SELECT projection, version, stretch, goal, last, account, account_version, folded, ended "
        "FROM rebuild_stretches ORDER BY stretch"
    )
    found: dict[tuple[str, int], list[Stretch]] = defaultdict(list)
    for name, version, number, goal, last, account, account_version, folded, ended in rows:
        stretch = Stretch(number, reached_from_text(goal), last, account, account_version, folded, bool(ended))
        found[name, version].append(stretch)
    return {copy: tuple(found[copy.name, copy.version]) for copy in copies if (copy.name, copy.version) in found}


def divide(transaction: Transaction, copies: Sequence[Projection], goal: Reached) -> None:
    """Give copies that have not begun the stretches in which they come to a goal."""
    ends = accounts_at_every(transaction, -(-sum(goal.values()) // STRETCHES_MAX))
    begins = [("", 0), *((account, _WHOLE) for account in ends)]
    columns = ("projection", "version", "stretch", "goal", "last", "account", "account_version", "folded", "ended")
    transaction.insert(
        "rebuild_stretches",
        columns,
        [
            (copy.name, copy.version, number, str(goal), last, *begin, 0, 0)
            for copy in copies
            for number, (begin, last) in enumerate(zip(begins, [*ends, None], strict=True))
        ],
    )


def forget_stretches(transaction: Transaction, copies: Sequence[Projection]) -> None:
    """Copies are no longer built account by account."""
    keys = [(copy.name, copy.version) for copy in copies]
    transaction.delete("rebuild_stretches", ("projection", "version"), keys)


def check_whole(stretches: Stretches) -> None:
    """Raises PositionMissing where events up to the goal were not there to be folded."""
    folded, goal = sum(stretch.folded for stretch in stretches), stretches[0].goal
    if folded != sum(goal.values()):
        raise PositionMissing(
            f"the store has {folded} events up to {goal}: one is missing, so the store is damaged: "
            "stop all writers and restore it from a backup"
        )


class Building:
    """Folds what is left of the stretches of some projections' copies, which stand alike in all of them."""

    def __init__(
        self, database: Database, projections: Sequence[Projection], at_once: int = AT_ONCE, few: int = FEW
    ) -> None:
        """A process is begun for no fewer than `few` events."""
        self._few = few
        self._database = database
        self._projections = projections
        self._copies = [copy_of(projection) for projection in projections]
        self._at_once = at_once

    def build(self, processes: int, on_progress: Progress) -> None:
        """Fold all that is left, in so many processes. Raises what a Database and decoding raise."""
        stretches = self._stretches()
        left = [stretch.number for stretch in stretches if not stretch.ended]
        events = sum(stretches[0].goal.values()) - sum(stretch.folded for stretch in stretches) if stretches else 0
        processes = min(processes, len(left), events // max(self._few, 1))
        if processes > 1 and self._may_be_handed_out():
            self._build_in(processes, left, on_progress)
            return
        for number in left:
            has_more = True
            while has_more:
                has_more = self._go_on(number)
                self._tell(on_progress)

    def build_some(self, numbers: Sequence[int]) -> None:
        """Fold some stretches, for as long as the process that began this one is there."""
        began = parent_process()
        for number in numbers:
            while (began is None or began.is_alive()) and self._go_on(number):
                pass

    def _may_be_handed_out(self) -> bool:
        """Whether another process finds the same store, and the same projections by their names."""
        return not self._database.url.endswith(":memory:") and all(each in CATALOG for each in self._projections)

    def _build_in(self, processes: int, left: Sequence[int], on_progress: Progress) -> None:
        spawning = get_context("spawn")  # a fork would share connections, and take locks over as they are
        names = [projection.name for projection in self._projections]
        reports: list[Connection] = []
        working: list[SpawnProcess] = []
        try:
            for first in range(processes):
                report, reporting = spawning.Pipe(duplex=False)
                work = (self._database.url, names, left[first::processes], self._at_once, reporting)
                process = spawning.Process(target=_build_some, args=work, daemon=True)
                process.start()
                reporting.close()
                working.append(process)
                reports.append(report)
            while reports:
                ready = wait(reports, LOOKS_EVERY)
                for report in [each for each in reports if each in ready]:
                    _raise_reported(report)
                    reports.remove(report)
                self._tell(on_progress)
        finally:
            for process in working:
                process.terminate()
                process.join()

    def _tell(self, on_progress: Progress) -> None:
        stretches = self._stretches()
        if stretches:
            on_progress(sum(stretch.folded for stretch in stretches), sum(stretches[0].goal.values()))

    def _stretches(self) -> Stretches:
        with self._database.reading() as transaction:
            return stretches_of(transaction, self._copies).get(self._copies[0], ())

    def _go_on(self, number: int) -> bool:
        """Fold the next events of a stretch; whether there may be more.

        They are read and folded while nothing is held. Rows, and how far the stretch has come, are written together,
        and only by one who knew how far that was.
        """
        with self._database.reading() as transaction:
            of_first = stretches_of(transaction, self._copies[:1]).get(self._copies[0], ())
            stretch = next((each for each in of_first if each.number == number and not each.ended), None)
            if stretch is None:
                return False
            found = read_by_account(
                transaction, stretch.account, stretch.account_version, stretch.last, self._at_once
            )
            events = [each for each in found if each.position <= stretch.goal.get(each.shard, 0)]
            # Of the account in which the last page ended there are rows already, which what comes now may change.
            begun = [each for each in events if each.account == stretch.account]
            changed = {copy: load(transaction, copy, begun) for copy in self._copies}
        new = {copy: Rows(copy.tables) for copy in self._copies}
        fold_into(changed, begun)
        fold_into(new, events[len(begun) :])
        at = (found[-1].account, found[-1].account_version) if found else (stretch.account, stretch.account_version)
        ended = len(found) < self._at_once
        with suppress(ReaderFenced), self._database.writing() as transaction:
            self._move(transaction, stretch, (*at, stretch.folded + len(events), int(ended)))
            for copy in self._copies:
                for table in copy.tables:
                    name = copy.stored_name(table)
                    write(transaction, name, table, changed[copy].changes()[table])
                    rows = [values for values in new[copy].changes()[table].values() if values is not None]
                    transaction.insert(name, tuple(table.columns), rows)
        return not ended

    def _move(self, transaction: Transaction, stretch: Stretch, to: tuple[str, int, int, int]) -> None:
        moved = transaction.update(
            "rebuild_stretches",
            {"account": "TEXT", "account_version": "BIGINT", "folded": "BIGINT", "ended": "INTEGER"},
            {
                "projection": "TEXT",
                "version": "INTEGER",
                "stretch": "INTEGER",
                "folded": "BIGINT",
                "ended": "INTEGER",
            },
            [(*to, copy.name, copy.version, stretch.number, stretch.folded, 0) for copy in self._copies],
        )
        if moved != len(self._copies):
            raise ReaderFenced(f"another process folded more of stretch {stretch.number}")


def _build_some(url: str, names: Sequence[str], numbers: Sequence[int], at_once: int, reporting: Connection) -> None:
    """What a process of its own does; it reports None, or why it ended early."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    os.nice(GIVES_WAY)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # what is folded is freed as soon as it is written
    database = connect(url)
    try:
        Building(database, [each for each in CATALOG if each.name in names], at_once).build_some(numbers)
    except Exception as error:
        reporting.send(error)  # raised again where it can be told
    else:
        reporting.send(None)
    finally:
        database.close()


def _raise_reported(report: Connection) -> None:
    try:
        error = report.recv()
    except EOFError:
        error = StoreError("a process that rebuilt was ended from outside: the same command resumes the rebuild")
    if error is not None:
        raise error
