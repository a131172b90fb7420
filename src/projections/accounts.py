"""What is known of an account besides its claims: subscriptions, charges, payments, and what its invoices ask for.

Facts that share a business id are all kept, a row each, because only the first by its message holds, and an earlier
one may still come. Which one that is, and what the assessment does without, is told where they are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    AccountRegistered,
    AgreementBound,
    ChargePosted,
    ClaimAssessedV1,
    CycleStarted,
    PaymentCaptured,
    PaymentFailed,
    SettlementChanged,
    Settling,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
    claims_settled,
)
from ledger.events.subscription import Status
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Where
from projections.asking import Accounts, rows_listed, rows_of
from projections.first_message import MESSAGE, LeftOut, counting, first, message_of, order_of_fact
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.retractions import never_said_in
from projections.settled_parts import parts
from projections.shown_values import Amount, Currency, Instant, LocalDate, shown_instant

REGISTRATIONS = Table(
    "accounts",
    {
        "account": "TEXT",
        "event_id": "TEXT",
        "time_zone": "TEXT",
        "currency": "TEXT",
        "registered_at": "INSTANT",
        **MESSAGE,
    },
    key=("account", "event_id"),
    appends=True,
)
SUBSCRIBED = Table(
    "subscription_registrations",
    {
        "account": "TEXT",
        "subscription_id": "TEXT",
        "event_id": "TEXT",
        "plan": "TEXT",
        "agreement": "TEXT",
        **MESSAGE,
    },
    key=("account", "subscription_id", "event_id"),
    appends=True,
    indexes=(Index("subscription_id", ("subscription_id", "account")),),
)
BOUND = Table(
    "bound_agreements",
    {
        "account": "TEXT",
        "registration": "TEXT",
        "time_zone": "TEXT",
        "agreement": "TEXT",
        "agreement_version": "INTEGER",
    },
    key=("account", "registration", "time_zone"),
)
SUBSCRIPTIONS = Table(
    "subscriptions",
    {
        "account": "TEXT",
        "subscription_id": "TEXT",
        "status": "TEXT",
        "effective_on": "TEXT",
    },
    key=("account", "subscription_id"),
)
CHARGES = Table(
    "charges",
    {
        "account": "TEXT",
        "charge_id": "TEXT",
        "event_id": "TEXT",
        "kind": "TEXT",
        "subscription_id": "TEXT",
        "starts_on": "TEXT",
        "ends_on": "TEXT",
        "price": "TEXT",
        "tax": "TEXT",
        "currency": "TEXT",
        "invoice_id": "TEXT",
        "prepaid": "INTEGER",
        **MESSAGE,
    },
    key=("account", "charge_id", "event_id"),
    appends=True,
)
PAYMENTS = Table(
    "payments",
    {
        "account": "TEXT",
        "payment_id": "TEXT",
        "event_id": "TEXT",
        "invoice_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        "method": "TEXT",
        "status": "TEXT",
        **MESSAGE,
    },
    key=("account", "payment_id", "event_id"),
    appends=True,
)
REDUCTIONS = Table(
    "invoice_reductions",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "invoice_id": "TEXT",
        "net": "TEXT",
        "tax": "TEXT",
        "total": "TEXT",
        "currency": "TEXT",
    },
    key=("account", "claim_id", "invoice_id"),
)

INVOICES = Table(
    "invoices",
    {
        "account": "TEXT",
        "invoice_id": "TEXT",
        "currency": "TEXT",
        "charged": "TEXT",
        "paid_in_money": "TEXT",
        "paid_from_balance": "TEXT",
        "excess_used": "TEXT",
        "reduced": "TEXT",
        "asks_for": "TEXT",
        "excess": "TEXT",
        "excess_credit": "TEXT",
    },
    key=("account", "invoice_id", "currency"),
)

Handled = (
    AccountRegistered
    | SubscriptionRegistered
    | AgreementBound
    | SubscriptionStatusChanged
    | CycleStarted
    | ChargePosted
    | PaymentCaptured
    | PaymentFailed
    | Settling
)


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """Each fact has a row; a subscription gathers what several events say of it."""
    match event:
        case PaymentCaptured() | PaymentFailed():
            rows.put(PAYMENTS, _payment(event))
        case CycleStarted() | ChargePosted():
            rows.put(CHARGES, _charge(event))
        case SubscriptionStatusChanged():
            rows.put(SUBSCRIPTIONS, _status(event))
        case SettlementChanged():
            _reduce_invoices(rows, event)
            _put_invoice(rows, event)
        case ClaimAssessedV1():
            _reduce_invoices(rows, event)
        case AgreementBound():
            rows.put(BOUND, _bound(event))
        case SubscriptionRegistered():
            rows.put(SUBSCRIBED, _subscribed(event))
        case AccountRegistered():
            rows.put(
                REGISTRATIONS,
                {
                    "account": event.account,
                    "event_id": event.event_id,
                    "time_zone": event.data.time_zone,
                    "currency": event.data.currency,
                    "registered_at": to_microseconds(event.occurred_at),
                    **message_of(event),
                },
            )


def _subscribed(event: SubscriptionRegistered) -> Row:
    return {
        "account": event.account,
        "subscription_id": event.data.subscription_id,
        "event_id": event.event_id,
        "plan": event.data.plan,
        "agreement": event.data.agreement,
        **message_of(event),
    }


def _bound(event: AgreementBound) -> Row:
    return {
        "account": event.account,
        "registration": event.data.registration,
        "time_zone": event.data.time_zone,
        "agreement": event.data.agreement,
        "agreement_version": event.data.version,
    }


def _status(event: SubscriptionStatusChanged) -> Row:
    on = event.data.effective_on
    return {
        "account": event.account,
        "subscription_id": event.data.subscription_id,
        "status": event.data.after,
        "effective_on": on.isoformat() if on is not None else None,
    }


def _charge(event: CycleStarted | ChargePosted) -> Row:
    data = event.data
    cycle = event.data if isinstance(event, CycleStarted) else None
    return {
        "account": event.account,
        "charge_id": event.data.cycle_id if isinstance(event, CycleStarted) else event.data.charge_id,
        "event_id": event.event_id,
        "kind": "cycle" if cycle is not None else "one_off",
        "subscription_id": data.subscription_id,
        "starts_on": cycle.starts_on.isoformat() if cycle is not None else None,
        "ends_on": cycle.ends_on.isoformat() if cycle is not None else None,
        "price": str(data.price),
        "tax": str(data.tax),
        "currency": data.currency,
        "invoice_id": data.invoice_id,
        "prepaid": int(cycle.prepaid) if cycle is not None else None,
        **message_of(event),
    }


def _payment(event: PaymentCaptured | PaymentFailed) -> Row:
    captured = event.data if isinstance(event, PaymentCaptured) else None
    return {
        "account": event.account,
        "payment_id": event.data.payment_id,
        "event_id": event.event_id,
        "invoice_id": event.data.invoice_id,
        "amount": str(captured.amount) if captured is not None else None,
        "currency": captured.currency if captured is not None else None,
        "method": captured.method if captured is not None else None,
        "status": "captured" if captured is not None else "failed",
        **message_of(event),
    }


def _reduce_invoices(rows: Rows, event: Settling) -> None:
    for claim in claims_settled(event):
        reductions = parts(claim.after, "invoice_reduction")
        for gone in parts(claim.before, "invoice_reduction").keys() - reductions.keys():
            rows.delete(REDUCTIONS, event.account, claim.claim_id, gone)
        for part in reductions.values():
            rows.put(
                REDUCTIONS,
                {
                    "account": event.account,
                    "claim_id": claim.claim_id,
                    "invoice_id": part.id,
                    "net": str(part.net),
                    "tax": str(part.tax),
                    "total": str(part.net + part.tax),
                    "currency": event.data.currency,
                },
            )


def _put_invoice(rows: Rows, event: SettlementChanged) -> None:
    """An invoice stands as it was last recorded; without a charge there is none."""
    data = event.data
    if data.invoice_id is None:
        return
    if data.after is None:
        rows.delete(INVOICES, event.account, data.invoice_id, data.currency)
        return
    amounts = data.after.model_dump()
    rows.put(
        INVOICES,
        {
            "account": event.account,
            "invoice_id": data.invoice_id,
            "currency": data.currency,
            **{name: str(amount) if amount is not None else None for name, amount in amounts.items()},
        },
    )


ACCOUNTS = Projection(
    "accounts",
    2,
    (REGISTRATIONS, SUBSCRIBED, BOUND, SUBSCRIPTIONS, CHARGES, PAYMENTS, REDUCTIONS, INVOICES),
    (
        AccountRegistered,
        SubscriptionRegistered,
        AgreementBound,
        SubscriptionStatusChanged,
        CycleStarted,
        ChargePosted,
        PaymentCaptured,
        PaymentFailed,
        *SETTLING,
    ),
    fold,
)


# --- as shown -----------------------------------------------------------------------------------------------------


class Registered(TypedDict):
    """Zone, currency and registration of an account; null before it is registered."""

    time_zone: Annotated[str | None, Field(examples=["Europe/Berlin"])]
    currency: Currency | None
    registered_at: Instant | None


class Subscription(TypedDict):
    """A subscription of an account."""

    subscription_id: str
    account_id: str
    plan: str
    agreement: str
    agreement_version: int | None
    status: Status | None
    effective_on: Annotated[LocalDate | None, Field(description="The date on which it ends.")]


class Charge(TypedDict):
    """A charge: a billing cycle or a one-off."""

    charge_id: str
    account_id: str
    kind: Literal["cycle", "one_off"]
    subscription_id: str | None
    starts_on: LocalDate | None
    ends_on: Annotated[LocalDate | None, Field(description="The first date after the cycle.")]
    price: Amount
    tax: Amount
    currency: Currency
    invoice_id: str
    prepaid: bool | None


class Payment(TypedDict):
    """A payment, captured or failed."""

    payment_id: str
    account_id: str
    invoice_id: str
    amount: Amount | None
    currency: Currency | None
    method: Literal["card", "bank", "balance", "other"] | None
    status: Literal["captured", "failed"]


class Invoice(TypedDict):
    """The charges, payments and amount due of an invoice (gross)."""

    invoice_id: str
    account_id: str
    currency: Currency
    charged: Amount
    paid_in_money: Amount
    paid_from_balance: Amount
    excess_used: Annotated[Amount, Field(description="The used part of the credit for its excess.")]
    reduced: Amount
    asks_for: Amount
    excess: Amount
    excess_credit: Annotated[Amount | None, Field(description="The credit for its excess, once the hold has ended.")]


class InvoiceReduction(TypedDict):
    """What a claim took off an invoice that was still unpaid."""

    account_id: str
    invoice_id: str
    claim_id: str
    total: Amount
    currency: Currency


def listed_reductions(database: Database, *, accounts: Accounts = None) -> Listed[InvoiceReduction]:
    """What claims took off invoices that were still unpaid, by account, invoice and claim."""
    order: Order = {"account": str, "invoice_id": str, "claim_id": str}
    with database.reading() as transaction:
        found = rows_listed(transaction, ACCOUNTS, REDUCTIONS, Where().among("account", accounts), order=order)
    reductions: list[InvoiceReduction] = [
        {
            "account_id": row["account"],
            "invoice_id": row["invoice_id"],
            "claim_id": row["claim_id"],
            "total": row["total"],
            "currency": row["currency"],
        }
        for row in found
    ]
    return found.told(reductions)


def registered(state: State, left_out: LeftOut) -> Registered:
    """Zone, currency and registration of the one account whose rows these are."""
    row = _registration(state, left_out)
    if row is None:
        return {"time_zone": None, "currency": None, "registered_at": None}
    return {
        "time_zone": row["time_zone"],
        "currency": row["currency"],
        "registered_at": shown_instant(row["registered_at"]),
    }


def find_registered(database: Database, account_id: str) -> Registered:
    """Zone, currency and registration of an account; of one that is not registered each is null."""
    with database.reading() as transaction:
        rows = rows_of(transaction, ACCOUNTS, REGISTRATIONS, [account_id])
        return registered({REGISTRATIONS.name: rows}, never_said_in(transaction, [account_id]))


def _registration(state: State, left_out: LeftOut) -> Row | None:
    return first(counting(state[REGISTRATIONS.name], left_out))


def subscriptions(state: State, left_out: LeftOut) -> list[Subscription]:
    """The subscriptions that are registered, of the one account whose rows these are, by id.

    The first registration by its message holds; the agreement that it names is shown until a version is bound. A
    subscription without a status waits for its account. One whose registration was retracted is none.
    """
    account = _registration(state, left_out)
    stands = {row["subscription_id"]: row for row in state[SUBSCRIPTIONS.name]} if account is not None else {}
    zone = account["time_zone"] if account is not None else None
    bound = {row["registration"]: row for row in state[BOUND.name] if row["time_zone"] == zone}
    return [
        _subscription(row, bound.get(row["event_id"]), stands.get(row["subscription_id"]))
        for row in _standing(state[SUBSCRIBED.name], "subscription_id", left_out)
    ]


def _subscription(row: Row, terms: Row | None, status: Row | None) -> Subscription:
    return {
        "subscription_id": row["subscription_id"],
        "account_id": row["account"],
        "plan": row["plan"],
        "agreement": terms["agreement"] if terms is not None else row["agreement"],
        "agreement_version": terms["agreement_version"] if terms is not None else None,
        "status": status["status"] if status is not None else None,
        "effective_on": status["effective_on"] if status is not None else None,
    }


def charges(state: State, left_out: LeftOut) -> list[Charge]:
    """The charges that hold, by account and id."""
    return [
        {
            "charge_id": row["charge_id"],
            "account_id": row["account"],
            "kind": row["kind"],
            "subscription_id": row["subscription_id"],
            "starts_on": row["starts_on"],
            "ends_on": row["ends_on"],
            "price": row["price"],
            "tax": row["tax"],
            "currency": row["currency"],
            "invoice_id": row["invoice_id"],
            "prepaid": bool(row["prepaid"]) if row["prepaid"] is not None else None,
        }
        for row in _standing(state[CHARGES.name], "charge_id", left_out)
    ]


def payments(state: State, left_out: LeftOut) -> list[Payment]:
    """The payments, by account and id, each as the message says that holds: the latest (policy §7)."""
    akin: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in counting(state[PAYMENTS.name], left_out):
        akin[row["account"], row["payment_id"]].append(row)
    return [
        {
            "payment_id": row["payment_id"],
            "account_id": row["account"],
            "invoice_id": row["invoice_id"],
            "amount": row["amount"],
            "currency": row["currency"],
            "method": row["method"],
            "status": row["status"],
        }
        for row in (max(akin[key], key=_payment_order) for key in sorted(akin))
    ]


def _payment_order(row: Row) -> tuple[int, bool, str, str]:
    """At the same time a failure holds, then the greater id."""
    time, message_id, source = order_of_fact(row)
    return time, row["status"] == "failed", message_id, source


def invoices(state: State) -> list[Invoice]:
    """Where each invoice stands, by account and id: what it was charged and paid, what it asks for (policy §7)."""
    return [
        {
            "account_id": row["account"],
            "invoice_id": row["invoice_id"],
            "currency": row["currency"],
            "charged": row["charged"],
            "paid_in_money": row["paid_in_money"],
            "paid_from_balance": row["paid_from_balance"],
            "excess_used": row["excess_used"],
            "reduced": row["reduced"],
            "asks_for": row["asks_for"],
            "excess": row["excess"],
            "excess_credit": row["excess_credit"],
        }
        for row in sorted(state[INVOICES.name], key=INVOICES.key_of)
    ]


def _standing(rows: Iterable[Row], id_column: str, left_out: LeftOut) -> list[Row]:
    """Of the facts under each business id, in the order of ids, the first by its message that is not left out."""
    akin: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in counting(rows, left_out):
        akin[row["account"], row[id_column]].append(row)
    return [min(akin[key], key=order_of_fact) for key in sorted(akin)]
