"""What is asked of Stripe, and what its answers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import stripe

from consumers.payouts.stripe.words import ACCOUNT, REFUND, RETURN, StripeRefund

T = TypeVar("T")

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 6.0
"""How long Stripe may take to accept a connection, and to answer; less than a part has for ending."""
INTENT = "pi_"
CHARGES = ("ch_", "py_")
"""How the ids of payments begin to which Stripe can return money."""
METADATA_LENGTH_MAX = 500
BUSY = frozenset(("lock_timeout", "idempotency_key_in_use"))
"""Codes of a request that is in the way of another one about the same payment."""


class Passing(Exception):
    """Stripe did not answer what became of a request: ask again, under the same key.

    `code` is one of ours. `everybody` says that it has nothing to do with what was asked, so that others need not be
    asked for now.
    """

    def __init__(self, code: str, *, everybody: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.everybody = everybody


class Refused(Exception):
    """Stripe says no for good; the message is the reason in words, which may quote what Stripe said."""


class Asked(NamedTuple):
    """What a refund is created with: `amount` in Stripe's minor units of `currency`."""

    return_id: str
    account: str
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class StripeClient:
    """Stripe's API under one key; safe to use from several threads.

    `url` is where it is, https://api.stripe.com by default. Every method raises Passing and Refused, and Unknown for
    an answer of an unknown form.
    """

    def __init__(self, key: str, url: str = "", *, answer_seconds: float = ANSWER_SECONDS) -> None:
        # The library tries nothing again by itself: what is tried again, and when, is for the queue to say.
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": url.rstrip("/")} if url else {},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, answer_seconds)),
        )

    def check(self) -> None:
        """Ask for something that changes nothing, with a right that creating refunds needs too."""
        _answer(lambda: self._client.v1.refunds.list({"limit": 1}))

    def currency_of(self, payment_id: str) -> str:
        """The currency of a payment, ISO 4217."""
        if payment_id.startswith(INTENT):
            return _answer(lambda: self._client.v1.payment_intents.retrieve(payment_id)).currency.upper()
        return _answer(lambda: self._client.v1.charges.retrieve(payment_id)).currency.upper()

    def find(self, asked: Asked) -> StripeRefund | None:
        """The refund that was already created for a return; None where there is none.

        Stripe forgets idempotency keys after a day, and a ledger that was restored from a backup forgets what it
        asked for: a refund's metadata is there for ever.
        """

        def look() -> StripeRefund | None:
            of_payment: Any = {**_payment(asked.payment_id), "limit": 100}
            for each in self._client.v1.refunds.list(of_payment).auto_paging_iter():
                refund = StripeRefund.of(each.to_dict())
                if (refund.account, refund.return_id) == (asked.account, asked.return_id):
                    return refund
            return None

        return _answer(look)

    def create(self, asked: Asked) -> StripeRefund:
        """Have a return refunded, with its id as idempotency key."""
        metadata = {
            ACCOUNT: asked.account,
            REFUND: asked.refund_id[:METADATA_LENGTH_MAX],
            RETURN: asked.return_id,
        }
        params: Any = {**_payment(asked.payment_id), "amount": asked.amount, "metadata": metadata}
        created = _answer(lambda: self._client.v1.refunds.create(params, {"idempotency_key": asked.return_id}))
        return StripeRefund.of(created.to_dict())

    def look_at(self, reference: str) -> StripeRefund:
        """How a refund stands."""
        return StripeRefund.of(_answer(lambda: self._client.v1.refunds.retrieve(reference)).to_dict())


def takes(payment_id: str) -> bool:
    """Whether a payment is one of Stripe's, by its id."""
    return payment_id.startswith((INTENT, *CHARGES))


def _payment(payment_id: str) -> Mapping[str, str]:
    return {"payment_intent" if payment_id.startswith(INTENT) else "charge": payment_id}


def _answer(ask: Callable[[], T]) -> T:
    """What Stripe answers. Its errors are told apart by what to do, and none of its messages goes into a log."""
    try:
        return ask()
    except stripe.APIConnectionError:
        raise Passing("stripe_unreachable", everybody=True) from None
    except stripe.AuthenticationError:
        raise Passing("stripe_key_refused", everybody=True) from None
    except stripe.PermissionError:
        raise Passing("stripe_key_lacks_rights", everybody=True) from None
    except stripe.RateLimitError as error:
        raise Passing("stripe_busy", everybody=_code(error) not in BUSY) from None
    except stripe.IdempotencyError:
        raise Refused(
            "this return was asked for before with other particulars: see in Stripe's dashboard what became of it"
        ) from None
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        if _code(error) in BUSY:
            raise Passing("stripe_busy") from None
        raise Refused(
            f"Stripe refused it: {_code(error) or 'no code'}: {error.user_message or 'no reason'}"
        ) from None
    except stripe.StripeError as error:
        raise Passing("stripe_busy" if error.http_status == 409 else "stripe_failed") from None


def _code(error: stripe.StripeError) -> str | None:
    """The code of an error; the library's own errors for 429 leave it out."""
    return error.code or (error.error.code if error.error is not None else None)
