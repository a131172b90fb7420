"""What people decide about refunds, credits and overpaid claims, as the messages that it becomes (policy §7).

Each is checked in the state of the store that it is to be recorded in. Raises NoSuchRefund, and RefundRefused with a
sentence that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumers.upstream.door_messages import (
    CreditRefundRequestedV1,
    OverpaidRecoveryOrderedV1,
    OverpaidWrittenOffV1,
    RefundApprovedV1,
    RefundRejectedV1,
    RefundRetriedV1,
    RefundTurnedIntoCreditV1,
)
from ledger.application import payouts
from ledger.application.acts import Act
from ledger.application.payouts import ProposalMoved
from ledger.events import RefundStatusChanged, Settling, claims_settled
from ledger.store.reading.events import StoredEnvelope, account_events
from ledger.store.reading.heads import account_version
from ledger.values import instant_to_text
from projections.settled_parts import refund_parts


@dataclass(frozen=True, slots=True)
class Deciding:
    """A person who decides something about an account, in the state of the store that their act is recorded in."""

    act: Act
    account: str
    person: str

    def approve(self, refund_id: str, seen: str) -> RefundApprovedV1:
        """They approve a refund whose proposal they have seen."""
        try:
            proposal = payouts.approvable(self.act, self.account, refund_id, seen, self.person)
        except ProposalMoved as moved:
            raise self._with_what_was_seen(moved, refund_id, seen) from None
        return RefundApprovedV1(
            refund_id=refund_id,
            proposal=proposal.proposal,
            set_by=proposal.set_by,
            currency=proposal.currency,
            net=proposal.net,
            tax=proposal.tax,
            decided_by=self.person,
        )

    def reject(self, refund_id: str, reason: str, seen: str | None = None) -> RefundRejectedV1:
        """They reject a refund: as it stands, or only as they have seen it."""
        try:
            proposal = payouts.rejectable(self.act, self.account, refund_id, seen, self.person)
        except ProposalMoved as moved:
            raise self._with_what_was_seen(moved, refund_id, seen) from None
        return RefundRejectedV1(
            refund_id=refund_id,
            proposal=proposal.proposal,
            set_by=proposal.set_by,
            currency=proposal.currency,
            net=proposal.net,
            tax=proposal.tax,
            decided_by=self.person,
            reason=reason,
        )

    def retry(self, refund_id: str) -> RefundRetriedV1:
        """They have a failed refund submitted anew."""
        proposal = payouts.retryable(self.act, self.account, refund_id)
        return RefundRetriedV1(
            refund_id=refund_id,
            proposal=proposal.proposal,
            set_by=proposal.set_by,
            currency=proposal.currency,
            net=proposal.net,
            tax=proposal.tax,
            decided_by=self.person,
        )

    def turn_into_credit(self, refund_id: str) -> RefundTurnedIntoCreditV1:
        """They turn a failed refund into a credit."""
        amount, currency = payouts.turnable(self.act, self.account, refund_id)
        return RefundTurnedIntoCreditV1(refund_id=refund_id, currency=currency, amount=amount, decided_by=self.person)

    def refund_credit(self, credit_id: str) -> CreditRefundRequestedV1:
        """They have what is left of a credit refunded."""
        refund_id = payouts.refundable_credit(self.act, self.account, credit_id)
        return CreditRefundRequestedV1(refund_id=refund_id, credit_id=credit_id, decided_by=self.person)

    def write_off(self, claim_id: str, reason: str) -> OverpaidWrittenOffV1:
        """They write off what went out too much for a claim."""
        amount, currency = payouts.decidable_overpaid(self.act, self.account, claim_id)
        return OverpaidWrittenOffV1(
            claim_id=claim_id, currency=currency, amount=amount, decided_by=self.person, reason=reason
        )

    def recover(self, claim_id: str, reason: str) -> OverpaidRecoveryOrderedV1:
        """They have what went out too much for a claim recovered from the account's next credits."""
        amount, currency = payouts.decidable_overpaid(self.act, self.account, claim_id)
        return OverpaidRecoveryOrderedV1(
            claim_id=claim_id, currency=currency, amount=amount, decided_by=self.person, reason=reason
        )

    def _with_what_was_seen(self, moved: ProposalMoved, refund_id: str, seen: str | None) -> ProposalMoved:
        last = account_version(self.act.transaction, self.account)
        for envelope in account_events(self.act.transaction, self.account, 1, last):
            if envelope.leaf_hash == seen:
                return ProposalMoved(f"{moved}. {_told(envelope, refund_id)}")
        return ProposalMoved(f"{moved}. The hash that was given is of no event of account {self.account}")


def _told(envelope: StoredEnvelope, refund_id: str) -> str:
    """What an event said of a refund."""
    event = envelope.event()
    amounts = None
    if isinstance(event, RefundStatusChanged) and event.data.refund_id == refund_id:
        amounts = event.data.net, event.data.tax, event.data.currency
    if isinstance(event, Settling):
        for claim in claims_settled(event):
            part = refund_parts(claim.after).get(refund_id)
            amounts = (part.net, part.tax, event.data.currency) if part is not None else amounts
    if amounts is None:
        return f"The hash that was given is of another event, at position {envelope.at}"
    net, tax, currency = amounts
    of = f"{net + tax} {currency} ({net} and {tax} tax)"
    return f"Seen was {of}, recorded at {instant_to_text(event.recorded_at)}"
