"""Stripe's webhooks: signed events, of which those about our returns become messages.

Stripe sends an event again until it is answered with success, for days, and in no certain order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import stripe
import structlog

from consumers.payouts.stripe.words import StripeRefund, Unknown, instant, word
from ledger.application.record import take
from ledger.application.shards import Shards
from ledger.application.statement import Refusal, Statement, Taken
from ledger.store.asked_returns import count_as_answered

TOLERANCE_SECONDS = 300
"""So old a signature may be, as Stripe's libraries have it: who got hold of an event cannot send it again later."""
ABOUT_REFUNDS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
ABOUT_CHARGES = ("charge.refunded",)
"""Its charge has refunds in it in older versions of Stripe's API only."""

log = structlog.get_logger("makegood.stripe")

Heard = Literal["recorded", "known", "refused", "ignored"]


class Unsigned(Exception):
    """A request is not signed by any of the endpoint's secrets, or too long ago."""


def signed_event(body: bytes, signature: str | None, secrets: Sequence[str]) -> Mapping[str, Any]:
    """The event in a request. Raises Unsigned, and Unknown for what is signed and is no event.

    Several secrets hold while an endpoint's secret is rolled.
    """
    if signature is None or not signature.isascii():
        raise Unsigned
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeError):
            continue
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise Unknown("Stripe signed something that is no JSON object")
        return event
    raise Unsigned


def hear(shards: Shards, event: Mapping[str, Any]) -> Heard:
    """Take what an event says of our returns, each in its account's shard; what became of it.

    A return that is not known yet, or not any more, has its message all the same, which waits. Refunds that are
    nobody's return, and events of other types, are ignored. Raises Unknown, and what `take` raises: then Stripe has
    to send it again.
    """
    refunds = [refund for refund in _refunds_in(event) if refund.return_id is not None]
    words = _words(event, refunds)
    if not words:
        return "ignored"
    taken = Taken()
    for number, some in shards.divided(words).items():
        taken.add(take(shards[number], some))
    for number, settled in shards.divided(refund for refund in refunds if refund.settled).items():
        with shards[number].database.writing() as transaction:
            for refund in settled:
                if refund.return_id is not None:
                    count_as_answered(transaction, refund.return_id)
    heard: Heard = "refused" if taken.refused else "recorded" if taken.accepted else "known"
    log.info("stripe_webhook", id=event.get("id"), type=event.get("type"), outcome=heard)
    return heard


def _words(event: Mapping[str, Any], refunds: Sequence[StripeRefund]) -> list[Statement | Refusal]:
    try:
        at = instant(event.get("created"))
    except (TypeError, ValueError, OverflowError):
        raise Unknown("Stripe sent an event without the instant at which it happened") from None
    return [said for refund in refunds if (said := word(refund, at)) is not None]


def _refunds_in(event: Mapping[str, Any]) -> Iterator[StripeRefund]:
    kind = event.get("type")
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict):
        return
    if kind in ABOUT_REFUNDS:
        yield StripeRefund.of(about)
    elif kind in ABOUT_CHARGES and isinstance(about.get("refunds"), dict):
        for each in about["refunds"].get("data") or ():
            yield StripeRefund.of(each)
