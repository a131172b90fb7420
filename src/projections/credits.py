"""What a customer has to their credit: a row for every credit granted (contract §3, `makegood credits`).

A credit is used by applications to charges and by what was kept back of it for another claim, and refunded; each of
these has a row, too. How much has left it in all its claim's settlement says, or its invoice's for an excess.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    ClaimSettlement,
    CreditApplied,
    CreditAppliedV1,
    OverpaidRecovered,
    RefundStatusChanged,
    SettlementChanged,
    Settling,
    SubscriptionStatusChanged,
    claims_settled,
    excess_credit_id,
)
from ledger.store.amounts import in_minor_units
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where, check_at_most
from ledger.values import zero
from projections.asking import Accounts, ListTotal, accounts_of, list_totals, order_of, rows_listed, rows_of, the_only
from projections.narrowing import EVERYTHING, Narrowing, gross_of
from projections.projection import Index, Key, Place, Projection, Row, Rows, State, Table, Value
from projections.settled_parts import PART, part_row, parts
from projections.shown_values import Amount, Currency, Instant, shown_instant

AMOUNTS = ("total",)
"""The columns whose sum is the gross amount of a row."""
ROWS = Table(
    "credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        **PART,
        "used": "TEXT",
        "refunded": "TEXT",
        "left_over": "TEXT",
        "granted_at": "INSTANT",
        "dormant_since": "INSTANT",
    },
    key=("account", "credit_id"),
    reads=(*SETTLING, CreditAppliedV1, RefundStatusChanged, SubscriptionStatusChanged),
    indexes=(
        Index("credit_id", ("credit_id",)),
        Index("claim_id", ("claim_id",)),
        Index("currency", ("currency", "account", "credit_id")),
        Index("amount", ("currency", f"({gross_of(AMOUNTS)})")),
        Index("granted", ("granted_at",)),
        Index("left_over", (f"({in_minor_units('left_over')})", "account", "credit_id")),
        Index("dormant", ("dormant_since", "account", "credit_id"), "dormant_since IS NOT NULL"),
    ),
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
RECOVERIES = Table(
    "credit_recoveries",
    {
        "account": "TEXT",
        "application_id": "TEXT",
        "credit_id": "TEXT",
        "claim_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        "recovered_at": "INSTANT",
    },
    key=("account", "application_id"),
    appends=True,
)
PAID_OUT = Table(
    "credit_refunds",
    {
        "account": "TEXT",
        "refund_id": "TEXT",
        "credit_id": "TEXT",
        "amount": "TEXT",
    },
    key=("account", "refund_id"),
    reads=(*SETTLING, CreditAppliedV1, RefundStatusChanged),
)
SUBSCRIPTIONS = Table(
    "credit_subscriptions",
    {
        "account": "TEXT",
        "subscription_id": "TEXT",
        "ended_at": "INSTANT",
    },
    key=("account", "subscription_id"),
    reads=(*SETTLING, CreditAppliedV1, RefundStatusChanged, SubscriptionStatusChanged),
    finding=True,
)

Handled = (
    Settling | CreditApplied | CreditAppliedV1 | OverpaidRecovered | RefundStatusChanged | SubscriptionStatusChanged
)


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """A credit follows the part of its claim that it makes good, from the event that first granted it."""
    match event:
        case OverpaidRecovered():
            rows.put(
                RECOVERIES,
                {
                    "account": event.account,
                    "application_id": event.data.application_id,
                    "credit_id": event.data.credit_id,
                    "claim_id": event.data.claim_id,
                    "amount": str(event.data.amount),
                    "currency": event.data.currency,
                    "recovered_at": to_microseconds(event.recorded_at),
                },
            )
        case RefundStatusChanged():
            _pay_out(rows, event)
        case SubscriptionStatusChanged():
            _end(rows, event)
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
        gone_out = sum((part.net + part.tax for part in of_id if part.status == "gone_out"), nothing)
        before = rows.get(ROWS, event.account, id_)
        if not isinstance(event, SettlementChanged) and before is not None:
            gone_out = Decimal(str(before["used"]))  # older versions said of an application only when it was made
        of = part_row(claim.claim_id, claim.charge_id, net, tax, event.data.currency)
        _put(rows, event, id_, of, gone_out, net + tax - gone_out)


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


def _put(rows: Rows, event: Settling, id_: str, of: dict[str, Value], gone_out: Decimal, left: Decimal) -> None:
    before = rows.get(ROWS, event.account, id_)
    granted_at = before["granted_at"] if before is not None else to_microseconds(event.recorded_at)
    row = {"account": event.account, "credit_id": id_, **of, "left_over": str(left), "granted_at": granted_at}
    _put_with_refunds(rows, row, gone_out)


def _put_with_refunds(rows: Rows, row: Row, gone_out: Decimal) -> None:
    """A credit's row, with what of what has left it was paid out: the rest was used."""
    paid_out = sum(
        (Decimal(each["amount"]) for each in rows.of_account(PAID_OUT, row["account"]) if _of(each, row)),
        zero(row["currency"]),
    )
    refunded = min(paid_out, gone_out)  # a settlement follows the event that tells how its refund stands
    whole = {**row, "used": str(gone_out - refunded), "refunded": str(refunded)}
    rows.put(ROWS, {**whole, "dormant_since": _dormant_since(rows, row)})


def _of(refund: Row, credit: Row) -> bool:
    return bool(refund["credit_id"] == credit["credit_id"])


def _dormant_since(rows: Rows, credit: Row) -> int | None:
    """Since when there has been no subscription any more for which the rest of a credit could be used."""
    ended: list[int | None] = [each["ended_at"] for each in rows.of_account(SUBSCRIPTIONS, credit["account"])]
    over = [at for at in ended if at is not None]
    if Decimal(credit["left_over"]) == 0 or not over or len(over) < len(ended):
        return None
    granted_at: int = credit["granted_at"]
    return max(*over, granted_at)


def _use(rows: Rows, event: CreditAppliedV1) -> None:
    credit = rows.get(ROWS, event.account, event.data.credit_id)
    if credit is not None:
        used = Decimal(str(credit["used"])) + event.data.amount
        left = Decimal(str(credit["total"])) - used
        _put_with_refunds(rows, {**credit, "left_over": str(left)}, used)


def _pay_out(rows: Rows, event: RefundStatusChanged) -> None:
    """A refund of a credit has gone out from when it was submitted, unless it failed."""
    data = event.data
    if data.credit_id is None:
        return
    if data.after in ("submitted", "succeeded"):
        paid = {"credit_id": data.credit_id, "amount": str(data.net + data.tax)}
        rows.put(PAID_OUT, {"account": event.account, "refund_id": data.refund_id, **paid})
    else:
        rows.delete(PAID_OUT, event.account, data.refund_id)
    credit = rows.get(ROWS, event.account, data.credit_id)
    if credit is not None:
        _put_with_refunds(rows, credit, Decimal(credit["used"]) + Decimal(credit["refunded"]))


def _end(rows: Rows, event: SubscriptionStatusChanged) -> None:
    ended = event.data.after in ("cancelled", "terminated")
    before = rows.get(SUBSCRIPTIONS, event.account, event.data.subscription_id)
    ended_at = before["ended_at"] if before is not None else None
    if not ended or ended_at is None:
        ended_at = to_microseconds(event.recorded_at) if ended else None
    of = {"account": event.account, "subscription_id": event.data.subscription_id}
    rows.put(SUBSCRIPTIONS, {**of, "ended_at": ended_at})
    for credit in rows.of_account(ROWS, event.account):
        rows.put(ROWS, {**credit, "dormant_since": _dormant_since(rows, credit)})


CREDITS = Projection(
    "credits",
    4,
    (ROWS, APPLICATIONS, RECOVERIES, PAID_OUT, SUBSCRIPTIONS),
    (
        *SETTLING,
        CreditApplied,
        CreditAppliedV1,
        OverpaidRecovered,
        RefundStatusChanged,
        SubscriptionStatusChanged,
    ),
    fold,
)


class Applied(TypedDict):
    """The application of a credit to an invoice."""

    application_id: str
    charge_id: str | None
    invoice_id: str
    amount: Amount
    applied_at: Instant


class Recovered(TypedDict):
    """An amount kept back of a credit because another claim was overpaid."""

    application_id: str
    claim_id: str
    amount: Amount
    recovered_at: Instant


class Credit(TypedDict):
    """A credit for the account's next charges. What was used was applied to charges or kept back for overpaid claims;
    what was refunded was submitted to be paid out, or has been."""

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
    dormant_since: Annotated[
        Instant | None,
        Field(description="The end of the last subscription, if something is left since."),
    ]
    applied: Annotated[list[Applied], Field(description="The uses of the credit for charges, in order.")]
    recovered: Annotated[list[Recovered], Field(description="The uses for overpaid claims, in order.")]


ORDER = order_of(ROWS)
DORMANT_ORDER: Order = {"dormant_since": int, "account": str, "credit_id": str}
PERIOD = "granted_at"
"""The instant by which a period has credits."""


CreditStatus = Literal["open", "used"]
"""Whether anything is left of a credit."""


def listed(
    database: Database,
    *,
    accounts: Accounts = None,
    status: CreditStatus | None = None,
    dormant: bool = False,
    narrowing: Narrowing = EVERYTHING,
    page: Page | None = None,
) -> Listed[Credit]:
    """The credits granted, and what is left of them; by account and id.

    With `dormant` only those of which something is left though the account's last subscription has ended, the longest
    dormant first.
    """
    with database.reading() as transaction:
        if page is not None:
            narrowing = narrowing.for_page(transaction, CREDITS.stored_name(ROWS), AMOUNTS, PERIOD)
        where = _wanted(accounts, status, narrowing)
        if dormant:
            where.that("dormant_since IS NOT NULL")
        return _listed(transaction, where, page, DORMANT_ORDER if dormant else None)


def totals(
    database: Database,
    *,
    accounts: Accounts = None,
    status: CreditStatus | None = None,
    narrowing: Narrowing = EVERYTHING,
    at_most: int | None = None,
) -> list[ListTotal]:
    """The sums of all credits that `listed` lists, by currency. Raises TooManyRows for more than `at_most`."""
    with database.reading() as transaction:
        if at_most is not None:
            narrowing = narrowing.for_page(transaction, CREDITS.stored_name(ROWS), AMOUNTS, PERIOD)
        wanted = _wanted(accounts, status, narrowing)
        check_at_most(transaction, CREDITS.stored_name(ROWS), wanted, at_most)
        amounts = {"total": "total", "used": "used", "refunded": "refunded", "left": "left_over"}
        return list_totals(transaction, CREDITS, ROWS, wanted, amounts)


def _wanted(accounts: Accounts, status: CreditStatus | None, narrowing: Narrowing) -> Where:
    where = narrowing.of_list(CREDITS.stored_name(ROWS), AMOUNTS, PERIOD).among("account", accounts)
    if status is not None:
        where.that(f"{in_minor_units('left_over')} {'>' if status == 'open' else '='} 0")
    return where


def find(database: Database, credit_id: str, account: str | None = None) -> Credit | None:
    """The credit with this id, if there is one. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        return the_only(_listed(transaction, Where().equal(account=account, credit_id=credit_id)), credit_id)


def _listed(
    transaction: Transaction, where: Where, page: Page | None = None, order: Order | None = None
) -> Listed[Credit]:
    found = rows_listed(transaction, CREDITS, ROWS, where, page, order)
    uses = {
        table.name: rows_of(transaction, CREDITS, table, accounts_of(found)) for table in (APPLICATIONS, RECOVERIES)
    }
    return found.told(_in_order({ROWS.name: found, **uses}))


def shown(state: State) -> list[Credit]:
    """The credits as they are shown: by account, then credit."""
    return _in_order({**state, ROWS.name: sorted(state[ROWS.name], key=ROWS.key_of)})


def _in_order(state: State) -> list[Credit]:
    applications, recoveries = (_by_credit(state[table.name]) for table in (APPLICATIONS, RECOVERIES))
    return [_shown(row, applications[ROWS.key_of(row)], recoveries[ROWS.key_of(row)]) for row in state[ROWS.name]]


def _by_credit(uses: Iterable[Row]) -> Mapping[Key, list[Row]]:
    found = defaultdict(list)
    for use in uses:
        found[use["account"], use["credit_id"]].append(use)
    return found


def _shown(row: Row, applications: list[Row], recoveries: list[Row]) -> Credit:
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
        "refunded": row["refunded"],
        "left": row["left_over"],
        "granted_at": shown_instant(row["granted_at"]),
        "dormant_since": shown_instant(row["dormant_since"]),
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
        "recovered": [
            {
                "application_id": recovery["application_id"],
                "claim_id": recovery["claim_id"],
                "amount": recovery["amount"],
                "recovered_at": shown_instant(recovery["recovered_at"]),
            }
            for recovery in sorted(recoveries, key=lambda each: (each["recovered_at"], each["application_id"]))
        ],
    }
