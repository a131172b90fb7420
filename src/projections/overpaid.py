"""What went out too much for claims, for a person to decide (contract §3b, `makegood overpaid`; policy §7).

A row stands as long as some of it is left to be decided or recovered. What became of the rest, and what had gone out
for the claim, is told with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import SETTLING, Into, OverpaidRecoveryOrdered, SettledPart, Settling, claims_settled
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where
from ledger.values import zero
from projections.asking import Accounts, accounts_of, rows_listed, rows_of, the_only
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.shown_values import Amount, Currency, Instant, shown_instant

ROWS = Table(
    "overpaid",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "currency": "TEXT",
        "charge_id": "TEXT",
        "overpaid": "TEXT",
        "recovered": "TEXT",
        "written_off": "TEXT",
        "went_out": "TEXT",
        "since": "INSTANT",
    },
    key=("account", "claim_id", "currency"),
    reads=SETTLING,
    indexes=(Index("since", ("since", "account", "claim_id", "currency")),),
)
ORDERED = Table(
    "recoveries_ordered",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "event_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        "ordered_by": "TEXT",
        "ordered_at": "INSTANT",
    },
    key=("account", "claim_id", "event_id"),
    appends=True,
)


def fold(rows: Rows, _: Place, event: Settling | OverpaidRecoveryOrdered) -> None:
    """What went out too much for a claim stands from when it was first found until nothing of it is left."""
    if isinstance(event, OverpaidRecoveryOrdered):
        data = event.data
        rows.put(
            ORDERED,
            {
                "account": event.account,
                "claim_id": data.claim_id,
                "event_id": event.event_id,
                "amount": str(data.amount),
                "currency": data.currency,
                "ordered_by": data.decided_by,
                "ordered_at": to_microseconds(event.recorded_at),
            },
        )
        return
    for claim in claims_settled(event):
        key = (event.account, claim.claim_id, event.data.currency)
        before = rows.get(ROWS, *key)
        if not any(part.into == "overpaid" for part in claim.after):
            if before is not None:
                rows.delete(ROWS, *key)
            continue
        nothing = zero(event.data.currency)
        rows.put(
            ROWS,
            {
                **dict(zip(ROWS.key, key, strict=True)),
                "charge_id": claim.charge_id,
                "overpaid": str(_taken(claim.after, "overpaid", nothing)),
                "recovered": str(_taken(claim.after, "recovered", nothing)),
                "written_off": str(_taken(claim.after, "written_off", nothing)),
                "went_out": to_json([_part(part) for part in claim.after if _went_out(part)]).decode(),
                "since": before["since"] if before is not None else to_microseconds(event.recorded_at),
            },
        )


def _taken(parts: Iterable[SettledPart], into: Into, nothing: Decimal) -> Decimal:
    """What went out too much is negative, so that all parts add up to the claim."""
    return -sum((part.net + part.tax for part in parts if part.into == into), nothing)


def _went_out(part: SettledPart) -> bool:
    return part.status == "gone_out" and part.into in ("refund", "credit")


def _part(part: SettledPart) -> WentOut:
    return {
        "into": "refund" if part.into == "refund" else "credit",
        "id": part.id,
        "amount": str(part.net + part.tax),
    }


OVERPAID = Projection("overpaid", 1, (ROWS, ORDERED), (*SETTLING, OverpaidRecoveryOrdered), fold)


class WentOut(TypedDict):
    """A refund that went out, or what was used or paid out of a credit."""

    into: Literal["refund", "credit"]
    id: str
    amount: Amount


class Overpaid(TypedDict):
    """An overpaid claim: more was paid out than is owed. `overpaid` is neither recovered nor written off yet."""

    account_id: str
    claim_id: Annotated[str, Field(examples=["unused/cyc-0006-2026-04-02"])]
    charge_id: str | None
    overpaid: Amount
    currency: Currency
    since: Instant
    recovered: Amount
    written_off: Amount
    went_out: Annotated[list[WentOut], Field(description="The refunds paid out and credits used.")]
    recovery_ordered_by: Annotated[
        str | None, Field(description="The person who ordered it recovered from the account's next credits.")
    ]
    recovery_ordered_at: Instant | None


ORDER: Order = {"since": int, "account": str, "claim_id": str, "currency": str}


def listed(database: Database, *, accounts: Accounts = None, page: Page | None = None) -> Listed[Overpaid]:
    """Claims for which more went out than they stand at now, those that fell away included; the longest first."""
    with database.reading() as transaction:
        return _listed(transaction, Where().among("account", accounts), page)


def find(database: Database, claim_id: str, account: str | None = None) -> Overpaid | None:
    """What went out too much for this claim, if anything did. Raises AmbiguousId where several accounts have it."""
    with database.reading() as transaction:
        return the_only(_listed(transaction, Where().equal(account=account, claim_id=claim_id)), claim_id)


def _listed(transaction: Transaction, where: Where, page: Page | None = None) -> Listed[Overpaid]:
    found = rows_listed(transaction, OVERPAID, ROWS, where, page, ORDER)
    ordered = rows_of(transaction, OVERPAID, ORDERED, accounts_of(found))
    return found.told(_in_order(found, ordered))


def shown(state: State) -> list[Overpaid]:
    """The claims for which too much went out, as they are shown: the longest first."""
    return _in_order(sorted(state[ROWS.name], key=lambda row: [row[column] for column in ORDER]), state[ORDERED.name])


def _in_order(found: Iterable[Row], ordered: Iterable[Row]) -> list[Overpaid]:
    orders = defaultdict(list)
    for order in ordered:
        orders[order["account"], order["claim_id"], order["currency"]].append(order)
    return [_shown(row, orders[ROWS.key_of(row)]) for row in found]


def _shown(row: Row, orders: list[Row]) -> Overpaid:
    """Of several orders the last one is told; one from before too much went out is over."""
    standing = [order for order in orders if order["ordered_at"] >= row["since"]]
    last = max(standing, key=lambda order: (order["ordered_at"], order["event_id"]), default=None)
    return {
        "account_id": row["account"],
        "claim_id": row["claim_id"],
        "charge_id": row["charge_id"],
        "overpaid": row["overpaid"],
        "currency": row["currency"],
        "since": shown_instant(row["since"]),
        "recovered": row["recovered"],
        "written_off": row["written_off"],
        "went_out": from_json(row["went_out"]),
        "recovery_ordered_by": last["ordered_by"] if last is not None else None,
        "recovery_ordered_at": shown_instant(last["ordered_at"]) if last is not None else None,
    }
