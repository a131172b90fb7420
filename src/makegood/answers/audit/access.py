"""Who was given access in a month, who approved what, and who looked: `makegood audit access` (contract §3c).

It is told from the stored events alone: the vault and the projections are not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.application.four_eyes import Approval, person_named, self_approvals
from ledger.application.looks import STREAM as LOOKS
from ledger.events import (
    ApiKeyIssued,
    ApiKeyRevoked,
    LedgerEvent,
    LookedAt,
    RecordsLookedAt,
    RefundApproved,
    Role,
    RoleGranted,
    RoleRevoked,
)
from ledger.store.database import Transaction
from ledger.store.reading.events import (
    StoredEnvelope,
    approvals_by_people,
    events_of_types,
    read_accounts,
    stream_between,
)
from ledger.values import SYSTEM_ACCOUNT, Month, instant_to_text, month_of
from makegood.access.permissions import PERMISSIONS
from makegood.house.one_state import one_state
from makegood.house.opening import House
from projections.shown_values import Instant, Position

AT_ONCE = 50
"""So many accounts' events are in memory together."""


class AccessChanged(TypedDict):
    """A role granted to a principal or revoked, or an API key issued or revoked."""

    position: Position
    principal: str
    role: Annotated[Role | None, Field(description="Null for an API key.")]
    account_id: Annotated[str | None, Field(description="The account that the role customer is for.")]
    key_id: Annotated[str | None, Field(description="The API key; null for a role.")]
    at: Instant
    by: str


Approved = Literal["refund", "goodwill credit"]


class ApprovalGiven(TypedDict):
    """The approval of a refund or of a goodwill credit."""

    position: Position
    account_id: str
    what: Approved
    id: Annotated[str, Field(examples=["refund/unused/cyc-0006-2026-04-02/1"])]
    approved_by: str
    approved_at: Instant


class SelfApproved(ApprovalGiven):
    """An approval by a person from whose own act the refund or credit came."""

    act: Annotated[Position, Field(description="The event of that act.")]
    act_type: Annotated[str, Field(examples=["goodwill-proposed.v1"])]
    counts: Annotated[bool, Field(description="False if the ledger left the approval out.")]


class ApprovedByRevoked(ApprovalGiven):
    """An approval by a person whose role for such approvals was revoked later."""

    role: Role
    revoked_at: Instant
    revoked_by: str
    granted_again: Annotated[bool, Field(description="True if the person has the role now.")]


class Looked(TypedDict):
    """Looks of one person at one kind of record of an account, which were recorded by one event."""

    position: Position
    begin: Annotated[Instant, Field(description="Between this instant and `end` they looked.")]
    end: Instant
    by: str
    channel: str
    kind: LookedAt
    account_id: Annotated[str | None, Field(description="Null for records of all accounts.")]
    times: Annotated[int, Field(description="The number of times they looked.")]
    records: Annotated[
        int, Field(description="The number of records shown: words, bodies, events, rows, or entries of the vault.")
    ]


class AccessAudited(TypedDict):
    """Roles and keys granted and revoked in a month, its approvals that an auditor looks at, and who looked."""

    period: Annotated[str, Field(examples=["2026-01"])]
    time_zone: str
    grants: list[AccessChanged]
    revocations: list[AccessChanged]
    approvals: Annotated[int, Field(description="The number of approvals of refunds and goodwill credits.")]
    self_approvals: list[SelfApproved]
    approved_by_revoked: list[ApprovedByRevoked]
    looks: list[Looked]


def access_audited(house: House, month: Month) -> AccessAudited:
    """What was granted, revoked, approved and looked at in a month of the provider's time zone. Raises StoreError."""
    zone = house.settings.time_zone

    def in_month(event: LedgerEvent) -> bool:
        return month_of(event.recorded_at, zone) == month

    with one_state(house) as still, still.database.reading() as transaction:
        recorded = events_of_types(transaction, SYSTEM_ACCOUNT, [each.stored_as for each in _CHANGES])
        changes = [(stored, stored.event()) for stored in recorded]
        of_month = [_changed(stored, event) for stored, event in changes if in_month(event)]
        looks = [
            row
            for stored in stream_between(transaction, LOOKS, month.begins(zone), month.next.begins(zone))
            if isinstance(event := stored.event(), RecordsLookedAt)
            for row in _looked(stored, event)
        ]
        approvals = 0
        own: list[SelfApproved] = []
        by_revoked: list[ApprovedByRevoked] = []
        revoked = _Revoked([event for _, event in changes])
        accounts = {stored.account for stored in approvals_by_people(transaction) if in_month(stored.event())}
        for events in _histories(transaction, sorted(accounts)):
            given = {id(event): stored for stored, event in events if isinstance(event, Approval) and in_month(event)}
            approvals += len(given)
            by_revoked += [
                row
                for stored, event in events
                if id(event) in given and isinstance(event, Approval)
                for row in revoked.since(_given(stored, event), event)
            ]
            at = {event.event_id: stored for stored, event in events}
            own += [
                {
                    **_given(given[id(found.approval)], found.approval),
                    "act": str(at[found.act.event_id].at),
                    "act_type": found.act.type,
                    "counts": found.counts,
                }
                for found in self_approvals([event for _, event in events])
                if id(found.approval) in given
            ]
    return {
        "period": str(month),
        "time_zone": zone,
        "grants": [row for given_, row in of_month if given_],
        "revocations": [row for given_, row in of_month if not given_],
        "approvals": approvals,
        "self_approvals": own,
        "approved_by_revoked": by_revoked,
        "looks": looks,
    }


_CHANGES = (RoleGranted, RoleRevoked, ApiKeyIssued, ApiKeyRevoked)
_MAY_APPROVE: Mapping[Approved, frozenset[Role]] = {
    "refund": PERMISSIONS["refund.decide"],
    "goodwill credit": PERMISSIONS["goodwill.decide"],
}


def _histories(
    transaction: Transaction, accounts: Sequence[str]
) -> Iterator[list[tuple[StoredEnvelope, LedgerEvent]]]:
    for begin in range(0, len(accounts), AT_ONCE):
        histories = read_accounts(transaction, accounts[begin : begin + AT_ONCE])
        yield from ([(stored, stored.event()) for stored in histories[account]] for account in sorted(histories))


def _changed(stored: StoredEnvelope, event: LedgerEvent) -> tuple[bool, AccessChanged]:
    """Whether it was a grant or the issue of a key, and what it was."""
    is_key = isinstance(event, ApiKeyIssued | ApiKeyRevoked)
    return isinstance(event, RoleGranted | ApiKeyIssued), {
        "position": str(stored.at),
        "principal": event.data.principal,
        "role": None if is_key else event.data.role,
        "account_id": None if is_key else event.data.account_id,
        "key_id": event.data.key_id if is_key else None,
        "at": instant_to_text(event.recorded_at),
        "by": event.actor,
    }


def _looked(stored: StoredEnvelope, event: RecordsLookedAt) -> Iterator[Looked]:
    for look in event.data.looks:
        yield {
            "position": str(stored.at),
            "begin": instant_to_text(event.data.begin),
            "end": instant_to_text(event.data.end),
            "by": look.by,
            "channel": look.channel,
            "kind": look.kind,
            "account_id": look.account_id,
            "times": look.times,
            "records": look.records,
        }


def _given(stored: StoredEnvelope, event: Approval) -> ApprovalGiven:
    is_refund = isinstance(event, RefundApproved)
    return {
        "position": str(stored.at),
        "account_id": event.account,
        "what": "refund" if is_refund else "goodwill credit",
        "id": event.data.refund_id if isinstance(event, RefundApproved) else event.data.credit_id,
        "approved_by": event.data.decided_by,
        "approved_at": instant_to_text(event.recorded_at),
    }


class _Revoked:
    """The roles that people lost, with what became of each."""

    def __init__(self, changes: Sequence[LedgerEvent]) -> None:
        self._revoked: dict[tuple[str, Role], list[RoleRevoked]] = {}
        self._stands: dict[tuple[str, Role], bool] = {}
        for event in changes:
            if isinstance(event, RoleGranted | RoleRevoked):
                of = event.data.principal, event.data.role
                self._stands[of] = isinstance(event, RoleGranted)
                if isinstance(event, RoleRevoked):
                    self._revoked.setdefault(of, []).append(event)

    def since(self, given: ApprovalGiven, event: Approval) -> Iterator[ApprovedByRevoked]:
        """An approval with each role that permits it and that was first revoked from the person after it."""
        person = person_named(event.data.decided_by)
        for role in sorted(_MAY_APPROVE[given["what"]]):
            of = person, role
            later = next((each for each in self._revoked.get(of, ()) if each.recorded_at >= event.recorded_at), None)
            if later is not None:
                yield {
                    **given,
                    "role": role,
                    "revoked_at": instant_to_text(later.recorded_at),
                    "revoked_by": later.actor,
                    "granted_again": self._stands[of],
                }
