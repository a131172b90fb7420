"""What a customer has to their credit: a row for every credit granted (contract §3, `makegood credits`).

Of each application to a charge there is a row, too; what was used of a credit is their sum.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    ClaimSettlement,
    CreditApplied,
    CreditAppliedV1,
    SettlementChanged,
    Settling,
    claims_settled,
    excess_credit_id,
)
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Page, Where
from ledger.values import zero
from projections.asking import Accounts, accounts_of, order_of, rows_listed, rows_of, the_only
from projections.projection import Index, Place, Projection, Row, Rows, State, Table, Value
from projections.settled_parts import PART, part_row, parts
from projections.shown_values import Amount, Currency, Instant, shown_instant

ROWS = Table(
    "credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        **PART,
        "used": "TEXT",
        "left_over": "TEXT",
        "granted_at": "INSTANT",
    },
    key=("account", "credit_id"),
    reads=(*SETTLING, CreditAppliedV1),
    indexes=(Index("credit_id", ("credit_id",)),),
)
APPLICATIONS = Table(
    "credit_applications",
    {
        "account": "TEXT",
        "application_id": "TEXT",
        "credit_id": "TEXT",
        "charge_id": "TEXT",
        "invoice_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        "applied_at": "INSTANT",
    },
    key=("account", "application_id"),
    appends=True,
    indexes=(Index("credit_id", ("credit_id",)),),
)


def fold(rows: Rows, _: Place, event: Settling | CreditApplied | CreditAppliedV1) -> None:
    """A credit follows the part of its claim that it makes good, from the event that first granted it."""
    match event:
        case CreditApplied() | CreditAppliedV1():
            rows.put(
                APPLICATIONS,
                {
                    "account": event.account,
                    "application_id": event.data.application_id,
                    "credit_id": event.data.credit_id,
                    "charge_id": event.data.charge_id,
                    "invoice_id": event.data.invoice_id,
                    "amount": str(event.data.amount),
                    "currency": event.data.currency,
                    "applied_at": to_microseconds(event.recorded_at),
                },
            )
            if isinstance(event, CreditAppliedV1):
                _use(rows, event)
        case _:
            for claim in claims_settled(event):
                _follow(rows, event, claim)
            if isinstance(event, SettlementChanged):
                _follow_excess(rows, event)


def _follow(rows: Rows, event: Settling, claim: ClaimSettlement) -> None:
    credits = [part for part in claim.after if part.into == "credit"]
    ids = parts(claim.after, "credit").keys()
    for gone in parts(claim.before, "credit").keys() - ids:
        rows.delete(ROWS, event.account, gone)
    nothing = zero(event.data.currency)
    for id_ in sorted(ids):
        of_id = [part for part in credits if part.id == id_]
        net, tax = sum((part.net for part in of_id), nothing), sum((part.tax for part in of_id), nothing)
        used = sum((part.net + part.tax for part in of_id if part.status == "gone_out"), nothing)
        before = rows.get(ROWS, event.account, id_)
        if not isinstance(event, SettlementChanged) and before is not None:
            used = Decimal(str(before["used"]))  # older versions said of an application only when it was made
        of = part_row(claim.claim_id, claim.charge_id, net, tax, event.data.currency)
        _put(rows, event, id_, of, used, net + tax - used)


def _follow_excess(rows: Rows, event: SettlementChanged) -> None:
    """The credit for an invoice's excess: it belongs to no claim, and has no tax."""
    data = event.data
    if data.invoice_id is None:
        return
    id_ = excess_credit_id(data.invoice_id)
    if data.after is not None and data.after.excess_credit is not None:
        of = part_row(None, None, data.after.excess_credit, zero(data.currency), data.currency)
        _put(rows, event, id_, of, data.after.excess_used, data.after.excess)
    elif data.before is not None and data.before.excess_credit is not None:
        rows.delete(ROWS, event.account, id_)


def _put(rows: Rows, event: Settling, id_: str, of: dict[str, Value], used: Decimal, left: Decimal) -> None:
    before = rows.get(ROWS, event.account, id_)
    rows.put(
        ROWS,
        {
            "account": event.account,
            "credit_id": id_,
            **of,
            "used": str(used),
            "left_over": str(left),
            "granted_at": before["granted_at"] if before is not None else to_microseconds(event.recorded_at),
        },
    )


def _use(rows: Rows, event: CreditAppliedV1) -> None:
    credit = rows.get(ROWS, event.account, event.data.credit_id)
    if credit is not None:
        used = Decimal(str(credit["used"])) + event.data.amount
        left = Decimal(str(credit["total"])) - used
        rows.put(ROWS, {**credit, "used": str(used), "left_over": str(left)})


CREDITS = Projection("credits", 3, (ROWS, APPLICATIONS), (*SETTLING, CreditApplied, CreditAppliedV1), fold)


class Applied(TypedDict):
    """The application of a credit to an invoice."""

    application_id: str
    charge_id: str | None
    invoice_id: str
    amount: Amount
    applied_at: Instant


class Credit(TypedDict):
    """A credit for the account's next charges."""

    credit_id: Annotated[str, Field(examples=["credit/disruption/cyc-0002-2026-01-02/1"])]
    claim_id: Annotated[str | None, Field(description="Null for an excess payment on an invoice.")]
    account_id: str
    charge_id: str | None
    net: Amount
    tax: Amount
    total: Amount
    currency: Currency
    used: Amount
    refunded: Amount
    left: Amount
    granted_at: Instant
    applied: Annotated[list[Applied], Field(description="The uses of the credit, in order.")]


ORDER = order_of(ROWS)


def listed(database: Database, *, accounts: Accounts = None, page: Page | None = None) -> Listed[Credit]:
    """The credits granted, and what is left of them; by account and id."""
    with database.reading() as transaction:
        return _listed(transaction, Where().among("account", accounts), page)


def find(database: Database, credit_id: str, account: str | None = None) -> Credit | None:
    """The credit with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        return the_only(_listed(transaction, Where().equal(account=account, credit_id=credit_id)), credit_id)


def _listed(transaction: Transaction, where: Where, page: Page | None = None) -> Listed[Credit]:
    found = rows_listed(transaction, CREDITS, ROWS, where, page)
    applications = rows_of(transaction, CREDITS, APPLICATIONS, accounts_of(found))
    return Listed(shown({ROWS.name: found, APPLICATIONS.name: applications}), found.next)


def shown(state: State) -> list[Credit]:
    """The credits as they are shown: by account, then credit."""
    applications = defaultdict(list)
    for application in state[APPLICATIONS.name]:
        applications[application["account"], application["credit_id"]].append(application)
    return [_shown(row, applications[ROWS.key_of(row)]) for row in sorted(state[ROWS.name], key=ROWS.key_of)]


def _shown(row: Row, applications: list[Row]) -> Credit:
    """No event pays a credit out yet."""
    return {
        "credit_id": row["credit_id"],
        "claim_id": row["claim_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "used": row["used"],
        "refunded": str(zero(row["currency"])),
        "left": row["left_over"],
        "granted_at": shown_instant(row["granted_at"]),
        "applied": [
            {
                "application_id": application["application_id"],
                "charge_id": application["charge_id"],
                "invoice_id": application["invoice_id"],
                "amount": application["amount"],
                "applied_at": shown_instant(application["applied_at"]),
            }
            for application in sorted(applications, key=lambda each: (each["applied_at"], each["application_id"]))
        ],
    }
