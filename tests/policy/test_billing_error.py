"""§4 Billing error."""

from __future__ import annotations

from datetime import datetime

import pytest

from ledger.policy.assess import assess
from ledger.policy.scope import Scope
from tests.policy.case import (
    Case,
    Row,
    Terms,
    account,
    agreement,
    cancelled,
    charge,
    confirmed,
    cycle,
    dispute,
    instant,
    outage,
    rejected,
    row,
    subscription,
    table,
)

APRIL = cycle(tax="5.70")


@table(
    row(
        "reported: an investigation is open",
        APRIL,
        dispute(),
        gives={"billing-error/dispute": "pending"},
    ),
    row(
        "only a confirmation moves money: what the customer claimed does not",
        APRIL,
        dispute(claimed="30.00"),
        gives={"billing-error/dispute": "pending"},
    ),
    row(
        "confirmed: the whole confirmed amount is granted, whatever was claimed",
        APRIL,
        dispute(claimed="1.00"),
        confirmed("7.00"),
        gives={"billing-error/dispute": "granted 7.00 + 1.33"},
    ),
    row(
        "rejected: declined",
        APRIL,
        dispute(),
        rejected(),
        gives={"billing-error/dispute": "declined: rejected"},
    ),
    row(
        "a confirmation for a dispute nobody reported is the provider's own finding and counts the same",
        APRIL,
        confirmed("7.00"),
        gives={"billing-error/dispute": "granted 7.00 + 1.33"},
    ),
    row(
        "a rejection of a dispute nobody reported is declined",
        APRIL,
        rejected(),
        gives={"billing-error/dispute": "declined: rejected"},
    ),
    row(
        "one for a charge not yet known waits for it",
        confirmed("7.00"),
        gives={"billing-error/dispute": "pending"},
    ),
    row(
        "a report on a charge not yet known waits too",
        dispute(),
        gives={"billing-error/dispute": "pending"},
    ),
    row(
        "a rejection needs no charge",
        dispute(),
        rejected(),
        gives={"billing-error/dispute": "declined: rejected"},
    ),
    row(
        "a one-off charge alike",
        charge(price="15.00", tax="2.85"),
        dispute(charge_id="headset"),
        confirmed("5.00", charge_id="headset"),
        gives={"billing-error/dispute": "granted 5.00 + 0.95"},
    ),
    row(
        "one claim per dispute",
        APRIL,
        dispute("one"),
        confirmed("7.00", "one"),
        dispute("two"),
        rejected("two"),
        dispute("three"),
        gives={
            "billing-error/one": "granted 7.00 + 1.33",
            "billing-error/two": "declined: rejected",
            "billing-error/three": "pending",
        },
    ),
)
def test_only_a_confirmation_moves_money(row: Row) -> None:
    row.holds()


@table(
    row(
        "the first verdict holds: a rejection after a confirmation changes nothing",
        APRIL,
        confirmed("7.00"),
        rejected(),
        gives={"billing-error/dispute": "granted 7.00 + 1.33"},
    ),
    row(
        "a confirmation after a rejection changes nothing",
        APRIL,
        rejected(),
        confirmed("7.00"),
        gives={"billing-error/dispute": "declined: rejected"},
    ),
    row(
        "a second confirmation changes nothing",
        APRIL,
        confirmed("7.00"),
        confirmed("9.00"),
        gives={"billing-error/dispute": "granted 7.00 + 1.33"},
    ),
    row(
        "the first by time, here the second that came",
        APRIL,
        confirmed("7.00").at("2026-05-02T00:00:00Z"),
        confirmed("9.00").at("2026-05-01T00:00:00Z"),
        gives={"billing-error/dispute": "granted 9.00 + 1.71"},
    ),
    row(
        "then by id",
        APRIL,
        confirmed("7.00").at("2026-05-01T00:00:00Z", id="b"),
        confirmed("9.00").at("2026-05-01T00:00:00Z", id="a"),
        gives={"billing-error/dispute": "granted 9.00 + 1.71"},
    ),
    row(
        "then by source",
        APRIL,
        confirmed("7.00").at("2026-05-01T00:00:00Z", id="a", source="/b"),
        confirmed("9.00").at("2026-05-01T00:00:00Z", id="a", source="/a"),
        gives={"billing-error/dispute": "granted 9.00 + 1.71"},
    ),
    row(
        "with the charge that it names, not the report's: 15.00 do not hold 20.00, 30.00 do",
        APRIL,
        charge(price="15.00"),
        dispute(charge_id="headset"),
        confirmed("20.00", charge_id="april"),
        gives={"billing-error/dispute": "granted 20.00 + 3.80"},
    ),
    row(
        "an earlier verdict on another charge gives the first charge its price back",
        APRIL,
        cycle("may", "2026-05-01", "2026-05-31", "30.00"),
        outage("2026-04-10", "2026-04-12"),
        outage("2026-05-10", "2026-05-12"),
        confirmed("6.00", charge_id="april").at("2026-06-02T00:00:00Z"),
        confirmed("6.00", charge_id="may").at("2026-06-01T00:00:00Z"),
        gives={
            "billing-error/dispute": "granted 6.00",
            "disruption/april": "granted 2.00 + 0.38",
            "disruption/may": "granted 1.60",
        },
    ),
    row(
        "the charge of a verdict that does not hold counts for nothing",
        APRIL,
        charge(price="15.00", tax="15.00"),
        confirmed("10.00", charge_id="headset"),
        confirmed("10.00", charge_id="april"),
        gives={"billing-error/dispute": "granted 10.00 + 10.00"},
    ),
)
def test_the_first_verdict_on_a_dispute_holds(row: Row) -> None:
    row.holds()


@table(
    row(
        "all of the price may come back",
        APRIL,
        confirmed("30.00"),
        gives={"billing-error/dispute": "granted 30.00 + 5.70"},
    ),
    row(
        "a cent more may not",
        APRIL,
        confirmed("30.01"),
        gives={"billing-error/dispute": "declined: amount_exceeds_charge"},
    ),
    row(
        "tax is no part of the price",
        APRIL,
        confirmed("35.70"),
        gives={"billing-error/dispute": "declined: amount_exceeds_charge"},
    ),
    row(
        "one that together with those granted before it would exceed the price is declined",
        APRIL,
        confirmed("20.00", "first"),
        confirmed("10.01", "second"),
        gives={
            "billing-error/first": "granted 20.00 + 3.80",
            "billing-error/second": "declined: amount_exceeds_charge",
        },
    ),
    row(
        "together exactly the price is granted",
        APRIL,
        confirmed("20.00", "first"),
        confirmed("10.00", "second"),
        gives={"billing-error/first": "granted 20.00 + 3.80", "billing-error/second": "granted 10.00 + 1.90"},
    ),
    row(
        "a later one that still fits is granted: what was declined before it does not count",
        APRIL,
        confirmed("20.00", "first"),
        confirmed("15.00", "second"),
        confirmed("10.00", "third"),
        gives={
            "billing-error/first": "granted 20.00 + 3.80",
            "billing-error/second": "declined: amount_exceeds_charge",
            "billing-error/third": "granted 10.00 + 1.90",
        },
    ),
    row(
        "with all that was granted before it",
        APRIL,
        confirmed("10.00", "first"),
        confirmed("10.00", "second"),
        confirmed("10.01", "third"),
        gives={
            "billing-error/first": "granted 10.00 + 1.90",
            "billing-error/second": "granted 10.00 + 1.90",
            "billing-error/third": "declined: amount_exceeds_charge",
        },
    ),
    row(
        "taken in order of time, whatever came first",
        APRIL,
        confirmed("20.00", "came-first").at("2026-05-02T00:00:00Z"),
        confirmed("15.00", "came-second").at("2026-05-01T00:00:00Z"),
        gives={
            "billing-error/came-first": "declined: amount_exceeds_charge",
            "billing-error/came-second": "granted 15.00 + 2.85",
        },
    ),
    row(
        "then id (the message's, not the dispute's)",
        APRIL,
        confirmed("20.00", "a").at("2026-05-01T00:00:00Z", id="2"),
        confirmed("15.00", "b").at("2026-05-01T00:00:00Z", id="1"),
        gives={"billing-error/a": "declined: amount_exceeds_charge", "billing-error/b": "granted 15.00 + 2.85"},
    ),
    row(
        "what a later verdict took back is there for the unused part again",
        APRIL,
        cancelled("2026-04-16"),
        confirmed("10.00", "first").at("2026-05-02T00:00:00Z"),
        rejected("first").at("2026-05-01T00:00:00Z"),
        gives={"billing-error/first": "declined: rejected", "unused/april": "granted 15.00 + 2.85"},
    ),
    row(
        "those of another charge do not count",
        APRIL,
        charge(price="15.00"),
        confirmed("15.00", "first", "headset"),
        confirmed("30.00", "second", "april"),
        gives={"billing-error/first": "granted 15.00", "billing-error/second": "granted 30.00 + 5.70"},
    ),
)
def test_confirmations_on_one_charge_never_exceed_its_price(row: Row) -> None:
    row.holds()


def test_a_confirmation_that_exceeds_the_charge_raises_an_alarm() -> None:
    case = Case().hear(account(), subscription(), APRIL, confirmed("20.00", "first").at(id="first"))
    assert case.alarms() == set()
    case.hear(confirmed("10.01", "second").at(id="second"))
    assert case.alarms() == {("confirmation_exceeds_charge", "second", "april")}
    [alarm] = case.billing.alarms
    assert (alarm.claim_id, alarm.subscription_id) == ("billing-error/second", "sub")


def test_the_alarm_goes_when_an_earlier_fact_makes_room() -> None:
    case = Case().hear(account(), subscription(), APRIL)
    case.hear(confirmed("20.00", "first"), confirmed("10.01", "second"))
    case.hear(rejected("first").at("2026-01-01T00:00:00Z", id="0"))
    assert case.alarms() == set()
    assert case.recorded() == {
        "billing-error/first": "declined: rejected",
        "billing-error/second": "granted 10.01 + 1.90",
    }


def test_a_dispute_is_known_by_all_of_its_id_slashes_and_all() -> None:
    assert Scope(disputes=frozenset({"a/b"})).covers("billing-error/a/b", None)
    assert not Scope(disputes=frozenset({"b"})).covers("billing-error/a/b", None)


def test_a_dispute_takes_the_subscription_of_its_charge() -> None:
    case = Case().hear(account(), subscription(), charge("own", subscription_id="sub"), charge("none"))
    case.hear(confirmed("1.00", "a", "own"), confirmed("1.00", "b", "none"), confirmed("1.00", "c", "unknown"))
    case.hear(dispute("d", "april"), APRIL)
    rows = case.billing.claims
    assert [rows[f"billing-error/{name}"].subscription_id for name in "abcd"] == ["sub", None, None, "sub"]
    assert [rows[f"billing-error/{name}"].charge_id for name in "abcd"] == ["own", "none", "unknown", "april"]


def test_a_dispute_is_decided_under_the_agreement_of_its_charge() -> None:
    case = Case().hear(account(), subscription(), charge("own", subscription_id="sub"), charge("none"))
    case.hear(confirmed("1.00", "a", "own"), confirmed("1.00", "b", "none"))
    rows = assess(case.facts, case.at).claims
    own, none = rows["billing-error/a"].binding, rows["billing-error/b"].binding
    assert own is not None
    assert (own.data.agreement, own.data.subscription_id) == ("ours", "sub")
    assert none is None


def test_a_confirmation_waits_for_the_agreement_of_its_charge() -> None:
    """A fact is still missing, so the row stands as pending and moves no money."""
    case = Case().hear(account(), subscription(agreement="unheard-of"), APRIL, confirmed("7.00"), confirmed("1", "d"))
    assert case.recorded() == case.claims() == {"billing-error/dispute": "pending", "billing-error/d": "pending"}
    assert case.claims_by_the_oracle() == case.claims()
    assert {row.subscription_id for row in case.billing.claims.values()} == {"sub"}


def test_one_that_would_exceed_waits_for_the_agreement_too_and_raises_no_alarm_yet() -> None:
    case = Case().hear(account(), subscription(agreement="unheard-of"), APRIL, confirmed("30.01"))
    assert case.recorded() == case.claims() == {"billing-error/dispute": "pending"}
    assert case.alarms() == set()


def test_a_rejection_does_not_wait_for_the_agreement() -> None:
    case = Case().hear(account(), subscription(agreement="unheard-of"), APRIL, dispute(), rejected())
    assert case.recorded() == {"billing-error/dispute": "declined: rejected"} == case.claims_by_the_oracle()


def test_before_the_account_is_registered_everything_is_pending_in_the_currency_that_was_named() -> None:
    case = Case().hear(dispute("a", currency="JPY", claimed="5"), confirmed("5", "b", currency="JPY"), rejected("0"))
    case.hear(dispute("c", currency="JPY", claimed="5"), rejected("c"))
    assert case.recorded() == case.claims() == {f"billing-error/{name}": "pending" for name in "abc"}
    assert {row.currency for row in case.billing.claims.values()} == {"JPY"}
    assert case.claims_by_the_oracle() == case.claims()


@pytest.mark.parametrize(
    ("facts", "terms", "by"),
    [
        pytest.param([dispute()], {}, "2026-04-15", id="ten days from the report"),
        pytest.param([dispute()], {"billing_error.investigate_within": "PT36H"}, "2026-04-06T12", id="as agreed"),
        pytest.param(
            [charge("own"), dispute(charge_id="own")],
            {"billing_error.investigate_within": "PT36H"},
            "2026-04-15",
            id="the defaults for a charge without a subscription",
        ),
        pytest.param(
            [dispute(charge_id="unknown")],
            {"billing_error.investigate_within": "PT36H"},
            "2026-04-15",
            id="the defaults while the charge is not known",
        ),
        pytest.param([dispute(), confirmed("1.00")], {}, None, id="none once it was confirmed"),
        pytest.param([dispute(), rejected()], {}, None, id="none once it was rejected"),
        pytest.param([dispute(), confirmed("1.00", charge_id="x")], {}, None, id="none while a verdict waits"),
        pytest.param([confirmed("1.00", charge_id="x")], {}, None, id="none where nobody reported it"),
    ],
)
def test_an_investigation_is_overdue_after_investigate_within(facts: list, terms: Terms, by: str | None) -> None:
    """What is open longer is listed as overdue; the row says until when it is in time."""
    case = Case([agreement(terms)]).hear(account(), subscription(), APRIL, *facts)
    backwards = Case(case.agreements)
    for message in reversed(case.messages):
        backwards.take(message)
    late = Case(case.agreements).hear(account(), APRIL, *facts, subscription())
    [found] = assess(case.facts, case.at).claims.values()
    assert found.investigate_by == late.billing.claims["billing-error/dispute"].investigate_by
    assert found.investigate_by == backwards.billing.claims["billing-error/dispute"].investigate_by
    assert found.investigate_by == case.billing.claims["billing-error/dispute"].investigate_by
    assert found.investigate_by == (datetime.fromisoformat(instant(by)) if by else None)
