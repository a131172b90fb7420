"""What is to be paid back, and what became of it: a row for every refund (contract §3, `makegood refunds`).

A processor's result may be recorded before the refund that it is about, so results have rows of their own, and meet
their refund where it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    PartStatus,
    RefundReport,
    RefundSucceeded,
    RefundSucceededV1,
    Settling,
    claims_settled,
)
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Page, Where
from projections.asking import Accounts, accounts_of, order_of, rows_listed, rows_of, the_only
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of_fact
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.retractions import never_said_in
from projections.settled_parts import PART, part_row, parts
from projections.shown_values import Amount, Currency, Instant, shown_instant

DUE = Table(
    "refunds",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        **PART,
        "status": "TEXT",
        "due_at": "INSTANT",
    },
    key=("account", "refund_id"),
    reads=SETTLING,
    indexes=(Index("refund_id", ("refund_id",)), Index("status", ("status", "account", "refund_id"))),
)
RESULTS = Table(
    "refund_results",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        "event_id": "TEXT",
        "succeeded_at": "INSTANT",
        "processor_reference": "TEXT",
        **MESSAGE,
    },
    key=("account", "refund_id", "event_id"),
    appends=True,
)


RefundStatus = Literal["due", "failed", "succeeded"]
SHOWN_AS: dict[PartStatus, RefundStatus] = {"open": "due", "gone_out": "succeeded", "failed": "failed"}


def fold(rows: Rows, _: Place, event: Settling | RefundReport) -> None:
    """A refund follows the part of its claim that it pays, from the event that first made it due."""
    if isinstance(event, RefundReport):
        rows.put(RESULTS, _result(event))
        return
    for claim in claims_settled(event):
        refunds = parts(claim.after, "refund")
        for gone in parts(claim.before, "refund").keys() - refunds.keys():
            rows.delete(DUE, event.account, gone)
        for part in refunds.values():
            before = rows.get(DUE, event.account, part.id)
            rows.put(
                DUE,
                {
                    "account": event.account,
                    "refund_id": part.id,
                    **part_row(claim.claim_id, claim.charge_id, part.net, part.tax, event.data.currency),
                    "status": SHOWN_AS[part.status],
                    "due_at": before["due_at"] if before is not None else to_microseconds(event.recorded_at),
                },
            )


def _result(event: RefundReport) -> Row:
    succeeded = event.data if isinstance(event, RefundSucceeded | RefundSucceededV1) else None
    return {
        "account": event.account,
        "refund_id": event.data.refund_id,
        "event_id": event.event_id,
        "succeeded_at": to_microseconds(succeeded.succeeded_at) if succeeded is not None else None,
        "processor_reference": succeeded.processor_reference if succeeded is not None else None,
        **message_of(event),
    }


REFUNDS = Projection("refunds", 2, (DUE, RESULTS), (*SETTLING, RefundReport), fold)


class Refund(TypedDict):
    """A refund, due, failed or paid out."""

    refund_id: Annotated[str, Field(examples=["refund/unused/cyc-0006-2026-04-02/1"])]
    claim_id: str
    account_id: str
    charge_id: str | None
    net: Amount
    tax: Amount
    total: Amount
    currency: Currency
    status: RefundStatus
    due_at: Instant
    approved_at: Instant | None
    submitted_at: Instant | None
    settled_at: Instant | None
    processor_reference: str | None


ORDER = order_of(DUE)


def listed(
    database: Database, *, accounts: Accounts = None, status: str | None = None, page: Page | None = None
) -> Listed[Refund]:
    """The refunds: due, and what the payment processor said of them; by account and id."""
    with database.reading() as transaction:
        return _listed(transaction, Where().among("account", accounts).equal(status=status), page)


def find(database: Database, refund_id: str, account: str | None = None) -> Refund | None:
    """The refund with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        return the_only(_listed(transaction, Where().equal(account=account, refund_id=refund_id)), refund_id)


def _listed(transaction: Transaction, where: Where, page: Page | None = None) -> Listed[Refund]:
    found = rows_listed(transaction, REFUNDS, DUE, where, page)
    accounts = accounts_of(found)
    state = {DUE.name: found, RESULTS.name: rows_of(transaction, REFUNDS, RESULTS, accounts)}
    return Listed(shown(state, never_said_in(transaction, accounts)), found.next)


def shown(state: State, left_out: LeftOut = frozenset()) -> list[Refund]:
    """The refunds as they are shown: by account, then refund. `left_out` are results that count for nothing."""
    results = defaultdict(list)
    for result in counting(state[RESULTS.name], left_out):
        results[result["account"], result["refund_id"]].append(result)
    return [_shown(row, results[DUE.key_of(row)]) for row in sorted(state[DUE.name], key=DUE.key_of)]


def _shown(row: Row, results: list[Row]) -> Refund:
    """Where it was paid, by the payment processor's last word on it."""
    arrived = (result for result in results if result["succeeded_at"] is not None)
    succeeded = max(arrived, key=order_of_fact, default=None)
    if row["status"] != "succeeded":
        succeeded = None
    return {
        "refund_id": row["refund_id"],
        "claim_id": row["claim_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "status": row["status"],
        "due_at": shown_instant(row["due_at"]),
        "approved_at": None,
        "submitted_at": None,
        "settled_at": shown_instant(succeeded["succeeded_at"]) if succeeded is not None else None,
        "processor_reference": succeeded["processor_reference"] if succeeded is not None else None,
    }
