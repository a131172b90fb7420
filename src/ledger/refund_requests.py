"""Refund requests: what a payment processor is asked to pay back, derived from recorded submissions (contract §3b).

A request is nothing that is stored. It follows from the event `RefundSubmitted`, one from each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from ledger.events import PaidBy, RefundSubmitted


@dataclass(frozen=True, slots=True)
class RequestedReturn:
    """What is to go back to one payment, gross. `return_id` is the same in no other attempt or refund."""

    return_id: str
    payment_id: str
    method: PaidBy
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """One attempt of one refund: known by account, refund and attempt. It holds no personal data.

    `amount` is gross, in major units of `currency`, and the sum of its returns. `claim_id` is None for the refund of
    an excess's credit. `event_id` is that of the submission.
    """

    event_id: str
    account_id: str
    refund_id: str
    attempt: int
    claim_id: str | None
    amount: Decimal
    currency: str
    approved_by: str
    returns: tuple[RequestedReturn, ...]
    submitted_at: datetime

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is known by."""
        return self.account_id, self.refund_id, self.attempt

    @property
    def request_id(self) -> str:
        """The same in one text, of a form that no other id has."""
        named = "\n".join((self.account_id, self.refund_id, str(self.attempt)))
        return "req-" + sha256(named.encode()).hexdigest()[:32]


def request_of(event: RefundSubmitted) -> RefundRequest:
    """The request that follows from a submission."""
    data = event.data
    return RefundRequest(
        event_id=event.event_id,
        account_id=event.account,
        refund_id=data.refund_id,
        attempt=data.attempt,
        claim_id=data.claim_id,
        amount=data.net + data.tax,
        currency=data.currency,
        approved_by=data.approved_by,
        returns=tuple(
            RequestedReturn(each.return_id, each.payment_id, each.method, each.net + each.tax)
            for each in data.returns
        ),
        submitted_at=event.recorded_at,
    )
