"""`POST /processors/stripe`: what Stripe sends is signed, comes again and out of order, and is recorded once."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any

import httpx
import pytest

from consumers.payouts.stripe.words import SOURCE, StripeRefund, word
from ledger.application.record import take
from ledger.store.reading.asked_returns import find_asked_return
from makegood.api.serving import Serving, listening
from makegood.house.settings import Settings
from makegood.program.http import application
from tests.api.desk import KEYS, house_on
from tests.consumers.stripe_returns import ACCOUNT, desk_on, facts_of, requested, return_id_of
from tests.ledger.books import Books
from tests.ledger.conftest import books, open_books
from tests.parts.stripe import Stripe

__all__ = ["books", "open_books"]

SECRET, NEXT_SECRET = "whsec_0123456789abcdef", "whsec_fedcba9876543210"
RETURN = return_id_of("pi_1")
NUMBERS = count(1)


def refund(status: str = "succeeded", *, reference: str = "re_1", **different: Any) -> dict[str, Any]:
    """A refund object as Stripe's events have it."""
    return {
        "id": reference,
        "object": "refund",
        "amount": 1000,
        "currency": "eur",
        "created": 1_772_000_000,
        "status": status,
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "failure_reason": "expired_or_canceled_card" if status == "failed" else None,
        "metadata": {"makegood_account": ACCOUNT, "makegood_refund": "refund/x/1", "makegood_return": RETURN},
        **different,
    }


def event(kind: str, about: dict[str, Any], *, at: int = 1_772_000_000) -> dict[str, Any]:
    return {
        "id": f"evt_{next(NUMBERS)}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": at,
        "livemode": False,
        "type": kind,
        "data": {"object": about},
    }


def signature(body: bytes, *, secret: str = SECRET, at: int | None = None) -> str:
    """As https://docs.stripe.com/webhooks says: the HMAC of the time, a full stop and the body."""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, sha256).hexdigest()}"


@dataclass
class Endpoint:
    """The address that Stripe sends to, and what was recorded."""

    http: httpx.Client
    books: Books
    woken: list[None] = field(default_factory=list)

    def send(self, said: dict[str, Any] | bytes, **signed: Any) -> httpx.Response:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self.post(body, {"Stripe-Signature": signature(body, **signed)})

    def post(self, body: bytes, headers: Mapping[str, str | bytes]) -> httpx.Response:
        sent = [(b"Content-Type", b"application/json; charset=utf-8")]
        sent += [
            (name.encode(), value.encode() if isinstance(value, str) else value) for name, value in headers.items()
        ]
        return self.http.post("/processors/stripe", content=body, headers=sent)

    def hear(self, said: dict[str, Any]) -> str:
        answer = self.send(said)
        assert answer.status_code == 200, answer.text
        outcome: str = answer.json()["outcome"]
        return outcome

    def facts(self) -> list[tuple[str, str]]:
        return [(kind, message_id) for kind, message_id, _ in facts_of(self.books)]


def serve(books: Books, closing: ExitStack, **settings: Any) -> Endpoint:
    house = house_on(books, Settings(store=books.database.url, vault=KEYS, **{"request_rate": 0, **settings}))
    house.projections.create()
    woken: list[None] = []
    part = Serving(application(house, lambda: woken.append(None)), listening("127.0.0.1:0"))
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=part.run, args=(stop, ready.set), daemon=True)
    thread.start()
    assert ready.wait(20)
    closing.callback(thread.join, 20)
    closing.callback(stop.set)
    client = closing.enter_context(httpx.Client(base_url=part.address, timeout=20))
    return Endpoint(client, books, woken)


@pytest.fixture
def endpoint(books: Books) -> Iterator[Endpoint]:
    with ExitStack() as closing:
        yield serve(books, closing, stripe_webhook_secret=f"{SECRET}, {NEXT_SECRET}")


@pytest.fixture
def quick() -> Iterator[Endpoint]:
    """The same in memory, for what does not depend on the kind of store."""
    books = Books.open()
    with ExitStack() as closing:
        yield serve(books, closing, stripe_webhook_secret=f"{SECRET}, {NEXT_SECRET}")
    books.close()


class TestSignatures:
    def test_each_of_the_endpoints_secrets_holds_while_they_are_rolled(self, quick: Endpoint) -> None:
        assert quick.send(event("refund.updated", refund())).status_code == 200
        assert quick.send(event("refund.updated", refund()), secret=NEXT_SECRET).status_code == 200

    def test_stripe_signs_with_both_secrets_meanwhile(self, quick: Endpoint) -> None:
        body = json.dumps(event("refund.updated", refund())).encode()
        at = int(time.time())
        first, second = (signature(body, secret=secret, at=at) for secret in ("whsec_old", SECRET))
        both = f"{first},{second.partition(',')[2]},v0=0123"
        assert quick.post(body, {"Stripe-Signature": both}).status_code == 200

    @pytest.mark.parametrize(
        "signed",
        [
            {"secret": "whsec_another"},
            {"at": int(time.time()) - 301},
            {"at": 0},
        ],
        ids=["another secret", "too old", "the beginning of time"],
    )
    def test_what_is_signed_otherwise_is_refused_and_recorded_nowhere(
        self, quick: Endpoint, signed: dict[str, Any]
    ) -> None:
        answer = quick.send(event("refund.updated", refund()), **signed)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert quick.facts() == []
        assert SECRET not in answer.text

    @pytest.mark.parametrize(
        "header", [None, "", "t=,v1=", "v1=abc", "t=12,v0=ab", "t=x,v1=ab", "nonsense", "t=1772000000,v1=é"]
    )
    def test_a_header_that_is_none_is_refused(self, quick: Endpoint, header: str | None) -> None:
        body = json.dumps(event("refund.updated", refund())).encode()
        headers = {} if header is None else {"Stripe-Signature": header.encode()}
        assert quick.post(body, headers).status_code == 401
        assert quick.facts() == []

    def test_a_body_that_was_changed_is_refused(self, quick: Endpoint) -> None:
        body = json.dumps(event("refund.updated", refund())).encode()
        signed = signature(body)
        changed = body.replace(b"1000", b"9000")
        assert changed != body
        assert quick.post(changed, {"Stripe-Signature": signed}).status_code == 401
        assert quick.post(body + b" ", {"Stripe-Signature": signed}).status_code == 401
        assert quick.facts() == []

    def test_bytes_that_are_no_text_are_refused(self, quick: Endpoint) -> None:
        assert quick.send(b"\xff\xfe{}").status_code == 401

    def test_a_body_over_the_limit_is_refused_before_it_is_looked_at(self, quick: Endpoint) -> None:
        assert quick.send(b" " * 2_000_000).status_code == 413

    def test_who_sends_much_that_is_unsigned_is_held_off_and_who_signs_is_not(self) -> None:
        books = Books.open()
        with ExitStack() as closing:
            endpoint = serve(books, closing, stripe_webhook_secret=SECRET, request_rate=1, request_burst=2)
            assert [endpoint.post(b"{}", {}).status_code for _ in range(3)] == [401, 401, 429]
            assert {endpoint.send(event("refund.updated", refund())).status_code for _ in range(5)} == {200}
        books.close()

    def test_without_a_secret_there_is_no_such_address(self) -> None:
        books = Books.open()
        with ExitStack() as closing:
            endpoint = serve(books, closing)
            assert endpoint.send(event("refund.updated", refund())).status_code == 404
        books.close()


class TestRefunds:
    @pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "charge.refund.updated"])
    def test_a_refund_that_succeeded_is_an_ordinary_message(self, endpoint: Endpoint, kind: str) -> None:
        assert endpoint.hear(event(kind, refund(), at=1_772_000_007)) == "recorded"
        ((fact, message_id, data),) = facts_of(endpoint.books)
        assert (fact, message_id) == ("refund-succeeded", "re_1/1-succeeded")
        assert data["refund_id"] == RETURN
        assert data["processor_reference"] == "re_1"
        assert (data["amount"], data["currency"]) == ("10.00", "EUR")
        assert datetime.fromisoformat(data["succeeded_at"]) == datetime.fromtimestamp(1_772_000_007, UTC)
        (stored,) = (e for e in endpoint.books.stored(ACCOUNT) if e["type"].startswith("refund-succeeded"))
        assert (stored["actor"], stored["channel"]) == (SOURCE, "stripe")
        assert stored["data"]["message"]["source"] == SOURCE
        assert endpoint.woken

    @pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
    def test_one_that_failed_too(self, endpoint: Endpoint, kind: str) -> None:
        assert endpoint.hear(event(kind, refund("failed"))) == "recorded"
        assert endpoint.facts() == [("refund-failed", "re_1/2-failed")]

    def test_a_charge_of_an_older_api_has_its_refunds_in_it(self, quick: Endpoint) -> None:
        other = refund(reference="re_2", metadata={})
        charge = {"id": "ch_1", "object": "charge", "refunds": {"object": "list", "data": [refund(), other]}}
        assert quick.hear(event("charge.refunded", charge)) == "recorded"
        assert quick.facts() == [("refund-succeeded", "re_1/1-succeeded")]
        assert quick.hear(event("charge.refunded", {"id": "ch_1", "object": "charge"})) == "ignored"

    def test_what_comes_again_is_known_whatever_second_it_names(self, endpoint: Endpoint) -> None:
        first = event("refund.updated", refund(), at=1_772_000_007)
        assert endpoint.hear(first) == "recorded"
        assert endpoint.hear(first) == "known"
        assert endpoint.hear(event("charge.refund.updated", refund(), at=1_772_000_008)) == "known"
        assert endpoint.hear(event("refund.created", refund(), at=1_772_000_006)) == "known"
        assert endpoint.facts() == [("refund-succeeded", "re_1/1-succeeded")]
        assert endpoint.books.rows("SELECT COUNT(*) FROM dead_letters") == [(0,)]

    def test_what_comes_out_of_order_stands_by_its_time(self, endpoint: Endpoint) -> None:
        """It bounced a day after it had arrived, and that is told first."""
        endpoint.hear(event("refund.failed", refund("failed"), at=1_772_086_400))
        endpoint.hear(event("refund.updated", refund(), at=1_772_000_000))
        endpoint.hear(event("refund.created", refund("pending"), at=1_771_999_000))
        assert last_word(endpoint.books) == "refund-failed"

    def test_of_one_second_the_failure_is_the_later_word(self, quick: Endpoint) -> None:
        for status in ("failed", "succeeded"):
            quick.hear(event("refund.updated", refund(status), at=1_772_000_000))
        assert last_word(quick.books) == "refund-failed"

    @pytest.mark.parametrize("status", ["pending", "requires_action", "something_new"])
    def test_one_that_is_under_way_says_nothing_yet(self, quick: Endpoint, status: str) -> None:
        assert quick.hear(event("refund.updated", refund(status))) == "ignored"
        assert quick.facts() == []

    def test_answer_and_webhook_at_once_are_one(self, endpoint: Endpoint) -> None:
        """The answer to the request and the event name other instants, and both come at the same moment."""
        said = StripeRefund.of(refund())
        answered = word(said, datetime(2026, 3, 1, tzinfo=UTC))
        assert answered is not None
        both = threading.Barrier(2)

        def by_answer() -> None:
            both.wait()
            take(endpoint.books.ledger, [answered])

        thread = threading.Thread(target=by_answer)
        thread.start()
        both.wait()
        assert endpoint.hear(event("refund.updated", refund(), at=1_772_000_007)) in ("recorded", "known")
        thread.join()
        assert endpoint.facts() == [("refund-succeeded", "re_1/1-succeeded")]
        assert endpoint.books.rows("SELECT COUNT(*) FROM dead_letters") == [(0,)]

    def test_a_return_that_a_webhook_answered_is_not_asked_for_again(self, endpoint: Endpoint) -> None:
        nowhere = Stripe(0, "http://127.0.0.1:9")
        with desk_on(endpoint.books, nowhere) as desk:
            desk.part.request([requested("pi_1")])
            desk.ask()
            assert desk.queued("pi_1").last_error == "stripe_unreachable"
            endpoint.hear(event("refund.updated", refund("pending")))
            assert desk.queued("pi_1").next_attempt_at is not None
            endpoint.hear(event("refund.updated", refund()))
            desk.later(days=1)
            assert desk.ask() == 0

    def test_a_return_that_nobody_knows_is_recorded_and_waits(self, quick: Endpoint) -> None:
        with quick.books.database.reading() as transaction:
            assert find_asked_return(transaction, RETURN) is None
        assert quick.hear(event("refund.updated", refund())) == "recorded"
        assert quick.books.waiting() == [("re_1/1-succeeded", f"account {ACCOUNT}")]

    @pytest.mark.parametrize(
        ("kind", "about"),
        [
            ("refund.updated", refund(metadata={})),
            ("refund.updated", refund(metadata=None)),
            ("refund.updated", refund(metadata={"order": "4711"})),
            ("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"}),
            ("v1.billing.meter.no_meter_found", {"id": "x"}),
            ("", {}),
        ],
    )
    def test_what_is_no_return_of_ours_is_answered_and_ignored(
        self, quick: Endpoint, kind: str, about: dict[str, Any]
    ) -> None:
        assert quick.hear(event(kind, about)) == "ignored"
        assert quick.facts() == []

    def test_a_return_without_a_valid_account_is_kept_as_a_dead_letter(self, quick: Endpoint) -> None:
        said = refund(metadata={"makegood_return": RETURN})
        assert quick.hear(event("refund.updated", said)) == "refused"
        ((reason, field),) = quick.books.rows("SELECT reason, field FROM dead_letters")
        assert field == "subject", reason

    @pytest.mark.parametrize(
        "said",
        [
            b"[]",
            b"{",
            b'"text"',
            {"type": "refund.updated", "data": {"object": refund()}},
            event("refund.updated", refund(amount="many")),
            event("refund.updated", {"object": "refund"}),
            event("refund.updated", refund(created=None)),
        ],
    )
    def test_what_is_signed_and_of_an_unknown_form_is_refused_so_that_it_comes_again(
        self, quick: Endpoint, said: Any
    ) -> None:
        answer = quick.send(said)
        assert answer.status_code == 400
        assert "Stripe" in answer.json()["detail"]
        assert quick.facts() == []

    def test_a_store_that_cannot_be_used_has_stripe_come_again(self, quick: Endpoint) -> None:
        def away() -> None:
            from ledger.store.database import Unavailable

            raise Unavailable("the database is away")

        quick.books.database.before_writing.extend([away] * 40)
        said = event("refund.updated", refund())
        assert quick.send(said).status_code == 503
        quick.books.database.before_writing.clear()
        assert quick.hear(said) == "recorded"


def last_word(books: Books) -> str:
    """The report that holds, by the order of facts: time, then id."""
    found = [e for e in books.stored(ACCOUNT) if e["type"].startswith(("refund-succeeded", "refund-failed"))]
    return max(
        (e["data"]["message"]["time"], e["data"]["message"]["id"], e["type"].partition(".")[0]) for e in found
    )[2]
