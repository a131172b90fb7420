"""The process is killed at every place of asking: each return is asked for under one key, paid once, and recorded."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.payouts.stripe.asking import StripeReturns
from consumers.payouts.stripe.client import StripeClient
from tests.consumers.stripe_process import PLACES
from tests.consumers.stripe_returns import requested
from tests.integration.world import Books, new_books, now
from tests.parts.loaded import Program
from tests.parts.stores import Stores
from tests.parts.stripe import BROKEN, KEY, LOST, TOO_MANY, Stripe, in_front_of, stripe_mock

pytestmark = pytest.mark.long

PAYMENTS = [f"pi_{number}" for number in range(6)]


@pytest.fixture(scope="module")
def mock() -> Iterator[int]:
    with stripe_mock() as port:
        yield port


@pytest.fixture
def stripe(mock: int) -> Iterator[Stripe]:
    with in_front_of(mock) as stripe:
        yield stripe


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[Books]:
    url = stores.new(request.param, tmp_path, nothing_yet)
    found = Books(url)
    yield found
    found.close()
    stores.give_back(url)


def nothing_yet(store: str) -> None:
    with new_books(store) as books:
        books.follower().catch_up()


def ask_for_all(books: Books, stripe: Stripe) -> None:
    """Six refunds to six payments of three accounts wait in the queue."""
    client = StripeClient(KEY, stripe.address)
    part = StripeReturns(books.ledger(), client, clock=now, jitter=random.random)
    part.request(
        [
            requested(payment, refund=f"refund/unused/{payment}/1", account_id=f"acct-{number % 3}")
            for number, payment in enumerate(PAYMENTS)
        ]
    )


def start(books: Books, stripe: Stripe, log: Path, die: str = "") -> Program:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")},
        "MAKEGOOD_STRIPE_KEY": KEY,
        "MAKEGOOD_STRIPE_URL": stripe.address,
        "STRIPE_DIE": die,
    }
    with log.open("ab") as said:
        return Program("tests.consumers.stripe_process", [books.database.url], environment, said=said)


def waiting(books: Books) -> int:
    return int(books.rows("SELECT COUNT(*) FROM asked_returns WHERE next_attempt_at IS NOT NULL")[0][0])


def go_on(books: Books, stripe: Stripe, log: Path) -> None:
    """Another process sees to what is left, and ends in good order."""
    again = start(books, stripe, log)
    try:
        until = time.monotonic() + 40
        while waiting(books):
            assert time.monotonic() < until, log.read_text()
            assert again.poll() is None, log.read_text()
            time.sleep(0.05)
        again.send_signal(signal.SIGTERM)
        assert again.wait(20) == 0, log.read_text()
    finally:
        again.kill()
        again.wait()


def paid_once_and_recorded_once(books: Books, stripe: Stripe) -> None:
    returns = {return_id for (return_id,) in books.rows("SELECT return_id FROM asked_returns")}
    assert len(returns) == len(PAYMENTS)
    assert set(stripe.asked()) == returns, "every return has its own id as its only key"
    assert stripe.made() == dict.fromkeys(returns, 1)
    assert books.facts() == sorted(f"{reference}/1-succeeded" for reference in stripe.refunds)
    assert books.count("dead_letters") == 0


@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_dies_each_return_is_paid_once(place: str, books: Books, stripe: Stripe, tmp_path: Path) -> None:
    log = tmp_path / "said.txt"
    ask_for_all(books, stripe)
    assert start(books, stripe, log, place).wait(40) == -signal.SIGKILL, log.read_text()
    assert waiting(books)
    go_on(books, stripe, log)
    paid_once_and_recorded_once(books, stripe)
    assert KEY not in log.read_text()


def test_two_processes_and_a_stripe_in_trouble_pay_each_return_once(
    books: Books, stripe: Stripe, tmp_path: Path
) -> None:
    stripe.faults["pi_0"].extend([TOO_MANY, TOO_MANY])
    stripe.faults["pi_1"].append(BROKEN)
    stripe.faults["pi_2"].append(LOST)
    ask_for_all(books, stripe)
    log = tmp_path / "said.txt"
    first = start(books, stripe, log)
    second = start(books, stripe, log)
    try:
        time.sleep(3)
        first.kill()
        stripe.gate.set()
        until = time.monotonic() + 40
        while waiting(books):
            assert time.monotonic() < until, log.read_text()
            stripe.forget_failures()
            time.sleep(0.1)
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    paid_once_and_recorded_once(books, stripe)
