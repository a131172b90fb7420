"""Goodwill credits (policy §8): proposed by a person for a complaint, approved or rejected by another.

They are for no charge: nothing caps them, no tax comes back with them, and they reduce no invoice.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ledger.events import ComplaintOpened, GoodwillApproved, GoodwillProposed, GoodwillRejected, Outcome, Reason
from ledger.policy.facts import AccountFacts
from ledger.values import value, zero


@value
class GoodwillFinding:
    """What one goodwill credit comes to."""

    proposal: GoodwillProposed
    complaint: ComplaintOpened | None
    verdict: GoodwillApproved | GoodwillRejected | None
    """The verdict that holds: the first by another person than the one who proposed."""
    own_verdicts: tuple[GoodwillApproved | GoodwillRejected, ...]
    """What the one who proposed decided, which counts for nothing."""
    waits_for: str | None
    outcome: Outcome
    reason: Reason | None
    amount: Decimal


def goodwill_credits(facts: AccountFacts, credit_ids: Iterable[str]) -> list[GoodwillFinding]:
    """The goodwill credits of which a proposal stands. A verdict alone gives no row: it waits for its proposal."""
    proposals = (facts.goodwill.proposal(credit_id) for credit_id in sorted(credit_ids))
    return [_found(facts, proposal) for proposal in proposals if proposal is not None]


def _found(facts: AccountFacts, proposal: GoodwillProposed) -> GoodwillFinding:
    data = proposal.data
    verdicts = sorted(facts.goodwill.by_id[data.credit_id].verdicts, key=lambda fact: fact.order)
    verdict = next((fact for fact in verdicts if fact.data.decided_by != data.proposed_by), None)
    waits_for = facts.waits_for(proposal)
    outcome: Outcome = "pending"
    if verdict is not None and waits_for is None:
        outcome = "granted" if isinstance(verdict, GoodwillApproved) else "declined"
    return GoodwillFinding(
        proposal=proposal,
        complaint=facts.complaints.opening(data.complaint_id),
        verdict=verdict,
        own_verdicts=tuple(fact for fact in verdicts if fact.data.decided_by == data.proposed_by),
        waits_for=waits_for,
        outcome=outcome,
        reason="rejected" if outcome == "declined" else None,
        amount=data.amount if outcome == "granted" else zero(data.currency),
    )


def goodwill_formula(finding: GoodwillFinding) -> str | None:
    """What was granted: the amount as it was proposed. Nothing is reckoned, so nobody's arithmetic is in it."""
    return f"{finding.amount} proposed and approved" if finding.outcome == "granted" else None


def goodwill_lines(finding: GoodwillFinding) -> tuple[str, ...]:
    """The working in sentences: who proposed what for which complaint, and who decided."""
    data = finding.proposal.data
    lines = [f"{data.proposed_by} proposed {data.amount} {data.currency} for complaint {data.complaint_id}"]
    lines += [
        f"{data.proposed_by} {_did(verdict)} it too, which counts for nothing: another person decides"
        for verdict in finding.own_verdicts
    ]
    if finding.verdict is None:
        lines.append("no other person has decided yet")
    else:
        words = "; their words are in the vault" if isinstance(finding.verdict, GoodwillRejected) else ""
        lines.append(f"{finding.verdict.data.decided_by} {_did(finding.verdict)} it{words}")
    if finding.waits_for is not None:
        lines.append(f"{finding.waits_for} is not known yet")
    return tuple(lines)


def _did(verdict: GoodwillApproved | GoodwillRejected) -> str:
    return "approved" if isinstance(verdict, GoodwillApproved) else "rejected"
