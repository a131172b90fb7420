"""What moved in a period: movements one by one, and their sums (contract §3b, `makegood movements`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, cast, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events.billing_account import Clause
from ledger.store.amounts import exact_sum, from_minor_units, sums_of
from ledger.store.database import Database, Transaction
from ledger.store.reading.page import Listed, Order, Page, Where, check_at_most
from ledger.values import zero
from projections.asking import added_up, rows_listed, without_index
from projections.movement_kinds import EFFECTS, KINDS, MovementKind, Owed, Settlement
from projections.movements import MOVEMENTS, MOVEMENTS_MADE, NOT_RECORDED
from projections.narrowing import NONE, Narrowing
from projections.owed import AmountsOwed, amounts_owed
from projections.projection import Row
from projections.shown_values import Amount, Currency, Instant, Position, shown_instant

By = Literal["recorded_at", "occurred_at"]
"""Whether a period is one in which movements were recorded, or in which they became true."""


class Movement(TypedDict):
    """The difference that one event made to one claim, refund, credit or invoice."""

    kind: MovementKind
    settlement: Annotated[Settlement | None, Field(description="The way of settling; null if it belongs to none.")]
    clause: Annotated[Clause | None, Field(description="Null for an excess payment on an invoice.")]
    account_id: str
    claim_id: str | None
    item_id: Annotated[str | None, Field(description="The refund or credit; null for a claim itself.")]
    charge_id: str | None
    invoice_id: str | None
    subscription_id: str | None
    agreement: str | None
    plan: str | None
    currency: Currency
    net: Annotated[Amount, Field(description="Negative where something was taken back.")]
    tax: Amount
    total: Amount
    recorded_at: Instant
    occurred_at: Instant
    position: Annotated[Position | None, Field(description="Null if it was assessed for this answer.")]
    event_id: str
    number: Annotated[int, Field(description="The number among the movements of the event.")]


Grouping = Literal["clause", "settlement", "agreement", "plan", "account"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
"""By what sums can be told apart besides currency and kind, which always are."""


class Moved(TypedDict):
    """The sum of the movements of one kind and currency, or of a group of them."""

    currency: Currency
    kind: MovementKind
    clause: NotRequired[Clause | None]
    settlement: NotRequired[Settlement | None]
    agreement: NotRequired[str | None]
    plan: NotRequired[str | None]
    account: NotRequired[str]
    count: int
    net: Amount
    tax: Amount
    total: Amount


def order(by: By) -> Order:
    """Movements in the order in which they were recorded or became true, each event's in its own."""
    return {by: int, "shard": int, "position": int, "number": int}


def listed(database: Database, narrowing: Narrowing, by: By, page: Page | None = None) -> Listed[Movement]:
    """The movements of a period, in order."""
    with database.reading() as transaction:
        found = rows_moved(transaction, narrowing, by, page)
    return found.told(map(shown, found))


def rows_moved(transaction: Transaction, narrowing: Narrowing, by: By, page: Page | None = None) -> Listed[Row]:
    """Their rows, which `shown` shows."""
    where = narrowing.of_movements(by)
    return rows_listed(transaction, MOVEMENTS, MOVEMENTS_MADE, where, page, order(by))


def summed(
    database: Database, narrowing: Narrowing, by: By, groups: Sequence[Grouping] = (), at_most: int | None = None
) -> list[Moved]:
    """The sums of the movements of a period: by currency and kind, and by any of the groups.

    The database adds up exact numbers; no row is read one by one. Raises TooManyRows for more than `at_most`.
    """
    columns = ("currency", "kind", *groups)
    where: Where = narrowing.of_movements(by)
    chosen = ", ".join((*map(without_index, columns), "net", "tax"))
    statement = (
        f"SELECT {', '.join(columns)}, COUNT(*), {exact_sum('net', 'tax')} "
        f"FROM (SELECT {chosen} FROM {MOVEMENTS.stored_name(MOVEMENTS_MADE)}{where}) AS chosen "
        f"GROUP BY {', '.join(columns)}"
    )
    with database.reading() as transaction:
        check_at_most(transaction, MOVEMENTS.stored_name(MOVEMENTS_MADE), where, at_most)
        rows = transaction.rows(statement, where.values)
    found = [_summed(columns, row[: len(columns)], row[len(columns)], row[len(columns) + 1 :]) for row in rows]
    return sorted(found, key=lambda each: _order_of_sum(each, groups))


def summed_together(sums: Iterable[Mapping[str, Any]], groups: Sequence[Grouping] = ()) -> list[Moved]:
    """Sums of movements, by currency, kind, some groups and perhaps more, added up by these groups alone."""
    together = cast(list[Moved], added_up(sums, ("currency", "kind", *groups)))
    for each in together:
        each["total"] = str(Decimal(each["net"]) + Decimal(each["tax"]))
    return sorted(together, key=lambda each: _order_of_sum(each, groups))


def owed_after(transaction: Transaction, account_id: str, positions: Iterable[int]) -> dict[int, list[AmountsOwed]]:
    """The amounts owed to an account after each of some positions in its shard, by currency."""
    asked = sorted(positions)
    rows = transaction.rows(
        f"SELECT position, currency, kind, net, tax FROM {MOVEMENTS.stored_name(MOVEMENTS_MADE)} "
        "WHERE account = ? AND position <= ? ORDER BY position",
        (account_id, asked[-1] if asked else 0),
    )
    owed: dict[str, dict[Owed, Decimal]] = {}
    found: dict[int, list[AmountsOwed]] = {}
    moving = iter([*rows, None])
    row = next(moving)
    for position in asked:
        while row is not None and row[0] <= position:
            _, currency, kind, net, tax = row
            amounts = owed.setdefault(currency, {})
            for name, sign in EFFECTS[kind].items():
                amounts[name] = amounts.get(name, zero(currency)) + sign * from_minor_units(net + tax, currency)
            row = next(moving)
        found[position] = [amounts_owed(currency, amounts) for currency, amounts in sorted(owed.items()) if amounts]
    return found


def _summed(columns: Iterable[str], named: Iterable[str | None], count: int, sums: tuple[int, ...]) -> Moved:
    by = dict(zip(columns, named, strict=True))
    net, tax = (from_minor_units(value, str(by["currency"])) for value in sums_of(sums))
    return {**by, "count": count, "net": str(net), "tax": str(tax), "total": str(net + tax)}  # type: ignore[typeddict-item]


def _order_of_sum(moved: Moved, groups: Iterable[Grouping]) -> tuple[object, ...]:
    return (moved["currency"], *(moved[name] or NONE for name in groups), KINDS.index(moved["kind"]))


def shown(row: Row) -> Movement:
    """A movement as it is shown."""
    net, tax = from_minor_units(row["net"], row["currency"]), from_minor_units(row["tax"], row["currency"])
    return {
        "kind": row["kind"],
        "settlement": row["settlement"],
        "clause": row["clause"],
        "account_id": row["account"],
        "claim_id": row["claim_id"],
        "item_id": row["item_id"],
        "charge_id": row["charge_id"],
        "invoice_id": row["invoice_id"],
        "subscription_id": row["subscription_id"],
        "agreement": row["agreement"],
        "plan": row["plan"],
        "currency": row["currency"],
        "net": str(net),
        "tax": str(tax),
        "total": str(net + tax),
        "recorded_at": shown_instant(row["recorded_at"]),
        "occurred_at": shown_instant(row["occurred_at"]),
        "position": f"{row['shard']}:{row['position']}" if row["shard"] != NOT_RECORDED else None,
        "event_id": row["event_id"],
        "number": row["number"],
    }
