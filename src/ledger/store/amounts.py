"""Amounts in columns that are added up: whole minor units of their currency, which add up alike in every database."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ledger.values import CURRENCY_SCALES

COLUMN_MAX = 10**18
"""The greatest amount of one column, well within the 64 bits of every database; a greater one takes several rows."""

_LIMB = 10**9


def to_minor_units(amount: Decimal, currency: str) -> int:
    """An exact amount as a column's value: 11.20 EUR is 1120."""
    return int(amount.scaleb(CURRENCY_SCALES[currency]))


def from_minor_units(value: int, currency: str) -> Decimal:
    """A column's value, or a sum of such values, as an amount at its currency's scale."""
    return Decimal(value).scaleb(-CURRENCY_SCALES[currency])


def in_columns(net: int, tax: int) -> Iterator[tuple[int, int]]:
    """Net and tax as one row has them, or as several rows of which none has more than COLUMN_MAX.

    No provider's amounts need a second row. It is there because the contract allows amounts of 15 digits before the
    point, and a projection must not stop at any.
    """
    while True:
        of_net, of_tax = (max(-COLUMN_MAX, min(COLUMN_MAX, value)) for value in (net, tax))
        yield of_net, of_tax
        net, tax = net - of_net, tax - of_tax
        if not net and not tax:
            return


def exact_sum(*columns: str) -> str:
    """SQL for the sums of some columns; `sums_of` reads its values.

    Each is summed in two parts, so that no sum leaves a database's 64 bits.
    """
    return ", ".join(f"SUM({column} / {_LIMB}), SUM({column} % {_LIMB})" for column in columns)


def in_minor_units(column: str) -> str:
    """SQL for the minor units of an amount that is text at its currency's scale."""
    return f"CAST(REPLACE({column}, '.', '') AS NUMERIC)"


def exact_sum_of_text(*columns: str) -> str:
    """The same as `exact_sum` for columns whose amounts are text."""
    parts = [
        f"SUM(({units} - {units} % {_LIMB}) / {_LIMB}), SUM({units} % {_LIMB})"
        for units in map(in_minor_units, columns)
    ]
    return ", ".join(parts)


def sums_of(values: tuple[int | Decimal | None, ...]) -> list[int]:
    """The sums that `exact_sum` had found, in minor units; of no rows 0."""
    parts = [int(value or 0) for value in values]
    return [high * _LIMB + low for high, low in zip(parts[::2], parts[1::2], strict=True)]
