"""What is to be paid back, and what became of it: a row for every refund (contract §3, `makegood refunds`).

A refund of a claim is there while its claim is settled so. As soon as somebody decided about it or it was submitted,
and for the refund of a credit always, the events that say how it stands have the word (ledger/events/refund.py).

A processor's result may be recorded before the refund that it is about, so results have rows of their own, and meet
their refund where it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Set
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    ClaimSettlement,
    PaidBy,
    PartStatus,
    RefundReport,
    RefundStatus,
    RefundStatusChanged,
    RefundSucceeded,
    RefundSucceededV1,
    ReturnStanding,
    ReturnStatus,
    SettledPart,
    SettlementChanged,
    Settling,
    claims_settled,
)
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.kept_messages import accounts_set_aside
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Page, Where, check_at_most
from projections import alarms
from projections.asking import Accounts, ListTotal, accounts_of, list_totals, order_of, rows_listed, rows_of, the_only
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of_fact
from projections.narrowing import EVERYTHING, Narrowing, gross_of
from projections.projection import ColumnType, Index, Place, Projection, Row, Rows, State, Table, Value
from projections.retractions import never_said_in
from projections.settled_parts import PART, part_row, refund_parts
from projections.shown_values import Amount, Currency, Hash, Instant, shown_instant

_STANDING: dict[str, ColumnType] = {
    "attempt": "INTEGER",
    "approved_by": "TEXT",
    "approved_at": "INSTANT",
    "submitted_at": "INSTANT",
    "settled_at": "INSTANT",
    "processor_reference": "TEXT",
    "returns": "TEXT",
    "held_by": "TEXT",
}
"""What the events say that tell how a refund stands; null while there are none of it."""

AMOUNTS = ("total",)
"""The columns whose sum is the gross amount of a row."""
ROWS = Table(
    "refunds",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        "credit_id": "TEXT",
        **PART,
        "status": "TEXT",
        "due_at": "INSTANT",
        "proposal": "TEXT",
        **_STANDING,
    },
    key=("account", "refund_id"),
    reads=(*SETTLING, RefundStatusChanged),
    indexes=(
        Index("refund_id", ("refund_id",)),
        Index("status", ("status", "account", "refund_id")),
        Index("claim_id", ("claim_id",)),
        Index("currency", ("currency", "account", "refund_id")),
        Index("amount", ("currency", f"({gross_of(AMOUNTS)})")),
        Index("due", ("due_at",)),
    ),
)
SETTLED = Table(
    "refund_parts",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        **PART,
        "invoice_id": "TEXT",
        "status": "TEXT",
        "due_at": "INSTANT",
        "proposal": "TEXT",
    },
    key=("account", "refund_id"),
    reads=(*SETTLING, RefundStatusChanged),
    finding=True,
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

SHOWN_AS: dict[PartStatus, RefundStatus] = {
    "open": "due",
    "gone_out": "succeeded",
    "failed": "failed",
    "rejected": "rejected",
}


def fold(rows: Rows, place: Place, event: Settling | RefundStatusChanged | RefundReport) -> None:
    """A refund follows the part of its claim that it pays, from the event that first made it due, until an event says
    how it stands."""
    match event:
        case RefundReport():
            rows.put(RESULTS, _result(event))
        case RefundStatusChanged():
            _stand(rows, place, event)
        case _:
            for claim in claims_settled(event):
                _follow(rows, place, event, claim)


def _follow(rows: Rows, place: Place, event: Settling, claim: ClaimSettlement) -> None:
    refunds = refund_parts(claim.after)
    for gone in refund_parts(claim.before).keys() - refunds.keys():
        rows.delete(SETTLED, event.account, gone)
        if not _stands(rows.get(ROWS, event.account, gone)):
            rows.delete(ROWS, event.account, gone)
    for part in refunds.values():
        settled = _settled(rows, place, event, claim, part)
        rows.put(SETTLED, settled)
        row = rows.get(ROWS, event.account, part.id)
        stands = row is not None and _stands(row)
        rows.put(ROWS, {**row, "proposal": settled["proposal"]} if row and stands else _as_settled(settled))


def _settled(rows: Rows, place: Place, event: Settling, claim: ClaimSettlement, part: SettledPart) -> Row:
    """What a claim's settlement says of a refund. Whoever decides about it has seen the event that set its amount."""
    before = rows.get(SETTLED, event.account, part.id)
    said = {
        **part_row(claim.claim_id, claim.charge_id, part.net, part.tax, event.data.currency),
        "invoice_id": event.data.invoice_id if isinstance(event, SettlementChanged) else None,
    }
    same = before is not None and said.items() <= before.items()
    return {
        "account": event.account,
        "refund_id": part.id,
        **said,
        "status": SHOWN_AS[part.status],
        "due_at": before["due_at"] if before is not None else to_microseconds(event.recorded_at),
        "proposal": before["proposal"] if before is not None and same else place.leaf_hash,
    }


def _as_settled(settled: Row) -> Row:
    """The row of a refund about which its claim's settlement says all that there is to say."""
    said = {name: value for name, value in settled.items() if name != "invoice_id"}
    return {**said, "credit_id": None, **dict.fromkeys(_STANDING)}


def _stands(row: Row | None) -> bool:
    """Whether an event said how a refund stands."""
    return row is not None and row["attempt"] is not None


def _stand(rows: Rows, place: Place, event: RefundStatusChanged) -> None:
    data, settled = event.data, rows.get(SETTLED, event.account, event.data.refund_id)
    if data.after is None:
        if settled is not None:
            rows.put(ROWS, _as_settled(settled))
        else:
            rows.delete(ROWS, event.account, data.refund_id)
        return
    before = rows.get(ROWS, event.account, data.refund_id)
    part = part_row(data.claim_id, data.charge_id, data.net, data.tax, data.currency)
    if data.credit_id is None and settled is not None:
        proposal = settled["proposal"]
    elif before is not None and (before["net"], before["tax"]) == (part["net"], part["tax"]):
        proposal = before["proposal"]
    else:
        proposal = place.leaf_hash
    rows.put(
        ROWS,
        {
            "account": event.account,
            "refund_id": data.refund_id,
            "credit_id": data.credit_id,
            **part,
            "status": data.after,
            "due_at": before["due_at"] if before is not None else to_microseconds(event.recorded_at),
            "proposal": proposal,
            **_standing(data),
        },
    )


def _standing(data: RefundStatusChanged.Data) -> dict[str, Value]:
    instants = {"approved_at": data.approved_at, "submitted_at": data.submitted_at, "settled_at": data.settled_at}
    return {
        "attempt": data.attempt,
        "approved_by": data.approved_by,
        **{name: to_microseconds(at) if at is not None else None for name, at in instants.items()},
        "processor_reference": data.processor_reference,
        "returns": to_json([_return(each) for each in data.returns]).decode(),
        "held_by": data.held_by,
    }


def _return(standing: ReturnStanding) -> Return:
    return {
        "return_id": standing.return_id,
        "payment_id": standing.payment_id,
        "method": standing.method,
        "amount": str(standing.amount),
        "status": standing.status,
        "processor_reference": standing.processor_reference,
    }


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


REFUNDS = Projection("refunds", 3, (ROWS, SETTLED, RESULTS), (*SETTLING, RefundStatusChanged, RefundReport), fold)

WaitsFor = Literal[
    "approval",
    "a message set aside",
    "a contradiction",
    "a law that does not hold",
    "a payment with enough left on it",
    "a retry",
]


@dataclass(frozen=True, slots=True)
class Held:
    """The accounts whose payouts wait: a message of theirs is set aside, or their books break a law."""

    set_aside: Set[str] = frozenset()
    stopped: Set[str] = frozenset()


NOTHING_HELD = Held()


class Return(TypedDict):
    """The part of a refund that goes back to one payment."""

    return_id: Annotated[str, Field(examples=["ret-0f9d1c6a1b0e4b4f8f3d6f1a2b3c4d5e"])]
    payment_id: str
    method: PaidBy
    amount: Amount
    status: ReturnStatus
    processor_reference: str | None


class Refund(TypedDict):
    """A refund of a claim or of a credit, from when it is due to when it was paid out, failed or was rejected."""

    refund_id: Annotated[str, Field(examples=["refund/unused/cyc-0006-2026-04-02/1"])]
    claim_id: Annotated[str | None, Field(description="Null for a refund of an excess payment's credit.")]
    credit_id: Annotated[str | None, Field(description="The credit that is refunded; null for a claim's own refund.")]
    account_id: str
    charge_id: str | None
    net: Amount
    tax: Amount
    total: Amount
    currency: Currency
    status: RefundStatus
    due_at: Instant
    proposal: NotRequired[
        Annotated[
            Hash | None,
            Field(
                description="The hash of the event that set the amount: approve exactly this one. Not shown to "
                "customers, like approved_by and waits_for."
            ),
        ]
    ]
    approved_by: NotRequired[Annotated[str | None, Field(description="A person, or the agreement that approved it.")]]
    approved_at: Instant | None
    submitted_at: Instant | None
    settled_at: Instant | None
    processor_reference: str | None
    returns: Annotated[list[Return], Field(description="Its last attempt, split over the payments.")]
    waits_for: NotRequired[Annotated[WaitsFor | None, Field(description="The reason why it cannot be paid out yet.")]]


ORDER = order_of(ROWS)
PERIOD = "due_at"
"""The instant by which a period has refunds."""


def listed(
    database: Database,
    *,
    accounts: Accounts = None,
    status: str | None = None,
    narrowing: Narrowing = EVERYTHING,
    page: Page | None = None,
) -> Listed[Refund]:
    """The refunds: due, approved, submitted, and what the payment processor said of them; by account and id."""
    with database.reading() as transaction:
        if page is not None:
            narrowing = narrowing.for_page(transaction, REFUNDS.stored_name(ROWS), AMOUNTS, PERIOD)
        return _listed(transaction, _wanted(accounts, status, narrowing), page)


def totals(
    database: Database,
    *,
    accounts: Accounts = None,
    status: str | None = None,
    narrowing: Narrowing = EVERYTHING,
    at_most: int | None = None,
) -> list[ListTotal]:
    """The sums of all refunds that `listed` lists, by currency. Raises TooManyRows for more than `at_most`."""
    with database.reading() as transaction:
        if at_most is not None:
            narrowing = narrowing.for_page(transaction, REFUNDS.stored_name(ROWS), AMOUNTS, PERIOD)
        wanted = _wanted(accounts, status, narrowing)
        check_at_most(transaction, REFUNDS.stored_name(ROWS), wanted, at_most)
        return list_totals(transaction, REFUNDS, ROWS, wanted, {name: name for name in ("net", "tax", "total")})


def _wanted(accounts: Accounts, status: str | None, narrowing: Narrowing) -> Where:
    where = narrowing.of_list(REFUNDS.stored_name(ROWS), AMOUNTS, PERIOD).among("account", accounts)
    return where.equal(status=status)


def unanswered_left(transaction: Transaction) -> Left:
    """How many refunds were submitted and have no answer of the payment processor, and since when."""
    refunds = REFUNDS.stored_name(ROWS)
    return left(transaction, f"SELECT COUNT(*), MIN(submitted_at) FROM {refunds} WHERE status = 'submitted'")


def find(database: Database, refund_id: str, account: str | None = None) -> Refund | None:
    """The refund with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        return the_only(_listed(transaction, Where().equal(account=account, refund_id=refund_id)), refund_id)


def _listed(transaction: Transaction, where: Where, page: Page | None = None) -> Listed[Refund]:
    found = rows_listed(transaction, REFUNDS, ROWS, where, page)
    accounts = accounts_of(found)
    state = {ROWS.name: found, RESULTS.name: rows_of(transaction, REFUNDS, RESULTS, accounts)}
    held = held_in(transaction, accounts)
    return found.told(shown(state, never_said_in(transaction, accounts), held))


def held_in(transaction: Transaction, accounts: Collection[str]) -> Held:
    """Those of some accounts whose payouts wait."""
    standing = rows_of(transaction, alarms.ALARMS, alarms.ROWS, accounts)
    return Held(accounts_set_aside(transaction, accounts), alarms.stopped(standing))


def shown(state: State, left_out: LeftOut = frozenset(), held: Held = NOTHING_HELD) -> list[Refund]:
    """The refunds as they are shown: by account, then refund.

    `left_out` are results that count for nothing, `held` the accounts whose payouts wait.
    """
    results = defaultdict(list)
    for result in counting(state[RESULTS.name], left_out):
        results[result["account"], result["refund_id"]].append(result)
    return [_shown(row, results[ROWS.key_of(row)], held) for row in sorted(state[ROWS.name], key=ROWS.key_of)]


def is_owed(refund: Refund) -> bool:
    """Whether it counts as a refund that is due (contract §3b): due, approved, submitted or failed.

    The refund of a credit counts while it is submitted; before that, or where it failed, it is left on the credit.
    """
    if refund["credit_id"] is not None:
        return refund["status"] == "submitted"
    return refund["status"] in ("due", "approved", "submitted", "failed")


def _shown(row: Row, results: list[Row], held: Held) -> Refund:
    """Where nobody had it submitted and it was paid, by the payment processor's last word on it."""
    settled_at, reference = row["settled_at"], row["processor_reference"]
    if not _stands(row) and row["status"] == "succeeded":
        arrived = (result for result in results if result["succeeded_at"] is not None)
        succeeded = max(arrived, key=order_of_fact, default=None)
        if succeeded is not None:
            settled_at, reference = succeeded["succeeded_at"], succeeded["processor_reference"]
    return {
        "refund_id": row["refund_id"],
        "claim_id": row["claim_id"],
        "credit_id": row["credit_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "status": row["status"],
        "due_at": shown_instant(row["due_at"]),
        "proposal": row["proposal"],
        "approved_by": row["approved_by"],
        "approved_at": shown_instant(row["approved_at"]),
        "submitted_at": shown_instant(row["submitted_at"]),
        "settled_at": shown_instant(settled_at),
        "processor_reference": reference,
        "returns": from_json(row["returns"]) if row["returns"] is not None else [],
        "waits_for": _waits_for(row, held),
    }


def _waits_for(row: Row, held: Held) -> WaitsFor | None:
    """Why a refund may not go out yet; None for one that has gone out, or may go out now."""
    match row["status"]:
        case "due":
            return "approval"
        case "failed":
            return "a retry"
        case "approved" if row["account"] in held.set_aside:
            return "a message set aside"
        case "approved" if row["account"] in held.stopped:
            return "a law that does not hold"
        case "approved" if row["held_by"] == "contradiction":
            return "a contradiction"
        case "approved" if row["held_by"] == "payment":
            return "a payment with enough left on it"
    return None
