"""§1 Facts that contradict each other, and facts that wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.agreement import read_agreement
from ledger.events import Fact, from_stored
from ledger.policy.facts.contradictions import says_the_same
from tests.policy.case import (
    Case,
    Row,
    Said,
    account,
    agreement,
    cancelled,
    charge,
    confirmed,
    cycle,
    dispute,
    outage,
    payment,
    payment_failed,
    refund_succeeded,
    rejected,
    reopened,
    reported,
    resolved,
    row,
    subscription,
    suspended,
    table,
)

APRIL = cycle()
STORED_EVENTS = Path(__file__).resolve().parents[1] / "stored_events"


@table(
    row(
        "a cycle that overlaps another of its subscription: the later one by time is left out",
        APRIL,
        cycle("overlapping", "2026-04-30", "2026-05-30", "60.00"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "whatever came first",
        cycle("came-first").at("2026-05-02T00:00:00Z"),
        cycle("came-second", price="60.00").at("2026-05-01T00:00:00Z"),
        cancelled("2026-04-16"),
        gives={"unused/came-second": "granted 30.00"},
    ),
    row(
        "then by id",
        cycle("came-first").at("2026-05-01T00:00:00Z", id="b"),
        cycle("came-second").at("2026-05-01T00:00:00Z", id="a"),
        cancelled("2026-04-16"),
        gives={"unused/came-second": "granted 15.00"},
    ),
    row(
        "then source",
        cycle("came-first").at("2026-05-01T00:00:00Z", id="a", source="/b"),
        cycle("came-second").at("2026-05-01T00:00:00Z", id="a", source="/a"),
        cancelled("2026-04-16"),
        gives={"unused/came-second": "granted 15.00"},
    ),
    row(
        "cycles that touch do not overlap",
        APRIL,
        cycle("next", "2026-05-01", "2026-05-31", "30.00"),
        cycle("before", "2026-03-02", "2026-04-01", "30.00"),
        cancelled("2026-03-17"),
        gives={"unused/before": "granted 15.00", "unused/april": "granted 30.00", "unused/next": "granted 30.00"},
    ),
    row(
        "one day in common is an overlap, at the beginning",
        APRIL,
        cycle("before", "2026-03-02", "2026-04-02", "31.00"),
        cancelled("2026-03-17"),
        gives={"unused/april": "granted 30.00"},
    ),
    row(
        "one within another is",
        APRIL,
        cycle("within", "2026-04-10", "2026-04-20", "10.00"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "cycles of another subscription do not count",
        APRIL,
        subscription("other"),
        cycle("others", subscription_id="other"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "compared only with those kept: what overlaps the one left out stands",
        APRIL,
        cycle("left-out", "2026-04-30", "2026-05-30", "30.00"),
        cycle("stands", "2026-05-29", "2026-06-28", "30.00"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00", "unused/stands": "granted 30.00"},
    ),
    row(
        "a claim on a cycle left out waits like one on a charge that is not known",
        APRIL,
        cycle("left-out", "2026-04-30", "2026-05-30", "30.00"),
        confirmed("5.00", charge_id="left-out"),
        gives={"billing-error/dispute": "pending"},
    ),
)
def test_of_cycles_that_overlap_the_later_one_is_left_out(row: Row) -> None:
    row.holds()


@table(
    row(
        "one cycle id with two contents: the later one is left out",
        APRIL,
        cycle(price="60.00"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "also where it speaks of another time",
        APRIL,
        cycle(starts_on="2026-06-01", ends_on="2026-07-01"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "the first stands, whatever came first",
        cycle(price="60.00").at("2026-05-02T00:00:00Z"),
        APRIL,
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "whatever comes after it is looked at",
        APRIL.at("2026-05-01T00:00:00Z"),
        cycle("may", "2026-05-01", "2026-05-31", "30.00").at("2026-05-03T00:00:00Z"),
        cycle(price="60.00").at("2026-05-02T00:00:00Z"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00", "unused/may": "granted 30.00"},
    ),
    row(
        "cycles and charges have one namespace",
        APRIL,
        charge("april", "99.00"),
        confirmed("40.00"),
        gives={"billing-error/dispute": "declined: amount_exceeds_charge"},
    ),
    row(
        "one charge id with two contents",
        charge(price="15.00"),
        charge(price="99.00"),
        confirmed("40.00", charge_id="headset"),
        gives={"billing-error/dispute": "declined: amount_exceeds_charge"},
    ),
    row(
        "one outage id with two contents: the first report stands",
        APRIL,
        reported("out", "2026-04-10"),
        reported("out", "2026-04-05"),
        resolved("out", "2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "the first by time",
        APRIL,
        reported("out", "2026-04-05").at("2026-05-02T00:00:00Z"),
        reported("out", "2026-04-10").at("2026-05-01T00:00:00Z"),
        resolved("out", "2026-04-12"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "also where the one that came first was over already: nothing is left of it",
        APRIL,
        reported("out", "2026-04-05").at("2026-05-02T00:00:00Z"),
        resolved("out", "2026-04-12"),
        reported("out", "2026-04-10").at("2026-05-01T00:00:00Z"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "a second account registration with another zone is left out",
        APRIL,
        account("Asia/Tokyo").at("2026-05-01T00:00:00Z"),
        cancelled("2026-04-16T20:00Z"),
        gives={"unused/april": "granted 15.00"},
    ),
)
def test_of_one_business_id_the_first_content_stands(row: Row) -> None:
    row.holds()


@table(
    row(
        "a cycle in another currency than the account's is left out, never converted",
        APRIL,
        cycle("may", "2026-05-01", "2026-05-31", "30.00", currency="USD"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "also when it came first: the one that is not the account's",
        cycle("dollars", currency="USD"),
        APRIL,
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00"},
    ),
    row(
        "a confirmation in another currency is left out",
        APRIL,
        confirmed("7.00", currency="USD"),
        confirmed("5.00"),
        gives={"billing-error/dispute": "granted 5.00"},
    ),
    row(
        "a report in another currency is left out",
        APRIL,
        dispute(currency="USD"),
        gives={},
    ),
    row(
        "a charge in another currency is left out",
        charge(currency="USD"),
        confirmed("5.00", charge_id="headset"),
        gives={"billing-error/dispute": "pending"},
    ),
)
def test_a_currency_that_is_not_the_accounts_is_left_out(row: Row) -> None:
    row.holds()


@table(
    row(
        "a resolution before its outage began is left out: the outage goes on",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-20T23:59:59.999999"),
        gives={"disruption/april": "granted 10.00"},
    ),
    row(
        "at the instant that it began it is none",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-21"),
        gives={},
    ),
    row(
        "an earlier one that is sound holds",
        APRIL,
        reported("out", "2026-04-21"),
        resolved("out", "2026-04-23"),
        resolved("out", "2026-04-20"),
        gives={"disruption/april": "granted 2.00"},
    ),
    row(
        "one before the beginning that stands, though not before the one left out",
        APRIL,
        reported("out", "2026-04-21"),
        reported("out", "2026-04-10"),
        resolved("out", "2026-04-15"),
        gives={"disruption/april": "granted 10.00"},
    ),
)
def test_a_resolution_before_its_outage_began_is_left_out(row: Row) -> None:
    row.holds()


RENAMED = Said("account.registered", {**account().data, "customer": {"name": "Zoë Q.", "email": "q@example.com"}})


def complaint(category: str) -> Said:
    return Said("complaint.opened", {"complaint_id": "x", "channel": "mail", "category": category})


def complained(type_: str, category: str | None, channel: str | None) -> Fact:
    """An opening as it was stored, by an older version or today."""
    envelope = json.loads((STORED_EVENTS / f"{type_}.json").read_bytes())
    envelope["data"] |= {"category": category, "channel": channel}
    fact = from_stored(type_, json.dumps(envelope).encode())
    assert isinstance(fact, Fact)
    return fact


@pytest.mark.parametrize(
    ("before", "now", "alike"),
    [
        (("billing", "phone"), ("billing", "phone"), True),
        (("call quality", "phone"), (None, "phone"), True),
        (("call quality", "over the counter"), (None, None), True),
        (("billing", "phone"), ("porting", "phone"), False),
        (("billing", "phone"), (None, "phone"), False),
    ],
)
def test_an_opening_of_an_older_version_says_the_same_today(
    before: tuple[str, str], now: tuple[str | None, str | None], alike: bool
) -> None:
    """Upstream may report a complaint again under another message id, after words went from the fact to the vault."""
    old, new = complained("complaint-opened.v1", *before), complained("complaint-opened.v2", *now)
    assert says_the_same(old, new) == says_the_same(new, old) == alike


def test_a_channel_in_words_makes_no_second_report_of_an_outage() -> None:
    envelope = json.loads((STORED_EVENTS / "outage-reported.v1.json").read_bytes())
    old, new, other = (
        from_stored("outage-reported.v1", json.dumps(envelope | {"data": envelope["data"] | {"channel": c}}).encode())
        for c in ("over the counter", None, "phone")
    )
    assert says_the_same(old, new)  # type: ignore[arg-type]
    assert not says_the_same(new, other)  # type: ignore[arg-type]


def heard(*said: Said | Sequence[Said]) -> Case:
    """A case in which the account's and the subscription's registration and April's cycle have those names as ids."""
    case = Case([agreement()])
    return case.hear(account().at(id="account"), subscription().at(id="subscription"), APRIL.at(id="april"), *said)


@pytest.mark.parametrize(
    ("said", "kept", "charge_id"),
    [
        pytest.param(cycle("x", "2026-04-30", "2026-05-30", "30.00"), "april", "x", id="an overlapping cycle"),
        pytest.param(cycle(price="60.00"), "april", "april", id="one cycle id with two prices"),
        pytest.param(cycle(tax="1.00"), "april", "april", id="one cycle id with two taxes"),
        pytest.param(cycle(monthly_price="1.00"), "april", "april", id="one cycle id with two monthly prices"),
        pytest.param(cycle(prepaid=False), "april", "april", id="one cycle id, prepaid and not"),
        pytest.param(cycle(invoice_id="x"), "april", "april", id="one cycle id on two invoices"),
        pytest.param(charge("april"), "april", "april", id="a charge with a cycle's id"),
        pytest.param(cycle("x", currency="USD"), "account", "x", id="a cycle in another currency"),
        pytest.param(charge("x", currency="USD"), "account", "x", id="a charge in another currency"),
        pytest.param(payment("1.00", currency="USD"), "account", "no charge", id="a payment in another currency"),
        pytest.param(dispute(currency="USD"), "account", "april", id="a dispute in another currency"),
        pytest.param(confirmed("1.00", currency="USD"), "account", "april", id="a verdict in another currency"),
        pytest.param(account("UTC", "USD"), "account", "no charge", id="a second account, in another currency"),
        pytest.param(account("Asia/Tokyo"), "account", "no charge", id="a second account, in another zone"),
        pytest.param(subscription(agreement="other"), "subscription", "no charge", id="a second registration"),
    ],
)
def test_an_alarm_names_both_the_one_kept_first(said: Said, kept: str, charge_id: str) -> None:
    case = heard(said.at(id="left-out"))
    assert case.alarms() == {("contradiction", kept, "left-out", charge_id)}
    [alarm] = case.billing.alarms
    assert alarm.about == (f"/provisioning/test {kept}", "/provisioning/test left-out")
    assert alarm.subscription_id == said.data.get("subscription_id")
    backwards = Case(case.agreements)
    for message in reversed(case.messages):
        backwards.take(message)
    assert backwards.alarms() == case.alarms()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (reported("x", "2026-04-10"), reported("x", "2026-04-11")),
        (reported("x", "2026-04-10"), reported("x", "2026-04-10", severity="minor")),
        (reported("x", "2026-04-10"), reported("x", "2026-04-10", subscription_id="other")),
        (reported("x", "2026-04-10"), resolved("x", "2026-04-09")),
        (dispute(claimed="1.00"), dispute(claimed="2.00")),
        (dispute(charge_id="april"), dispute(charge_id="other")),
        (complaint("noise"), complaint("price")),
        (charge("x", "1.00"), charge("x", "2.00")),
    ],
)
def test_an_alarm_names_two_facts_about_one_thing(first: Said, second: Said) -> None:
    case = heard(first.at(id="kept"), second.at(id="left-out"))
    assert {alarm[:3] for alarm in case.alarms()} == {("contradiction", "kept", "left-out")}
    backwards = Case(case.agreements)
    for message in reversed(case.messages):
        backwards.take(message)
    assert backwards.alarms() == case.alarms()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(APRIL, id="a cycle"),
        pytest.param(account(), id="an account"),
        pytest.param(RENAMED, id="an account whose customer is written otherwise"),
        pytest.param(subscription(), id="a subscription"),
        pytest.param(cycle("other", subscription_id="other"), id="a cycle of another subscription"),
        pytest.param(rejected("x"), id="a verdict on another dispute"),
    ],
)
def test_the_same_content_twice_is_no_contradiction(said: Said) -> None:
    assert heard(said.at(id="again")).alarms() == set()


def test_free_text_is_no_content() -> None:
    case = heard(dispute(description="twice").at(id="a"), dispute(description="charged twice!").at(id="b"))
    assert case.alarms() == set()


def test_an_earlier_fact_that_comes_late_takes_the_place_of_the_one_that_stood() -> None:
    case = heard(cancelled("2026-04-16"), cycle("earlier", price="60.00").at("2025-01-01T00:00:00Z", id="earlier"))
    assert case.recorded() == {"unused/earlier": "granted 30.00"}
    assert case.alarms() == {("contradiction", "earlier", "april", "april")}


def test_cycles_contradict_each_other_though_their_subscription_is_not_known_yet() -> None:
    case = Case([agreement()]).hear(account(), APRIL.at(id="april"), cycle("overlapping").at(id="overlapping"))
    assert case.alarms() == {("contradiction", "april", "overlapping", "overlapping")}


def test_the_alarm_names_the_first_of_those_that_one_left_out_overlaps() -> None:
    """It overlaps April and March; March is heard last, though it is the first by time."""
    case = heard(cycle("both", "2026-03-20", "2026-04-20").at(id="both"))
    assert case.alarms() == {("contradiction", "april", "both", "both")}
    case.hear(cycle("march", "2026-03-01", "2026-04-01").at("2025-01-01T00:00:00Z", id="march"))
    assert case.alarms() == {("contradiction", "march", "both", "both")}


def test_what_says_the_same_as_an_earlier_report_contradicts_it_no_more() -> None:
    case = heard(reported("out", "2026-04-10").at(id="first"), reported("out", "2026-04-12").at(id="second"))
    assert case.alarms() == {("contradiction", "first", "second", "no charge")}
    case.hear(reported("out", "2026-04-12").at("2025-01-01T00:00:00Z", id="earlier"))
    assert case.alarms() == {("contradiction", "earlier", "first", "no charge")}


def test_the_alarm_is_cleared_when_what_stood_is_left_out_itself() -> None:
    """B overlaps A and C; A comes last, though first by time: B is left out and C stands again."""
    case = Case([agreement()]).hear(account(), subscription())
    case.hear(cycle("b", "2026-04-15", "2026-05-15").at("2026-05-02T00:00:00Z", id="b"))
    case.hear(cycle("c", "2026-05-10", "2026-06-09").at("2026-05-03T00:00:00Z", id="c"))
    assert case.alarms() == {("contradiction", "b", "c", "c")}
    case.hear(APRIL.at("2026-05-01T00:00:00Z", id="a"))
    assert case.alarms() == {("contradiction", "a", "b", "b")}
    assert set(case.facts.charges.assessed) == {"april", "c"}


def test_an_earlier_report_makes_a_resolution_sound_that_came_before_the_outage_began() -> None:
    case = heard(reported("out", "2026-04-12").at(id="later"), resolved("out", "2026-04-11").at(id="resolved"))
    assert case.alarms() == {("contradiction", "later", "resolved", "no charge")}
    case.hear(reported("out", "2026-04-09").at("2025-01-01T00:00:00Z", id="earlier"))
    assert case.alarms() == {("contradiction", "earlier", "later", "no charge")}
    assert case.recorded() == {"disruption/april": "granted 2.00"}


TWO_AGREEMENTS = [agreement(name="ours"), agreement({"cancellation.unused_period": "none"}, name="theirs")]
FROM_APRIL_10 = read_agreement(
    'name = "ours"\nversion = 2\nvalid_from = 2026-04-10\n[cancellation]\nunused_period = "none"'
)


def test_terms_are_those_of_the_registration_that_stands() -> None:
    """The earlier registration, which came last, was made under another agreement."""
    case = Case(TWO_AGREEMENTS).hear(account(), subscription(), APRIL, cancelled("2026-04-16"))
    assert case.recorded() == {"unused/april": "granted 15.00"}
    case.hear(subscription(agreement="theirs").at("2025-01-01T00:00:00Z", id="earlier"))
    assert case.recorded() == {"unused/april": "declined: terms"}


def test_a_registration_that_does_not_stand_leaves_the_terms_as_they_were_bound() -> None:
    later = subscription(agreement="theirs").at("2027-01-01T00:00:00Z", id="later")
    case = Case(TWO_AGREEMENTS).hear(account(), subscription().at(id="first"))
    bound = case.facts.subscriptions.by_id["sub"].binding
    assert case.hear(later).alarms() == {("contradiction", "first", "later", "no charge")}
    case.hear(APRIL, cancelled("2026-04-16"), account("Asia/Tokyo").at("2027-01-01T00:00:00Z", id="tokyo"))
    assert case.recorded() == {"unused/april": "granted 15.00"}
    assert case.facts.subscriptions.by_id["sub"].binding is bound


def test_terms_are_those_of_the_zone_that_stands() -> None:
    """In Tokyo it was the 10th already when the subscription was registered; the earlier registration says UTC."""
    registered = subscription().at("2026-04-09T20:00:00Z", id="registered")
    case = Case([agreement(), FROM_APRIL_10]).hear(account("Asia/Tokyo"), registered, APRIL, cancelled("2026-04-16"))
    assert case.recorded() == {"unused/april": "declined: terms"}
    case.hear(account().at("2025-01-01T00:00:00Z", id="earlier"))
    assert case.recorded() == {"unused/april": "granted 15.00"}


# --- waiting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "waits_for"),
    [
        (cycle("x", subscription_id="other"), "subscription other"),
        (charge("x", subscription_id="other"), "subscription other"),
        (reported("x", "2026-04-10", subscription_id="other"), "subscription other"),
        (cancelled("2026-04-10", subscription_id="other"), "subscription other"),
        (subscription("other", agreement="unheard-of"), "agreement unheard-of"),
        (resolved("x", "2026-04-10"), "outage x"),
        (reopened("x"), "outage x"),
        (dispute(charge_id="other"), "charge other"),
        (confirmed("1.00", charge_id="other"), "charge other"),
        (rejected(charge_id="other"), "charge other"),
        (Said("complaint.resolved", {"complaint_id": "x", "resolution": "exchanged"}), "complaint x"),
        (refund_succeeded("refund/unused/april/1"), "refund refund/unused/april/1"),
        (suspended("2026-04-10"), None),
        (cancelled("2026-04-10"), None),
        (charge("x"), None),
        (dispute(charge_id="april"), None),
        (dispute(charge_id="other", currency="USD"), None),
        (payment("1.00", "no-such-invoice"), "charge on invoice no-such-invoice"),
        (payment("1.00", "no-such-invoice", currency="USD"), None),
        (payment_failed("p", "no-such-invoice"), None),
        (payment("1.00"), None),
    ],
)
def test_a_fact_waits_for_what_its_account_does_not_know(said: Said, waits_for: str | None) -> None:
    case = heard(said.at(id="waits"))
    waiting = {w.fact.data.message.id: w.waits_for for w in case.facts.waiting()}
    assert waiting == ({"waits": waits_for} if waits_for else {})


def test_a_complaint_that_is_known_lets_nothing_wait() -> None:
    case = heard(complaint("noise"), Said("complaint.resolved", {"complaint_id": "x", "resolution": "exchanged"}))
    assert case.facts.waiting() == []


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(payment("20.00", payment_id="p"), id="of another amount"),
        pytest.param(payment("30.00", payment_id="p", method="bank"), id="by another way"),
        pytest.param(payment("30.00", "invoice-other", payment_id="p"), id="for another invoice"),
    ],
)
def test_of_two_captures_of_one_id_the_later_was_made(later: Said) -> None:
    """Whichever was heard first; the alarm names the later one as the one that stands (policy §7)."""
    case = heard(payment("30.00", payment_id="p").at("2026-05-01T00:00:00Z", id="earlier"))
    assert set(case.facts.invoices["invoice-april"].payments) == {"p"}
    case.hear(later.at("2026-05-02T00:00:00Z", id="later"))
    assert case.facts.payments.standing["p"].data.message.id == "later"
    paid = {id_ for id_, invoice in case.facts.invoices.items() if invoice.payments}
    assert paid == {later.data["invoice_id"]}
    assert case.alarms() == {("contradiction", "later", "earlier", "no charge")}
    backwards = Case(case.agreements)
    for message in reversed(case.messages):
        backwards.take(message)
    assert backwards.facts.payments.standing["p"].data.message.id == "later"
    assert backwards.alarms() == case.alarms()


def test_captures_that_say_the_same_raise_no_alarm_whatever_a_failure_says_between() -> None:
    case = heard(payment("30.00", payment_id="p"), payment_failed("p"), payment("30.00", payment_id="p"))
    assert case.alarms() == set()


def test_a_payment_waits_for_a_charge_on_its_invoice_also_one_that_is_left_out() -> None:
    case = heard(payment("1.00", "invoice-x"), payment("2.00", "invoice-x", payment_id="failed"))
    assert len(case.facts.waiting()) == 2
    case.hear(payment_failed("failed", "invoice-x"))
    assert {w.waits_for for w in case.facts.waiting()} == {"charge on invoice invoice-x"}
    assert len(case.facts.waiting()) == 1, "one that failed was not paid, and waits for nothing"
    case.hear(cycle("x", "2026-04-15", "2026-05-15", invoice_id="invoice-x"))
    assert case.facts.waiting() == []


def test_a_resolution_waits_again_when_its_outage_turns_out_to_be_another_subscriptions() -> None:
    ended = resolved("out", "2026-04-12").at(id="resolved")
    case = heard(subscription("other"), reported("out", "2026-04-10"), ended)
    assert case.facts.waiting() == []
    case.hear(reported("out", "2026-04-10", subscription_id="other").at("2025-01-01T00:00:00Z", id="earlier"))
    assert {w.fact.data.message.id: w.waits_for for w in case.facts.waiting()} == {"resolved": "outage out"}


def test_everything_waits_for_the_account() -> None:
    case = Case([agreement()]).hear(subscription(), APRIL, outage("2026-04-10", "2026-04-12"))
    assert {w.waits_for for w in case.facts.waiting()} == {"account acct"}
    assert case.facts.unbound() == []
    assert len(case.facts.waiting()) == 4
    case.hear(account())
    assert case.facts.waiting() == []
    assert case.recorded() == {"disruption/april": "granted 2.00"}
    assert case.hear(cancelled("2026-04-10", subscription_id="other")).facts.unbound() == [], "none is registered"


def test_what_waited_is_assessed_when_what_it_waits_for_comes() -> None:
    case = Case([agreement()]).hear(account())
    case.hear(confirmed("5.00"), resolved("out", "2026-04-12"), reported("out", "2026-04-10"))
    assert case.recorded() == {"billing-error/dispute": "pending"}
    assert len(case.facts.waiting()) == 3
    case.hear(APRIL)
    assert case.recorded() == {"billing-error/dispute": "pending"}, "its subscription is not registered"
    case.hear(subscription())
    assert case.recorded() == {"billing-error/dispute": "granted 5.00", "disruption/april": "granted 1.67"}
    assert case.facts.waiting() == []


def test_a_refund_that_is_known_waits_for_nothing() -> None:
    case = heard(refund_succeeded("refund/unused/april/1"))
    assert case.facts.waiting({"refund/unused/april/1"}) == []


def test_business_ids_belong_to_their_account() -> None:
    """The same ids in another account are other things; each account has its own facts."""
    one, other = heard(cancelled("2026-04-16")), Case([agreement()], account="other")
    other.hear(account(), subscription(), cycle(price="60.00"), cancelled("2026-04-16"))
    assert one.recorded() == {"unused/april": "granted 15.00"}
    assert other.recorded() == {"unused/april": "granted 30.00"}
