"""What is owed: item by item, and in sums by currency, clause, age, agreement and plan (contract §3b).

It is read from what is kept of it, now or as it was recorded at another time; of an account that was assessed anew,
from the rows that its events make in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, NotRequired, cast, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import Fact, LedgerEvent, RefundSubmitted
from ledger.events.billing_account import Clause
from ledger.store.amounts import exact_sum, from_minor_units, sums_of, to_minor_units
from ledger.store.database import Database, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.positions import KnownAt, Position, Reached
from ledger.store.reading.events import event_at
from ledger.store.reading.page import Listed, Order, Page, Where, check_at_most
from ledger.store.reading.page import listed as rows_in_order
from ledger.values import zero
from projections.age_classes import AGE_CLASSES, AgeClass, age_class, age_in_sql, of_age
from projections.asking import without_index
from projections.movement_kinds import OWED, Owed
from projections.movements import MOVEMENTS, OWED_BEFORE, OWED_NOW
from projections.narrowing import NONE, Narrowing, among_few
from projections.projection import Row, Unrecorded, fold_account
from projections.shown_values import Amount, Currency, Instant, shown_instant
from projections.shown_values import Position as ShownPosition


class AmountOwed(TypedDict):
    """One refund, credit, excess or amount overpaid, with what of it is owed."""

    counted_as: Owed
    id: Annotated[
        str, Field(description="The refund's or credit's id; of an excess that of the credit that it becomes.")
    ]
    account_id: str
    clause: Annotated[Clause | None, Field(description="Null for an excess payment on an invoice.")]
    claim_id: str | None
    charge_id: str | None
    invoice_id: str | None
    subscription_id: str | None
    agreement: str | None
    plan: str | None
    currency: Currency
    net: Amount
    tax: Amount
    total: Amount
    since: Annotated[Instant, Field(description="The instant from which it has been owed.")]
    age: Annotated[AgeClass, Field(description="The class of its age, in days.")]
    age_days: int
    position: Annotated[
        ShownPosition | None, Field(description="The event that set the amount; null if it was assessed anew.")
    ]
    event_id: str


class AmountsOwed(TypedDict):
    """The amounts owed in one currency: `total` is refunds due, credits left and excess, less what is overpaid."""

    currency: Currency
    refunds_due: Annotated[Amount, Field(description="Refunds due, approved, submitted or failed.")]
    credits_left: Amount
    excess: Annotated[Amount, Field(description="Excess payments on invoices that are no credits yet.")]
    overpaid: Amount
    total: Amount


class Sums(AmountsOwed):
    """The amounts owed in one currency, with their number."""

    count: Annotated[int, Field(description="The number of refunds, credits, excesses and amounts overpaid.")]


class GroupedSums(Sums):
    """The sums of a group."""

    clause: NotRequired[Clause | None]
    age: NotRequired[AgeClass]
    agreement: NotRequired[str | None]
    plan: NotRequired[str | None]


Grouping = Literal["clause", "age", "agreement", "plan"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
"""By what sums can be told apart besides their currency."""

ORDER: Order = {"account": str, "counted_as": str, "item_id": str, "currency": str, "number": int}

_COLUMNS = tuple(OWED_NOW.columns)


def listed(
    database: Database,
    narrowing: Narrowing,
    at: datetime,
    *,
    known_at: KnownAt | None = None,
    age: AgeClass | None = None,
    page: Page | None = None,
) -> Listed[AmountOwed]:
    """What is owed, or was as recorded by `known_at`, by account and id. Ages are those at the instant `at`."""
    in_order = page is not None and known_at is None
    # With a plus the index of `since` is not gone by, out of the list's order.
    where = of_age(narrowing.of_movements("since"), "+since" if in_order else "since", age, at)
    with database.reading() as transaction:
        source, values = _source(known_at)
        if in_order and age is not None:
            for condition, of_few in among_few(transaction, source, of_age(Where(), "since", age, at), "since"):
                where.that(condition, *of_few)
        where.values[:0] = values
        found = rows_in_order(transaction, _COLUMNS, source, ORDER, where, page)
    return found.told(_shown(row, at) for row in found)


def largest(
    databases: Iterable[Database],
    narrowing: Narrowing,
    at: datetime,
    limit: int,
    *,
    known_at: KnownAt | None = None,
) -> list[AmountOwed]:
    """The largest amounts owed of one currency, greatest first; of equal ones those first that stand first in lists.

    They are those of all shards' databases. What customers owe is not among them.
    """
    where = narrowing.of_movements("since").that("counted_as <> 'overpaid'")
    by = ", ".join(f'{column} COLLATE "C"' if held is str else column for column, held in ORDER.items())
    source, values = _source(known_at)
    statement = f"SELECT {', '.join(_COLUMNS)} FROM {source}{where} ORDER BY net + tax DESC, {by} LIMIT {limit}"
    rows: list[Row] = []
    for database in databases:
        with database.reading() as transaction:
            found = transaction.rows(statement, [*values, *where.values])
        rows += (dict(zip(_COLUMNS, row, strict=True)) for row in found)
    rows.sort(key=lambda row: (-row["net"] - row["tax"], *(row[column] for column in ORDER)))
    return [_shown(row, at) for row in rows[:limit]]


def summed(
    database: Database,
    narrowing: Narrowing,
    at: datetime,
    groups: Sequence[Grouping] = (),
    *,
    known_at: KnownAt | None = None,
    age: AgeClass | None = None,
    at_most: int | None = None,
) -> list[GroupedSums]:
    """The sums of what is owed, by currency and any of the groups. The database adds up exact numbers.

    Raises TooManyRows for more than `at_most` rows.
    """
    where = of_age(narrowing.of_movements("since"), "since", age, at)
    named = ", ".join(f"{age_in_sql('since', at)} AS age" if name == "age" else name for name in groups)
    by = ", ".join(("currency", *groups, "counted_as"))
    source, values = _source(known_at)
    # Rows are chosen and told by age first: a name that a SELECT makes may not be grouped by everywhere.
    counted = f"{without_index('currency')}, {without_index('counted_as')}"
    inner = f"SELECT {counted}, number, net, tax{f', {named}' if named else ''} FROM {source}{where}"
    statement = (
        f"SELECT {by}, SUM(CASE WHEN number = 1 THEN 1 ELSE 0 END), {exact_sum('net', 'tax')} "
        f"FROM ({inner}) AS chosen GROUP BY {by}"
    )
    where.values[:0] = values
    with database.reading() as transaction:
        check_at_most(transaction, source, where, at_most)
        rows = transaction.rows(statement, where.values)
    last = 1 + len(groups)
    figures = (
        (row[0], tuple(row[1:last]), row[last], int(row[last + 1]), sum(sums_of(row[last + 2 :]))) for row in rows
    )
    return _pivoted(figures, groups)


def summed_of(items: Iterable[AmountOwed], groups: Sequence[Grouping] = ()) -> list[GroupedSums]:
    """The sums of items that are in memory."""
    return _pivoted(
        (
            (
                item["currency"],
                tuple(item[name] for name in groups),
                item["counted_as"],
                1,
                to_minor_units(Decimal(item["total"]), item["currency"]),
            )
            for item in items
        ),
        groups,
    )


def regrouped(rows: Iterable[GroupedSums], groups: Sequence[Grouping]) -> list[GroupedSums]:
    """The sums by currency and some groups, from sums by these groups, and perhaps by others."""
    return _pivoted(
        (
            (
                row["currency"],
                tuple(row[group] for group in groups),
                name,
                row["count"] if name == OWED[0] else 0,
                to_minor_units(Decimal(row[name]), row["currency"]),
            )
            for row in rows
            for name in OWED
        ),
        groups,
    )


def totals(rows: Sequence[GroupedSums]) -> list[Sums]:
    """The totals by currency, which are the sums of the rows."""
    found = []
    for currency in sorted({row["currency"] for row in rows}):
        of_currency = [row for row in rows if row["currency"] == currency]
        amounts = {name: sum((Decimal(row[name]) for row in of_currency), zero(currency)) for name in OWED}
        found.append(_sums(currency, amounts, sum(row["count"] for row in of_currency)))
    return found


def assessed(events: Iterable[LedgerEvent], as_of: datetime) -> list[AmountOwed]:
    """What is owed to one account by facts and decisions that nobody recorded, as of an instant.

    A decision counts from when the fact became true that it follows from: nobody knew of it before.
    """
    rows: Sequence[Row] = ()
    told = (Unrecorded(event, number) for number, event in enumerate(as_it_became_true(events), 1))
    for step in fold_account(told, [MOVEMENTS]):
        rows = step.state()[OWED_NOW.name] if step.changes else rows
    return [_shown(row, as_of) for row in sorted(rows, key=OWED_NOW.key_of)]


def is_asked_for(item: AmountOwed, narrowing: Narrowing) -> bool:
    """Whether what was assessed anew is asked for; which accounts are looked at is decided before."""
    named = {"clause": narrowing.clause, "agreement": narrowing.agreement, "plan": narrowing.plan, **narrowing.more}
    named["currency"] = narrowing.currency
    row = cast(dict[str, str | None], item)
    if any(value is not None and (row[name] or NONE) != value for name, value in named.items()):
        return False
    return narrowing.min_amount is None or Decimal(item["total"]) >= narrowing.min_amount


def as_it_became_true(events: Iterable[LedgerEvent]) -> Iterator[LedgerEvent]:
    """What was assessed anew, each decision with the instant at which the fact became true that it follows from."""
    true_at: dict[str, datetime] = {}
    for event in events:
        if event.causation_id in true_at:
            then = true_at[event.causation_id]
            event = event.model_copy(update={"recorded_at": then, "occurred_at": then})
        elif isinstance(event, Fact | RefundSubmitted):
            true_at[event.event_id] = event.occurred_at
        yield event


def instant_of(transaction: Transaction, known_at: KnownAt | None) -> datetime | None:
    """The instant of what was recorded by then, by which ages are told; None where nothing is asked for."""
    if known_at is None or isinstance(known_at, datetime):
        return known_at
    found = (event_at(transaction, Position(shard, position)) for shard, position in known_at.items())
    return max((stored.event().recorded_at for stored in found if stored is not None), default=None)


def _source(known_at: KnownAt | None) -> tuple[str, list[int]]:
    """The rows of what is owed now, or of what was owed then, with the values for their marks."""
    now, before = MOVEMENTS.stored_name(OWED_NOW), MOVEMENTS.stored_name(OWED_BEFORE)
    if known_at is None:
        return now, []
    columns = ", ".join(_COLUMNS)
    if isinstance(known_at, datetime):
        at = to_microseconds(known_at)
        was, still = "recorded_at <= ?", "recorded_at <= ? AND until > ?"
        values, values_before = [at], [at, at]
    else:
        was, values = _in_any_shard(known_at, "shard = ? AND position <= ?")
        still, values_before = _in_any_shard(known_at, "shard = ? AND position <= ? AND until_position > ?")
    return (
        f"(SELECT {columns} FROM {now} WHERE {was} UNION ALL SELECT {columns} FROM {before} WHERE {still}) AS owing"
    ), [*values, *values_before]


def _in_any_shard(reached: Reached, condition: str) -> tuple[str, list[int]]:
    """A condition for the rows of each shard that was reached, and nothing of any other."""
    values: list[int] = []
    for shard, position in reached.items():
        values += [shard, *[position] * (condition.count("?") - 1)]
    return " OR ".join(f"({condition})" for _ in reached) or "1 = 0", values


def _pivoted(
    figures: Iterable[tuple[str, tuple[str | None, ...], Owed, int, int]], groups: Sequence[Grouping]
) -> list[GroupedSums]:
    """A row for each currency and group, with what it is counted as side by side."""
    counts: dict[tuple[str, tuple[str | None, ...]], int] = defaultdict(int)
    amounts: dict[tuple[str, tuple[str | None, ...]], dict[Owed, Decimal]] = defaultdict(dict)
    for currency, named_by, counted_as, count, minor_units in figures:
        key = (currency, named_by)
        counts[key] += count
        so_far = amounts[key].get(counted_as, zero(currency))
        amounts[key][counted_as] = so_far + from_minor_units(minor_units, currency)
    rows: list[GroupedSums] = []
    for currency, named_by in sorted(amounts, key=lambda key: (key[0], _order_of(key[1], groups))):
        sums = _sums(currency, amounts[currency, named_by], counts[currency, named_by])
        rows.append({**sums, **dict(zip(groups, named_by, strict=True))})  # type: ignore[typeddict-item]
    return rows


def _order_of(named_by: Iterable[str | None], groups: Iterable[Grouping]) -> list[tuple[int, str]]:
    """Ages from the youngest, everything else by name; what has none comes first."""
    return [
        (AGE_CLASSES.index(value), "") if group == "age" else (0, value or NONE)
        for group, value in zip(groups, named_by, strict=True)
    ]


def _sums(currency: str, amounts: Mapping[Owed, Decimal], count: int) -> Sums:
    return {**amounts_owed(currency, amounts), "count": count}


def nothing_owed(currency: str) -> Sums:
    """The sums of a currency in which nothing is owed."""
    return _sums(currency, {}, 0)


def amounts_owed(currency: str, amounts: Mapping[Owed, Decimal]) -> AmountsOwed:
    """The amounts owed in a currency, as they are shown; one that is not given is zero."""
    found = {name: zero(currency) + amounts.get(name, 0) for name in OWED}
    total = found["refunds_due"] + found["credits_left"] + found["excess"] - found["overpaid"]
    return {
        "currency": currency,
        "refunds_due": str(found["refunds_due"]),
        "credits_left": str(found["credits_left"]),
        "excess": str(found["excess"]),
        "overpaid": str(found["overpaid"]),
        "total": str(total),
    }


def _shown(row: Row, at: datetime) -> AmountOwed:
    net, tax = from_minor_units(row["net"], row["currency"]), from_minor_units(row["tax"], row["currency"])
    return {
        "counted_as": row["counted_as"],
        "id": row["item_id"],
        "account_id": row["account"],
        "clause": row["clause"],
        "claim_id": row["claim_id"],
        "charge_id": row["charge_id"],
        "invoice_id": row["invoice_id"],
        "subscription_id": row["subscription_id"],
        "agreement": row["agreement"],
        "plan": row["plan"],
        "currency": row["currency"],
        "net": str(net),
        "tax": str(tax),
        "total": str(net + tax),
        "since": shown_instant(row["since"]),
        "age": age_class(row["since"], at),
        "age_days": max(0, (at - from_microseconds(row["since"])).days),
        "position": f"{row['shard']}:{row['position']}" if row["shard"] is not None else None,
        "event_id": row["event_id"],
    }
