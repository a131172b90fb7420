"""How `makegood preview` answers: which claims would change, from what to what, and by which formula."""

from __future__ import annotations

from typing_extensions import TypedDict

from ledger.application.preview import ClaimChange, ClaimStanding, Preview
from ledger.events import ClaimState, clause_of
from ledger.events.billing_account import Clause
from makegood.answers import explanation_types as explained
from makegood.answers.explanation import change_in_a_word, state
from makegood.answers.refusals import RefusedMessage, refusals
from projections.shown_values import Currency


class ChangedClaim(TypedDict):
    """The change of one claim, as in `makegood preview`."""

    account_id: str
    claim_id: str
    clause: Clause
    subscription_id: str | None
    charge_id: str | None
    currency: Currency | None
    change: explained.Change
    before: explained.ClaimState | None
    after: explained.ClaimState | None
    formula: str | None
    working: list[str]


class Previewed(TypedDict):
    """The changes that a request would cause. Nothing was recorded."""

    read: int
    accepted: int
    duplicates: int
    refused: list[RefusedMessage]
    changes: list[ChangedClaim]


def answer(found: Preview) -> Previewed:
    """The answer for programs."""
    return {
        "read": found.read,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "refused": refusals(found.refused),
        "changes": [_change(change) for change in found.changes],
    }


def _change(change: ClaimChange) -> ChangedClaim:
    row = change.after.row or change.before.row
    decided = change.decided
    return {
        "account_id": change.account,
        "claim_id": change.claim_id,
        "clause": clause_of(change.claim_id),
        "subscription_id": row.subscription_id if row is not None else None,
        "charge_id": row.charge_id if row is not None else None,
        "currency": row.currency if row is not None else None,
        "change": change_in_a_word(_row(change.before), _row(change.after)),
        "before": state(_row(change.before), change.before.settled),
        "after": state(_row(change.after), change.after.settled),
        "formula": decided.formula if decided is not None else None,
        "working": list(decided.working) if decided is not None else ["only how it is settled changes"],
    }


def _row(standing: ClaimStanding) -> ClaimState | None:
    return standing.row.state if standing.row is not None else None
