"""Stripe is asked for returns: each once under one key, whatever goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import structlog

from consumers.payouts.stripe.amounts import NotStatable, in_major_units, in_minor_units
from ledger.store.reading.vault import vault_entry
from ledger.values import CURRENCY_SCALES
from tests.consumers.stripe_returns import ACCOUNT, Desk, desk_on, requested, return_id_of
from tests.ledger.books import Books
from tests.ledger.conftest import books
from tests.parts.stripe import (
    BROKEN,
    BUSY,
    CREATED_AND_BROKEN,
    KEY,
    LOCKED,
    LOST,
    SILENT,
    TOO_MANY,
    Answer,
    Stripe,
    in_front_of,
    stripe_mock,
)

__all__ = ["books"]


@pytest.fixture(scope="module")
def mock() -> Iterator[int]:
    with stripe_mock() as port:
        yield port


@pytest.fixture
def stripe(mock: int) -> Iterator[Stripe]:
    with in_front_of(mock) as stripe:
        yield stripe


@pytest.fixture
def desk(books: Books, stripe: Stripe) -> Iterator[Desk]:
    with desk_on(books, stripe) as desk:
        yield desk


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "currency", "minor"),
        [
            ("29.95", "EUR", 2995),
            ("0.01", "USD", 1),
            ("500", "JPY", 500),
            ("500.00", "MGA", 500),  # Stripe knows no fifths of an ariary
            ("5", "ISK", 500),  # two decimals, which are always 00
            ("5", "UGX", 500),
            ("1.230", "KWD", 1230),  # the third decimal is always 0
            ("123456789012345.67", "GBP", 12345678901234567),
        ],
    )
    def test_they_are_stated_in_stripes_smallest_units_and_read_back(
        self, amount: str, currency: str, minor: int
    ) -> None:
        assert in_minor_units(Decimal(amount), currency) == minor
        assert Decimal(in_major_units(minor, currency)) == Decimal(amount)

    @pytest.mark.parametrize(
        ("amount", "currency", "why"),
        [
            ("1.234", "KWD", "Stripe pays KWD in multiples of 0.01 only"),
            ("500.20", "MGA", "Stripe pays MGA in multiples of 1 only"),
            ("5.50", "ISK", "Stripe pays ISK in multiples of 1 only"),
            ("1.000", "LYD", "Stripe takes no payments in LYD"),
            ("1", "ITL", "Stripe takes no payments in ITL"),
        ],
    )
    def test_what_stripe_cannot_pay_is_not_rounded(self, amount: str, currency: str, why: str) -> None:
        with pytest.raises(NotStatable, match=why):
            in_minor_units(Decimal(amount), currency)

    def test_whatever_can_be_stated_reads_back_exactly_in_every_currency(self) -> None:
        for currency in CURRENCY_SCALES:
            try:
                minor = in_minor_units(Decimal("730"), currency)
            except NotStatable:
                continue
            assert in_major_units(minor, currency) == f"{Decimal('730').quantize(_unit(currency)):f}"


def _unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-CURRENCY_SCALES[currency])


class TestAsking:
    def test_a_return_is_asked_for_once_and_its_success_recorded_with_stripes_reference(
        self, desk: Desk, stripe: Stripe
    ) -> None:
        desk.part.request([requested("pi_1", "ch_2")])
        assert desk.ask() == 2
        assert desk.ask() == 0
        assert stripe.asked() == {return_id_of("pi_1"): 1, return_id_of("ch_2"): 1}
        forms = {request.key: request.form for request in stripe.requests if request.method == "POST"}
        assert forms[return_id_of("pi_1")] == {
            "payment_intent": "pi_1",
            "amount": "1000",
            "metadata[makegood_account]": ACCOUNT,
            "metadata[makegood_refund]": "refund/unused/cyc-1/1",
            "metadata[makegood_return]": return_id_of("pi_1"),
        }
        assert forms[return_id_of("ch_2")]["charge"] == "ch_2"
        facts = {data["refund_id"]: (kind, message_id, data) for kind, message_id, data in desk.facts()}
        assert len(facts) == 2
        for refund in stripe.refunds.values():
            kind, message_id, data = facts[refund["metadata"]["makegood_return"]]
            assert kind == "refund-succeeded"
            assert message_id == f"{refund['id']}/1-succeeded"
            assert data["processor_reference"] == refund["id"]
            assert (data["amount"], data["currency"]) == ("10.00", "EUR")
            assert datetime.fromisoformat(data["succeeded_at"]).timestamp() == refund["created"]

    def test_the_longest_refund_id_fits_into_stripes_metadata(self, desk: Desk, stripe: Stripe) -> None:
        desk.part.request([requested("pi_1", refund="refund/" + "x" * 505)])
        desk.ask()
        (refund,) = stripe.refunds.values()
        assert len(refund["metadata"]["makegood_refund"]) == 500
        assert len(desk.facts()) == 1

    def test_the_same_request_again_adds_nothing(self, desk: Desk, stripe: Stripe) -> None:
        request = requested("pi_1")
        desk.part.request([request])
        desk.part.request([request, request])
        desk.ask()
        desk.part.request([request])
        assert desk.ask() == 0
        assert stripe.made() == {return_id_of("pi_1"): 1}

    @pytest.mark.parametrize("fault", [BUSY, TOO_MANY, LOCKED, BROKEN, LOST, SILENT, CREATED_AND_BROKEN], ids=str)
    def test_what_stripe_cannot_answer_now_is_asked_again_under_the_same_key(
        self, books: Books, stripe: Stripe, fault: Any
    ) -> None:
        stripe.faults["pi_1"].append(fault)
        with desk_on(books, stripe, patience=0.5) as desk:
            desk.part.request([requested("pi_1")])
            assert desk.ask() == 1
            assert desk.facts() == []
            waiting = desk.queued("pi_1")
            assert waiting.next_attempt_at is not None
            assert waiting.last_error is not None
            assert waiting.last_error.startswith("stripe_")
            assert desk.ask() == 0
            desk.later(seconds=3)
            desk.ask()
            if fault == BROKEN:
                # Stripe repeats its first answer for a day; then the key is free.
                assert desk.facts() == []
                stripe.forget_keys()
                desk.later(days=1)
                desk.ask()
            assert [(kind, data["refund_id"]) for kind, _, data in desk.facts()] == [
                ("refund-succeeded", return_id_of("pi_1"))
            ]
            assert desk.queued("pi_1").next_attempt_at is None
        assert set(stripe.asked()) == {return_id_of("pi_1")}
        assert stripe.made() == {return_id_of("pi_1"): 1}

    def test_what_was_created_is_found_even_when_stripe_has_forgotten_the_key(
        self, desk: Desk, stripe: Stripe
    ) -> None:
        stripe.faults["pi_1"].append(CREATED_AND_BROKEN)
        desk.part.request([requested("pi_1")])
        desk.ask()
        stripe.forget_keys()
        desk.later(days=2)
        desk.ask()
        assert stripe.made() == {return_id_of("pi_1"): 1}
        assert [kind for kind, _, _ in desk.facts()] == ["refund-succeeded"]

    def test_a_ledger_that_forgot_that_it_asked_does_not_pay_twice(self, desk: Desk, stripe: Stripe) -> None:
        """Restored from a backup, it submits the same refund again, days later."""
        desk.part.request([requested("pi_1")])
        desk.ask()
        with desk.books.database.writing() as transaction:
            transaction.run("DELETE FROM asked_returns")
        stripe.forget_keys()
        desk.part.request([requested("pi_1")])
        assert desk.ask() == 1
        assert stripe.made() == {return_id_of("pi_1"): 1}
        assert len(desk.facts()) == 1

    def test_one_that_stripe_cannot_answer_keeps_no_other_waiting(self, desk: Desk, stripe: Stripe) -> None:
        stripe.faults["pi_bad"].extend([BROKEN] * 50)
        desk.part.request([requested("pi_bad")])
        for turn in range(5):
            desk.part.request([requested(f"pi_{turn}", refund=f"refund/unused/cyc-{turn}/1")])
            desk.ask()
            desk.later(hours=2)
        assert [data["refund_id"] for _, _, data in desk.facts()] == [
            return_id_of(f"pi_{turn}", f"refund/unused/cyc-{turn}/1") for turn in range(5)
        ]
        assert desk.queued("pi_bad").attempts == 5

    def test_one_whose_outcome_cannot_be_recorded_waits_by_itself(self, desk: Desk, stripe: Stripe) -> None:
        """A defect of ours, not a passing cause."""

        def defect() -> None:
            raise ZeroDivisionError

        desk.part.request([requested("pi_1")])
        desk.books.database.before_commit.extend([lambda: None, defect])  # it is claimed, and then recorded
        assert desk.ask() == 1
        assert desk.queued("pi_1").last_error == "failed"
        assert desk.facts() == []
        desk.part.request([requested("pi_2")])
        desk.later(hours=1)
        assert desk.ask() == 2
        assert len(desk.facts()) == 2
        assert stripe.made() == {return_id_of("pi_1"): 1, return_id_of("pi_2"): 1}

    def test_attempts_come_ever_more_rarely_and_never_end(self, desk: Desk, stripe: Stripe) -> None:
        stripe.faults["pi_1"].extend([TOO_MANY] * 50)
        desk.part.request([requested("pi_1")])
        waits = []
        for _ in range(15):
            desk.ask()
            at = desk.queued("pi_1").next_attempt_at
            assert at is not None
            waits.append((at - desk.clock()).total_seconds())
            desk.clock.at = at
        assert waits[:4] == [2, 4, 8, 16]
        assert waits[-3:] == [3600] * 3

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (Answer(401, message="Invalid API Key"), "stripe_key_refused"),
            (Answer(403, message="The key lacks rights"), "stripe_key_lacks_rights"),
            (Answer(429, "rate_limit"), "stripe_busy"),
        ],
    )
    def test_what_has_nothing_to_do_with_a_return_fails_none(
        self, books: Books, stripe: Stripe, answer: Answer, code: str
    ) -> None:
        stripe.everybody = answer
        with desk_on(books, stripe, rest_first=60.0) as desk:
            desk.part.request([requested("pi_1")])
            desk.ask()
            assert desk.facts() == []
            assert desk.queued("pi_1").last_error == code
            desk.later(days=1)
            assert desk.ask() == 0, "it asks again before it has rested"
        stripe.everybody = None
        with desk_on(books, stripe) as desk:
            desk.later(days=1)
            assert desk.ask() == 1
            assert len(desk.facts()) == 1

    def test_a_stripe_that_cannot_be_reached_is_tried_again(self, books: Books, stripe: Stripe) -> None:
        with desk_on(books, Stripe(0, "http://127.0.0.1:9")) as away:
            away.part.request([requested("pi_1")])
            away.ask()
            assert away.queued("pi_1").last_error == "stripe_unreachable"
        with desk_on(books, stripe) as desk:
            desk.later(hours=1)
            desk.ask()
            assert len(desk.facts()) == 1

    @pytest.mark.parametrize("status", ["pending", "requires_action"])
    def test_one_that_is_under_way_stays_submitted_until_stripe_says_more(
        self, desk: Desk, stripe: Stripe, status: str
    ) -> None:
        stripe.status = status
        desk.part.request([requested("pi_1")])
        desk.ask()
        assert desk.facts() == []
        assert desk.queued("pi_1").reference == "re_000001"
        desk.later(hours=7)
        assert desk.ask() == 1
        assert desk.facts() == []
        stripe.settle(return_id_of("pi_1"), "succeeded")
        desk.later(hours=7)
        desk.ask()
        assert [(kind, message_id) for kind, message_id, _ in desk.facts()] == [
            ("refund-succeeded", "re_000001/1-succeeded")
        ]
        assert stripe.asked() == {return_id_of("pi_1"): 1}

    def test_pending_can_end_in_failure(self, desk: Desk, stripe: Stripe) -> None:
        stripe.status = "pending"
        desk.part.request([requested("pi_1")])
        desk.ask()
        stripe.settle(return_id_of("pi_1"), "failed", "expired_or_canceled_card")
        desk.later(hours=7)
        desk.ask()
        assert [(kind, message_id) for kind, message_id, _ in desk.facts()] == [
            ("refund-failed", "re_000001/2-failed")
        ]
        assert reasons(desk) == ["Stripe refund re_000001 failed: expired_or_canceled_card"]

    def test_one_that_is_under_way_and_not_found_any_more_has_not_failed(self, desk: Desk, stripe: Stripe) -> None:
        """As where the key was changed for that of another account."""
        stripe.status = "pending"
        desk.part.request([requested("pi_1")])
        desk.ask()
        gone = dict(stripe.refunds)
        stripe.refunds.clear()
        desk.later(hours=7)
        desk.ask()
        assert desk.facts() == []
        assert desk.queued("pi_1").last_error == "unknown_answer"
        stripe.refunds |= gone
        stripe.settle(return_id_of("pi_1"), "succeeded")
        desk.later(hours=7)
        desk.ask()
        assert [kind for kind, _, _ in desk.facts()] == ["refund-succeeded"]

    def test_canceled_is_a_failure(self, desk: Desk, stripe: Stripe) -> None:
        stripe.status = "canceled"
        desk.part.request([requested("pi_1")])
        desk.ask()
        assert reasons(desk) == ["Stripe refund re_000001 was canceled"]


class TestRefused:
    @pytest.mark.parametrize(
        ("status", "code", "message"),
        [
            (400, "charge_already_refunded", "Charge ch_1 has already been refunded."),
            (400, None, "Refund amount (€10.00) is greater than charge amount (€9.00)"),
            (402, "card_declined", "The card was declined."),
            (404, "resource_missing", "No such charge"),
        ],
    )
    def test_a_no_for_good_is_a_failed_return_with_stripes_reason(
        self, desk: Desk, stripe: Stripe, status: int, code: str | None, message: str
    ) -> None:
        stripe.faults["pi_1"].append(Answer(status, code, message))
        desk.part.request([requested("pi_1", "pi_2")])
        desk.ask()
        outcomes = {data["refund_id"]: kind for kind, _, data in desk.facts()}
        assert outcomes == {return_id_of("pi_1"): "refund-failed", return_id_of("pi_2"): "refund-succeeded"}
        assert reasons(desk) == [f"Stripe refused it: {code or 'no code'}: {message}"]
        desk.later(days=2)
        assert desk.ask() == 0

    @pytest.mark.parametrize(
        ("payment", "different", "why"),
        [
            ("pay-1", {}, "payment pay-1 is none of Stripe's"),
            ("pay-1", {"method": "bank"}, "payment pay-1 is none of Stripe's"),
            ("re_1", {}, "payment re_1 is none of Stripe's"),
            ("pi_1", {"amount": Decimal("1.234"), "currency": "KWD"}, "Stripe pays KWD in multiples of 0.01 only"),
            ("pi_1", {"currency": "USD"}, "payment pi_1 is in EUR at Stripe, and USD is to be returned"),
            ("pi_missing", {}, "Stripe refused it: resource_missing"),
        ],
    )
    def test_what_cannot_be_asked_of_stripe_fails_at_once_and_says_why(
        self, desk: Desk, stripe: Stripe, payment: str, different: dict[str, Any], why: str
    ) -> None:
        desk.part.request([requested(payment, **different)])
        desk.ask()
        assert [(kind, message_id, data) for kind, message_id, data in desk.facts()] == [
            ("refund-failed", f"{return_id_of(payment)}/refused", {"refund_id": return_id_of(payment)})
        ]
        assert reasons(desk)[0].startswith(why)
        assert stripe.asked() == {}

    def test_an_answer_of_an_unknown_form_is_nothing_that_failed(self, desk: Desk, stripe: Stripe) -> None:
        stripe.status = "pending"
        desk.part.request([requested("pi_1")])
        desk.ask()
        stripe.settle(return_id_of("pi_1"), "succeeded")["amount"] = "many"
        desk.later(hours=7)
        desk.ask()
        assert desk.facts() == []
        assert desk.queued("pi_1").last_error == "unknown_answer"


class TestSecrets:
    def test_neither_key_nor_what_stripe_says_is_in_a_log(self, desk: Desk, stripe: Stripe) -> None:
        stripe.faults["pi_1"].append(Answer(400, "charge_already_refunded", "of Ada Example"))
        with structlog.testing.capture_logs() as lines:
            desk.part.request([requested("pi_1", "pi_2")])
            desk.ask()
        said = json.dumps(lines, default=str)
        assert lines
        assert KEY not in said
        assert "Ada Example" not in said

    def test_nor_is_stripes_reason_in_an_event(self, desk: Desk, stripe: Stripe) -> None:
        stripe.faults["pi_1"].append(Answer(400, "charge_already_refunded", "of Ada Example"))
        desk.part.request([requested("pi_1")])
        desk.ask()
        with desk.books.database.reading() as transaction:
            stored = transaction.rows("SELECT envelope FROM events")
        assert not any(b"Ada Example" in bytes(envelope) for (envelope,) in stored)


def reasons(desk: Desk) -> list[str]:
    """Why returns failed, as the vault has it."""
    found = []
    with desk.books.database.reading() as transaction:
        for (ref,) in transaction.rows("SELECT ref FROM vault ORDER BY ref"):
            entry = vault_entry(transaction, ref)
            assert entry is not None
            found.append(json.loads(desk.books.ledger.vault.decrypt(entry))["reason"])
    return found
