"""What went out, as a payment processor lists it, and the discrepancies between both (contract §3b).

A payout is a return of a refund that was submitted, in each of its attempts, or a refund that was reported and that
nobody here had submitted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    DifferingField,
    DiscrepancyFound,
    DiscrepancyKind,
    DiscrepancySettled,
    PayoutStanding,
    PayoutStatus,
    RefundStatusChanged,
    RefundSucceeded,
    RefundSucceededV1,
    Settling,
    claims_settled,
)
from ledger.reconciliation import Payout
from ledger.store.database import Database, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where
from projections.asking import rows_listed
from projections.projection import Index, Place, Projection, Row, Rows, Table
from projections.settled_parts import refund_parts
from projections.shown_values import Amount, Currency, Hash, Instant, shown_instant

PAYOUTS = Table(
    "payouts",
    {
        "account": "TEXT",
        "payout_id": "TEXT",
        "refund_id": "TEXT",
        "attempt": "INTEGER",
        "amount": "TEXT",
        "currency": "TEXT",
        "status": "TEXT",
        "reference": "TEXT",
        "since": "INSTANT",
    },
    key=("account", "payout_id"),
    reads=(*SETTLING, RefundStatusChanged, RefundSucceeded, RefundSucceededV1),
    indexes=(
        Index("payout_id", ("payout_id",)),
        Index("refund_id", ("refund_id",)),
        Index("reference", ("reference",)),
        Index("since", ("since", "account", "payout_id")),
    ),
)
"""`attempt` is 0 for a refund that nobody here had submitted; its `payout_id` is the refund's."""
REPORTS = Table(
    "payout_reports",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        "reference": "TEXT",
        "succeeded_at": "INSTANT",
        "message_time": "INSTANT",
    },
    key=("account", "refund_id"),
    reads=(*SETTLING, RefundSucceeded, RefundSucceededV1),
    finding=True,
)
"""A report may come before the claim is settled by it. Of several the latest holds (policy §7)."""
DISCREPANCIES = Table(
    "discrepancies",
    {
        "account": "TEXT",
        "discrepancy_id": "TEXT",
        "kind": "TEXT",
        "account_id": "TEXT",
        "refund_id": "TEXT",
        "return_id": "TEXT",
        "differs": "TEXT",
        "here": "TEXT",
        "there": "TEXT",
        "sha256": "TEXT",
        "line": "BIGINT",
        "found_at": "INSTANT",
        "found_by": "TEXT",
        "status": "TEXT",
        "settled_at": "INSTANT",
        "settled_by": "TEXT",
        "matched": "INTEGER",
    },
    key=("account", "discrepancy_id"),
    reads=(DiscrepancySettled,),
    indexes=(
        Index("found", ("found_at", "discrepancy_id")),
        Index("status", ("status", "found_at", "discrepancy_id")),
    ),
)

_NOT_SUBMITTED = 0


Handled = Settling | RefundStatusChanged | RefundSucceeded | RefundSucceededV1 | DiscrepancyFound | DiscrepancySettled


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """A payout is there once it was submitted or reported; a discrepancy from when it was found."""
    match event:
        case DiscrepancyFound():
            rows.put(DISCREPANCIES, _found(event))
        case DiscrepancySettled():
            found = rows.get(DISCREPANCIES, event.account, event.data.discrepancy_id)
            if found is not None:
                rows.put(DISCREPANCIES, {**found, **_settled(event)})
        case RefundStatusChanged():
            _submitted(rows, event)
        case RefundSucceeded() | RefundSucceededV1():
            _reported(rows, event)
        case _:
            for claim in claims_settled(event):
                before, after = refund_parts(claim.before), refund_parts(claim.after)
                for refund_id in before.keys() | after.keys():
                    part = after.get(refund_id)
                    gone_out = part is not None and part.status in ("gone_out", "failed")
                    if part is None or not gone_out:
                        rows.delete(PAYOUTS, event.account, refund_id)
                    elif not _was_submitted(rows, event.account, refund_id):
                        status: PayoutStatus = "failed" if part.status == "failed" else "succeeded"
                        amount = str(part.net + part.tax)
                        rows.put(PAYOUTS, _not_submitted(rows, event, refund_id, amount, status))


def _was_submitted(rows: Rows, account: str, refund_id: str) -> bool:
    there = (row for row in rows.of_account(PAYOUTS, account) if row["refund_id"] == refund_id)
    return any(row["attempt"] != _NOT_SUBMITTED for row in there)


def _not_submitted(rows: Rows, event: Settling, refund_id: str, amount: str, status: PayoutStatus) -> Row:
    """The row of a refund that was reported without having been submitted; since the report, where there is one."""
    report = rows.get(REPORTS, event.account, refund_id)
    before = rows.get(PAYOUTS, event.account, refund_id)
    recorded = before["since"] if before is not None else to_microseconds(event.recorded_at)
    return {
        "account": event.account,
        "payout_id": refund_id,
        "refund_id": refund_id,
        "attempt": _NOT_SUBMITTED,
        "amount": amount,
        "currency": event.data.currency,
        "status": status,
        "reference": report["reference"] if report is not None else None,
        "since": report["succeeded_at"] if report is not None else recorded,
    }


def _reported(rows: Rows, event: RefundSucceeded | RefundSucceededV1) -> None:
    data = event.data
    before = rows.get(REPORTS, event.account, data.refund_id)
    message_time = to_microseconds(data.message.time)
    if before is not None and before["message_time"] > message_time:
        return
    said = {"reference": data.processor_reference, "succeeded_at": to_microseconds(data.succeeded_at)}
    key = {"account": event.account, "refund_id": data.refund_id}
    rows.put(REPORTS, {**key, **said, "message_time": message_time})
    row = rows.get(PAYOUTS, event.account, data.refund_id)
    if row is not None and row["attempt"] == _NOT_SUBMITTED:
        rows.put(PAYOUTS, {**row, "reference": said["reference"], "since": said["succeeded_at"]})


def _submitted(rows: Rows, event: RefundStatusChanged) -> None:
    """An attempt that another one followed stays as it ended."""
    data = event.data
    if not data.attempt or not data.returns:
        return
    rows.delete(PAYOUTS, event.account, data.refund_id)
    for each in data.returns:
        before = rows.get(PAYOUTS, event.account, each.return_id)
        submitted_at = data.submitted_at if data.submitted_at is not None else event.recorded_at
        rows.put(
            PAYOUTS,
            {
                "account": event.account,
                "payout_id": each.return_id,
                "refund_id": data.refund_id,
                "attempt": before["attempt"] if before is not None else data.attempt,
                "amount": str(each.amount),
                "currency": data.currency,
                "status": each.status,
                "reference": each.processor_reference,
                "since": before["since"] if before is not None else to_microseconds(submitted_at),
            },
        )


def _found(event: DiscrepancyFound) -> Row:
    data = event.data
    return {
        "account": event.account,
        "discrepancy_id": data.discrepancy_id,
        "kind": data.kind,
        "account_id": data.account_id,
        "refund_id": data.refund_id,
        "return_id": data.return_id,
        "differs": to_json(data.differs).decode(),
        "here": _standing(data.here),
        "there": _standing(data.there),
        "sha256": data.sha256,
        "line": data.line,
        "found_at": to_microseconds(event.recorded_at),
        "found_by": event.actor,
        "status": "open",
        "settled_at": None,
        "settled_by": None,
        "matched": None,
    }


def _settled(event: DiscrepancySettled) -> Row:
    return {
        "status": "settled",
        "settled_at": to_microseconds(event.recorded_at),
        "settled_by": event.actor,
        "matched": int(event.data.settled_by == "match"),
    }


def _standing(said: PayoutStanding | None) -> str | None:
    if said is None:
        return None
    return to_json({**said.model_dump(), "amount": str(said.amount)}).decode()


RECONCILIATION = Projection(
    "reconciliation",
    1,
    (PAYOUTS, REPORTS, DISCREPANCIES),
    (*SETTLING, RefundStatusChanged, RefundSucceeded, RefundSucceededV1, DiscrepancyFound, DiscrepancySettled),
    fold,
)


# --- what went out --------------------------------------------------------------------------------------------------


class Known:
    """The payouts that rows of a file may be about: by the ids and references that these name."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[tuple[Payout, int]]] = defaultdict(list)
        self._by_refund: dict[str, list[tuple[Payout, int]]] = defaultdict(list)
        self._by_reference: dict[str, list[tuple[Payout, int]]] = defaultdict(list)

    def add(self, found: Iterable[tuple[Payout, int]]) -> None:
        """Add payouts, each with the number of its attempt."""
        for payout, attempt in found:
            self._by_id[payout.return_id or payout.refund_id].append((payout, attempt))
            self._by_refund[payout.refund_id].append((payout, attempt))
            if payout.reference is not None:
                self._by_reference[payout.reference].append((payout, attempt))

    def named(
        self, account_id: str | None, refund_id: str | None, return_id: str | None, reference: str | None
    ) -> list[Payout]:
        """The payouts that a row is about: by its return, else its refund's last attempt, else its reference.

        They may be of several accounts where it names none.
        """
        for found in (
            self._by_id.get(return_id or "", ()),
            self._by_refund.get(refund_id or "", ()),
            self._by_reference.get(reference or "", ()),
        ):
            of_account = [(p, attempt) for p, attempt in found if account_id in (None, p.account_id)]
            if of_account:
                last: dict[str, int] = {}
                for payout, attempt in of_account:
                    last[payout.account_id] = max(attempt, last.get(payout.account_id, 0))
                return [payout for payout, attempt in of_account if attempt == last[payout.account_id]]
        return []


def payouts_named(
    transaction: Transaction, ids: Collection[str], references: Collection[str]
) -> list[tuple[Payout, int]]:
    """The payouts with some ids of returns and refunds, and with some references, each with its attempt's number."""
    found: dict[tuple[str, str], Row] = {}
    for column, values in (("payout_id", ids), ("refund_id", ids), ("reference", references)):
        name = RECONCILIATION.stored_name(PAYOUTS)
        statement = f"SELECT {', '.join(PAYOUTS.columns)} FROM {name} WHERE {column} IN (?*)"
        for values_of_row in transaction.rows_in(statement, sorted(values)):
            row = PAYOUTS.row(values_of_row)
            found[PAYOUTS.key_of(row)] = row
    return [(_payout(row), row["attempt"]) for _, row in sorted(found.items())]


def payouts_between(database: Database, start: datetime, end: datetime, at_once: int) -> Iterator[list[Payout]]:
    """The payouts since an instant and before another, some at a time."""
    page: Page | None = Page(at_once)
    order: Order = {"since": int, "account": str, "payout_id": str}
    while page is not None:
        where = Where().that("since >= ?", to_microseconds(start)).that("since < ?", to_microseconds(end))
        with database.reading() as transaction:
            found = rows_listed(transaction, RECONCILIATION, PAYOUTS, where, page, order)
        yield [_payout(row) for row in found]
        page = Page(at_once, found.next) if found.next is not None else None


def _payout(row: Row) -> Payout:
    return Payout(
        account_id=row["account"],
        refund_id=row["refund_id"],
        return_id=row["payout_id"] if row["attempt"] != _NOT_SUBMITTED else None,
        amount=Decimal(row["amount"]),
        currency=row["currency"],
        status=row["status"],
        reference=row["reference"],
        since=from_microseconds(row["since"]),
    )


# --- discrepancies --------------------------------------------------------------------------------------------------


class PayoutSaid(TypedDict):
    """A payout as one side has it, gross; `day` is the date in the file."""

    amount: Amount
    currency: Currency
    status: PayoutStatus
    reference: str | None
    day: str | None


class Discrepancy(TypedDict):
    """A difference between a processor's file and what went out here."""

    discrepancy_id: Annotated[str, Field(examples=["dsc-0f9d1c6a1b0e4b4f"])]
    kind: DiscrepancyKind
    account_id: str | None
    refund_id: str | None
    return_id: str | None
    differs: list[DifferingField]
    here: Annotated[PayoutSaid | None, Field(description="Null where nothing here is known of it.")]
    there: Annotated[PayoutSaid | None, Field(description="Null where no file lists it.")]
    sha256: Annotated[Hash, Field(description="The SHA-256 of the file.")]
    line: int | None
    found_at: Instant
    found_by: str
    status: Literal["open", "settled"]
    settled_at: Instant | None
    settled_by: Annotated[
        str | None, Field(description="The person who settled it, or who reconciled the file that matches.")
    ]
    matched: Annotated[bool | None, Field(description="True if it was settled because both sides match by now.")]


ORDER: Order = {"found_at": int, "discrepancy_id": str}


def listed(database: Database, *, settled: bool = False, page: Page | None = None) -> Listed[Discrepancy]:
    """The discrepancies, those found first in front; those settled too, if asked for."""
    where = Where().equal(status=None if settled else "open")
    with database.reading() as transaction:
        found = rows_listed(transaction, RECONCILIATION, DISCREPANCIES, where, page, ORDER)
    return found.told(map(_shown, found))


def shown_found(events: Sequence[DiscrepancyFound]) -> list[Discrepancy]:
    """Discrepancies as they are shown while they are open."""
    return [_shown(_found(event)) for event in events]


def _shown(row: Row) -> Discrepancy:
    return {
        "discrepancy_id": row["discrepancy_id"],
        "kind": row["kind"],
        "account_id": row["account_id"],
        "refund_id": row["refund_id"],
        "return_id": row["return_id"],
        "differs": from_json(row["differs"]),
        "here": _said(row["here"]),
        "there": _said(row["there"]),
        "sha256": row["sha256"],
        "line": row["line"],
        "found_at": shown_instant(row["found_at"]),
        "found_by": row["found_by"],
        "status": row["status"],
        "settled_at": shown_instant(row["settled_at"]),
        "settled_by": row["settled_by"],
        "matched": bool(row["matched"]) if row["matched"] is not None else None,
    }


def _said(text: str | None) -> Any:
    return from_json(text) if text is not None else None
