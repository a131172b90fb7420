"""The oracle itself is held to the acceptance cases, and to laws that follow from the page whatever the facts."""

import json
import random
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.search import sample

from . import histories, policy

CASES = Path(__file__).resolve().parent.parent / "cases"
END_OF_CASES = datetime(2035, 1, 1, tzinfo=UTC)
SEEDS = range(sample(60))


def acceptance_cases():
    cases = [case for name in ("public.json", "random.json") for case in json.loads((CASES / name).read_text())]
    return [pytest.param(case, id=case["case"]) for case in cases]


def published_for_cases():
    return [tomllib.loads(file.read_text()) for file in sorted((CASES / "agreements").glob("*.toml"))]


def story(seed):
    messages = histories.history(seed, instructed=True)
    return messages, histories.moment(seed, messages)


@pytest.mark.parametrize("case", acceptance_cases())
def test_every_acceptance_case_comes_out_as_expected(case):
    expected = sorted(case["expect"], key=lambda row: row["claim_id"])
    assert policy.claims(case["events"], published_for_cases(), END_OF_CASES) == expected


def test_all_cases_at_once_are_the_cases_one_by_one():
    """Accounts do not touch one another."""
    cases = [param.values[0] for param in acceptance_cases()]
    rows = policy.claims([event for case in cases for event in case["events"]], published_for_cases(), END_OF_CASES)
    expected = [row for case in cases for row in case["expect"]]
    assert sorted(rows, key=str) == sorted(expected, key=str)


def test_the_six_agreements_of_the_cases_are_ours_too():
    ours = {(terms["name"], terms["version"]): terms for terms in histories.agreements()}
    for terms in published_for_cases():
        assert ours[terms["name"], terms["version"]] == terms


@pytest.mark.parametrize("seed", SEEDS)
def test_order_and_repetition_change_nothing(seed):
    messages, now = story(seed)
    agreements = histories.agreements()
    rng = random.Random(seed)
    again = messages + rng.choices(messages, k=len(messages) // 2)
    rng.shuffle(again)
    rng.shuffle(agreements)
    assert policy.claims(again, agreements, now) == policy.claims(messages, histories.agreements(), now)
    assert policy.alarms(again, agreements, now) == policy.alarms(messages, histories.agreements(), now)


def known_charges(messages):
    """The charges that stand, by id, with the rounding of their agreement."""
    [account] = policy._accounts(messages)
    registration = policy.first_of_each(account, account.of("account.registered"), None).get(None)
    if registration is None:
        return {}
    zone = ZoneInfo(registration.data["time_zone"])
    facts = policy.kept_charge_facts(account, registration)
    return {policy.charge_id(fact): policy.as_charge(fact, zone) for fact in facts}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_charge_gives_back_more_than_it_took(seed):
    messages, now = story(seed)
    rows = policy.claims(messages, histories.agreements(), now)
    charges = known_charges(messages)
    for charge_id in {row["charge_id"] for row in rows if row["outcome"] == "granted" and row["charge_id"]}:
        charge, granted = charges[charge_id], [row for row in rows if row["charge_id"] == charge_id]
        net = sum(Fraction(row["amount"]) for row in granted)
        tax = sum(Fraction(row["tax"]) for row in granted)
        smallest_unit = Fraction(1, 10 ** policy.exponent(granted[0]["currency"]))
        assert 0 < net <= charge.price
        assert 0 <= tax <= charge.tax
        assert abs(tax - charge.tax * net / charge.price) <= smallest_unit / 2, "the parts foot: one rounding for all"
        assert net < charge.price or tax == charge.tax


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_is_well_formed_and_there_once(seed):
    messages, now = story(seed)
    rows = policy.claims(messages, histories.agreements(), now)
    assert len({row["claim_id"] for row in rows}) == len(rows)
    for row in rows:
        assert (row["outcome"] == "granted") == (Fraction(row["amount"]) > 0)
        assert (row["outcome"] == "declined") == (row["reason"] is not None)
        assert row["outcome"] == "granted" or Fraction(row["tax"]) == 0
        digits = len(row["amount"].partition(".")[2])
        assert digits == len(row["tax"].partition(".")[2]) == policy.exponent(row["currency"])


@pytest.mark.parametrize("seed", SEEDS)
def test_without_outages_time_alone_changes_nothing(seed):
    """§1, §3: `now` decides only how far an open outage reaches and which cycles have ended."""
    messages, now = story(seed)
    quiet = [message for message in messages if not message["type"].startswith("voip.outage.")]
    later = now + timedelta(days=3650)
    agreements = histories.agreements()
    assert policy.claims(quiet, agreements, now) == policy.claims(quiet, agreements, later)


# Contract §1: what each message must and may carry.
FIELDS = {
    "account.registered": ("time_zone currency customer", ""),
    "subscription.registered": ("subscription_id agreement plan", "credentials"),
    "cycle.started": (
        "subscription_id cycle_id starts_on ends_on price currency invoice_id prepaid",
        "tax monthly_price",
    ),
    "charge.posted": ("charge_id price currency invoice_id description", "subscription_id tax"),
    "payment.captured": ("payment_id invoice_id amount currency method", ""),
    "payment.failed": ("payment_id invoice_id reason", ""),
    "refund.succeeded": ("refund_id processor_reference succeeded_at", "amount currency"),
    "refund.failed": ("refund_id reason", ""),
    "fact.retracted": ("retracts", "reason"),
    "customer.changed": ("customer", ""),
    "outage.reported": ("outage_id subscription_id began_at reported_at severity cause", "channel"),
    "outage.resolved": ("outage_id subscription_id resolved_at", ""),
    "outage.reopened": ("outage_id subscription_id", ""),
    "billing_error.reported": ("dispute_id charge_id claimed currency reported_at", "description"),
    "overcharge.confirmed": ("dispute_id charge_id amount currency", "settle_as"),
    "overcharge.rejected": ("dispute_id charge_id reason", ""),
    "cancellation.requested": ("subscription_id requested_at channel", "reason keep_service"),
    "cancellation.withdrawn": ("subscription_id withdrawn_at", ""),
    "subscription.suspended": ("subscription_id suspended_at reason", ""),
    "subscription.reinstated": ("subscription_id reinstated_at", ""),
    "subscription.terminated": ("subscription_id terminated_at reason", ""),
    "complaint.opened": ("complaint_id channel category", "subscription_id description"),
    "complaint.resolved": ("complaint_id resolution", ""),
    "complaint.reopened": ("complaint_id", "reason"),
    "complaint.noted": ("complaint_id note", ""),
    "complaint.linked": ("complaint_id kind linked_id", ""),
    "goodwill.proposed": ("credit_id complaint_id amount currency proposed_by", "subscription_id reason"),
    "goodwill.approved": ("credit_id decided_by", ""),
    "goodwill.rejected": ("credit_id decided_by reason", ""),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("money", [False, True], ids=["any", "money"])
def test_no_generated_message_may_be_refused(seed, money):
    """Contract §1: nothing here is wrong by itself, and no (source, id) comes with two contents."""
    messages = histories.history(seed, instructed=True, money=money)
    currency = next((m["data"]["currency"] for m in messages if m["type"] == "voip.account.registered.v1"), None)
    assert len({(message["source"], message["id"]) for message in messages}) == len(messages)
    for message in messages:
        data = message["data"]
        must, may = FIELDS[message["type"].removeprefix("voip.").removeprefix("makegood.").removesuffix(".v1")]
        assert set(must.split()) <= set(data) <= {*must.split(), *may.split()}
        for text in [message["id"], message["subject"]] + [data[key] for key in data if key.endswith("_id")]:
            assert 1 <= len(text) <= 128
            assert text.isprintable()
            assert " " not in text
        for key in {"price", "tax", "monthly_price", "amount", "claimed"} & set(data):
            assert len(data[key].partition(".")[2]) <= policy.exponent(data.get("currency", currency))
            assert Fraction(data[key]) >= 0
        for moment in [message["time"]] + [data[key] for key in data if key.endswith("_at")]:
            assert datetime.fromisoformat(moment).tzinfo is not None
        assert data.get("starts_on", "0") < data.get("ends_on", "1")
        grants = message["type"].endswith(("overcharge.confirmed.v1", "goodwill.proposed.v1"))
        assert not grants or Fraction(data["amount"]) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_people_instruct_leaves_every_other_claim_as_it_was(seed):
    """§8: goodwill is outside the cap, and a complaint moves no money by itself."""
    messages, now = story(seed)
    upstream = [message for message in messages if message["type"].startswith("voip.")]
    rows = policy.claims(messages, histories.agreements(), now)
    without = policy.claims(upstream, histories.agreements(), now)
    assert [row for row in rows if row["clause"] != "complaint"] == without
    alone = histories.history(seed)
    assert [message for message in messages if message in alone] == alone


def test_the_generator_goes_everywhere():
    """What never comes up is never tested: every outcome and every reason, every zone and every currency."""
    outcomes, alarms, places = Counter(), Counter(), set()
    for seed in range(600):
        messages, now = story(seed)
        for row in policy.claims(messages, histories.agreements(), now):
            outcomes[row["clause"], row["outcome"], row["reason"]] += 1
        alarms.update(alarm["alarm"] for alarm in policy.alarms(messages, histories.agreements(), now))
        places |= {m["data"][key] for m in messages for key in ("time_zone", "currency") if key in m["data"]}
    common = {"granted": [None], "pending": [None]}
    reasons = {
        "billing_error": "rejected amount_exceeds_charge",
        "service_disruption": "below_threshold nothing_due reported_late excluded_cause not_significant",
        "unused_period": "not_prepaid service_violation terms minimum_term service_kept nothing_due",
        "complaint": "rejected",
    }
    expected = {(clause, outcome, None) for clause in reasons for outcome in common}
    expected |= {(clause, "declined", reason) for clause in reasons for reason in reasons[clause].split()}
    expected.add(("unused_period", "withdrawn", None))
    assert set(outcomes) == expected
    assert min(outcomes.values()) >= 10, outcomes.most_common()[-3:]
    assert set(alarms) == {
        "contradiction",
        "confirmation_exceeds_charge",
        "charged_after_end",
        "decided_by_proposer",
    }
    assert places >= {*histories.ZONES, "EUR", "USD", "JPY", "KWD"}


def test_a_seed_is_a_history():
    assert histories.history(7) == histories.history(7)
    assert {message["subject"] for message in histories.history(7, account="acct-other")} == {"acct-other"}


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        ("2012-03-11", "America/New_York", "2012-03-11T05:00Z"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00Z"),  # the date that never was
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00Z"),
        ("2012-10-21", "America/Sao_Paulo", "2012-10-21T03:00Z"),  # began at one o'clock
        ("2013-02-17", "America/Sao_Paulo", "2013-02-17T03:00Z"),
        ("2013-11-03", "America/Havana", "2013-11-03T04:00Z"),  # midnight came twice: the first counts
        ("2010-11-07", "America/St_Johns", "2010-11-07T02:30Z"),  # a minute later it was the 6th again
    ],
)
def test_a_date_begins_at_its_first_instant(day, zone, expected):
    assert policy.midnight(datetime.fromisoformat(day).date(), ZoneInfo(zone)) == policy.instant(expected)


@pytest.mark.parametrize(
    ("amount", "currency", "half_up", "half_even"),
    [
        ("0.005", "EUR", "0.01", "0.00"),
        ("0.015", "EUR", "0.02", "0.02"),
        ("0.0149999", "EUR", "0.01", "0.01"),
        ("2.5", "JPY", "3", "2"),
        ("0.0025", "KWD", "0.003", "0.002"),
    ],
)
def test_rounding(amount, currency, half_up, half_even):
    assert policy.round_money(Fraction(amount), currency, "half_up") == Fraction(half_up)
    assert policy.round_money(Fraction(amount), currency, "half_even") == Fraction(half_even)


@pytest.mark.parametrize(
    ("days", "divisor"),
    [(1, 1), (27, 27), (28, 30), (31, 30), (45, 30), (46, 60), (59, 60), (90, 90), (365, 360), (366, 360)],
)
def test_months_of_thirty_days(days, divisor):
    start = datetime(2012, 1, 1).date()
    cycle = policy.Charge("c", "s", Fraction(1), Fraction(0), start, start + timedelta(days))
    assert policy.days_of_price(cycle, "thirty_days") == divisor
