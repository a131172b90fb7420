"""How a projection's questions find its rows, and what questions have in common.

A list is in the order of a table's key or of one of its indexes, narrowed and cut into pages by the database. Rows of
other tables that belong to what is shown are those of the accounts on the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from typing_extensions import TypedDict

from ledger.store.amounts import exact_sum_of_text, from_minor_units, sums_of
from ledger.store.database import Transaction
from ledger.store.reading.page import Listed, Order, Page, Where, listed
from projections.projection import Projection, Row, Table
from projections.shown_values import Amount, Currency

T = TypeVar("T", bound=Mapping[str, Any])

Accounts = Collection[str] | None
"""The accounts that an answer is limited to; None for all."""


class UnknownAccount(LookupError):
    """Nothing was ever recorded for the account."""


class AmbiguousId(LookupError):
    """Several accounts have the id: it must be asked for within one of them."""


def unknown(account_id: str) -> UnknownAccount:
    """The error that says so."""
    return UnknownAccount(f"account {account_id} not found; account ids are case-sensitive")


def order_of(table: Table) -> Order:
    """The order of a table's key."""
    return {column: str if table.columns[column] == "TEXT" else int for column in table.key}


def rows_listed(
    transaction: Transaction,
    projection: Projection,
    table: Table,
    where: Where,
    page: Page | None = None,
    order: Order | None = None,
) -> Listed[Row]:
    """The rows of a table that are asked for, in the order of its key unless another is given."""
    name = projection.stored_name(table)
    return listed(transaction, tuple(table.columns), name, order or order_of(table), where, page)


class ListTotal(TypedDict):
    """The sums of a list's rows in one currency."""

    currency: Currency
    count: int
    sums: dict[str, Amount]


def without_index(column: str) -> str:
    """SQL for a column of text that rows are grouped by, as no index has it.

    In the order of an index SQLite would look up one row after the other, and take twice as long.
    """
    return f"{column} || '' AS {column}"


def list_totals(
    transaction: Transaction, projection: Projection, table: Table, where: Where, amounts: Mapping[str, str]
) -> list[ListTotal]:
    """The sums of the rows that are asked for, by currency: of each amount by its name, from its column of text."""
    columns = ", ".join((without_index("currency"), *amounts.values()))
    found = f"SELECT {columns} FROM {projection.stored_name(table)}{where}"
    rows = transaction.rows(
        f"SELECT currency, COUNT(*), {exact_sum_of_text(*amounts.values())} "
        f"FROM ({found}) AS found GROUP BY currency ORDER BY currency",
        where.values,
    )
    return [
        {
            "currency": currency,
            "count": int(count),
            "sums": {
                name: str(from_minor_units(units, currency))
                for name, units in zip(amounts, sums_of(tuple(parts)), strict=True)
            },
        }
        for currency, count, *parts in rows
    ]


def totals_together(of_each: Iterable[Sequence[ListTotal]]) -> list[ListTotal]:
    """The sums of several lists together, by currency."""
    found: dict[Currency, ListTotal] = {}
    for total in (total for totals in of_each for total in totals):
        so_far = found.setdefault(total["currency"], {**total, "count": 0, "sums": dict.fromkeys(total["sums"], "0")})
        so_far["count"] += total["count"]
        so_far["sums"] = {
            name: str(Decimal(so_far["sums"][name]) + Decimal(amount)) for name, amount in total["sums"].items()
        }
    return [found[currency] for currency in sorted(found)]


def added_up(rows: Iterable[Mapping[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with a count, a net amount and a tax, added up by some columns, which are all that is left beside them."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[tuple(row[column] for column in by)].append(row)
    return [
        {
            **dict(zip(by, named, strict=True)),
            "count": sum(row["count"] for row in of),
            "net": str(sum(Decimal(row["net"]) for row in of)),
            "tax": str(sum(Decimal(row["tax"]) for row in of)),
        }
        for named, of in found.items()
    ]


def state_in(
    transaction: Transaction, asked: Sequence[tuple[Projection, Table]], accounts: Collection[str]
) -> dict[str, Sequence[Row]]:
    """The rows that some accounts have in several tables, all of them asked for at once."""
    found = transaction.rows_in_each([_rows_in(*each) for each in asked], sorted(accounts))
    return {table.name: [table.row(values) for values in rows] for (_, table), rows in zip(asked, found, strict=True)}


def rows_of(transaction: Transaction, projection: Projection, table: Table, accounts: Iterable[str]) -> list[Row]:
    """The rows that some accounts have in a table."""
    found = transaction.rows_in(_rows_in(projection, table), sorted(accounts))
    return [table.row(values) for values in found]


def state_of(
    transaction: Transaction, projections: Iterable[Projection], accounts: Collection[str]
) -> dict[str, Sequence[Row]]:
    """The rows that some accounts have in the tables of projections, without those that only say again what others
    say."""
    asked = [(projection, table) for projection in projections for table in projection.tables if not table.finding]
    return state_in(transaction, asked, accounts)


@cache
def _rows_in(projection: Projection, table: Table) -> str:
    return f"SELECT {', '.join(table.columns)} FROM {projection.stored_name(table)} WHERE account IN (?*)"


def accounts_of(rows: Iterable[Row]) -> set[str]:
    """The accounts that rows are of."""
    return {row["account"] for row in rows}


def the_only(found: Sequence[T], asked: str) -> T | None:
    """The one that was found, None where there is none. Raises AmbiguousId."""
    if len(found) > 1:
        accounts = [each["account_id"] for each in found]
        named = ", ".join(accounts[:5]) + (f" and {len(accounts) - 5} more" if len(accounts) > 5 else "")
        raise AmbiguousId(f"{len(accounts)} accounts have {asked}: {named}; choose one with --account")
    return found[0] if found else None
