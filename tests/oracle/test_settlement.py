"""Settlement by the oracle: cases that went wrong once, sentences of §7 and §8 as tables, and laws over histories."""

import json
import random
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from tests.search import sample

from . import histories, policy, settlement

CASES = Path(__file__).resolve().parent.parent / "cases"
NOW = datetime(2026, 7, 1, tzinfo=UTC)
LATER = datetime(2035, 1, 1, tzinfo=UTC)
SEEDS = range(sample(40))
AGREEMENTS = histories.agreements(money=True)


# --- cases -------------------------------------------------------------------------------------------------------


def found_cases():
    return [pytest.param(case, id=case["case"]) for case in json.loads((CASES / "found.json").read_text())]


@pytest.mark.parametrize("case", found_cases())
@pytest.mark.parametrize("seen", ["once", "twice"])
def test_every_case_that_went_wrong_once_comes_out_as_expected(case, seen):
    published = [tomllib.loads(file.read_text()) for file in sorted((CASES / "agreements").glob("*.toml"))]
    messages = case["events"] * (2 if seen == "twice" else 1)
    [settled] = settlement.settle(messages, published, NOW, LATER).values()
    found = {
        **settled.balance,
        "activations": len(settled.activations),
        "claims": {row["claim_id"]: row["reason"] for row in policy.claims(messages, published, LATER)},
    }
    expected = {key: Fraction(want) if isinstance(want, str) else want for key, want in case["expect"].items()}
    assert {key: found[key] for key in expected} == expected


# --- stories: what is said, a minute apart -----------------------------------------------------------------------


def account():
    return "account.registered", {
        "time_zone": "UTC",
        "currency": "EUR",
        "customer": {"name": "C", "email": "c@e.com"},
    }


def subscription(id="sub", agreement="refunding"):
    return "subscription.registered", {"subscription_id": id, "agreement": agreement, "plan": "voip"}


def cycle(id="jan", price="100.00", tax="0", *, invoice="inv", month=1, subscription="sub"):
    """A month of a prepaid subscription."""
    months = {"starts_on": f"2026-{month:02}-01", "ends_on": f"2026-{month + 1:02}-01"}
    money = {"price": price, "tax": tax, "currency": "EUR", "invoice_id": invoice}
    return "cycle.started", {"subscription_id": subscription, "cycle_id": id, **months, **money, "prepaid": True}


def one_off(id="headset", price="100.00", tax="0", *, invoice="inv", **other):
    money = {"price": price, "tax": tax, "currency": "EUR", "invoice_id": invoice}
    return "charge.posted", {"charge_id": id, **money, "description": "a headset", **other}


def paid(amount, method="card", *, id=None, invoice="inv", currency="EUR"):
    id = id or f"pay-{invoice}-{method}-{amount}"
    money = {"amount": amount, "currency": currency, "method": method}
    return "payment.captured", {"payment_id": id, "invoice_id": invoice, **money}


def unpaid(id, *, invoice="inv"):
    return "payment.failed", {"payment_id": id, "invoice_id": invoice, "reason": "returned"}


def overcharge(amount, charge="jan", *, dispute="d", **settle_as):
    data = {"dispute_id": dispute, "charge_id": charge, "amount": amount, "currency": "EUR", **settle_as}
    return "overcharge.confirmed", data


def rejected(charge="jan", *, dispute="d"):
    return "overcharge.rejected", {"dispute_id": dispute, "charge_id": charge, "reason": "as agreed"}


def arrived(refund_id, amount=None, **currency):
    data = {"refund_id": refund_id, "processor_reference": "re", "succeeded_at": "2026-03-01T00:00:00Z", **currency}
    return "refund.succeeded", data if amount is None else {**data, "amount": amount}


def bounced(refund_id):
    return "refund.failed", {"refund_id": refund_id, "reason": "account closed"}


def cancelled(day, subscription="sub"):
    requested_at = f"{day}T00:00:00Z"
    return "cancellation.requested", {
        "subscription_id": subscription,
        "requested_at": requested_at,
        "channel": "portal",
    }


def retracted(number, *, source="/test"):
    """The message that was said as number so and so, counted from 0."""
    return "fact.retracted", {"retracts": {"source": source, "id": f"m{number:02}"}}


def at(minute, said, **other):
    """Said with another time, id or source than those of its turn."""
    return said[0], said[1], {"time": f"2026-01-01T00:{minute:02}:00Z", **other}


def told(*said):
    messages = []
    for number, (kind, data, *other) in enumerate(said):
        message = {"specversion": "1.0", "id": f"m{number:02}", "source": "/test", "type": f"voip.{kind}.v1"}
        message |= {"subject": "acct", "time": f"2026-01-01T00:{number:02}:00Z", "data": data}
        messages.append(message | (other[0] if other else {}))
    return messages


def settled(*said, later=LATER):
    return settlement.settle(told(*said), AGREEMENTS, NOW, later)["acct"]


def shown(parts):
    """(into, gross as text, gone out), in order."""
    return [(into, str(float(net + tax)), gone) for into, _, net, tax, gone in parts]


def amounts(parts, *into):
    return sum((part[2] + part[3] for part in parts if part[0] in into), Fraction(0))


def numbers(of, *keys):
    return {key: f"{float(of[key]):.2f}" for key in keys}


# --- §7: what is paid --------------------------------------------------------------------------------------------

CARD, LESS, FAILED = paid("31.00", id="p"), paid("30.00", id="p"), unpaid("p")


@pytest.mark.parametrize(
    ("messages", "money"),
    [
        ([at(9, CARD), at(10, FAILED)], 0),
        ([at(10, FAILED), at(9, CARD)], 0),  # the failure is known first
        ([at(9, FAILED), at(10, CARD)], 31),
        ([at(10, CARD), at(9, FAILED)], 31),
        ([at(9, CARD, id="z"), at(9, FAILED, id="a")], 0),  # at the same time a failure
        ([at(9, CARD), at(10, LESS)], 30),
        ([at(10, LESS), at(9, CARD)], 30),
        ([at(9, CARD, id="a"), at(9, LESS, id="b")], 30),  # then the greater id
        ([at(9, LESS, id="a"), at(9, CARD, id="b")], 31),
        ([at(9, LESS, id="a", source="/a"), at(9, CARD, id="a", source="/b")], 31),  # then the source
        ([at(9, CARD), at(10, paid("5.00", id="p", currency="USD"))], 31),  # never in another currency
        ([CARD, paid("2.00", "bank"), paid("3.00", "other"), paid("5.00", "balance")], 36),
    ],
)
def test_of_the_messages_about_one_payment_the_latest_holds(messages, money):
    assert settled(account(), cycle(), *messages).invoices["inv"]["money"] == money


def alarms(*said):
    return [alarm["about"] for alarm in policy.alarms(told(*said), AGREEMENTS, NOW)]


def test_captures_that_differ_raise_an_alarm_that_names_the_latest():
    one, other = at(9, CARD, id="nine"), at(10, LESS, id="ten")
    assert alarms(account(), one, other) == ["nine contradicts ten"]
    assert alarms(account(), other, one, at(11, FAILED, id="eleven")) == ["nine contradicts ten"]
    assert alarms(account(), one, at(12, CARD, id="again")) == []


def test_a_refund_reported_in_a_foreign_currency_is_left_out_with_an_alarm():
    foreign = arrived("refund/billing-error/d/1", "10.00", currency="USD")
    said = [account(), subscription(), cycle(), paid("100.00"), overcharge("10.00"), foreign]
    assert settled(*said).balance["refunded"] == 0
    assert alarms(*said) == ["m05 contradicts m00"]


# --- §7: of an invoice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "money", "granted", "reduced", "asks_for", "goes_back"),
    [
        ("100.00", "0.00", "60.00", 60, 40, 0),  # nothing was paid
        ("100.00", "40.00", "60.00", 60, 0, 0),  # just what the rest costs was paid
        ("100.00", "50.00", "60.00", 50, 0, 10),
        ("100.00", "100.00", "60.00", 0, 0, 60),
        ("100.00", "99.99", "0.01", Fraction("0.01"), 0, 0),
    ],
)
def test_what_is_not_paid_comes_off_the_invoice_and_only_the_rest_goes_back(
    price, money, granted, reduced, asks_for, goes_back
):
    found = settled(account(), subscription(), cycle(price=price), paid(money), overcharge(granted))
    assert found.invoices["inv"]["reduced"] == reduced
    assert found.invoices["inv"]["asks_for"] == asks_for
    assert found.balance["refund_due"] == goes_back


def test_an_invoice_is_settled_as_a_whole():
    """What was paid for one charge is not refunded while another charge of the invoice is unpaid."""
    found = settled(
        account(), subscription(), cycle(price="31.00"), one_off(price="50.00"), paid("50.00"), overcharge("20.00")
    )
    assert numbers(found.balance, "owed", "refund_due") == {"owed": "11.00", "refund_due": "0.00"}


def test_money_that_bounced_after_its_refund_went_out_is_asked_for_again():
    said = [account(), subscription(), cycle(), paid("100.00", id="p"), overcharge("60.00")]
    found = settled(*said, arrived("refund/billing-error/d/1"), unpaid("p"))
    assert shown(found.claims["billing-error/d"]) == [("refund", "60.0", True)]
    assert numbers(found.balance, "owed", "reduced", "overpaid") == {
        "owed": "100.00",
        "reduced": "0.00",
        "overpaid": "0.00",
    }


@pytest.mark.parametrize(
    ("went_out", "first", "second", "expected"),
    [
        # Two overcharges; so much was refunded for the first, which is smaller now.
        ("60.00", "40.00", "30.00", {"offset": [-20, 20], "refund": [60, 10], "overpaid": [0, 0]}),
        ("60.00", "40.00", "20.00", {"offset": [-20, 20], "refund": [60, 0], "overpaid": [0, 0]}),
        ("60.00", "40.00", "5.00", {"offset": [-5, 5], "refund": [60, 0], "overpaid": [-15, 0]}),
        ("40.00", "40.00", "5.00", {"offset": [0, 0], "refund": [40, 5], "overpaid": [0, 0]}),
        ("30.00", "40.00", "5.00", {"offset": [0, 0], "refund": [40, 5], "overpaid": [0, 0]}),
    ],
)
def test_too_much_is_set_off_against_what_is_open_and_the_rest_is_overpaid(went_out, first, second, expected):
    found = settled(
        account(),
        subscription(),
        cycle(),
        paid("100.00"),
        overcharge(first, dispute="1"),
        overcharge(second, dispute="2"),
        arrived("refund/billing-error/1/1", went_out),
    )
    claims = [found.claims["billing-error/1"], found.claims["billing-error/2"]]
    assert {into: [amounts(claim, into) for claim in claims] for into in expected} == expected


def test_what_is_still_too_much_is_set_off_against_the_excess():
    """130 paid on 100, 60 refunded for an overcharge of 40: of the excess of 30 only 10 are left."""
    said = [account(), subscription(), cycle(), paid("130.00"), overcharge("40.00")]
    found = settled(*said, arrived("refund/billing-error/d/1", "60.00"))
    assert shown(found.claims["billing-error/d"]) == [("offset", "-20.0", False), ("refund", "60.0", True)]
    assert found.invoices["inv"]["excess"] == 10
    assert found.balance["overpaid"] == 0
    found = settled(*said, arrived("refund/billing-error/d/1", "75.00"))
    assert found.invoices["inv"]["excess"] == 0
    assert found.balance["overpaid"] == 5


def test_an_offset_goes_in_order_on_both_sides():
    """By the charge's date, whichever was known first; within a charge by the verdict, whatever the dispute's id."""
    said = [account(), subscription(), cycle("feb", month=2), cycle("jan"), paid("200.00")]
    said += [overcharge("10.00", dispute="m"), overcharge("10.00", "feb", dispute="z")]
    said += [overcharge("10.00", dispute="c"), overcharge("10.00", "feb", dispute="b")]
    found = settled(*said, arrived("refund/billing-error/c/1", "25.00"))
    left = {id: amounts(parts, "offset") for id, parts in found.claims.items()}
    assert left == {"billing-error/m": 10, "billing-error/c": -15, "billing-error/z": 5, "billing-error/b": 0}


def test_what_comes_off_is_given_to_overcharge_then_disruption_then_unused_part():
    """Of 40.00: 20.00, then 80 × 2 ÷ 30 = 5.33 for two days without service, and the rest to the unused 38.71."""
    outage = {"outage_id": "o", "subscription_id": "sub", "began_at": "2026-01-05T00:00:00Z"}
    reported = {**outage, "reported_at": "2026-01-05T00:00:00Z", "severity": "significant", "cause": "provider"}
    resolved = {"outage_id": "o", "subscription_id": "sub", "resolved_at": "2026-01-06T01:00:00Z"}
    said = [account(), subscription(), cycle(), paid("60.00"), cancelled("2026-01-17")]
    said += [("outage.reported", reported), ("outage.resolved", resolved), overcharge("20.00")]
    assert {id: shown(parts) for id, parts in settled(*said).claims.items()} == {
        "billing-error/d": [("invoice_reduction", "20.0", False)],
        "disruption/jan": [("invoice_reduction", "5.33", False)],
        "unused/jan": [("invoice_reduction", "14.67", False), ("refund", "24.04", False)],
    }


def test_a_charge_that_waits_for_its_subscription_counts_and_one_that_contradicts_does_not():
    found = settled(account(), cycle(), at(50, cycle(price="7.00", invoice="other")), paid("120.00"))
    assert numbers(found.invoices["inv"], "charged", "excess") == {"charged": "100.00", "excess": "20.00"}
    assert set(found.invoices) == {"inv"}


# --- §7: how an open part goes back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "balance", "granted", "refund", "credit"),
    [
        ("100.00", "0.00", "40.00", "40.00", "0.00"),
        ("0.00", "100.00", "40.00", "0.00", "40.00"),
        ("60.00", "40.00", "50.00", "30.00", "20.00"),
        ("33.33", "66.67", "0.01", "0.00", "0.01"),  # 0.003333
        ("50.00", "50.00", "0.01", "0.01", "0.00"),  # 0.005 is half up
        ("30.00", "0.00", "80.00", "10.00", "0.00"),  # 70 come off the invoice
        ("20.00", "10.00", "80.00", "6.67", "3.33"),
    ],
)
def test_a_refund_goes_back_the_way_the_money_came(card, balance, granted, refund, credit):
    said = [account(), subscription(), cycle(), paid(card), paid(balance, "balance"), overcharge(granted)]
    shares = numbers(settled(*said).balance, "refund_due", "credit_left")
    assert shares == {"refund_due": refund, "credit_left": credit}


def test_each_claim_takes_of_what_those_before_it_left():
    """50 by card and 50 from balance; 41 of the first claim round to 20.50 and 20.50, the second has 29.50 each."""
    said = [account(), subscription(), cycle(), paid("50.00"), paid("50.00", "balance")]
    found = settled(*said, overcharge("41.00", dispute="1"), overcharge("59.00", dispute="2"))
    assert shown(found.claims["billing-error/1"]) == [("refund", "20.5", False), ("credit", "20.5", False)]
    assert shown(found.claims["billing-error/2"]) == [("refund", "29.5", False), ("credit", "29.5", False)]


@pytest.mark.parametrize(
    ("agreement", "asked", "refund_due"),
    [
        ("refunding", {}, 40),
        ("patient", {}, 0),
        ("refunding", {"settle_as": "credit"}, 0),
        ("patient", {"settle_as": "refund"}, 40),
    ],
)
def test_the_confirmation_says_how_else_the_agreement(agreement, asked, refund_due):
    said = [account(), subscription(agreement=agreement), cycle(), paid("100.00"), overcharge("40.00", **asked)]
    balance = settled(*said).balance
    assert (balance["refund_due"], balance["credit_left"]) == (refund_due, 40 - refund_due)


def test_no_more_money_goes_back_than_came():
    """Refunds of credit-way claims that were reported all the same leave less to refund."""
    said = [account(), subscription(), cycle(), paid("50.00"), paid("50.00", "balance")]
    said += [overcharge("40.00", dispute="1", settle_as="credit"), overcharge("60.00", dispute="2")]
    assert settled(*said).balance["refund_due"] == 30
    found = settled(*said, arrived("refund/billing-error/1/1", "35.00"))
    assert numbers(found.balance, "refunded", "refund_due") == {"refunded": "35.00", "refund_due": "15.00"}


def test_what_went_out_stays_with_a_claim_that_moves_to_another_invoice():
    said = [account(), subscription(), cycle(), cycle("feb", month=2, invoice="other"), paid("100.00")]
    said += [paid("100.00", invoice="other"), at(40, overcharge("40.00")), arrived("refund/billing-error/d/1")]
    found = settled(*said, at(30, overcharge("50.00", "feb")))
    assert shown(found.claims["billing-error/d"]) == [("refund", "40.0", True), ("refund", "10.0", False)]
    assert found.balance["overpaid"] == 0


# --- §7: refunds that are reported -------------------------------------------------------------------------------

FIRST, SECOND = "refund/billing-error/d/1", "refund/billing-error/d/2"
WITH_REFUND_DUE = [account(), subscription(), cycle(), paid("100.00"), overcharge("40.00")]


@pytest.mark.parametrize(
    ("reports", "refunded", "due"),
    [
        ([arrived(FIRST)], 40, None),
        ([arrived(FIRST, "30.00")], 30, SECOND),
        ([arrived(FIRST), bounced(FIRST)], 0, FIRST),  # owed again, under its own id
        ([at(50, bounced(FIRST)), at(49, arrived(FIRST))], 0, FIRST),
        ([bounced(FIRST), arrived(FIRST)], 40, None),
        ([arrived(FIRST, "30.00"), arrived(FIRST)], 30, SECOND),  # the latest success that names an amount
        ([arrived(FIRST, "30.00"), arrived(FIRST, "40.00")], 40, None),
        ([at(50, arrived(FIRST, "30.00")), at(49, arrived(FIRST, "40.00"))], 30, SECOND),
        ([arrived(FIRST, "30.00"), bounced(FIRST), arrived(FIRST)], 40, None),  # since the last failure
        ([arrived(SECOND)], 0, FIRST),  # nothing was ever due under it: it waits
        ([arrived(SECOND), arrived(FIRST, "30.00")], 40, None),  # and takes the rest as soon as that is due
        ([arrived(SECOND, "30.00")], 30, FIRST),
        ([arrived(SECOND, "30.00"), arrived(FIRST)], 40, None),
        ([arrived(FIRST, "0.00")], 0, FIRST),
    ],
)
def test_a_reported_refund_went_out_with_the_amount_named_or_what_was_last_due(reports, refunded, due):
    found = settled(*WITH_REFUND_DUE, *reports)
    open_refunds = [part[1] for part in found.claims["billing-error/d"] if part[0] == "refund" and not part[4]]
    assert found.balance["refunded"] == refunded
    assert open_refunds == ([due] if due else [])
    assert found.balance["refund_due"] == 40 - refunded


def test_a_report_keeps_what_it_took_until_a_failure():
    """40 were due and went out; then the claim grows to 50, and the next refund is of 10."""
    grown = at(4, overcharge("50.00"), id="a")  # holds, because it is the first verdict
    found = settled(*WITH_REFUND_DUE, arrived(FIRST), grown)
    assert shown(found.claims["billing-error/d"]) == [("refund", "40.0", True), ("refund", "10.0", False)]
    found = settled(*WITH_REFUND_DUE, arrived(FIRST), grown, bounced(FIRST), arrived(FIRST))
    assert shown(found.claims["billing-error/d"]) == [("refund", "50.0", True)]


@pytest.mark.parametrize(
    "refund_id", ["refund/billing-error/nobody/1", "refund/unused/never/3", "refund/goodwill/g/1"]
)
def test_a_refund_of_no_charge_that_is_known_is_overpaid(refund_id):
    found = settled(*WITH_REFUND_DUE, arrived(refund_id, "9.00"))
    claim_id = refund_id.removeprefix("refund/").rpartition("/")[0]
    assert shown(found.claims[claim_id]) == [("refund", "9.0", True), ("overpaid", "-9.0", False)]
    assert numbers(found.balance, "refund_due", "overpaid") == {"refund_due": "40.00", "overpaid": "9.00"}


def test_a_refund_of_a_charge_that_is_left_out_belongs_to_the_invoice_of_that_charge():
    """What went out too much for it is set off against what is open there."""
    left_out = at(30, cycle("twin", month=1, price="1.00"))
    found = settled(*WITH_REFUND_DUE, left_out, arrived("refund/unused/twin/1", "9.00"))
    assert shown(found.claims["unused/twin"]) == [("offset", "-9.0", False), ("refund", "9.0", True)]
    assert shown(found.claims["billing-error/d"]) == [("offset", "9.0", False), ("refund", "31.0", False)]


def test_a_claim_that_is_not_granted_any_more_is_overpaid():
    found = settled(*WITH_REFUND_DUE, arrived(FIRST), at(1, rejected()))
    assert shown(found.claims["billing-error/d"]) == [("refund", "40.0", True), ("overpaid", "-40.0", False)]


# --- §7: net and tax ---------------------------------------------------------------------------------------------


def tax_of(parts):
    return [(into, str(float(net)), str(float(tax))) for into, _, net, tax, _ in parts]


@pytest.mark.parametrize(
    ("price", "tax", "card", "reports", "expected"),
    [
        # Everything is granted; the tax of the first k parts together is rounded once.
        ("100.00", "19.00", "59.50", [], [("invoice_reduction", "50.0", "9.5"), ("refund", "50.0", "9.5")]),
        ("0.03", "0.01", "0.02", [], [("invoice_reduction", "0.01", "0.01"), ("refund", "0.02", "0.0")]),
        ("0.03", "0.01", "0.03", [], [("invoice_reduction", "0.01", "0.0"), ("refund", "0.02", "0.01")]),
        # What went out with net and tax comes first, and keeps them.
        ("100.00", "19.00", "119.00", [arrived(FIRST)], [("refund", "100.0", "19.0")]),
        # One whose report names the amount has no tax of its own; the smaller is taken first.
        (
            "0.04",
            "0.01",
            "0.05",
            [arrived(FIRST, "0.03"), arrived(SECOND, "0.02")],
            [("refund", "0.02", "0.0"), ("refund", "0.02", "0.01")],
        ),
        # Too much went out: the part overpaid brings the tax back.
        (
            "100.00",
            "19.00",
            "119.00",
            [arrived(FIRST, "130.90")],
            [("refund", "110.0", "20.9"), ("overpaid", "-10.0", "-1.9")],
        ),
    ],
)
def test_parts_take_tax_in_order_so_that_they_add_up(price, tax, card, reports, expected):
    said = [account(), subscription(), cycle(price=price, tax=tax), paid(card), overcharge(price)]
    assert tax_of(settled(*said, *reports).claims["billing-error/d"]) == expected


def test_where_only_net_and_tax_differ_a_correction_takes_it():
    """11.90 went out for a charge with tax; then the earlier verdict names one without, and the same amount."""
    said = [account(), subscription(), cycle(tax="19.00"), cycle("feb", month=2), paid("219.00")]
    said += [at(40, overcharge("10.00")), arrived(FIRST), at(30, overcharge("11.90", "feb"))]
    assert tax_of(settled(*said).claims["billing-error/d"]) == [
        ("refund", "10.0", "1.9"),
        ("correction", "1.9", "-1.9"),
    ]


def test_an_open_part_takes_tax_back_where_too_much_of_it_went_out():
    """11.90 went out with a tax of 1.90; the claim is 20.00 without tax now, of which 8.10 are open."""
    said = [account(), subscription(), cycle(tax="19.00"), cycle("feb", month=2), paid("219.00")]
    said += [at(40, overcharge("10.00")), arrived(FIRST), at(30, overcharge("20.00", "feb"))]
    assert tax_of(settled(*said).claims["billing-error/d"]) == [("refund", "10.0", "1.9"), ("refund", "10.0", "-1.9")]


def test_a_credit_used_in_part_takes_tax_in_its_claims_proportion():
    """Of a claim of 50.00 and 9.50, 20.00 pay for the next charge: 20.00 × 9.50 ÷ 59.50 = 3.19."""
    said = [account(), subscription(), cycle(tax="19.00"), paid("119.00"), overcharge("50.00", settle_as="credit")]
    parts = settled(*said, one_off(price="20.00", invoice="next")).claims["billing-error/d"]
    assert parts == [
        ("credit", "credit/billing-error/d/1", Fraction("16.81"), Fraction("3.19"), True),
        ("credit", "credit/billing-error/d/1", Fraction("33.19"), Fraction("6.31"), False),
    ]


def test_a_credit_used_in_full_goes_out_with_the_tax_that_it_has():
    """Of 0.04 with a tax of 0.01, 0.02 come off with all of the tax: the credit of 0.02 has none."""
    said = [account(), subscription(), cycle(price="0.03", tax="0.01"), paid("0.02")]
    said += [overcharge("0.03", settle_as="credit"), one_off(price="0.02", invoice="next")]
    assert tax_of(settled(*said).claims["billing-error/d"]) == [
        ("credit", "0.02", "0.0"),
        ("invoice_reduction", "0.01", "0.01"),
    ]


def test_an_application_confirmed_with_another_amount_takes_tax_in_its_claims_proportion():
    """Billing took 11.90 instead of 20.00: 1.90 of it are tax."""
    said = [account(), subscription(), cycle(tax="19.00"), paid("119.00"), overcharge("50.00", settle_as="credit")]
    said += [feb("20.00"), paid("11.90", "balance", id=APPLIED, invoice="next")]
    used, left = settled(*said).claims["billing-error/d"]
    assert used[2:] == (10, Fraction("1.90"), True)
    assert left[2:] == (40, Fraction("7.60"), False)


# --- §7: the credit for an excess --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agreement", "rested", "is_credit"),
    [
        ("refunding", timedelta(hours=24), True),
        ("refunding", timedelta(hours=24, microseconds=-1), False),
        ("patient", timedelta(hours=47), False),
        ("patient", timedelta(hours=48), True),
        ("hasty", timedelta(0), True),
        ("unheard-of", timedelta(hours=24), True),
    ],
)
def test_an_excess_is_a_credit_once_its_invoice_has_rested(agreement, rested, is_credit):
    found = settled(account(), subscription(agreement=agreement), cycle(), paid("109.00"), later=NOW + rested)
    assert found.invoices["inv"]["excess"] == 9
    assert found.excess_credits == ({"inv": (9, 0)} if is_credit else {})
    assert (found.balance["credit_left"], found.balance["captured_in_excess"]) == ((9, 0) if is_credit else (0, 9))


def test_the_hold_is_that_of_the_invoices_first_charge():
    """The one-off of New Year's Day is of no subscription, and comes before the cycle of a hasty one."""
    said = [account(), subscription(agreement="hasty"), cycle(month=2)]
    assert settled(*said, paid("109.00"), later=NOW).excess_credits == {"inv": (9, 0)}
    assert settled(*said, one_off(), paid("209.00"), later=NOW).excess_credits == {}


def test_an_excess_that_was_used_is_asked_for_again_when_its_money_bounces():
    said = [account(), subscription(agreement="hasty"), cycle(), paid("100.00"), paid("30.00", "bank", id="b")]
    said += [one_off(price="20.00", invoice="next")]
    found = settled(*said)
    assert found.excess_credits == {"inv": (30, 20)}
    assert found.invoices["next"]["asks_for"] == 0
    found = settled(*said, unpaid("b"))
    assert found.excess_credits == {"inv": (20, 20)}
    assert found.invoices["inv"]["asks_for"] == 20


def test_a_payment_waits_on_an_invoice_without_a_charge_and_is_no_excess():
    found = settled(account(), paid("9.00", id="p"), paid("8.00", "balance", id="q"))
    assert found.waiting_payments == {"p", "q"}
    assert numbers(found.balance, "captured", "captured_in_excess", "credit_left") == {
        "captured": "17.00",
        "captured_in_excess": "0.00",
        "credit_left": "0.00",
    }


def test_a_charge_that_is_left_out_is_charge_enough_for_an_excess():
    left_out = at(50, cycle(price="7.00", invoice="other"))
    found = settled(account(), subscription(), cycle(), left_out, paid("7.00", invoice="other"))
    assert found.waiting_payments == set()
    assert found.excess_credits == {"other": (7, 0)}


# --- §7: credits applied -----------------------------------------------------------------------------------------

WITH_CREDIT = [account(), subscription(), cycle(), paid("100.00"), overcharge("30.00", settle_as="credit")]
APPLIED = settlement.application_id("acct", "credit/billing-error/d/1", "feb")


def feb(price="100.00", **other):
    return cycle("feb", price, month=2, invoice="next", **other)


@pytest.mark.parametrize(
    ("next_charges", "used", "left", "owed"),
    [
        ([feb()], 30, 0, 70),
        ([feb("20.00")], 20, 10, 0),
        ([paid("90.00", invoice="next"), feb()], 10, 20, 0),  # as far as the invoice asks for something
        ([feb("20.00"), cycle("mar", "20.00", month=3, invoice="later")], 30, 0, 10),
        ([feb(), paid("100.00", invoice="next")], 30, 30, 0),  # then as much money is in excess
        ([one_off(price="25.00", invoice="inv")], 0, 5, 0),  # of its own invoice: that is reduced
    ],
)
def test_a_credit_pays_for_charges_that_become_known_after_it(next_charges, used, left, owed):
    found = settled(*WITH_CREDIT, *next_charges)
    assert [found.balance[key] for key in ("credit_used", "credit_left", "owed")] == [used, left, owed]


def test_a_credit_pays_for_nothing_that_was_known_before():
    renamed = "customer.changed", {"customer": {"name": "D"}}
    found = settled(*WITH_CREDIT[:3], feb(), *WITH_CREDIT[3:], renamed)
    assert [found.balance[key] for key in ("credit_used", "credit_left", "owed")] == [0, 30, 100]


def test_the_oldest_credit_pays_first():
    said = [*WITH_CREDIT, overcharge("5.00", dispute="c", settle_as="credit")]
    claims = settled(*said, feb("32.00")).claims
    assert shown(claims["billing-error/d"]) == [("credit", "30.0", True)]
    assert shown(claims["billing-error/c"]) == [("credit", "2.0", True), ("credit", "3.0", False)]


@pytest.mark.parametrize(
    ("answers", "used", "paid_on"),
    [
        ([], 30, {"next": 30}),
        ([paid("30.00", "balance", id=APPLIED, invoice="next")], 30, {"next": 30}),  # it counts once
        ([paid("12.00", "balance", id=APPLIED, invoice="next")], 12, {"next": 12}),
        ([paid("30.00", "balance", id=APPLIED, invoice="inv")], 30, {"next": 0}),
        ([unpaid(APPLIED, invoice="next")], 0, {"next": 0}),
        ([paid("30.00", "balance", id=APPLIED, invoice="next"), unpaid(APPLIED)], 0, {"next": 0}),
        ([paid("30.00", "balance", id="another", invoice="next")], 30, {"next": 60}),
    ],
)
def test_a_payment_from_balance_that_names_an_application_is_that_application(answers, used, paid_on):
    found = settled(*WITH_CREDIT, feb(), *answers)
    assert found.balance["credit_used"] == used
    assert {invoice: found.invoices[invoice]["paid"] for invoice in paid_on} == paid_on


def test_a_credit_given_back_pays_for_the_next_charge_but_not_for_the_same_again():
    said = [*WITH_CREDIT, feb(), unpaid(APPLIED)]
    again = [overcharge("5.00", dispute="c", settle_as="credit"), retracted(5), feb()]
    assert settled(*said, *again).balance["credit_used"] == 0
    assert settled(*said, cycle("mar", month=3, invoice="later")).invoices["later"]["balance"] == 30


def test_what_goes_out_by_credit_moves_nothing_on_the_invoice_it_came_from():
    before, after = settled(*WITH_CREDIT), settled(*WITH_CREDIT, feb())
    assert after.invoices["inv"] == before.invoices["inv"]


# --- contract §1: retractions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retractions", "owed"),
    [
        ([], 0),
        ([retracted(3)], 100),
        ([retracted(3), retracted(4)], 0),  # the retraction itself
        ([retracted(3), retracted(4), retracted(5)], 100),
        ([retracted(3, source="/another")], 0),
        ([at(3, retracted(3), source="/another")], 0),  # only its own source may
        ([retracted(3), at(5, retracted(4), source="/another")], 100),
    ],
)
def test_what_its_source_retracts_was_never_so(retractions, owed):
    found = settled(account(), subscription(), cycle(), paid("100.00"), *retractions)
    assert found.balance["owed"] == owed


def test_a_retraction_may_come_first():
    said = told(account(), subscription(), cycle(), paid("100.00"), retracted(3))
    reordered = said[:3] + said[4:] + said[3:4]
    found = settlement.settle(reordered, AGREEMENTS, NOW, LATER)["acct"]
    assert found.balance["owed"] == 100


def test_a_retracted_verdict_grants_nothing_and_a_retracted_report_never_arrived():
    assert settled(*WITH_REFUND_DUE, retracted(4)).claims == {}
    assert settled(*WITH_REFUND_DUE, arrived(FIRST), retracted(5)).balance["refund_due"] == 40


def test_a_customers_new_name_changes_no_money():
    renamed = "customer.changed", {"customer": {"name": "D"}}
    assert settled(*WITH_CREDIT, renamed) == settled(*WITH_CREDIT)


# --- §8: activation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ([subscription(), cycle()], False),
        ([subscription(), cycle(), paid("100.00")], True),
        ([paid("100.00"), cycle(), subscription()], True),
        ([cycle(), paid("100.00")], False),  # not registered
        ([subscription(), cycle(), paid("100.00", id="p"), unpaid("p")], False),
        ([subscription(), cycle(), at(30, unpaid("p")), at(29, paid("100.00", id="p"))], False),
        ([subscription(), cycle(), at(29, unpaid("p")), at(30, paid("100.00", id="p"))], True),
        ([subscription(), cycle(price="0.00")], True),
        ([subscription(), cycle(price="0.00", tax="0.01")], False),
        ([subscription(), cycle(), cycle("feb", month=2, invoice="next"), paid("100.00", invoice="next")], False),
        ([subscription(), cycle("feb", month=2, invoice="next"), cycle(), paid("100.00", invoice="next")], False),
        ([subscription(), one_off(subscription_id="sub", invoice="fee"), cycle(), paid("100.00")], True),
        ([subscription(), one_off(subscription_id="sub"), paid("100.00")], True),
        ([subscription(), one_off(), paid("100.00")], False),
    ],
)
def test_an_activation_is_due_when_registered_and_the_first_invoice_is_paid(said, due):
    found = settled(account(), *said)
    assert found.activations == ({"sub"} if due else set())


@pytest.mark.parametrize(("price", "due"), [("30.00", True), ("30.01", False)])
def test_credits_that_pay_the_first_invoice_in_full_count_as_paid(price, due):
    said = [*WITH_CREDIT, subscription("other"), feb(price, subscription="other")]
    assert ("other" in settled(*said).activations) == due
    assert "other" not in settled(*said, unpaid(APPLIED)).activations


# --- laws over random histories ----------------------------------------------------------------------------------


class Told:
    """A random history with its instants, and how it is settled."""

    def __init__(self, seed):
        self.messages = histories.history(seed, money=True, instructed=seed % 2 == 0)
        self.now = histories.moment(seed, self.messages)
        self.later = histories.afterwards(seed, self.now)
        settling = self.take(self.messages)
        self.settled, self.gone_out = settling.at(self.later), settling.gone_out
        self.known = settlement.know(self.account, self.messages, AGREEMENTS, self.later)

    @property
    def account(self):
        return self.messages[0]["subject"]

    @property
    def currency(self):
        return self.known.currency

    def take(self, messages, *, now=None):
        settling = settlement.Settling(self.account, AGREEMENTS, now or self.now)
        for message in messages:
            settling.take(message)
        return settling

    def claims_on(self, invoice_id):
        return [
            parts
            for claim_id, parts in self.settled.claims.items()
            if settlement.invoice_of_claim(self.known, claim_id) == invoice_id
        ]


at_random = cache(Told)


@pytest.fixture(scope="module", params=SEEDS)
def told_at_random(request):
    return at_random(request.param)


def test_paid_and_asked_for_less_what_goes_back_is_what_remains_charged(told_at_random):
    """§7: paid + asked for − gone back = C − ΣG − overpaid, for each invoice with a charge."""
    for invoice_id, invoice in told_at_random.settled.invoices.items():
        claims = told_at_random.claims_on(invoice_id)
        granted = sum((part[2] + part[3] for parts in claims for part in parts), Fraction(0))
        gone_back = sum((amounts(parts, "refund", "credit") for parts in claims), Fraction(0))
        gone_back += invoice["excess_used"] + invoice["excess"]
        overpaid = -sum((amounts(parts, "overpaid") for parts in claims), Fraction(0))
        assert invoice["paid"] + invoice["asks_for"] - gone_back == invoice["charged"] - granted - overpaid


def test_parts_add_up_to_their_claim_in_net_and_in_tax(told_at_random):
    rows = policy.claims(told_at_random.messages, AGREEMENTS, told_at_random.later)
    granted = {row["claim_id"]: (Fraction(row["amount"]), Fraction(row["tax"])) for row in rows}
    for claim_id, parts in told_at_random.settled.claims.items():
        found = sum(part[2] for part in parts), sum(part[3] for part in parts)
        assert found == granted.get(claim_id, (0, 0))
    assert {row["claim_id"] for row in rows if row["outcome"] == "granted"} <= told_at_random.settled.claims.keys()


def test_every_part_says_something_and_says_it_once(told_at_random):
    """No part of nothing but a correction; below nothing only what went out too much."""
    for parts in told_at_random.settled.claims.values():
        for into, _, net, tax, _ in parts:
            assert (net + tax == 0) == (into == "correction")
            assert net + tax >= 0 or into in ("offset", "overpaid")
        assert len({(part[1], part[4]) for part in parts}) == len(parts)
        assert not (amounts(parts, "invoice_reduction") and amounts(parts, "overpaid"))


def test_an_invoice_does_not_do_two_opposite_things(told_at_random):
    for invoice_id, invoice in told_at_random.settled.invoices.items():
        claims = told_at_random.claims_on(invoice_id)
        still_open = sum(
            (
                part[2] + part[3]
                for parts in claims
                for part in parts
                if part[0] in ("refund", "credit") and not part[4]
            ),
            Fraction(0),
        )
        overpaid = -sum((amounts(parts, "overpaid") for parts in claims), Fraction(0))
        assert 0 <= invoice["reduced"] <= invoice["charged"]
        assert not (invoice["asks_for"] and invoice["excess"])
        assert not (invoice["asks_for"] and still_open)
        assert not (overpaid and still_open)
        assert not (overpaid and invoice["reduced"])
        assert not (overpaid and invoice["excess"])


def test_offsets_cancel_with_the_excess_side(told_at_random):
    for invoice_id, invoice in told_at_random.settled.invoices.items():
        offsets = sum((amounts(parts, "offset") for parts in told_at_random.claims_on(invoice_id)), Fraction(0))
        before = max(Fraction(0), invoice["paid"] - invoice["excess_used"] - invoice["charged"])
        assert offsets + before - invoice["excess"] == 0


def test_no_more_money_is_refunded_than_came(told_at_random):
    """What was reported already may be more; nothing is added to it."""
    for invoice_id, invoice in told_at_random.settled.invoices.items():
        refunds = [part for parts in told_at_random.claims_on(invoice_id) for part in parts if part[0] == "refund"]
        went_out = sum((part[2] + part[3] for part in refunds if part[4]), Fraction(0))
        due = sum((part[2] + part[3] for part in refunds if not part[4]), Fraction(0))
        assert due <= max(0, invoice["money"] - went_out)


def test_where_nothing_went_out_nothing_is_overpaid(told_at_random):
    claims = told_at_random.settled.claims.values()
    if not any(part[4] for parts in claims for part in parts):
        assert told_at_random.settled.balance.get("overpaid", 0) == 0
        assert not any(part[0] in ("offset", "overpaid", "correction") for parts in claims for part in parts)


def test_the_balance_is_the_sum_of_its_invoices_and_claims(told_at_random):
    settled, balance = told_at_random.settled, told_at_random.settled.balance
    claims = [part for parts in settled.claims.values() for part in parts]
    assert balance["charged"] == sum(invoice["charged"] for invoice in settled.invoices.values())
    assert balance["reduced"] == sum(part[2] + part[3] for part in claims if part[0] == "invoice_reduction")
    assert balance["refund_due"] == sum(p[2] + p[3] for p in claims if p[0] == "refund" and not p[4])
    assert balance["refunded"] == sum(p[2] + p[3] for p in claims if p[0] == "refund" and p[4])
    assert balance["overpaid"] == -sum(part[2] + part[3] for part in claims if part[0] == "overpaid")
    credits = sum(part[2] + part[3] for part in claims if part[0] == "credit")
    credits += sum(total for total, _ in settled.excess_credits.values())
    assert balance["credit_used"] + balance["credit_left"] == credits


def test_a_file_read_twice_changes_nothing(told_at_random):
    again = told_at_random.messages * 2
    random.Random(len(again)).shuffle(again[len(told_at_random.messages) :])
    assert told_at_random.take(again).at(told_at_random.later) == told_at_random.settled


def test_any_order_gives_the_same_claims_and_alarms(told_at_random):
    """Retractions among them."""
    shuffled = list(told_at_random.messages)
    random.Random(len(shuffled)).shuffle(shuffled)
    for ask in (policy.claims, policy.alarms):
        assert ask(shuffled, AGREEMENTS, told_at_random.later) == ask(
            told_at_random.messages, AGREEMENTS, told_at_random.later
        )


def names_no_amount(message):
    return message["type"] == "voip.refund.succeeded.v1" and "amount" not in message["data"]


def test_any_order_settles_alike_where_nothing_depends_on_the_order(told_at_random):
    """With no credit applied, no excess that is a credit at once, and only reports that name amounts."""
    if any(message["data"].get("agreement") == "hasty" for message in told_at_random.messages):
        return
    messages = [message for message in told_at_random.messages if not names_no_amount(message)]
    shuffled = random.Random(len(messages)).sample(messages, len(messages))
    one, other = told_at_random.take(messages), told_at_random.take(shuffled)
    if not one.gone_out.applications and not other.gone_out.applications:
        found, expected = other.at(told_at_random.later), one.at(told_at_random.later)
        assert replace(found, ever_activated=expected.ever_activated) == expected


def test_retracted_facts_settle_as_if_they_had_never_been_said(told_at_random):
    """Under the same conditions: what went out while they were thought true has gone out."""
    if any(message["data"].get("agreement") == "hasty" for message in told_at_random.messages):
        return
    messages = [message for message in told_at_random.messages if not names_no_amount(message)]
    [account] = policy._accounts(messages)
    facts = {(fact.source, fact.id) for fact in account.facts if fact.type != "fact.retracted"}
    never_said = [message for message in messages if (message["source"], message["id"]) in facts]
    one, other = told_at_random.take(messages), told_at_random.take(never_said)
    if not one.gone_out.applications and not other.gone_out.applications:
        found, expected = other.at(told_at_random.later), one.at(told_at_random.later)
        assert replace(found, ever_activated=expected.ever_activated) == expected


def test_a_charge_on_a_new_invoice_uses_credits_and_moves_nothing_else(told_at_random):
    settling = told_at_random.take(told_at_random.messages, now=told_at_random.later)
    before = settling.at(told_at_random.later)
    kind, data = one_off("fresh", "1000000", invoice="fresh")
    data["currency"] = told_at_random.currency
    settling.take(message_afterwards(told_at_random.account, 2041, kind, data))
    after = settling.at(told_at_random.later)

    def in_gross(settled):
        sums = Counter()
        for claim_id, parts in settled.claims.items():
            for into, id, net, tax, gone in parts:
                sums[claim_id, into, id, gone and into != "credit"] += net + tax
        return sums

    def without_excess(invoice):
        return {key: invoice[key] for key in invoice if not key.startswith("excess")}

    assert in_gross(after) == in_gross(before)
    for invoice_id, invoice in before.invoices.items():
        found = after.invoices[invoice_id]
        assert without_excess(found) == without_excess(invoice)
        assert found["excess"] + found["excess_used"] == invoice["excess"] + invoice["excess_used"]


def test_an_application_that_is_confirmed_as_it_was_changes_nothing(told_at_random):
    settling = told_at_random.take(told_at_random.messages, now=told_at_random.later)
    before = settling.at(told_at_random.later)
    answered = {message["data"].get("payment_id") for message in told_at_random.messages}
    digits = histories.DIGITS[told_at_random.currency]
    for application in settling.gone_out.applications:
        if application.id not in answered:
            amount = f"{Decimal(application.amount.numerator) / application.amount.denominator:.{digits}f}"
            kind, data = paid(amount, "balance", id=application.id, invoice=application.invoice_id)
            data["currency"] = told_at_random.currency
            settling.take(message_afterwards(told_at_random.account, 2041, kind, data))
    after = settling.at(told_at_random.later)
    assert replace(after, waiting_payments=before.waiting_payments) == before


def message_afterwards(account_id, year, kind, data):
    head = {"source": "/afterwards", "subject": account_id, "time": f"{year}-01-01T00:00:00Z"}
    return {**head, "id": f"{kind} {sorted(data.values(), key=str)}", "type": f"voip.{kind}.v1", "data": data}


def test_what_goes_out_moves_nothing_else(told_at_random):
    """§7, in gross: every refund due is reported as arrived, then every one bounces."""
    later = told_at_random.later
    settling = told_at_random.take(told_at_random.messages, now=later)
    before = settling.at(later)
    due = [part[1] for parts in before.claims.values() for part in parts if part[0] == "refund" and not part[4]]

    def report(year, said):
        for refund_id in due:
            settling.take(message_afterwards(told_at_random.account, year, *said(refund_id)))
        return settling.at(later)

    def in_gross(settled):
        return {
            claim_id: sorted((part[0], part[1], part[2] + part[3], part[4] or part[1] in due) for part in parts)
            for claim_id, parts in settled.claims.items()
        }

    gone = report(2041, arrived)
    assert in_gross(gone) == in_gross(before)
    assert gone.invoices == before.invoices
    assert gone.balance["refund_due"] == 0
    assert report(2042, bounced) == before


def test_what_goes_out_can_move_a_unit_of_tax_between_parts_before_it():
    """Of 0.03 with a tax of 0.01, 0.01 comes off, 0.01 was reported without tax, 0.01 is due: it is rounded anew."""
    said = [account(), subscription(), cycle(price="0.02", tax="0.01"), paid("0.02"), overcharge("0.02")]
    said += [arrived(FIRST, "0.01")]
    before, after = settled(*said), settled(*said, arrived(SECOND))
    assert [part[3] for part in before.claims["billing-error/d"]] == [0, Fraction("0.01"), 0]
    assert sorted(shown(after.claims["billing-error/d"])) == [
        ("invoice_reduction", "0.01", False),
        ("refund", "0.01", True),
        ("refund", "0.01", True),
    ]
    [reduction] = [part for part in after.claims["billing-error/d"] if part[0] == "invoice_reduction"]
    assert reduction[3] == Fraction("0.01")


def test_the_generator_of_money_goes_everywhere():
    """What never comes up is never tested."""
    parts = ("invoice_reduction", "offset", "refund", "credit", "overpaid", "correction")
    expected = {("part", into, False) for into in parts}
    expected |= {("part", "refund", True), ("part", "credit", True), "waiting", "activation", "activation lost"}
    expected |= {"excess, a credit", "excess, at rest", "excess, used", "shared invoice"}
    expected |= {("application", f"voip.payment.{said}.v1") for said in ("captured", "failed")}
    expected |= {f"voip.{said}.v1" for said in ("fact.retracted", "refund.succeeded", "refund.failed")}
    expected |= {("currency", currency) for currency in histories.DIGITS}
    seen = Counter()
    for seed in range(250):
        if all(seen[what] for what in expected):
            break
        story = at_random(seed)
        messages, settled = story.messages, story.settled
        seen.update(("part", part[0], part[4]) for parts in settled.claims.values() for part in parts)
        seen["excess, a credit"] += bool(settled.excess_credits)
        seen["excess, at rest"] += bool(settled.balance["captured_in_excess"])
        seen["excess, used"] += any(used for _, used in settled.excess_credits.values())
        seen["waiting"] += bool(settled.waiting_payments)
        seen["activation"] += bool(settled.activations)
        seen["activation lost"] += bool(settled.ever_activated - settled.activations)
        applied = {application.id for application in story.gone_out.applications}
        seen.update(
            ("application", message["type"]) for message in messages if message["data"].get("payment_id") in applied
        )
        seen.update(message["type"] for message in messages)
        seen.update(("currency", m["data"]["currency"]) for m in messages if "time_zone" in m["data"])
        shared = Counter(m["data"]["invoice_id"] for m in messages if "price" in m["data"])
        seen["shared invoice"] += max(shared.values(), default=0) > 1
    assert {what for what in expected if not seen[what]} == set()
