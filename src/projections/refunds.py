"""What is to be paid back, and what became of it: a row for every refund (contract §3, `makegood refunds`).

A processor's result may be recorded before the refund that it is about, so results have rows of their own, and meet
their refund where it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ledger.events import (
    SETTLING,
    PartStatus,
    RefundReport,
    RefundSucceeded,
    RefundSucceededV1,
    Settling,
    claims_settled,
)
from ledger.store.instants import to_microseconds
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant
from projections.settled_parts import PART, part_row, parts

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
    indexes=("refund_id",),
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


_SHOWN_AS: dict[PartStatus, str] = {"open": "due", "gone_out": "succeeded", "failed": "failed"}


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
                    "status": _SHOWN_AS[part.status],
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


def listed(state: State, left_out: LeftOut = frozenset()) -> list[dict[str, Any]]:
    """The refunds as they are shown: by account, then refund. `left_out` are results that count for nothing."""
    results = defaultdict(list)
    for result in counting(state["refund_results"], left_out):
        results[result["account"], result["refund_id"]].append(result)
    return [_shown(row, results[DUE.key_of(row)]) for row in sorted(state["refunds"], key=DUE.key_of)]


def _shown(row: Row, results: list[Row]) -> dict[str, Any]:
    """Where it was paid, by the payment processor's last word on it."""
    succeeded = max((result for result in results if result["succeeded_at"] is not None), key=order_of, default=None)
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
