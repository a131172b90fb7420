"""Disputed charges: the claims of billing errors, told as investigations (policy §4, `makegood disputes`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events.billing_account import Outcome
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Page, Where, check_at_most
from ledger.values import instant_from_text
from projections import claims, complaints
from projections.age_classes import AgeClass, Aged, age_in_sql, aged
from projections.age_classes import of_age as claims_of_age
from projections.asking import Accounts, state_in
from projections.complaints import Linked
from projections.movements import CLAIMS as OPENED
from projections.movements import MOVEMENTS
from projections.narrowing import among_few, of_claims
from projections.shown_values import Instant, shown_instant

DisputeStatus = Literal["investigating", "waiting", "confirmed", "rejected"]


class Dispute(TypedDict):
    """A disputed charge, with the status of its investigation."""

    dispute_id: str
    claim_id: str
    account_id: str
    subscription_id: str | None
    charge_id: str | None
    status: DisputeStatus
    outcome: Outcome
    reason: str | None
    opened_at: Annotated[
        Instant | None,
        Field(description="The instant at which it was reported or found; null while rows are built anew."),
    ]
    age_seconds: Annotated[int | None, Field(description="Null once it is confirmed or rejected.")]
    investigate_by: Instant | None
    overdue: bool
    complaint_ids: Annotated[list[str], Field(description="The linked complaints.")]


ORDER = claims.ORDER


def listed(
    database: Database,
    now: datetime,
    *,
    accounts: Accounts = None,
    still_open: bool = False,
    overdue: bool = False,
    age: AgeClass | None = None,
    page: Page | None = None,
) -> Listed[Dispute]:
    """Every dispute by account and id, with until when its investigation is in time.

    `status` is `investigating` while no verdict is known, `confirmed` or `rejected` after one, and `waiting` where a
    confirmation waits for its charge. `still_open` leaves out the confirmed and the rejected ones; `overdue` lists
    only investigations that are open longer than agreed, `age` only open disputes of that class.
    """
    where = Where().among("account", accounts).equal(clause="billing_error")
    if still_open and age is None:
        where.equal(outcome="pending")
    if overdue:
        where.that("investigate_by < ?", to_microseconds(now))
    with database.reading() as transaction:
        if age is not None:
            of_age = claims_of_age(Where(), "opened_at", age, now)
            if page is not None:
                for condition, values in among_few(transaction, MOVEMENTS.stored_name(OPENED), of_age, "opened_at"):
                    where.that(condition, *values)
            stands = claims.CLAIMS.stored_name(claims.ROWS)
            of_claims(where.equal(outcome="pending"), stands, of_age, one_by_one=page is not None)
        found = claims.claims_in(transaction, where, page)
        told_by = ((MOVEMENTS, OPENED), *complaints.TOLD_BY)
        state = state_in(transaction, told_by, {claim["account_id"] for claim in found})
    linked = complaints.linked_by(state)
    opened = {(row["account"], row["claim_id"]): row["opened_at"] for row in state[OPENED.name]}
    return found.told(
        _shown(claim, now, linked, opened.get((claim["account_id"], claim["claim_id"]))) for claim in found
    )


def by_age(database: Database, now: datetime, *, accounts: Accounts = None, at_most: int | None = None) -> list[Aged]:
    """The open disputes in classes of age, and how many of them are overdue.

    Raises TooManyRows for more than `at_most`.
    """
    where = Where().among("stands.account", accounts).that("clause = 'billing_error' AND outcome = 'pending'")
    overdue = f"CASE WHEN investigate_by < {to_microseconds(now)} THEN 1 ELSE 0 END"
    stands = f"{claims.CLAIMS.stored_name(claims.ROWS)} AS stands"
    with database.reading() as transaction:
        check_at_most(transaction, stands, where, at_most)
        return aged(
            transaction.rows(
                f"SELECT age, COUNT(*), SUM(overdue) FROM ("
                f"SELECT {age_in_sql('opened_at', now)} AS age, {overdue} AS overdue "
                f"FROM {stands} "
                f"JOIN {MOVEMENTS.stored_name(OPENED)} AS opened "
                f"ON opened.account = stands.account AND opened.claim_id = stands.claim_id{where}"
                ") AS disputes GROUP BY age",
                where.values,
            )
        )


def _shown(claim: claims.Claim, now: datetime, linked: Linked, opened_at: int | None) -> Dispute:
    dispute_id = claim["claim_id"].removeprefix("billing-error/")
    investigate_by = claim["investigate_by"]
    return {
        "dispute_id": dispute_id,
        "claim_id": claim["claim_id"],
        "account_id": claim["account_id"],
        "subscription_id": claim["subscription_id"],
        "charge_id": claim["charge_id"],
        "status": _status(claim),
        "outcome": claim["outcome"],
        "reason": claim["reason"],
        "opened_at": shown_instant(opened_at),
        "age_seconds": _age(opened_at, now) if opened_at is not None and claim["outcome"] == "pending" else None,
        "investigate_by": investigate_by,
        "overdue": investigate_by is not None and instant_from_text(investigate_by) < now,
        "complaint_ids": linked.get((claim["account_id"], "dispute", dispute_id), []),
    }


def _age(opened_at: int, now: datetime) -> int:
    """How long it has been open, 0 where a sandbox's clock stands before."""
    return max(0, to_microseconds(now) - opened_at) // 1_000_000


def _status(claim: claims.Claim) -> DisputeStatus:
    if claim["outcome"] == "pending":
        return "investigating" if claim["investigate_by"] is not None else "waiting"
    return "rejected" if claim["reason"] == "rejected" else "confirmed"
