"""What Stripe says of a refund, as an ordinary `voip.refund.*` message, whichever way it came.

The answer to a request and the webhooks tell the same thing, in any order and more than once. So a message is known
by the refund and its status, and the first of them stands: the others are duplicates, whatever second they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from consumers.payouts.stripe.amounts import NotStatable, in_major_units
from consumers.upstream import MessageData, read_act
from consumers.upstream.messages import RefundFailedV1, RefundSucceededV1
from ledger.application.statement import Refusal, Statement
from ledger.values import instant_to_text

SOURCE = "/makegood/stripe"
"""The source and actor of these messages; nobody can send one that bears it."""
CHANNEL = "stripe"

ACCOUNT, REFUND, RETURN = "makegood_account", "makegood_refund", "makegood_return"
"""Under which keys a refund's metadata names the account, the refund and the return that it is for."""

_MESSAGES: dict[str, type[MessageData]] = {model.message_type: model for model in (RefundSucceededV1, RefundFailedV1)}


_PLACES = {"succeeded": 1, "failed": 2, "canceled": 2}
"""Stripe counts time in seconds, and of messages of one second the greater id is the later one (policy §1): a refund
fails after it succeeded, never before.
"""


class Unknown(Exception):
    """What Stripe sent is no refund of a form that is known."""


@dataclass(frozen=True, slots=True)
class StripeRefund:
    """A refund as Stripe has it: `re_…`, or `pyr_…`. `account` and `return_id` are None for one that is not ours."""

    reference: str
    status: str
    amount: int
    currency: str
    created: datetime
    failure: str | None
    account: str | None
    return_id: str | None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> StripeRefund:
        """Read a refund's JSON object. Raises Unknown."""
        try:
            metadata = said.get("metadata") or {}
            return cls(
                reference=said["id"],
                status=said.get("status") or "pending",
                amount=int(said["amount"]),
                currency=said["currency"].upper(),
                created=instant(said["created"]),
                failure=said.get("failure_reason"),
                account=metadata.get(ACCOUNT),
                return_id=metadata.get(RETURN),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise Unknown("Stripe sent a refund of an unknown form: see which version of its API it speaks") from None

    @property
    def settled(self) -> bool:
        """Whether Stripe says what became of it; until then it is under way."""
        return self.status in _PLACES


def instant(seconds: object) -> datetime:
    """An instant as Stripe states it. Raises ValueError or TypeError."""
    if not isinstance(seconds, int):
        raise TypeError("Stripe states instants in whole seconds")
    return datetime.fromtimestamp(seconds, UTC)


def word(refund: StripeRefund, at: datetime) -> Statement | Refusal | None:
    """What Stripe says of one of our returns, as became true at an instant; None where it is still under way.

    `refund.account` and `refund.return_id` are those of the return.
    """
    message_id = f"{refund.reference}/{_PLACES.get(refund.status, 0)}-{refund.status}"
    about: dict[str, object] = {"refund_id": refund.return_id}
    match refund.status:
        case "succeeded":
            data = {
                **about,
                "processor_reference": refund.reference,
                "succeeded_at": instant_to_text(at),
                "currency": refund.currency,
            }
            with suppress(NotStatable):
                data["amount"] = in_major_units(refund.amount, refund.currency)
            return _message(RefundSucceededV1, message_id, refund.account, at, data)
        case "failed":
            reason = f"Stripe refund {refund.reference} failed: {refund.failure or 'Stripe names no reason'}"
            return _message(RefundFailedV1, message_id, refund.account, at, {**about, "reason": reason})
        case "canceled":
            reason = f"Stripe refund {refund.reference} was canceled"
            return _message(RefundFailedV1, message_id, refund.account, at, {**about, "reason": reason})
        case _:
            return None


def refusal(account: str, return_id: str, reason: str, at: datetime) -> Statement | Refusal:
    """A return that Stripe did not take, or cannot be asked for, is one that failed."""
    return _message(
        RefundFailedV1, f"{return_id}/refused", account, at, {"refund_id": return_id, "reason": reason[:1000]}
    )


def _message(
    model: type[MessageData], message_id: str, account: str | None, at: datetime, data: Mapping[str, object]
) -> Statement | Refusal:
    event = {
        "specversion": "1.0",
        "id": message_id,
        "source": SOURCE,
        "type": model.message_type,
        "subject": account,
        "time": instant_to_text(at),
        "data": data,
    }
    item = read_act(to_json(event), actor=SOURCE, channel=CHANNEL, origin=f"stripe:{message_id}", known=_MESSAGES)
    return replace(item, first_stands=True) if isinstance(item, Statement) else item
