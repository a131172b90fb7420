"""A process that asks Stripe, in a hurry, and ends itself hard at a place that the environment names.

With further arguments it is `makegood` with these; without, only the part that asks for what is in the queue.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from consumers.part import run_parts
from consumers.payouts.asking import Payouts
from consumers.payouts.stripe import asking
from consumers.payouts.stripe.asking import StripeReturns
from consumers.payouts.stripe.client import StripeClient
from makegood import cli
from makegood.house.clock import system_clock
from makegood.house.logs import configure_logs, say
from makegood.house.opening import open_house
from makegood.house.settings import Settings
from makegood.house.stripe_account import stripe_of

PLACES = (
    "before the claim",
    "after the claim",
    "before it asks",
    "after Stripe answered",
    "before it is recorded",
    "after it is recorded",
    "after it is answered",
)
PLACES_OF_PAYOUTS = ("before it is queued", "after it is queued", "after the position moved")
LEASE_SECONDS = 1.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(what: Callable[..., Any], *, before: bool = False, unless: object = "never") -> Callable[..., Any]:
    def does(*arguments: Any, **named: Any) -> Any:
        if before:
            die()
        done = what(*arguments, **named)
        if done != unless:
            die()
        return done

    return does


def install(place: str) -> None:
    match place:
        case "before the claim":
            asking.claim_returns = dying(asking.claim_returns, before=True)
        case "after the claim":
            StripeReturns._serve = dying(StripeReturns._serve, before=True)  # type: ignore[method-assign]
        case "before it asks":
            StripeClient.create = dying(StripeClient.create, before=True)  # type: ignore[method-assign]
        case "after Stripe answered":
            StripeClient.create = dying(StripeClient.create)  # type: ignore[method-assign]
        case "before it is recorded":
            asking.take = dying(asking.take, before=True)
        case "after it is recorded":
            asking.take = dying(asking.take)
        case "before it is queued":
            StripeReturns.request = dying(StripeReturns.request, before=True)  # type: ignore[method-assign]
        case "after it is queued":
            StripeReturns.request = dying(StripeReturns.request)  # type: ignore[method-assign]
        case "after the position moved":
            Payouts._carry = dying(Payouts._carry, unless=0)  # type: ignore[method-assign]
        case "after it is answered":
            StripeReturns._record = dying(StripeReturns._record)  # type: ignore[method-assign]


IN_A_HURRY = {"lease": LEASE_SECONDS, "retry_first": 0.2, "idle": 0.05}


def ask_only(store: str) -> None:
    settings = Settings(store=store)
    configure_logs("info")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = stripe_of(settings)
    assert client is not None
    with open_house(settings) as house:
        part = StripeReturns(house.ledger, client, clock=system_clock, jitter=random.random, **IN_A_HURRY)
        run_parts([part], stop, lambda: say("ready"))


if __name__ == "__main__":
    install(os.environ.get("STRIPE_DIE", ""))
    if len(sys.argv) == 2:
        ask_only(sys.argv[1])
    else:
        asking.StripeReturns = partial(StripeReturns, **IN_A_HURRY)  # type: ignore[misc, assignment]
        cli.main()
