"""Accounts: what is charged, paid and owed, and how subscriptions stand."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.events import (
    AccountRegistered,
    AgreementBound,
    AlarmRaised,
    ChargePosted,
    CreditApplied,
    CycleStarted,
    PaymentCaptured,
    PaymentFailed,
    SubscriptionRegistered,
    SubscriptionStatusChanged,
)
from projections.account_state import account_state
from projections.accounts import ACCOUNTS
from projections.catalog import CATALOG
from projections.projection import fold_account
from tests.projections.stories import START, Story, gone_out, granted_v1, part, part_v1, standing


def shown(story: Story) -> dict[str, Any]:
    *_, last = fold_account(story.envelopes, CATALOG)
    return account_state(last.state(), "acct-1")


def register(story: Story, currency: str = "EUR", **more: Any) -> None:
    story.tell(AccountRegistered, time_zone="Europe/Berlin", currency=currency, **more)


def charge(story: Story, charge_id: str, price: str, invoice_id: str = "inv-1", **more: Any) -> None:
    given = {"subscription_id": None, "tax": Decimal("0.00"), "currency": "EUR", **more}
    story.tell(ChargePosted, charge_id=charge_id, price=Decimal(price), invoice_id=invoice_id, **given)


def cycle(story: Story, cycle_id: str, price: str, tax: str = "0.00", **more: Any) -> None:
    given = {
        "subscription_id": "sub-1",
        "starts_on": date(2026, 3, 1),
        "ends_on": date(2026, 4, 1),
        "monthly_price": None,
        "currency": "EUR",
        "invoice_id": "inv-1",
        "prepaid": True,
        **more,
    }
    story.tell(CycleStarted, cycle_id=cycle_id, price=Decimal(price), tax=Decimal(tax), **given)


def pay(story: Story, payment_id: str, amount: str, invoice_id: str = "inv-1", **more: Any) -> None:
    given = {"currency": "EUR", "method": "card", **more}
    story.tell(PaymentCaptured, payment_id=payment_id, amount=Decimal(amount), invoice_id=invoice_id, **given)


def contradict(story: Story, kept: str, left: str) -> None:
    none = {"claim_id": None, "charge_id": None, "subscription_id": None}
    story.tell(AlarmRaised, alarm="contradiction", about=(kept, left), now=START, **none)


def test_an_account_with_nothing_but_its_registration_owes_nothing_in_its_currency() -> None:
    story = Story()
    register(story, "JPY")

    account = shown(story)
    assert (account["account_id"], account["time_zone"], account["currency"]) == ("acct-1", "Europe/Berlin", "JPY")
    assert account["balances"] == [
        {
            "currency": "JPY",
            "charged": "0",
            "captured": "0",
            "reduced": "0",
            "owed": "0",
            "captured_in_excess": "0",
            "refund_due": "0",
            "refunded": "0",
            "credit_used": "0",
            "credit_left": "0",
            "overpaid": "0",
        }
    ]


def balance(story: Story, *columns: str) -> list[str]:
    """Some columns of the one balance that there is."""
    [found] = shown(story)["balances"]
    return [found[column] for column in columns]


def test_balances_are_exact_sums_and_an_overpaid_invoice_lowers_no_other() -> None:
    story = Story()
    register(story)
    pay(story, "pay-1", "20.00")
    story.stand(standing("11.90", paid_in_money="20.00", excess="8.10"))
    story.settle(
        part("invoice_reduction", "inv-2", "2.00"),
        claim_id="billing-error/d-1",
        invoice_id="inv-2",
        stands=standing("5.00", reduced="2.00", asks_for="3.00"),
    )
    story.settle(part("refund", "refund/1", "3.00", "0.57"), part("overpaid", "o", "-1.00"))
    story.settle(part("credit", "credit/1", "1.00"), claim_id="disruption/cycle-1")

    assert shown(story)["balances"] == [
        {
            "currency": "EUR",
            "charged": "16.90",
            "captured": "20.00",
            "reduced": "2.00",
            "owed": "3.00",
            "captured_in_excess": "8.10",
            "refund_due": "3.57",
            "refunded": "0.00",
            "credit_used": "0.00",
            "credit_left": "1.00",
            "overpaid": "1.00",
        }
    ]


def test_an_applied_credit_is_owed_no_more_and_the_payment_that_confirms_it_is_no_money() -> None:
    story = Story()
    charge(story, "charge-1", "5.00")
    story.stand(standing("5.00", asks_for="5.00"))
    story.settle(part("credit", "credit/1", "4.00"), claim_id="disruption/cycle-1", invoice_id="inv-0")
    applied = {"application_id": "5f" * 16, "credit_id": "credit/1", "claim_id": "disruption/cycle-1"}
    applied |= {"charge_id": "charge-1", "invoice_id": "inv-1", "currency": "EUR"}
    took = {"amount": Decimal("3.00"), "net": Decimal("3.00"), "tax": Decimal("0.00")}
    story.tell(CreditApplied, now=START, rules=1, **took, **applied)
    used = (gone_out("credit", "credit/1", "3.00"), part("credit", "credit/1", "1.00"))
    story.settle(*used, claim_id="disruption/cycle-1", invoice_id="inv-0")
    story.stand(standing("5.00", paid_from_balance="3.00", asks_for="2.00"))

    columns = ("owed", "captured", "captured_in_excess", "credit_used", "credit_left")
    assert balance(story, *columns) == ["2.00", "0.00", "0.00", "3.00", "1.00"]
    assert [each["kind"] for each in shown(story)["instructions"]] == ["credit.applied"]
    pay(story, "5f" * 16, "3.00", method="balance")
    assert balance(story, *columns) == ["2.00", "0.00", "0.00", "3.00", "1.00"]
    assert shown(story)["instructions"] == []
    assert [payment["status"] for payment in shown(story)["payments"]] == ["captured"]
    pay(story, "balance-1", "2.00", method="balance")
    story.stand(standing("5.00", paid_from_balance="5.00"))
    assert balance(story, *columns) == ["0.00", "2.00", "0.00", "3.00", "1.00"]


def reductions(story: Story) -> list[tuple[Any, ...]]:
    return [(r["claim_id"], r["invoice_id"], r["total"]) for r in story.folded(ACCOUNTS)["invoice_reductions"]]


def test_a_reduction_that_was_taken_back_is_owed_again() -> None:
    story = Story()
    story.settle(part("invoice_reduction", "inv-1", "2.00"), stands=standing("5.00", reduced="2.00", asks_for="3.00"))
    assert balance(story, "reduced", "owed") == ["2.00", "3.00"]
    assert reductions(story) == [("unused/cycle-1", "inv-1", "2.00")]

    story.settle(stands=standing("5.00", asks_for="5.00"))
    assert balance(story, "reduced", "owed") == ["0.00", "5.00"]
    assert reductions(story) == []


def test_a_reduction_that_an_older_version_recorded_stands_until_it_is_settled_anew() -> None:
    story = Story()
    story.assess_v1(None, granted_v1("2.00", part_v1("invoice_reduction", "inv-1", "2.00")))
    story.assess_v1(
        None, granted_v1("1.00", part_v1("invoice_reduction", "inv-1", "1.00")), claim_id="unused/cycle-2"
    )
    assert reductions(story) == [("unused/cycle-1", "inv-1", "2.00"), ("unused/cycle-2", "inv-1", "1.00")]
    assert shown(story)["invoices"] == [], "older versions did not say where an invoice stands"

    stands = standing("5.00", paid_in_money="4.00", reduced="1.00")
    story.settle(part("refund", "refund/1", "2.00"), stands=stands)
    assert reductions(story) == [("unused/cycle-2", "inv-1", "1.00")]
    assert balance(story, "charged", "reduced", "owed", "refund_due") == ["5.00", "1.00", "0.00", "2.00"]


def test_each_invoice_is_shown_as_it_stands() -> None:
    story = Story()
    story.stand(standing("9.00", asks_for="9.00"), invoice_id="inv-2")
    story.stand(standing("5.00", asks_for="5.00"))
    amounts = {"paid_in_money": "6.00", "paid_from_balance": "1.00", "excess_used": "0.50", "excess": "1.50"}
    story.stand(standing("5.00", excess_credit="2.00", **amounts))

    first, second = shown(story)["invoices"]
    assert first == {
        "account_id": "acct-1",
        "invoice_id": "inv-1",
        "currency": "EUR",
        "charged": "5.00",
        "paid_in_money": "6.00",
        "paid_from_balance": "1.00",
        "excess_used": "0.50",
        "reduced": "0.00",
        "asks_for": "0.00",
        "excess": "1.50",
        "excess_credit": "2.00",
    }
    assert (second["invoice_id"], second["asks_for"], second["excess_credit"]) == ("inv-2", "9.00", None)


def test_an_invoice_whose_only_charge_is_gone_is_shown_no_more() -> None:
    story = Story()
    register(story)
    story.stand(standing("5.00", asks_for="5.00"))
    story.stand(None)

    assert shown(story)["invoices"] == []
    assert balance(story, "charged", "owed") == ["0.00", "0.00"]


def test_a_claim_on_no_invoice_leaves_none_behind() -> None:
    story = Story()
    story.settle(part("credit", "credit/1", "4.00"), claim_id="goodwill/g-1", charge_id=None, invoice_id=None)

    assert shown(story)["invoices"] == []
    assert balance(story, "charged", "credit_left") == ["0.00", "4.00"]


def test_what_was_paid_in_excess_is_shown_once_as_excess_or_as_credit() -> None:
    story = Story()
    story.stand(standing("5.00", paid_in_money="9.00", excess="4.00"))
    assert balance(story, "captured_in_excess", "credit_left") == ["4.00", "0.00"]

    story.stand(standing("5.00", paid_in_money="9.00", excess="4.00", excess_credit="4.00"))
    assert balance(story, "captured_in_excess", "credit_left") == ["0.00", "4.00"]


def test_a_refund_that_bounced_is_due_again_and_one_that_arrived_is_refunded() -> None:
    story = Story()
    story.settle(gone_out("refund", "refund/1", "3.00"), part("refund", "refund/2", "1.00"))
    assert balance(story, "refund_due", "refunded") == ["1.00", "3.00"]

    story.settle(part("refund", "refund/1", "4.00", status="failed"))
    assert balance(story, "refund_due", "refunded") == ["4.00", "0.00"]


def test_what_is_overpaid_for_a_claim_that_fell_away_is_in_the_balance() -> None:
    story = Story()
    story.settle(gone_out("refund", "refund/1", "3.00"), part("overpaid", "o", "-3.00"))

    assert shown(story)["claims"] == []
    assert balance(story, "refunded", "overpaid") == ["3.00", "3.00"]


def test_of_charges_under_one_id_the_first_by_its_message_holds_in_whatever_order_they_are_recorded() -> None:
    early, late = START - timedelta(days=2), START - timedelta(days=1)
    one, other = Story(), Story()
    charge(one, "charge-1", "5.00", time=early)
    charge(one, "charge-1", "7.00", time=late)
    charge(other, "charge-1", "7.00", time=late)
    charge(other, "charge-1", "5.00", time=early)

    assert shown(one)["charges"] == shown(other)["charges"]
    assert [charge["price"] for charge in shown(one)["charges"]] == ["5.00"]


def test_a_charge_that_the_assessment_leaves_out_is_not_listed_nor_counted() -> None:
    story = Story()
    register(story)
    cycle(story, "cycle-1", "10.00")
    story.stand(standing("10.00", asks_for="10.00"))
    cycle(story, "cycle-2", "10.00")
    contradict(story, "/billing m-2", "/billing m-4")

    assert [charge["charge_id"] for charge in shown(story)["charges"]] == ["cycle-1"]
    assert balance(story, "charged") == ["10.00"], "it is the settlement that says what an invoice was charged"


def test_a_cycle_and_a_one_off_charge_are_told_apart() -> None:
    story = Story()
    charge(story, "charge-1", "5.00")
    cycle(story, "cycle-1", "10.00", "1.90", prepaid=False)

    one_off, started = shown(story)["charges"]
    assert (one_off["kind"], one_off["starts_on"], one_off["prepaid"]) == ("one_off", None, None)
    assert started == {
        "charge_id": "cycle-1",
        "account_id": "acct-1",
        "kind": "cycle",
        "subscription_id": "sub-1",
        "starts_on": "2026-03-01",
        "ends_on": "2026-04-01",
        "price": "10.00",
        "tax": "1.90",
        "currency": "EUR",
        "invoice_id": "inv-1",
        "prepaid": False,
    }


def test_a_payment_that_failed_first_and_was_captured_then_is_captured() -> None:
    story = Story()
    story.tell(PaymentFailed, payment_id="pay-1", invoice_id="inv-1")
    assert [(p["status"], p["amount"]) for p in shown(story)["payments"]] == [("failed", None)]

    pay(story, "pay-1", "5.00")
    assert [(p["status"], p["amount"]) for p in shown(story)["payments"]] == [("captured", "5.00")]


EARLY, LATE = START - timedelta(days=2), START - timedelta(days=1)


@pytest.mark.parametrize(
    ("captured_at", "failed_at", "status", "captured"),
    [(EARLY, LATE, "failed", "0.00"), (LATE, EARLY, "captured", "5.00"), (LATE, LATE, "failed", "0.00")],
)
def test_the_latest_word_on_a_payment_holds_and_at_one_time_the_failure(
    captured_at: datetime, failed_at: datetime, status: str, captured: str
) -> None:
    for first in ("captured", "failed"):
        story = Story()
        register(story)
        for word in (first, "failed" if first == "captured" else "captured"):
            if word == "captured":
                pay(story, "pay-1", "5.00", time=captured_at)
            else:
                story.tell(PaymentFailed, time=failed_at, payment_id="pay-1", invoice_id="inv-1")

        assert [payment["status"] for payment in shown(story)["payments"]] == [status]
        assert balance(story, "captured") == [captured]


def test_a_payment_reported_twice_counts_once() -> None:
    story = Story()
    pay(story, "pay-1", "5.00")
    pay(story, "pay-1", "5.00")

    assert [balance["captured"] for balance in shown(story)["balances"]] == ["5.00"]


def test_a_subscription_gathers_what_its_events_say_in_any_order() -> None:
    def told(order: tuple[int, ...]) -> list[dict[str, Any]]:
        story = Story()
        register(story)
        events: tuple[tuple[type, dict[str, Any]], ...] = (
            (
                SubscriptionRegistered,
                {"agreement": "standard", "plan": "business", "time": START},
            ),
            (
                AgreementBound,
                {
                    "agreement": "standard",
                    "version": 2,
                    "sha256": "0" * 64,
                    "registration": f"event-0-{order.index(0) + 2}",
                    "time_zone": "Europe/Berlin",
                },
            ),
            (
                SubscriptionStatusChanged,
                {"before": None, "after": "cancelling", "effective_on": date(2026, 4, 1), "now": START},
            ),
            (
                SubscriptionRegistered,
                {"agreement": "other", "plan": "home", "time": START + timedelta(days=1)},
            ),
        )
        for index in order:
            event, data = events[index]
            story.tell(event, subscription_id="sub-1", **data)
        subscriptions: list[dict[str, Any]] = shown(story)["subscriptions"]
        return subscriptions

    expected = [
        {
            "subscription_id": "sub-1",
            "account_id": "acct-1",
            "plan": "business",
            "agreement": "standard",
            "agreement_version": 2,
            "status": "cancelling",
            "effective_on": "2026-04-01",
        }
    ]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        assert told(order) == expected


def test_a_subscription_waiting_for_its_agreement_names_the_one_it_asks_for() -> None:
    story = Story()
    story.tell(SubscriptionRegistered, subscription_id="sub-1", agreement="standard", plan="home")

    (subscription,) = shown(story)["subscriptions"]
    assert (subscription["agreement"], subscription["agreement_version"]) == ("standard", None)
    assert subscription["status"] is None


def test_an_account_is_registered_by_the_first_message_that_did() -> None:
    story = Story()
    register(story, "USD", time=datetime(2026, 2, 2, tzinfo=START.tzinfo))
    register(story, "EUR", time=datetime(2026, 2, 1, tzinfo=START.tzinfo))

    assert shown(story)["currency"] == "EUR"
