"""What people decided about refunds, about credits to be refunded, and about what went out too much (policy §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from ledger.events import (
    CreditRefundRequested,
    OverpaidAct,
    OverpaidRecoveryOrdered,
    OverpaidWrittenOff,
    RefundAct,
    RefundApproved,
    RefundRejected,
    RefundRetried,
    RefundTurnedIntoCredit,
)
from ledger.policy.facts.refunds import Submissions, claim_of_refund
from ledger.policy.facts.touched import Touched

RefundActFact = RefundAct | OverpaidAct
Verdict = RefundApproved | RefundRejected


class RefundActs:
    """Every act, in the order in which they were recorded."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        """The last on each refund, by it and by the event that had set its amount."""
        self._retries: dict[tuple[str, str], int] = {}
        """How many times it had been submitted when it was last retried, by the same."""
        self._turned: dict[str, list[RefundTurnedIntoCredit]] = defaultdict(list)
        self._turned_after: dict[str, int] = {}
        """How many times a refund had been submitted when it was turned into a credit last."""
        self._requested: dict[str, CreditRefundRequested] = {}
        self._written_off: dict[str, list[OverpaidWrittenOff]] = defaultdict(list)
        self.recoveries: dict[str, list[OverpaidRecoveryOrdered]] = defaultdict(list)
        """The orders to recover what went out too much, by claim."""
        self.refunds: dict[str, None] = {}
        """The refunds that were decided about."""

    def learn(self, fact: RefundActFact) -> Touched:
        """Take in one act."""
        match fact:
            case OverpaidAct():
                if isinstance(fact, OverpaidWrittenOff):
                    self._written_off[fact.data.claim_id].append(fact)
                elif isinstance(fact, OverpaidRecoveryOrdered):
                    self.recoveries[fact.data.claim_id].append(fact)
                return Touched(claims={fact.data.claim_id})
            case RefundApproved() | RefundRejected():
                self._verdicts[fact.data.refund_id, fact.data.set_by] = fact
            case RefundRetried(data=data):
                self._retries[data.refund_id, data.set_by] = self._submissions.before(fact)
            case RefundTurnedIntoCredit():
                self._turned[claim_of_refund(fact.data.refund_id) or ""].append(fact)
                self._turned_after[fact.data.refund_id] = self._submissions.before(fact)
            case CreditRefundRequested():
                self._requested[fact.data.refund_id] = fact
        refund_id = fact.data.refund_id
        self.refunds[refund_id] = None
        claim_id = claim_of_refund(refund_id)
        return Touched(refunds={refund_id}, claims={claim_id} if claim_id is not None else set())

    def judge(self) -> None:
        """Nothing here depends on another fact."""

    def waits_for(self, fact: RefundActFact) -> str | None:
        """It waits for nothing: what it is about was there when it was recorded."""
        return None

    # --- questions -----------------------------------------------------------------------------------------------

    def verdict(self, refund_id: str, set_by: str) -> Verdict | None:
        """What was decided last about a refund with the amount that an event had set."""
        return self._verdicts.get((refund_id, set_by))

    def is_retried(self, refund_id: str, set_by: str) -> bool:
        """Whether a failed refund is to be submitted anew, and was not since."""
        attempts = len(self._submissions.of.get(refund_id, ()))
        return self._retries.get((refund_id, set_by)) == attempts

    def turned_into_credit(self, claim_id: str, currency: str) -> Decimal:
        """Up to which amount, gross, refunds of a claim stay credits."""
        return sum((f.data.amount for f in self._turned.get(claim_id, ()) if f.data.currency == currency), Decimal(0))

    def is_turned_into_credit(self, refund_id: str) -> bool:
        """Whether what failed of a refund has become a credit: what is due under its id now is due anew."""
        return self._turned_after.get(refund_id) == len(self._submissions.of.get(refund_id, ()))

    def credit_of(self, refund_id: str) -> str | None:
        """The credit of which a person asked for this refund."""
        request = self._requested.get(refund_id)
        return request.data.credit_id if request is not None else None

    def people(self, refund_id: str) -> Iterator[str]:
        """Who asked for the refund of a credit."""
        request = self._requested.get(refund_id)
        if request is not None:
            yield request.data.decided_by

    def written_off(self, claim_id: str, currency: str) -> Decimal:
        """Up to which amount, gross, what went out too much for a claim is written off."""
        acts = self._written_off.get(claim_id, ())
        return sum((act.data.amount for act in acts if act.data.currency == currency), Decimal(0))
