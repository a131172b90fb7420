"""Whether what is stored is what was recorded: `makegood audit verify` (contract §3c).

No vault is needed. What is signed is shown by checkpoints; what comes after the last one of them, only by the store.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field
from typing_extensions import TypedDict

from ledger.application.verification import (
    Covered,
    LogFolder,
    Mismatch,
    Snapshot,
    against_events,
    against_trees,
    check_range,
    read_snapshot,
)
from ledger.application.verification.entries import History, Run
from ledger.application.verification.snapshot import UNREADABLE
from ledger.audit import Checkpoint, Note, TrustPolicy
from ledger.store.column_types import ColumnChanged
from ledger.store.connecting import connect
from ledger.store.database import Database, StoreError
from ledger.store.positions import Position as At
from ledger.store.reading.events import accounts_at, read_accounts
from ledger.values import instant_to_text
from makegood.answers.audit.closings import incomplete_closings
from makegood.answers.audit.processes import Processes
from makegood.house.opening import House
from projections.ahead import projections_ahead
from projections.catalog import CATALOG
from projections.comparing import differences_of, pages
from projections.follower import Progress
from projections.shown_values import Position

AT_ONCE = 2_000
"""So many events are checked together."""
ACCOUNTS_AT_ONCE = 50
"""So many accounts are compared with projections together."""
ALONE_MAX = 20_000
"""So many events of a store are checked faster by one process than by several, which have to start."""
LOG_ALONE_MAX = 500_000
"""So many entries of an exported log, with which there is less to compare."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = 2**37
"""Seconds since 1970 in the year 6325: what is said to be later is told as this."""

T = TypeVar("T")
R = TypeVar("R")


class Bad(TypedDict):
    """Something that is not as it was recorded; without a position or an account where no one event is to blame."""

    position: Position | None
    account_id: str | None
    what: str


class CheckedCheckpoint(TypedDict):
    """The checkpoint that covers most, of those that hold."""

    origin: str
    size: int
    root: Annotated[str, Field(description="The root of the Merkle tree, SHA-256 in base64.")]
    signed_by: Annotated[
        list[str], Field(description="The ids of the log's keys whose signatures were verified, in hexadecimal.")
    ]


class Witnessed(TypedDict):
    """A witness that cosigned the checkpoint."""

    name: str
    at: Annotated[str | None, Field(description="The instant of the cosignature.")]


class Verification(TypedDict):
    """The result of verifying a store, or a log in a folder."""

    ok: bool
    events: int
    covered_to: Annotated[
        Position | None, Field(description="The last position that the checkpoint covers; null without one.")
    ]
    first_bad: Annotated[Position | None, Field(description="The first position at which something is not right.")]
    bad: list[Bad]
    checkpoint: CheckedCheckpoint | None
    witnesses: list[Witnessed]
    bytes_hashed: Annotated[int, Field(description="How many bytes of envelopes were hashed anew.")]


Bar = Callable[[str, str], AbstractContextManager[Progress]]
"""Shows how far something has come: what it is, and what is counted."""


def no_bar(what: str, unit: str) -> AbstractContextManager[Progress]:
    """Shows nothing."""
    return nullcontext(lambda done, of: None)


def verified(
    house: House,
    *,
    policy: TrustPolicy | None = None,
    checkpoint: Note | None = None,
    bar: Bar = no_bar,
    processes: int | None = None,
) -> Verification:
    """Verify a store, against the `checkpoint` that is given or else those that it keeps.

    `policy` says whose signatures count; without one they are not verified, and only roots are compared. A large
    store is shared out among so many `processes`, by default one for each core. Raises a Database's errors, and Stop
    where one of the processes was ended.
    """
    with house.database.reading() as transaction:
        snapshot = read_snapshot(transaction)
    events = sum(snapshot.ends.values())
    processes = processes or (os.cpu_count() or 1 if events > ALONE_MAX else 1)
    with ExitStack() as until_the_end:
        others = None
        if processes > 1 and not house.settings.store.endswith(":memory:"):
            others = until_the_end.enter_context(Processes(processes))
        work = _Work(house, others)
        with bar("hashing", "events") as progress:
            histories = _histories(work, snapshot, progress)
        found = list(against_events(snapshot, histories))
        of_trees, changed, covered = against_trees(snapshot, histories, policy, checkpoint)
        found += of_trees
        found += _of_histories(histories, found, changed)
        with bar("comparing", "accounts") as progress:
            found += _of_projections(work, progress)
        if not found:  # where an event is not what it was, it is named, and so would be every month that counts it
            with bar("closings", "accounts") as progress:
                found += incomplete_closings(house, progress)
    found = _with_accounts(house.database, found)
    return _answer(found, sum(snapshot.ends.values()), covered, sum(h.bytes_hashed for h in histories.values()))


def verified_log(
    folder: Path,
    *,
    policy: TrustPolicy | None = None,
    checkpoint: Note | None = None,
    bar: Bar = no_bar,
    processes: int | None = None,
) -> Verification:
    """Verify a log in a folder, up to the `checkpoint` that is given or else the one that lies there.

    A large log is shared out among so many `processes`, by default one for each core. Raises LogUnreadable, and Stop
    where one of the processes was ended.
    """
    log = LogFolder(folder)
    note = checkpoint or log.checkpoint()
    if note is not None:
        is_large = Checkpoint.parse(note.text).size > LOG_ALONE_MAX
        processes = processes or (os.cpu_count() or 1 if is_large else 1)
        with ExitStack() as until_the_end:
            each = until_the_end.enter_context(Processes(processes)).each if processes > 1 else map
            progress = until_the_end.enter_context(bar("hashing", "events"))
            for entries, of in log.verify(note, policy, each):
                progress(entries, of)
    return _answer(log.found, log.history.entries, log.covered, log.history.bytes_hashed)


def _answer(found: Iterable[Mismatch], events: int, covered: Covered | None, hashed: int) -> Verification:
    bad = sorted(set(found), key=lambda each: each.order)
    first = next((each.at for each in bad if each.at is not None), None)
    return {
        "ok": not bad,
        "events": events,
        "covered_to": str(At(covered.shard, covered.checkpoint.size)) if covered is not None else None,
        "first_bad": str(first) if first is not None else None,
        "bad": [
            {
                "position": str(each.at) if each.at is not None else None,
                "account_id": each.account if isinstance(each.account, str) else None,  # a column may hold anything
                "what": each.what,
            }
            for each in bad
        ],
        "checkpoint": _told(covered) if covered is not None else None,
        "witnesses": _witnesses(covered) if covered is not None else [],
        "bytes_hashed": hashed,
    }


def _told(covered: Covered) -> CheckedCheckpoint:
    return {
        "origin": covered.checkpoint.origin,
        "size": covered.checkpoint.size,
        "root": b64encode(covered.checkpoint.root).decode(),
        "signed_by": [key.key_id.hex() for key in covered.log_keys],
    }


def _witnesses(covered: Covered) -> list[Witnessed]:
    return [
        {"name": name, "at": _seconds_to_text(by.at) if by.at is not None else None}
        for name, by in sorted(covered.witnesses.items())
    ]


def _seconds_to_text(seconds: int) -> str:
    return instant_to_text(_EPOCH + timedelta(seconds=min(seconds, _SECONDS_MAX)))


# --- what is put together -----------------------------------------------------------------------------------------


def _histories(work: _Work, snapshot: Snapshot, progress: Progress) -> dict[int, History]:
    """The events of each shard, checked in runs."""
    histories = {shard: History() for shard in snapshot.ends}
    runs = [
        (shard, first, min(first + AT_ONCE - 1, end))
        for shard, end in snapshot.ends.items()
        for first in range(1, end + 1, AT_ONCE)
    ]
    of = sum(snapshot.ends.values())
    done = 0
    for (shard, first, last), run in zip(runs, work.each(_check_run, runs), strict=True):
        histories[shard].add(run)
        done += last - first + 1
        progress(done, of)
    return histories


def _of_histories(
    histories: Mapping[int, History], found: Iterable[Mismatch], changed: Mapping[int, set[int]]
) -> Iterator[Mismatch]:
    suspects = {shard: set(positions) for shard, positions in changed.items()}
    for each in found:
        if each.at is not None:
            suspects.setdefault(each.at.shard, set()).add(each.at.position)
    for shard, history in histories.items():
        for bad in (*history.bad, *history.broken(suspects.get(shard, set()))):
            yield Mismatch(At(shard, bad.position) if bad.position is not None else None, bad.account, bad.what)


def _of_projections(work: _Work, progress: Progress) -> Iterator[Mismatch]:
    """What rows of projections say that the log does not."""
    with work.database.reading() as transaction:
        try:
            ahead = projections_ahead(transaction)
        except UNREADABLE:  # of sequences, positions or the last event, which are told of where they are looked at
            ahead = []
    yield from (Mismatch(None, None, str(each)) for each in ahead)
    parts = list(pages(work.database, CATALOG, ACCOUNTS_AT_ONCE))
    of, done = sum(map(len, parts)), 0
    for part, found in zip(parts, work.each(_compare, parts), strict=True):
        yield from found
        done += len(part)
        progress(done, of)


def _with_accounts(database: Database, found: Sequence[Mismatch]) -> list[Mismatch]:
    """Mismatches, each with the account of its event where that can be told."""
    unnamed = {each.at for each in found if each.at is not None and each.account is None}
    with database.reading() as transaction:
        accounts = accounts_at(transaction, unnamed)
    return [
        each if each.account is not None or each.at is None else Mismatch(each.at, accounts.get(each.at), each.what)
        for each in found
    ]


# --- by one process, or by several --------------------------------------------------------------------------------


class _Work:
    """Does one thing for each of many, here or in other processes, which open the store themselves."""

    def __init__(self, house: House, others: Processes | None) -> None:
        self.database = house.database
        self._store = house.settings.store
        self._others = others

    def each(self, what: Callable[[Database, T], R], of: Sequence[T]) -> Iterator[R]:
        """The results, in order."""
        if self._others is None:
            return (what(self.database, each) for each in of)
        return self._others.each(partial(_elsewhere, what, self._store), of)


_opened: tuple[str, Database] | None = None
"""What this process has opened, where it works for another."""


def _elsewhere(what: Callable[[Database, T], R], store: str, of: T) -> R:
    global _opened
    if _opened is None or _opened[0] != store:
        _opened = store, connect(store)
    return what(_opened[1], of)


def _check_run(database: Database, of: tuple[int, int, int]) -> Run:
    with database.reading() as transaction:
        return check_range(transaction, *of)


def _compare(database: Database, accounts: Sequence[str]) -> list[Mismatch]:
    """How the rows of some accounts differ from what their events make of them.

    Where an event cannot be folded, the accounts are looked at one by one, so that only its own is told of.
    """
    try:
        with database.reading() as transaction:
            events = read_accounts(transaction, accounts)
            differences = differences_of(transaction, CATALOG, {each: events.get(each, ()) for each in accounts})
    except Exception as error:  # whatever a fold meets in an event that somebody changed
        if isinstance(error, StoreError) and not isinstance(error, ColumnChanged):
            raise
        if len(accounts) == 1:
            return [Mismatch(None, accounts[0], "an event of it or a row about it cannot be read")]
        return [found for account in accounts for found in _compare(database, [account])]
    return [
        Mismatch(None, each.account, f"rows of {each.projection} differ from the events: {_counted(each.rows)}")
        for each in differences
    ]


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {table}" for table, count in rows.items())
