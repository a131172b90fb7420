"""Four eyes: who approves is none of those from whose acts it came (policy §7).

`payouts` asks before an approval is recorded; auditors ask of what was recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger.aggregates.owed_refunds import claim_of_credit
from ledger.events import (
    BY_PEOPLE,
    ClaimAssessed,
    ClaimAssessedV1,
    CreditRefundRequested,
    Fact,
    GoodwillApproved,
    GoodwillProposed,
    LedgerEvent,
    RefundApproved,
)
from ledger.policy.facts.refunds import claim_of_refund, credit_of_refund

Approval = RefundApproved | GoodwillApproved


@dataclass(frozen=True, slots=True)
class SelfApproval:
    """An approval by a person from whose act it came: `act` is that one.

    `counts` is false for a goodwill credit's, which the policy leaves out (§8).
    """

    approval: Approval
    act: Fact
    counts: bool


def people_of(event: LedgerEvent) -> Iterator[str]:
    """Who acted at the door, as it was proven, and as whom they said they did. Upstream's systems are no people."""
    if event.channel in BY_PEOPLE:
        yield event.actor
    for name in ("decided_by", "proposed_by"):
        person = getattr(event.data, name, None)
        if isinstance(person, str):
            yield person


def person_named(name: str) -> str:
    """The person whom a name is of: a command's actor names for whom it was (`… for NAME`)."""
    return name.rpartition(" for ")[2]


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are of one person."""
    return person_named(one) == person_named(other)


def self_approvals(events: Sequence[LedgerEvent]) -> Iterator[SelfApproval]:
    """The approvals of an account's history, in their order, that one of those gave from whose acts they came; each
    once, with the first of those acts.

    Acts are looked for as they were known when the approval was recorded; a goodwill credit's proposal may come
    after its verdict.
    """
    by_id = {event.event_id: event for event in events}
    facts_of: dict[str, Sequence[str]] = {}
    requests: dict[str, list[str]] = defaultdict(list)
    proposals: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if isinstance(event, GoodwillProposed):
            proposals[event.data.credit_id].append(event.event_id)
    for event in events:
        match event:
            case ClaimAssessed(data=data) | ClaimAssessedV1(data=data):
                facts_of[data.claim_id] = data.facts
            case CreditRefundRequested(data=data):
                requests[data.refund_id].append(event.event_id)
            case RefundApproved(data=data):
                named = [*facts_of.get(_claim_paid(data.refund_id) or "", ()), *requests[data.refund_id]]
                set_by = by_id.get(data.set_by)
                if set_by is not None and set_by.causation_id is not None:
                    named.append(set_by.causation_id)
                yield from _found(event, by_id, named)
            case GoodwillApproved(data=data):
                yield from _found(event, by_id, proposals[data.credit_id])


def _claim_paid(refund_id: str) -> str | None:
    """The claim that a refund pays, or that the credit is for which it pays out."""
    return claim_of_refund(refund_id) or claim_of_credit(credit_of_refund(refund_id) or "")


def _found(approval: Approval, by_id: dict[str, LedgerEvent], acts: Sequence[str]) -> Iterator[SelfApproval]:
    approvers = {person_named(each) for each in people_of(approval)}
    for event_id in acts:
        act = by_id.get(event_id)
        if (
            isinstance(act, Fact)
            and act is not approval
            and not approvers.isdisjoint(map(person_named, people_of(act)))
        ):
            left_out = isinstance(act, GoodwillProposed) and act.data.proposed_by == approval.data.decided_by
            yield SelfApproval(approval, act, counts=not left_out)
            return
