"""The whole way back: makegood as its own process has refunds paid by Stripe, and Stripe says what became of them.

The process is killed while it does, several times; Stripe fails now and then. What counts is what Stripe was asked
for and what the refunds say in the end.
"""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consumers.payouts.asking import reader_of
from ledger.application.agreements import publish
from ledger.application.due_work import do_due_work
from ledger.store.database import Conflict
from tests.api.test_stripe_webhooks import SECRET, event, signature
from tests.consumers.stripe_process import PLACES_OF_PAYOUTS
from tests.integration.world import Books, new_books, take_all, until
from tests.ledger.messages import Upstream
from tests.parts.loaded import Program, said_by
from tests.parts.process import free_ports
from tests.parts.stores import Stores
from tests.parts.stripe import BROKEN, KEY, LOST, TOO_MANY, Answer, Stripe, in_front_of, stripe_mock

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
AGREEMENT = """
name = "standard"
version = 2
valid_from = 2000-01-02
[approval]
hold = "PT0S"
[approval.automatic_up_to]
EUR = "100.00"
"""


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
    url = stores.new(request.param, tmp_path, with_the_agreement)
    found = Books(url)
    yield found
    found.close()
    stores.give_back(url)


def with_the_agreement(store: str) -> None:
    """Refunds up to 100.00 EUR are approved at once."""
    with new_books(store) as books:
        publish(books.ledger(), AGREEMENT, actor="test", channel="test")


def owe(books: Books, payments: dict[str, str]) -> None:
    """Each of these accounts paid its invoice by this payment, and is owed a part of it."""
    for account, payment in payments.items():
        upstream = Upstream(account)
        said = [
            upstream.account_registered(),
            upstream.subscription_registered(),
            upstream.cycle_started(),
            upstream.payment_captured(payment_id=payment),
            upstream.overcharge_confirmed(),
        ]
        take_all(books, [json.dumps(message).encode() for message in said])
    do_due_work(books.ledger(), books.clock())


@contextlib.contextmanager
def makegood(books: Books, stripe: Stripe, log: Path, *parts: str, die: str = "") -> Iterator[Program]:
    """`makegood run` of these parts, without Kafka; whoever is still there in the end is asked to end.

    It may be told to `die` at a place that `tests.consumers.stripe_process` knows.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKEGOOD_")},
        "MAKEGOOD_STRIPE_KEY": KEY,
        "MAKEGOOD_STRIPE_URL": stripe.address,
        "MAKEGOOD_STRIPE_WEBHOOK_SECRET": SECRET,
        "MAKEGOOD_HTTP": f"127.0.0.1:{PORT}",
        "STRIPE_DIE": die,
    }
    module = "tests.consumers.stripe_process" if die else "makegood.cli"
    with log.open("ab") as said:
        before = said.tell()
        process = Program(module, ["run", *parts, "--store", books.database.url], environment, said=said)
    try:
        yield process
        # A process that is still starting does not answer signals yet.
        until(lambda: process.poll() is not None or b"ready\n" in log.read_bytes()[before:])
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGKILL), log.read_text()
    finally:
        process.kill()
        process.wait()


(PORT,) = free_ports(1)


def refunds(books: Books) -> dict[str, dict[str, Any]]:
    """The refunds as finance sees them, by account."""
    books.follower().catch_up()
    code, said = said_by("makegood.cli", ["refunds", "--json"], {"MAKEGOOD_STORE": books.database.url})
    assert code == 0, said
    return {row["account_id"]: row for row in json.loads(said)}


def webhook(kind: str, about: dict[str, Any], *, at: int | None = None) -> None:
    body = json.dumps(event(kind, about, at=int(time.time()) if at is None else at)).encode()
    answer = httpx.post(
        f"http://127.0.0.1:{PORT}/processors/stripe",
        content=body,
        headers={"Stripe-Signature": signature(body), "Content-Type": "application/json"},
        timeout=20,
    )
    assert answer.json() == {"outcome": "recorded"}


def hours_later(books: Books, stripe: Stripe) -> None:
    """What a dead process had claimed, and what failed, is asked for again; Stripe has forgotten its failures."""
    with contextlib.suppress(Conflict), books.database.writing() as transaction:
        transaction.run("UPDATE asked_returns SET next_attempt_at = 0 WHERE next_attempt_at IS NOT NULL")
    stripe.forget_failures()


def answered(books: Books, count: int) -> bool:
    found = books.rows("SELECT COUNT(*) FROM asked_returns WHERE next_attempt_at IS NULL OR reference IS NOT NULL")
    return bool(found == [(count,)])


def test_refunds_go_out_through_stripe_and_come_to_what_stripe_says_of_them(
    books: Books, stripe: Stripe, tmp_path: Path
) -> None:
    stripe.statuses["pi_slow"] = "pending"
    log = tmp_path / "said.txt"
    owe(books, {"a-quick": "pi_quick", "b-slow": "pi_slow", "c-gone": "ch_gone", "d-bank": "transfer-7"})
    stripe.faults["ch_gone"].append(Answer(400, "charge_already_refunded", "Charge has already been refunded."))
    with makegood(books, stripe, log, "timers", "payouts", "api"):
        until(lambda: answered(books, 4))
        found = refunds(books)
        assert {account: row["status"] for account, row in found.items()} == {
            "a-quick": "succeeded",
            "b-slow": "submitted",
            "c-gone": "failed",
            "d-bank": "failed",
        }
        quick, slow = found["a-quick"], found["b-slow"]
        made = {refund["payment_intent"]: refund for refund in stripe.refunds.values()}
        assert quick["processor_reference"] == made["pi_quick"]["id"]
        assert [each["status"] for each in slow["returns"]] == ["submitted"]
        settled = stripe.settle(slow["returns"][0]["return_id"], "succeeded")
        until(lambda: "ready" in log.read_text().splitlines())
        webhook("refund.updated", settled)
        assert refunds(books)["b-slow"]["status"] == "succeeded"

        bounced = stripe.settle(quick["returns"][0]["return_id"], "failed", "lost_or_stolen_card")
        webhook("refund.failed", bounced, at=int(time.time()) + 5)
        assert refunds(books)["a-quick"]["status"] == "failed"
        until(lambda: books.rows("SELECT position FROM readers WHERE reader = ?", reader_of(0)) == [(books.end(),)])
    said = log.read_text()
    assert KEY not in said
    assert SECRET not in said


@pytest.mark.parametrize("place", PLACES_OF_PAYOUTS)
def test_wherever_payouts_die_each_refund_comes_into_the_queue_once(
    place: str, books: Books, stripe: Stripe, tmp_path: Path
) -> None:
    owe(books, {f"acct-{number}": f"pi_{number}" for number in range(3)})
    log = tmp_path / "said.txt"
    with makegood(books, stripe, log, "payouts", die=place) as process:
        assert process.wait(40) == -signal.SIGKILL, log.read_text()
    with makegood(books, stripe, log, "payouts"):
        until(lambda: hours_later(books, stripe) or answered(books, 3), 60)
    returns = {row["returns"][0]["return_id"] for row in refunds(books).values()}
    assert stripe.made() == dict.fromkeys(returns, 1)
    assert set(stripe.asked()) == returns
    assert {row["status"] for row in refunds(books).values()} == {"succeeded"}


def test_killed_again_and_again_it_asks_for_each_return_once(books: Books, stripe: Stripe, tmp_path: Path) -> None:
    payments = {f"acct-{number:02}": f"pi_{number}" for number in range(24)}
    for fault, number in ((TOO_MANY, 3), (LOST, 7), (TOO_MANY, 11), (BROKEN, 13), (LOST, 19)):
        stripe.faults[f"pi_{number}"].append(fault)
    stripe.gate.set()  # what is lost is lost at once
    owe(books, payments)
    log = tmp_path / "said.txt"
    dice = random.Random(14)
    for _ in range(3):
        with makegood(books, stripe, log, "payouts") as process:
            before = len(stripe.requests)
            until(lambda seen=before: len(stripe.requests) > seen or answered(books, 24))  # type: ignore[misc]
            time.sleep(dice.random() * 0.3)
            process.kill()
        hours_later(books, stripe)
    with makegood(books, stripe, log, "payouts"):
        until(lambda: hours_later(books, stripe) or answered(books, 24), 60)
    returns = {row["returns"][0]["return_id"] for row in refunds(books).values()}
    assert len(returns) == 24
    assert set(stripe.asked()) == returns, "each has its own id as its only key"
    assert stripe.made() == dict.fromkeys(returns, 1)
    assert {row["status"] for row in refunds(books).values()} == {"succeeded"}
    assert books.count("dead_letters") == 0
