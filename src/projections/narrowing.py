"""By which words finance narrows a question: the same on the command line, in addresses and in exports.

What a word names has a column, or stands in the row of the claim that something is for (`movement_claims`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from ledger.events import CLAUSES
from ledger.store.amounts import in_minor_units, to_minor_units
from ledger.store.database import Transaction
from ledger.store.reading.page import Where
from projections.asking import Accounts
from projections.movements import CLAIMS, MOVEMENTS

OF_CLAIM = "claims_of"
"""The name under which conditions speak of the claim that a row is for."""
FEW = 2_000
"""So many rows are few enough to be looked up one account after the other."""
Condition = tuple[str, tuple[Any, ...]]
"""A condition, and the values that stand for the marks in it."""
AFTER_SLASH = chr(ord("/") + 1)
NONE = ""
"""Asks for what has no agreement, plan or clause; an excess has none of them."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What rows are asked for; all of them where nothing is said.

    `begin` and `end` are instants in microseconds, the half-open time in which something was recorded, or became
    true. `min_amount` is gross, of `currency`: two currencies are never compared.
    """

    accounts: Accounts = None
    currency: str | None = None
    clause: str | None = None
    agreement: str | None = None
    plan: str | None = None
    min_amount: Decimal | None = None
    begin: int | None = None
    end: int | None = None
    more: dict[str, str] = field(default_factory=dict)
    """Columns that only one kind of row has, with their values."""
    few: tuple[Condition, ...] = ()
    """That rows are of the accounts of few others (`for_page`)."""
    one_by_one: bool = False
    """Whether the claims that rows are for are looked up one by one (`for_page`)."""

    def of_movements(self, period: str) -> Where:
        """The rows that have all these columns themselves, with amounts that add up; `period` is their instant."""
        where = self._period(Where().among("account", self.accounts), period).equal(currency=self.currency)
        named = {"clause": self.clause, "agreement": self.agreement, "plan": self.plan, **self.more}
        for column, value in named.items():
            if value == NONE:
                where.that(f"{column} IS NULL")
            elif value is not None:
                where.that(f"{column} = ?", value)
        if self.min_amount is not None and self.currency is not None:
            where.that("net + tax >= ?", _minor_units(self.min_amount, self.currency))
        return where

    def of_list(
        self, table: str, amounts: Sequence[str], period: str | None = None, clause: str | None = None
    ) -> Where:
        """The rows of a list whose amounts are text, and which are for a claim.

        Their gross amount is the sum of some columns. Where no column is named for the period, it is the claim's: the
        instant at which it was last assessed. Where none is named for the clause, it is told by the claim's id.
        """
        where = Where().among("account", self.accounts).equal(currency=self.currency)
        for condition, values in self.few:
            where.that(condition, *values)
        if clause is not None:
            where.equal(**{clause: self.clause})
        elif self.clause is not None:
            named = self._prefix()
            where.that("claim_id IS NULL") if named is None else where.that("claim_id LIKE ?", f"{named}/%")
        if period is not None:
            # With a plus no index of it is gone by, out of the list's order.
            self._period(where, f"+{period}" if self.one_by_one else period)
        of_claims(where, table, self._of_claim(period), one_by_one=self.one_by_one)
        for column, value in (("agreement", self.agreement), ("plan", self.plan)):
            if value == NONE:
                none = Where().that(f"{column} IS NOT NULL")
                of_claims(where, table, none, one_by_one=self.one_by_one, none=True)
        if self.min_amount is not None and self.currency is not None:
            gross = gross_of(amounts)
            least = _minor_units(self.min_amount, self.currency)
            where.that(f"{'+' if self.one_by_one else ''}({gross}) >= ?", least)
        return where

    def for_page(
        self,
        transaction: Transaction,
        table: str,
        amounts: Sequence[str],
        period: str | None = None,
        clause: str | None = None,
    ) -> Narrowing:
        """The same rows of a list (`of_list`), as they are found for a page of it.

        Where few rows have what no index has in the list's order, they are looked for within their accounts. Where
        many have it, the list is read in its order, and the claim of each row looked up, until the page is full: a
        database that joined the two would read both whole for every page.
        """
        claims = MOVEMENTS.stored_name(CLAIMS)
        looks: list[tuple[str, Where, str]] = []
        for column, value in (("agreement", self.agreement), ("plan", self.plan)):
            if value is not None and value != NONE:
                looks.append((claims, Where().that(f"{column} >= ? AND {column} <= ?", value, value), column))
        if self.begin is not None or self.end is not None:
            of, column = (table, period) if period is not None else (claims, "recorded_at")
            looks.append((of, self._period(Where(), column), column))
        if clause is None and (prefix := self._prefix()) is not None:
            beginning = Where().that("claim_id >= ? AND claim_id < ?", f"{prefix}/", f"{prefix}{AFTER_SLASH}")
            looks.append((table, beginning, "claim_id"))
        if self.min_amount is not None and self.currency is not None:
            gross, least = gross_of(amounts), _minor_units(self.min_amount, self.currency)
            looks.append((table, Where().equal(currency=self.currency).that(f"{gross} >= ?", least), gross))
        few = (condition for look in looks for condition in among_few(transaction, *look))
        return replace(self, few=tuple(few), one_by_one=True)

    def _prefix(self) -> str | None:
        """How the ids of claims under the clause begin; None where no clause is asked for, and for what has none."""
        return next((prefix for prefix, clause in CLAUSES.items() if clause == self.clause), None)

    def _of_claim(self, period: str | None) -> Where:
        """What is asked of the claim that a row is for, but for what it must not have."""
        where = Where()
        for column, value in (("agreement", self.agreement), ("plan", self.plan)):
            if value is not None and value != NONE:
                where.that(f"{column} = ?", value)
        return self._period(where, "recorded_at") if period is None else where

    def _period(self, where: Where, column: str) -> Where:
        if self.begin is not None:
            where.that(f"{column} >= ?", self.begin)
        if self.end is not None:
            where.that(f"{column} < ?", self.end)
        return where


EVERYTHING = Narrowing()
"""Leaves nothing out."""


def _minor_units(amount: Decimal, currency: str) -> int:
    """What a database can compare with; no row has more."""
    return min(to_minor_units(amount, currency), 2**63 - 1)


def gross_of(amounts: Sequence[str]) -> str:
    """SQL for the sum of amounts that are text, in minor units."""
    return " + ".join(map(in_minor_units, amounts))


def among_few(transaction: Transaction, table: str, where: Where, by: str) -> list[Condition]:
    """That a row is of one of the accounts that have rows of a table of which something holds, where these are few;
    else nothing.

    They are looked for in the order of an index, `by` whose column: a statement that PostgreSQL has planned for any
    value would read the table instead.
    """
    looked = f"SELECT account FROM {table}{where} ORDER BY {by} LIMIT {FEW + 1}"
    found = transaction.rows(f"SELECT COUNT(*) FROM ({looked}) AS looked", where.values)[0][0]
    if found > FEW:
        return []
    return (
        [(f"account IN (SELECT account FROM ({looked}) AS few)", tuple(where.values))] if found else [("1 = 0", ())]
    )


def of_claims(where: Where, table: str, of_claim: Where, *, one_by_one: bool = False, none: bool = False) -> Where:
    """Have something hold of the claim that a row is for, or, with `none`, of no such claim: conditions that each
    begin with a column of `movement_claims`.

    `one_by_one` has a claim looked up for each row as it is met: PostgreSQL makes a join of EXISTS if it likes.
    """
    if of_claim.conditions:
        # PostgreSQL takes it for common that something is not null or below a number, and for rare that it is null.
        held = (f"{OF_CLAIM}.{condition}" for condition in of_claim.conditions)
        asked = f"({_claim_of(table)} AND {' AND '.join(held)})"
        if one_by_one:
            condition = f"{asked.replace('SELECT 1', 'SELECT COUNT(*)')} < 1" if none else f"{asked} IS NOT NULL"
        else:
            condition = f"{'NOT ' if none else ''}EXISTS {asked}"
        where.that(condition, *of_claim.values)
    return where


def _claim_of(table: str) -> str:
    claims = MOVEMENTS.stored_name(CLAIMS)
    return (
        f"SELECT 1 FROM {claims} AS {OF_CLAIM} "
        f"WHERE {OF_CLAIM}.account = {table}.account AND {OF_CLAIM}.claim_id = {table}.claim_id"
    )
