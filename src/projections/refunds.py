"""What is to be paid back, and what became of it: a row for every refund (contract §3, `makegood refunds`).

A processor's result may be recorded before the refund that it is about, so results have rows of their own, and meet
their refund where it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from typing import Any

from ledger.events import ClaimAssessed, RefundFailed, RefundSucceeded
from ledger.store.instants import to_microseconds
from projections.first_message import MESSAGE, first, message_of
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant
from projections.retractions import still_said
from projections.settled_parts import PART, follow_parts

DUE = Table(
    "refunds",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        **PART,
        "due_at": "INSTANT",
    },
    key=("account", "refund_id"),
    reads=(ClaimAssessed,),
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


def fold(rows: Rows, _: Place, event: ClaimAssessed | RefundSucceeded | RefundFailed) -> None:
    """A refund follows the part of its claim that it pays, from the event that first made it due."""
    match event:
        case ClaimAssessed():
            follow_parts(rows, DUE, event, "refund", "due_at")
        case RefundSucceeded():
            _put_result(rows, event, to_microseconds(event.data.succeeded_at), event.data.processor_reference)
        case RefundFailed():
            _put_result(rows, event, None, None)


def _put_result(
    rows: Rows, event: RefundSucceeded | RefundFailed, succeeded_at: int | None, processor_reference: str | None
) -> None:
    rows.put(
        RESULTS,
        {
            "account": event.account,
            "refund_id": event.data.refund_id,
            "event_id": event.event_id,
            "succeeded_at": succeeded_at,
            "processor_reference": processor_reference,
            **message_of(event),
        },
    )


REFUNDS = Projection("refunds", 1, (DUE, RESULTS), (ClaimAssessed, RefundSucceeded, RefundFailed), fold)


_SAID = (
    f"SELECT 1 FROM {REFUNDS.stored_name(RESULTS)} AS result "
    f"WHERE result.account = {REFUNDS.stored_name(DUE)}.account "
    f"AND result.refund_id = {REFUNDS.stored_name(DUE)}.refund_id AND {still_said('result')}"
)
IN_STATUS = {
    "due": f"NOT EXISTS ({_SAID})",
    "failed": f"EXISTS ({_SAID}) AND NOT EXISTS ({_SAID} AND result.succeeded_at IS NOT NULL)",
    "succeeded": f"EXISTS ({_SAID} AND result.succeeded_at IS NOT NULL)",
}
"""What holds of a row in the table of refunds that is shown in a status; `_shown` says the same of rows at hand."""


def listed(state: State, left_out: Set[tuple[str, str]] = frozenset()) -> list[dict[str, Any]]:
    """The refunds as they are shown: by account, then refund. `left_out` are results that count for nothing."""
    results = defaultdict(list)
    for result in state["refund_results"]:
        if (result["account"], f"{result['message_source']} {result['message_id']}") not in left_out:
            results[result["account"], result["refund_id"]].append(result)
    return [_shown(row, results[DUE.key_of(row)]) for row in sorted(state["refunds"], key=DUE.key_of)]


def _shown(row: Row, results: list[Row]) -> dict[str, Any]:
    """Money that arrived once has arrived, whatever else was said; a failed refund is owed again (policy §7)."""
    succeeded = first(result for result in results if result["succeeded_at"] is not None)
    return {
        "refund_id": row["refund_id"],
        "claim_id": row["claim_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "status": "succeeded" if succeeded is not None else "failed" if results else "due",
        "due_at": shown_instant(row["due_at"]),
        "approved_at": None,
        "submitted_at": None,
        "settled_at": shown_instant(succeeded["succeeded_at"]) if succeeded is not None else None,
        "processor_reference": succeeded["processor_reference"] if succeeded is not None else None,
    }
