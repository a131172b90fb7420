"""Disputed charges: the claims of billing errors, told as investigations (policy §4, `makegood disputes`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events.billing_account import Outcome
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Page, Where
from ledger.values import instant_from_text
from projections import claims
from projections.asking import Accounts
from projections.complaints import Linked, linked_in
from projections.shown_values import Instant

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
    investigate_by: Instant | None
    overdue: bool
    complaint_ids: Annotated[list[str], Field(description="The linked complaints.")]


ORDER = claims.ORDER


def listed(
    database: Database,
    now: datetime,
    *,
    accounts: Accounts = None,
    overdue: bool = False,
    page: Page | None = None,
) -> Listed[Dispute]:
    """Every dispute by account and id, with until when its investigation is in time.

    `status` is `investigating` while no verdict is known, `confirmed` or `rejected` after one, and `waiting` where a
    confirmation waits for its charge. `overdue` lists only investigations that are open longer than agreed.
    """
    where = Where().among("account", accounts).equal(clause="billing_error")
    if overdue:
        where.that("investigate_by < ?", to_microseconds(now))
    with database.reading() as transaction:
        found = claims.claims_in(transaction, where, page)
        linked = linked_in(transaction, {claim["account_id"] for claim in found})
    return Listed((_shown(claim, now, linked) for claim in found), found.next)


def _shown(claim: claims.Claim, now: datetime, linked: Linked) -> Dispute:
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
        "investigate_by": investigate_by,
        "overdue": investigate_by is not None and instant_from_text(investigate_by) < now,
        "complaint_ids": linked.get((claim["account_id"], "dispute", dispute_id), []),
    }


def _status(claim: claims.Claim) -> DisputeStatus:
    if claim["outcome"] == "pending":
        return "investigating" if claim["investigate_by"] is not None else "waiting"
    return "rejected" if claim["reason"] == "rejected" else "confirmed"
