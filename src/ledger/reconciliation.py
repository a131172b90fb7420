"""Reconciliation: a payment processor's list of what it paid, compared with what went out here (contract §3b).

Nothing here is a decision about money: what differs is told to people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256

from ledger.events import DifferingField, DiscrepancyFound, DiscrepancyKind, PayoutStanding, PayoutStatus

FILE_LENGTH = 16
"""So much of the SHA-256 of a file tells it from the others."""


@dataclass(frozen=True, slots=True)
class Payout:
    """What went out here, gross: a return, or a refund that was reported and that nobody here had submitted.

    `return_id` is None for the latter. `since` is when it was submitted or, by the report, when it arrived.
    """

    account_id: str
    refund_id: str
    return_id: str | None
    amount: Decimal
    currency: str
    status: PayoutStatus
    reference: str | None
    since: datetime

    @property
    def names(self) -> frozenset[str]:
        """By what a row of a file is recognised to be about it."""
        names = {_digest("payout", self.account_id, self.return_id or self.refund_id)}
        return frozenset(names | {_reference(self.reference)} if self.reference is not None else names)


@dataclass(frozen=True)
class ListedPayout:
    """A row of a processor's file: a payout as the processor lists it, gross.

    It names a return or a refund of ours, the processor's own reference, or both. `day` is in the file's time zone.
    """

    line: int
    account_id: str | None
    refund_id: str | None
    return_id: str | None
    reference: str | None
    amount: Decimal
    currency: str
    day: date
    status: PayoutStatus

    @cached_property
    def digest(self) -> str:
        """What tells this row from every other, in whichever file and line it stands."""
        said = (self.account_id, self.refund_id, self.return_id, self.reference, str(self.amount), self.currency)
        return _digest(*(part or "" for part in said), self.day.isoformat(), self.status)

    def names(self, here: Sequence[Payout]) -> frozenset[str]:
        """By what other rows are recognised to be about the same payout, which is one of those `here`.

        A refund may have failed once in each of its attempts, so that only one that arrived stands for its returns.
        """
        names = {_reference(self.reference)} if self.reference is not None else set()
        if self.return_id is not None or self.status != "failed":
            names |= {_digest("payout", payout.account_id, payout.return_id or payout.refund_id) for payout in here}
        return frozenset(names or {_digest("listed", self.account_id or "", self.return_id or self.refund_id or "")})

    @property
    def standing(self) -> PayoutStanding:
        """What the file says of the payout."""
        return PayoutStanding(
            amount=self.amount, currency=self.currency, status=self.status, reference=self.reference, day=self.day
        )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Where a payout was listed: by the digest of the row, in a line of a file, of whose SHA-256 `file` is a part."""

    file: str
    line: int
    digest: str
    day: date
    status: PayoutStatus

    @property
    def order(self) -> tuple[date, bool, str, str, int]:
        """The later one has the last word; of one day, a failure."""
        return self.day, self.status == "failed", self.digest, self.file, self.line


@dataclass(frozen=True, slots=True)
class Compared:
    """What a row came to: the discrepancies that hold, and the ids of all those that could hold of it."""

    found: tuple[DiscrepancyFound.Data, ...]
    possible: frozenset[str]
    ignored: bool = False


def compare(row: ListedPayout, file: str, here: Sequence[Payout], occurrences: Sequence[Occurrence]) -> Compared:
    """Compare a row of a file with the payouts that it is about.

    `occurrences` are those of all files, this row's own among them. How a payout stands there the last of them says;
    a row that lists it once more is a duplicate and nothing else.
    """
    own = Occurrence(file[:FILE_LENGTH], row.line, row.digest, row.day, row.status)
    last = max(occurrences, key=lambda each: each.order, default=own)
    listed = frozenset(missing_id(payout) for payout in here)
    again = _again(own, occurrences)
    if again is not None:
        standing = _together(here) if here else None
        return Compared((_found(again, "duplicate", row, file, here, standing),), listed)
    if row.status != last.status:
        return Compared((), listed, ignored=not here)
    unknown = _unknown_id(row)
    if not here:
        found = () if row.status == "failed" else (_found(unknown, "unknown_here", row, file, here, None),)
        return Compared(found, frozenset({unknown}), ignored=not found)
    standing = _together(here)
    differing = discrepancy_id("differing", *_key(here))
    differs = _differs(row, standing)
    return Compared(
        (_found(differing, "differing", row, file, here, standing, differs),) if differs else (),
        listed | {unknown, differing},
    )


def missing(payout: Payout, file: str) -> DiscrepancyFound.Data:
    """The discrepancy of a payout that no file lists."""
    return DiscrepancyFound.Data(
        discrepancy_id=missing_id(payout),
        kind="missing_there",
        account_id=payout.account_id,
        refund_id=payout.refund_id,
        return_id=payout.return_id,
        differs=(),
        here=PayoutStanding(
            amount=payout.amount,
            currency=payout.currency,
            status=payout.status,
            reference=payout.reference,
            day=None,
        ),
        there=None,
        sha256=file,
        line=None,
    )


def is_same(one: DiscrepancyFound.Data, other: DiscrepancyFound.Data) -> bool:
    """Whether two findings say the same, in whichever file and line they were made."""
    where = {"sha256", "line"}
    return one.model_dump(exclude=where) == other.model_dump(exclude=where)


# --- how it is compared ---------------------------------------------------------------------------------------------


def _together(here: Sequence[Payout]) -> PayoutStanding:
    """What stands here of what a row is about. A row of a whole refund lists what of it arrived, under a reference of
    its own where it has several returns."""
    arrived = [payout for payout in here if payout.status != "failed"] or list(here)
    statuses = {payout.status for payout in arrived}
    return PayoutStanding(
        amount=sum((payout.amount for payout in arrived[1:]), arrived[0].amount),
        currency=arrived[0].currency,
        status="submitted" if "submitted" in statuses else arrived[0].status,
        reference=here[0].reference if len(here) == 1 else None,
        day=None,
    )


def _differs(row: ListedPayout, here: PayoutStanding) -> tuple[DifferingField, ...]:
    """What differs. What is under way here and arrived there differs in nothing: the report is still to come."""
    differs: list[DifferingField] = []
    if row.amount != here.amount:
        differs.append("amount")
    if row.currency != here.currency:
        differs.append("currency")
    if None not in (row.reference, here.reference) and row.reference != here.reference:
        differs.append("reference")
    if row.status != here.status and (here.status, row.status) != ("submitted", "succeeded"):
        differs.append("status")
    return tuple(differs)


def _again(own: Occurrence, occurrences: Sequence[Occurrence]) -> str | None:
    """The id of the discrepancy that a payout is listed again by this row; None where it is the first or only one.

    The same row in another file is the same payout: periods of files overlap.
    """
    before = [
        each
        for each in occurrences
        if each.status == own.status
        and each.order < own.order
        and (each.digest != own.digest or (each.file == own.file and each.line != own.line))
    ]
    if not before:
        return None
    alike = len({each.line for each in before if each.digest == own.digest})
    return discrepancy_id("duplicate", own.digest, str(alike))


def _found(
    discrepancy: str,
    kind: DiscrepancyKind,
    row: ListedPayout,
    file: str,
    here: Sequence[Payout],
    standing: PayoutStanding | None,
    differs: tuple[DifferingField, ...] = (),
) -> DiscrepancyFound.Data:
    return DiscrepancyFound.Data(
        discrepancy_id=discrepancy,
        kind=kind,
        account_id=here[0].account_id if here else row.account_id,
        refund_id=here[0].refund_id if here else row.refund_id,
        return_id=here[0].return_id if len(here) == 1 else row.return_id,
        differs=differs,
        here=standing,
        there=row.standing,
        sha256=file,
        line=row.line,
    )


# --- ids ------------------------------------------------------------------------------------------------------------


def discrepancy_id(kind: DiscrepancyKind, *about: str) -> str:
    """The same for the same discrepancy, whichever file it is found in."""
    return f"dsc-{_digest(kind, *about)[:16]}"


def missing_id(payout: Payout) -> str:
    """The id of the discrepancy that no file lists a payout."""
    return discrepancy_id("missing_there", payout.account_id, payout.return_id or payout.refund_id)


def _unknown_id(row: ListedPayout) -> str:
    if row.reference is not None:
        return discrepancy_id("unknown_here", "reference", row.reference)
    return discrepancy_id("unknown_here", row.account_id or "", row.return_id or row.refund_id or "")


def _key(here: Sequence[Payout]) -> tuple[str, str]:
    return here[0].account_id, (here[0].return_id or here[0].refund_id) if len(here) == 1 else here[0].refund_id


def _reference(reference: str) -> str:
    return _digest("reference", reference)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
