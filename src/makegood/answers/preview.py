"""How `makegood preview` answers: which claims would change, from what to what, and by which formula."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.application.preview import ClaimChange, ClaimStanding, Preview, Unmoving
from ledger.events import (
    AlarmCleared,
    AlarmRaised,
    ClaimState,
    ComplaintFact,
    CustomerChanged,
    InstructionFact,
    SubscriptionStatusChanged,
    clause_of,
)
from ledger.events.billing_account import Clause
from ledger.events.subscription import Status
from makegood.answers import explanation_types as explained
from makegood.answers.explanation import change_in_a_word, state
from makegood.answers.refusals import RefusedMessage, refusals
from projections.shown_values import Currency, LocalDate
from projections.what_happened import what_happened


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
    inputs: dict[str, str]
    working: list[str]


class ChangedStatus(TypedDict):
    """The change of one subscription's status."""

    account_id: str
    subscription_id: str
    before: Status | None
    after: Status
    effective_on: Annotated[LocalDate | None, Field(description="The date on which it ends.")]


class Previewed(TypedDict):
    """The changes that a request would cause. Nothing was recorded."""

    read: int
    accepted: int
    duplicates: int
    refused: list[RefusedMessage]
    changes: list[ChangedClaim]
    subscriptions: list[ChangedStatus]
    unchanged_because: Annotated[list[str], Field(description="Reasons, if no claim would change; empty otherwise.")]


def answer(found: Preview) -> Previewed:
    """The answer for programs."""
    return {
        "read": found.read,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "refused": refusals(found.refused),
        "changes": [_change(change) for change in found.changes],
        "subscriptions": [_status(event) for event in found.statuses],
        "unchanged_because": [] if found.changes else list(_reasons(found)),
    }


def _reasons(found: Preview) -> Iterator[str]:
    """Why no claim would change: each reason in a sentence."""
    if not found.read:
        yield "no messages were read"
    if found.duplicates:
        yield f"{_messages(found.duplicates, 'was', 'were')} recorded before"
    if found.refused:
        yield f"{_messages(len(found.refused), 'would', 'would')} be refused"
    for each in found.unmoving:
        yield f"{what_happened(each.fact)}; {_why(each)}"


def _messages(number: int, one: str, several: str) -> str:
    return f"1 message {one}" if number == 1 else f"{number} messages {several}"


def _why(unmoving: Unmoving) -> str:
    if unmoving.retracted:
        return "it would count for nothing, because its source has retracted it"
    if unmoving.contradicts is not None:
        return f"it would count for nothing, because it contradicts: {what_happened(unmoving.contradicts)}"
    if unmoving.waits_for is not None:
        return f"it would wait for {unmoving.waits_for}, which is not recorded"
    if isinstance(unmoving.fact, _CHANGING_NO_CLAIM):
        return "facts of this kind change no claim"
    decided = [event for event in unmoving.decided if not isinstance(event, AlarmRaised | AlarmCleared)]
    besides = f"; also: {'; '.join(map(what_happened, decided))}" if decided else ""
    return f"all claims stay as they are{besides}"


_CHANGING_NO_CLAIM = (ComplaintFact, InstructionFact, CustomerChanged)


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
        "inputs": decided.inputs if decided is not None else {},
        "working": list(decided.working) if decided is not None else ["only how it is settled changes"],
    }


def _status(event: SubscriptionStatusChanged) -> ChangedStatus:
    effective_on = event.data.effective_on
    return {
        "account_id": event.account,
        "subscription_id": event.data.subscription_id,
        "before": event.data.before,
        "after": event.data.after,
        "effective_on": effective_on.isoformat() if effective_on is not None else None,
    }


def _row(standing: ClaimStanding) -> ClaimState | None:
    return standing.row.state if standing.row is not None else None
