"""What the tests of Stripe ask for: requests of refunds, and the part that asks Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from consumers.payouts.stripe.asking import StripeReturns
from consumers.payouts.stripe.client import StripeClient
from ledger.refund_requests import RefundRequest, RequestedReturn
from ledger.store.reading.asked_returns import AskedReturn, find_asked_return
from tests.ledger.books import Books, StandingClock
from tests.parts.stripe import KEY, Stripe

ACCOUNT = "acct-1"


def requested(*payments: str, refund: str = "refund/unused/cyc-1/1", **different: Any) -> RefundRequest:
    """A refund of 10.00 EUR to each of these payments."""
    amount = different.pop("amount", Decimal("10.00"))
    account = different.pop("account_id", ACCOUNT)
    returns = tuple(
        RequestedReturn(return_id_of(payment, refund, account), payment, different.get("method", "card"), amount)
        for payment in payments
    )
    different.pop("method", None)
    facts: dict[str, Any] = {
        "event_id": "0" * 32,
        "account_id": account,
        "refund_id": refund,
        "attempt": 1,
        "claim_id": "unused/cyc-1",
        "amount": amount * len(payments),
        "currency": "EUR",
        "approved_by": "ada",
        "returns": returns,
        "submitted_at": datetime(2026, 3, 1, tzinfo=UTC),
    }
    return RefundRequest(**{**facts, **different})


def return_id_of(payment: str, refund: str = "refund/unused/cyc-1/1", account: str = ACCOUNT) -> str:
    return "ret-" + sha256("\n".join((account, refund, "1", payment)).encode()).hexdigest()[:32]


@dataclass
class Desk:
    """The part, its queue and its clock, and what it recorded."""

    books: Books
    part: StripeReturns
    clock: StandingClock
    threads: ThreadPoolExecutor

    def ask(self) -> int:
        """Ask once for what is due now."""
        return self.part.ask(self.threads)

    def later(self, **duration: float) -> None:
        self.clock.at += timedelta(**duration)

    def queued(self, payment: str, refund: str = "refund/unused/cyc-1/1") -> AskedReturn:
        with self.books.database.reading() as transaction:
            found = find_asked_return(transaction, return_id_of(payment, refund))
        assert found is not None
        return found

    def facts(self) -> list[tuple[str, str, dict[str, Any]]]:
        return facts_of(self.books)


def facts_of(books: Books) -> list[tuple[str, str, dict[str, Any]]]:
    """What was recorded of refunds: each fact's type, its message's id, and what it says."""
    found = []
    for stored in books.stored():
        kind = stored["type"].partition(".")[0]
        if kind in ("refund-succeeded", "refund-failed"):
            data = {name: value for name, value in stored["data"].items() if name not in ("message", "sealed")}
            found.append((kind, stored["data"]["message"]["id"], data))
    return found


@contextmanager
def desk_on(books: Books, stripe: Stripe, **different: Any) -> Iterator[Desk]:
    clock = StandingClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    client = StripeClient(different.pop("key", KEY), stripe.address, answer_seconds=different.pop("patience", 5.0))
    part = StripeReturns(books.ledger, client, clock=clock, jitter=lambda: 1.0, **{"rest_first": 0.0, **different})
    with ThreadPoolExecutor(8) as threads:
        yield Desk(books, part, clock, threads)
