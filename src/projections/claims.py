"""What was claimed, and what became of it: a row for every claim that stands (contract §3, `makegood claims`)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    SETTLING,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimDecision,
    SettledPart,
    Settling,
    claims_settled,
)
from ledger.events.billing_account import Clause, Outcome
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Page, Where, check_at_most
from projections.asking import Accounts, ListTotal, accounts_of, list_totals, order_of, rows_listed, rows_of, the_only
from projections.narrowing import EVERYTHING, Narrowing, gross_of
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.shown_values import Amount, Currency, Instant, Position, shown_instant

AMOUNTS = ("amount", "tax")
"""The columns whose sum is the gross amount of a row."""
ROWS = Table(
    "claims",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "clause": "TEXT",
        "subscription_id": "TEXT",
        "charge_id": "TEXT",
        "outcome": "TEXT",
        "amount": "TEXT",
        "tax": "TEXT",
        "currency": "TEXT",
        "reason": "TEXT",
        "investigate_by": "INSTANT",
        "agreement": "TEXT",
        "agreement_version": "INTEGER",
        "position": "TEXT",
    },
    key=("account", "claim_id"),
    indexes=(
        Index("claim_id", ("claim_id",)),
        Index("clause", ("clause", "account", "claim_id")),
        Index("outcome", ("outcome", "account", "claim_id")),
        Index("currency", ("currency", "account", "claim_id")),
        Index("amount", ("currency", f"({gross_of(AMOUNTS)})")),
        Index("investigated", ("account", "claim_id"), "investigate_by IS NOT NULL"),
    ),
)
SETTLEMENTS = Table(
    "claim_settlements",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "currency": "TEXT",
        "settlement": "TEXT",
        "overpaid": "TEXT",
    },
    key=("account", "claim_id", "currency"),
)


def fold(rows: Rows, place: Place, event: ClaimAssessed | Settling) -> None:
    """A claim row is as it was last recorded, or gone; how it is settled stands also where the row is gone."""
    if isinstance(event, ClaimAssessed | ClaimAssessedV1):
        _put_row(rows, place, event)
    if isinstance(event, Settling):
        for claim in claims_settled(event):
            if not claim.after:
                rows.delete(SETTLEMENTS, event.account, claim.claim_id, event.data.currency)
                continue
            rows.put(
                SETTLEMENTS,
                {
                    "account": event.account,
                    "claim_id": claim.claim_id,
                    "currency": event.data.currency,
                    "settlement": _settlement(claim.after),
                    "overpaid": _overpaid(claim.after),
                },
            )


def _put_row(rows: Rows, place: Place, event: ClaimAssessed | ClaimAssessedV1) -> None:
    data, after = event.data, event.data.after
    if after is None or after.outcome is None:
        rows.delete(ROWS, event.account, data.claim_id)
        return
    rows.put(
        ROWS,
        {
            "account": event.account,
            "claim_id": data.claim_id,
            "clause": data.clause,
            "subscription_id": data.subscription_id,
            "charge_id": data.charge_id,
            "outcome": after.outcome,
            "amount": str(after.amount),
            "tax": str(after.tax),
            "currency": data.currency,
            "reason": after.reason,
            "investigate_by": to_microseconds(data.investigate_by) if data.investigate_by is not None else None,
            "agreement": data.terms.agreement if data.terms is not None else None,
            "agreement_version": data.terms.version if data.terms is not None else None,
            "position": f"{place.shard}:{place.position}" if place.shard is not None else None,
        },
    )


Settlement = Literal["refund", "credit", "invoice_reduction", "mixed"]


def _settlement(parts: Iterable[SettledPart]) -> str | None:
    """How a claim is settled, in a word; what went out too much, and what became of that, is no way of settling it.

    What was set off is no way of its own where there is another; a claim that is set off whole is `mixed`.
    """
    settled = {part.into for part in parts} - {"overpaid", "recovered", "written_off", "correction"}
    ways = settled - {"offset"}
    if len(ways) == 1:
        return next(iter(ways))
    return "mixed" if settled else None


def _overpaid(parts: Iterable[SettledPart]) -> str | None:
    """What went out and is no longer owed. Its part is negative, so that all parts add up to the claim."""
    overpaid = [-(part.net + part.tax) for part in parts if part.into == "overpaid"]
    return str(sum(overpaid, Decimal(0))) if overpaid else None


CLAIMS = Projection("claims", 3, (ROWS, SETTLEMENTS), (ClaimDecision, *SETTLING), fold)


class ClaimHead(TypedDict):
    """A claim, but for where it was decided."""

    claim_id: Annotated[str, Field(examples=["unused/cyc-0006-2026-04-02"])]
    clause: Clause
    account_id: Annotated[str, Field(examples=["acct-0006"])]
    subscription_id: str | None
    charge_id: str | None
    outcome: Outcome
    amount: Amount
    tax: Amount
    currency: Currency
    reason: Annotated[str | None, Field(description="Null unless the claim was declined.")]
    settlement: Settlement | None
    overpaid: Amount | None
    investigate_by: Instant | None
    agreement: str | None
    agreement_version: int | None


class Claim(ClaimHead):
    """The result of one clause of the policy for one charge."""

    position: Annotated[
        Position | None, Field(description="Null if it was assessed for this answer, as of another time.")
    ]


ORDER = order_of(ROWS)


def how_many(database: Database, outcome: Outcome, accounts: Accounts = None) -> int:
    """The number of claims of an outcome."""
    where = Where().among("account", accounts).equal(outcome=outcome)
    with database.reading() as transaction:
        return int(transaction.rows(f"SELECT COUNT(*) FROM {CLAIMS.stored_name(ROWS)}{where}", where.values)[0][0])


def listed(
    database: Database,
    *,
    accounts: Accounts = None,
    clause: str | None = None,
    outcome: str | None = None,
    goodwill_in_full: bool = True,
    narrowing: Narrowing = EVERYTHING,
    page: Page | None = None,
) -> Listed[Claim]:
    """The claims that stand, by account and id; of goodwill only what was granted, unless `goodwill_in_full`."""
    with database.reading() as transaction:
        if page is not None:
            narrowing = narrowing.for_page(transaction, CLAIMS.stored_name(ROWS), AMOUNTS, clause="clause")
        where = _wanted(accounts, outcome, goodwill_in_full, narrowing).equal(clause=clause)
        return claims_in(transaction, where, page)


def totals(
    database: Database,
    *,
    accounts: Accounts = None,
    outcome: str | None = None,
    goodwill_in_full: bool = True,
    narrowing: Narrowing = EVERYTHING,
    at_most: int | None = None,
) -> list[ListTotal]:
    """The sums of all claims that `listed` lists, by currency. Raises TooManyRows for more than `at_most`."""
    with database.reading() as transaction:
        if at_most is not None:
            narrowing = narrowing.for_page(transaction, CLAIMS.stored_name(ROWS), AMOUNTS, clause="clause")
        wanted = _wanted(accounts, outcome, goodwill_in_full, narrowing)
        check_at_most(transaction, CLAIMS.stored_name(ROWS), wanted, at_most)
        return list_totals(transaction, CLAIMS, ROWS, wanted, {"amount": "amount", "tax": "tax"})


def _wanted(accounts: Accounts, outcome: str | None, goodwill_in_full: bool, narrowing: Narrowing) -> Where:
    where = narrowing.of_list(CLAIMS.stored_name(ROWS), AMOUNTS, clause="clause").among("account", accounts)
    if not goodwill_in_full:
        where.that("(clause <> 'complaint' OR outcome = 'granted')")
    return where.equal(outcome=outcome)


def find(database: Database, claim_id: str, account: str | None = None) -> Claim | None:
    """The claim with this id, if it stands. Raises AmbiguousId where several accounts have one."""
    with database.reading() as transaction:
        return the_only(claims_in(transaction, Where().equal(account=account, claim_id=claim_id)), claim_id)


def claims_in(transaction: Transaction, where: Where, page: Page | None = None) -> Listed[Claim]:
    """The claims of which something holds, by account and id."""
    found = rows_listed(transaction, CLAIMS, ROWS, where, page)
    settled = rows_of(transaction, CLAIMS, SETTLEMENTS, accounts_of(found))
    return found.told(shown({ROWS.name: found, SETTLEMENTS.name: settled}))


def is_goodwill_not_granted(claim: ClaimHead) -> bool:
    """Whether it is a goodwill credit that somebody proposed, and nobody has granted."""
    return claim["clause"] == "complaint" and claim["outcome"] != "granted"


def shown(state: State) -> list[Claim]:
    """The claims as they are shown: by account, then claim."""
    settled = {SETTLEMENTS.key_of(row): row for row in state[SETTLEMENTS.name]}
    return [
        _shown(row, settled.get((row["account"], row["claim_id"], row["currency"])))
        for row in sorted(state[ROWS.name], key=ROWS.key_of)
    ]


def _shown(row: Row, settled: Row | None) -> Claim:
    return {
        "claim_id": row["claim_id"],
        "clause": row["clause"],
        "account_id": row["account"],
        "subscription_id": row["subscription_id"],
        "charge_id": row["charge_id"],
        "outcome": row["outcome"],
        "amount": row["amount"],
        "tax": row["tax"],
        "currency": row["currency"],
        "reason": row["reason"],
        "settlement": settled["settlement"] if settled is not None else None,
        "overpaid": settled["overpaid"] if settled is not None else None,
        "investigate_by": shown_instant(row["investigate_by"]),
        "agreement": row["agreement"],
        "agreement_version": row["agreement_version"],
        "position": row["position"],
    }
