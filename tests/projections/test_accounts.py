"""Accounts: what is charged, paid and owed, and how subscriptions stand."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

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
from projections.catalog import CATALOG
from projections.projection import fold_account
from tests.projections.stories import START, Story, granted, part


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
            "owed": "0",
            "captured_in_excess": "0",
            "refund_due": "0",
            "refunded": "0",
            "credit_used": "0",
            "credit_left": "0",
            "overpaid": "0",
        }
    ]


def test_balances_are_exact_sums_and_an_overpaid_invoice_lowers_no_other() -> None:
    story = Story()
    register(story)
    cycle(story, "cycle-1", "10.00", "1.90")
    charge(story, "charge-1", "5.00", "inv-2")
    pay(story, "pay-1", "20.00")
    story.assess(None, granted("2.00", part("invoice_reduction", "inv-2", "2.00")), claim_id="billing-error/d-1")
    parts = (part("refund", "refund/1", "3.00", "0.57"), part("overpaid", "o", "-1.00"))
    story.assess(None, granted("2.00", *parts, tax="0.57"))
    story.assess(None, granted("1.00", part("credit", "credit/1", "1.00")), claim_id="disruption/cycle-1")

    assert shown(story)["balances"] == [
        {
            "currency": "EUR",
            "charged": "16.90",
            "captured": "20.00",
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
    story.assess(None, granted("4.00", part("credit", "credit/1", "4.00")), claim_id="disruption/cycle-1")
    applied = {"application_id": "5f" * 16, "credit_id": "credit/1", "claim_id": "disruption/cycle-1"}
    applied |= {"charge_id": "charge-1", "invoice_id": "inv-1", "currency": "EUR"}
    story.tell(CreditApplied, amount=Decimal("3.00"), now=START, **applied)

    def stands() -> list[str]:
        [balance] = shown(story)["balances"]
        columns = ("owed", "captured", "captured_in_excess", "credit_used", "credit_left")
        return [balance[column] for column in columns]

    assert stands() == ["2.00", "0.00", "0.00", "3.00", "1.00"]
    assert [each["kind"] for each in shown(story)["instructions"]] == ["credit.applied"]
    pay(story, "5f" * 16, "3.00", method="balance")
    assert stands() == ["2.00", "0.00", "0.00", "3.00", "1.00"]
    assert shown(story)["instructions"] == []
    assert [payment["status"] for payment in shown(story)["payments"]] == ["captured"]
    pay(story, "balance-1", "2.00", method="balance")
    assert stands() == ["0.00", "2.00", "0.00", "3.00", "1.00"]


def test_a_reduction_that_was_taken_back_is_owed_again() -> None:
    story = Story()
    charge(story, "charge-1", "5.00")
    reduced = granted("2.00", part("invoice_reduction", "inv-1", "2.00"))
    story.assess(None, reduced)
    assert [balance["owed"] for balance in shown(story)["balances"]] == ["3.00"]

    story.assess(reduced, None)
    assert [balance["owed"] for balance in shown(story)["balances"]] == ["5.00"]


def test_of_charges_under_one_id_the_first_by_its_message_holds_in_whatever_order_they_are_recorded() -> None:
    early, late = START - timedelta(days=2), START - timedelta(days=1)
    one, other = Story(), Story()
    charge(one, "charge-1", "5.00", time=early)
    charge(one, "charge-1", "7.00", time=late)
    charge(other, "charge-1", "7.00", time=late)
    charge(other, "charge-1", "5.00", time=early)

    assert shown(one)["charges"] == shown(other)["charges"]
    assert [charge["price"] for charge in shown(one)["charges"]] == ["5.00"]


def test_a_charge_that_the_assessment_leaves_out_is_not_counted() -> None:
    story = Story()
    register(story)
    cycle(story, "cycle-1", "10.00")
    cycle(story, "cycle-2", "10.00")
    contradict(story, "/billing m-2", "/billing m-3")

    account = shown(story)
    assert [charge["charge_id"] for charge in account["charges"]] == ["cycle-1"]
    assert [balance["charged"] for balance in account["balances"]] == ["10.00"]


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
