"""Reconciliation: what a processor's file came to, and the discrepancies with what went out here (contract §3b)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from typing_extensions import TypedDict

from consumers.payouts.processor_file import Looked, NoRefund, NotReadable, Open, Read, Unreadable, look, read
from ledger.events import DiscrepancyFound, FileFormat, FileReconciled
from ledger.reconciliation import ListedPayout, Payout, compare, missing, missing_id
from ledger.store.reading.listed_payouts import occurrences_of
from ledger.store.reading.page import Listed, Page
from ledger.store.reading.shards import shard_ends
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections import reconciliation as reconciling
from projections.reconciliation import Discrepancy, Known, payouts_between, payouts_named, shown_found
from projections.shown_values import Hash

if TYPE_CHECKING:
    from ledger.application.acts import By

AT_ONCE = 1_000
"""So many rows are compared together."""
UNREADABLE_MAX = 1_000
"""So many unreadable rows are listed; the others are counted."""

Progress = Callable[[int, int | None], object]


class UnreadableRow(TypedDict):
    """A row of a file that could not be read, by its line and column; it was not compared."""

    line: int
    column: str | None
    reason: str


class Reconciled(TypedDict):
    """The result of reconciling a processor's file: `makegood reconcile`."""

    sha256: Annotated[Hash, Field(description="The SHA-256 of the file.")]
    format: FileFormat
    first_day: Annotated[str, Field(description="The first day for which it was compared.")]
    last_day: Annotated[str, Field(description="The last day, included.")]
    rows: int
    matched: Annotated[int, Field(description="Rows without a discrepancy.")]
    settled: Annotated[int, Field(description="Discrepancies that a person has settled.")]
    ignored: Annotated[
        int, Field(description="Rows that are no refunds, or refunds that failed and are not known here.")
    ]
    missing_there: list[Discrepancy]
    unknown_here: list[Discrepancy]
    differing: list[Discrepancy]
    duplicates: list[Discrepancy]
    unreadable: Annotated[list[UnreadableRow], Field(description="Rows that could not be read and compared.")]


class DiscrepancyDone(TypedDict):
    """A discrepancy that somebody settled: `makegood reconciliation settle`."""

    discrepancy_id: str
    outcome: Annotated[str, Field(examples=["settled"])]


@of_all_shards
def discrepancies(house: House, *, settled: bool = False, page: Page | None = None) -> Listed[Discrepancy]:
    """The open discrepancies, those found first in front; those settled too, if asked for."""
    return reconciling.listed(house.database, settled=settled, page=page)


def is_open(reconciled: Reconciled) -> bool:
    """Whether any discrepancy of a file is open."""
    return any(reconciled[kind] for kind in ("missing_there", "unknown_here", "differing", "duplicates"))


def _unwatched(done: int, of: int | None) -> None:
    """Nobody watches."""


def reconcile(
    house: House,
    open_file: Open,
    by: By,
    first_day: date | None = None,
    last_day: date | None = None,
    on_progress: Progress = _unwatched,
) -> Reconciled:
    """Compare a processor's file with what went out here, and record what differs.

    The same file again changes nothing. Without days given the period is that of the file. Projections must have
    caught up. Told of rows done of how many; each is read three times.
    Raises NotReadable, Conflict and Unavailable.
    """
    every = [_Comparing(each, house, open_file, by, on_progress) for each in house.every]
    looked = every[0].looked
    first_day, last_day = first_day or looked.first_day, last_day or looked.last_day
    if first_day is None or last_day is None:
        raise NotReadable("the file lists no refund: give the first and the last day to compare a period with it")
    if last_day < first_day:
        raise NotReadable(f"the period from {first_day} to {last_day} ends before it begins: give other days")
    for each in every:
        each.compare()
        each.look_for_missing(first_day, last_day)
    return _together([each.record(first_day, last_day) for each in every])


def house_with(house: House, discrepancy_id: str) -> House:
    """The house of the shard that has a discrepancy; the first one's where none has."""
    from ledger.application.reconciliation import has_discrepancy

    for each in house.every:
        with each.database.reading() as transaction:
            if has_discrepancy(transaction, discrepancy_id):
                return each
    return house


def _together(of_each: Sequence[Reconciled]) -> Reconciled:
    """What a file came to in all shards, of which each compared the rows about its own payouts."""
    first = of_each[0]
    return {
        "sha256": first["sha256"],
        "format": first["format"],
        "first_day": first["first_day"],
        "last_day": first["last_day"],
        "rows": first["rows"],
        "matched": sum(of["matched"] for of in of_each),
        "settled": sum(of["settled"] for of in of_each),
        "ignored": sum(of["ignored"] for of in of_each),
        "missing_there": [row for of in of_each for row in of["missing_there"]],
        "unknown_here": [row for of in of_each for row in of["unknown_here"]],
        "differing": [row for of in of_each for row in of["differing"]],
        "duplicates": [row for of in of_each for row in of["duplicates"]],
        "unreadable": first["unreadable"],
    }


@dataclass
class _Comparing:
    """A file while it is compared by one of the shards: the rows about its own payouts, and by the first one also
    those that are about no shard's, and those that cannot be read."""

    house: House
    whole: House
    open_file: Open
    by: By
    on_progress: Progress
    looked: Looked = field(init=False)
    unreadable: list[Unreadable] = field(default_factory=list)
    unread: int = 0
    matched: int = 0
    ignored: int = 0
    settled: set[str] = field(default_factory=set)
    open: dict[str, DiscrepancyFound] = field(default_factory=dict)
    done: int = 0

    def __post_init__(self) -> None:
        self.looked = look(self.open_file, self._look_at)
        with self.house.database.reading() as transaction:
            self.position = str(shard_ends(transaction))

    def _is_of(self, house: House) -> bool:
        return house.database is self.house.database

    def _look_at(self, row: Read) -> None:
        if not self._is_of(self.whole):
            return
        self.done += 1
        if self.done % AT_ONCE == 0:
            self.on_progress(self.done, None)
        if isinstance(row, Unreadable):
            self._cannot_read(row)
        elif isinstance(row, NoRefund):
            self.ignored += 1

    def _cannot_read(self, row: Unreadable) -> None:
        self.unread += 1
        if len(self.unreadable) < UNREADABLE_MAX:
            self.unreadable.append(row)

    def compare(self) -> None:
        """Note all rows first, then compare each: what a later one says may change what an earlier one means."""
        from ledger.application.reconciliation import note, record_found

        sha256 = self.looked.sha256
        for rows in self._rows_at_once():
            note(self.house.ledger, sha256, [(row, row.names(here)) for row, here in rows if here is not None])
        for rows in self._rows_at_once():
            known = [(row, here, row.names(here)) for row, here in rows if here is not None]
            for row, here in rows:
                if here is None:
                    reason = "several accounts have this refund id: add the column account_id, or name the return"
                    self._cannot_read(Unreadable(row.line, "refund_id", reason))
            with self.house.database.reading() as transaction:
                listed = occurrences_of(transaction, {name for _, _, names in known for name in names})
            compared = [
                compare(row, sha256, here, [each for name in names for each in listed.get(name, ())])
                for row, here, names in known
            ]
            findings = [data for each in compared for data in each.found]
            possible = {id_ for each in compared for id_ in each.possible}
            standing = record_found(self.house.ledger, findings, possible, self.by)
            self._stands(standing.open, standing.settled)
            self.ignored += sum(each.ignored for each in compared)
            self.matched += sum(not each.found and not each.ignored for each in compared)

    def look_for_missing(self, first_day: date, last_day: date) -> None:
        """Find what went out in a period, by the days of UTC, and is in no file; what failed since is not missing."""
        from ledger.application.reconciliation import record_found

        start = datetime.combine(first_day, time(), UTC)
        end = datetime.combine(last_day, time(), UTC) + timedelta(days=1)
        for payouts in payouts_between(self.house.database, start, end, AT_ONCE):
            with self.house.database.reading() as transaction:
                listed = occurrences_of(transaction, {name for payout in payouts for name in payout.names})
            findings = [
                missing(payout, self.looked.sha256)
                for payout in payouts
                if payout.status != "failed" and not any(name in listed for name in payout.names)
            ]
            standing = record_found(self.house.ledger, findings, list(map(missing_id, payouts)), self.by)
            self._stands(standing.open, standing.settled)

    def record(self, first_day: date, last_day: date) -> Reconciled:
        """Record what it came to."""
        from ledger.application.reconciliation import record_reconciled

        missing_there, unknown_here, differing, duplicates = (
            [event for event in self.open.values() if event.data.kind == kind]
            for kind in ("missing_there", "unknown_here", "differing", "duplicate")
        )
        record_reconciled(
            self.house.ledger,
            FileReconciled.Data(
                sha256=self.looked.sha256,
                format=self.looked.format,
                first_day=first_day,
                last_day=last_day,
                rows=self.looked.rows,
                matched=self.matched,
                settled=len(self.settled),
                ignored=self.ignored,
                unreadable=self.unread,
                missing_there=len(missing_there),
                unknown_here=len(unknown_here),
                differing=len(differing),
                duplicates=len(duplicates),
                position=self.position,
            ),
            self.by,
        )
        return {
            "sha256": self.looked.sha256,
            "format": self.looked.format,
            "first_day": first_day.isoformat(),
            "last_day": last_day.isoformat(),
            "rows": self.looked.rows,
            "matched": self.matched,
            "settled": len(self.settled),
            "ignored": self.ignored,
            "missing_there": shown_found(missing_there),
            "unknown_here": shown_found(unknown_here),
            "differing": shown_found(differing),
            "duplicates": shown_found(duplicates),
            "unreadable": [
                {"line": row.line, "column": row.column, "reason": row.reason}
                for row in sorted(self.unreadable, key=lambda row: row.line)
            ],
        }

    def _stands(self, found: Iterable[DiscrepancyFound], settled: Collection[str]) -> None:
        self.open |= {event.data.discrepancy_id: event for event in found}
        self.settled |= set(settled)

    def _rows_at_once(self) -> Iterator[list[tuple[ListedPayout, list[Payout] | None]]]:
        """The shard's rows of the file with the payouts that each is about; None where these are of several
        accounts."""
        rows = (row for row in read(self.open_file) if isinstance(row, ListedPayout))
        while part := list(islice(rows, AT_ONCE)):
            ids = {id_ for row in part for id_ in (row.return_id, row.refund_id) if id_ is not None}
            references = {row.reference for row in part if row.reference is not None}
            known = Known()
            for each in self.whole.every:
                with each.database.reading() as transaction:
                    known.add(payouts_named(transaction, ids, references))
            found: list[tuple[ListedPayout, list[Payout] | None]] = []
            for row in part:
                here = known.named(row.account_id, row.refund_id, row.return_id, row.reference)
                accounts = {payout.account_id for payout in here}
                if self._is_of(self.whole.of(here[0].account_id) if len(accounts) == 1 else self.whole):
                    found.append((row, here if len(accounts) < 2 else None))
            yield found
            self.done += len(part)
            self.on_progress(self.done, 3 * self.looked.rows)
