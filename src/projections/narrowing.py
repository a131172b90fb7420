"""By which words finance narrows a question: the same on the command line, in addresses and in exports.

What a word names has a column, or stands in the row of the claim that something is for (`movement_claims`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ledger.events import CLAUSES
from ledger.store.amounts import in_minor_units, to_minor_units
from ledger.store.reading.page import Where
from projections.asking import Accounts
from projections.movements import CLAIMS, MOVEMENTS

OF_CLAIM = "claims_of"
"""The name under which conditions speak of the claim that a row is for."""
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
        if clause is not None:
            where.equal(**{clause: self.clause})
        elif self.clause is not None:
            named = next((prefix for prefix, clause in CLAUSES.items() if clause == self.clause), None)
            where.that("claim_id IS NULL") if named is None else where.that("claim_id LIKE ?", f"{named}/%")
        of_claim = Where()
        for column, value in (("agreement", self.agreement), ("plan", self.plan)):
            if value is not None and value != NONE:
                of_claim.that(f"{OF_CLAIM}.{column} = ?", value)
        if period is None:
            self._period(of_claim, f"{OF_CLAIM}.recorded_at")
        else:
            self._period(where, period)
        of_claims(where, table, of_claim)
        for column, value in (("agreement", self.agreement), ("plan", self.plan)):
            if value == NONE:
                where.that(f"NOT EXISTS ({_claim_of(table)} AND {OF_CLAIM}.{column} IS NOT NULL)")
        if self.min_amount is not None and self.currency is not None:
            total = " + ".join(map(in_minor_units, amounts))
            where.that(f"{total} >= ?", _minor_units(self.min_amount, self.currency))
        return where

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


def of_claims(where: Where, table: str, of_claim: Where) -> Where:
    """Have something hold of the claim that a row is for."""
    if of_claim.conditions:
        where.that(f"EXISTS ({_claim_of(table)} AND {' AND '.join(of_claim.conditions)})", *of_claim.values)
    return where


def _claim_of(table: str) -> str:
    claims = MOVEMENTS.stored_name(CLAIMS)
    return (
        f"SELECT 1 FROM {claims} AS {OF_CLAIM} "
        f"WHERE {OF_CLAIM}.account = {table}.account AND {OF_CLAIM}.claim_id = {table}.claim_id"
    )
