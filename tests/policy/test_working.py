"""What is recorded with a decision so that a person can follow it: the formula with its numbers, and sentences."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from ledger.policy.proration import Share, spelled
from tests.policy.case import (
    Case,
    Said,
    Terms,
    account,
    agreement,
    cancelled,
    charge,
    confirmed,
    cycle,
    dispute,
    outage,
    reinstated,
    rejected,
    reopened,
    reported,
    resolved,
    row,
    subscription,
    suspended,
    terminated,
    withdrawn,
)

APRIL = cycle()
MAY = cycle("may", "2026-05-01", "2026-05-31", "30.00")
MARCH = cycle("march", "2026-03-01", "2026-04-01", "31.00", tax="5.89")
EXACT = {"proration.basis": "exact_time", "disruption.floor": "none"}
NO_FLOOR = {"disruption.floor": "none"}


@pytest.mark.parametrize(
    ("facts", "terms", "claim_id", "formula"),
    [
        pytest.param(
            [cycle(price="29.95"), cancelled("2026-04-07")],
            {},
            "unused/april",
            "29.95 × 24 ÷ 30 = 23.96",
            id="an amount that comes out even",
        ),
        pytest.param(
            [cycle(price="25.00"), cancelled("2026-04-11")],
            {},
            "unused/april",
            "25.00 × 20 ÷ 30 = 16.666…, rounded to 16.67",
            id="one that is rounded",
        ),
        pytest.param(
            [cycle(price="3.75"), cancelled("2026-04-30")],
            {},
            "unused/april",
            "3.75 × 1 ÷ 30 = 0.125, rounded half up to 0.13",
            id="one that half up decides",
        ),
        pytest.param(
            [cycle(price="3.75"), cancelled("2026-04-30")],
            {"proration.rounding": "half_even"},
            "unused/april",
            "3.75 × 1 ÷ 30 = 0.125, rounded half even to 0.12",
            id="one that half even decides",
        ),
        pytest.param(
            [cycle("march", "2026-03-01", "2026-04-01", "30.00"), cancelled("2026-03-16")],
            {"proration.basis": "thirty_days"},
            "unused/march",
            "30.00 × 16 ÷ 30 = 16.00",
            id="thirty days of a month of 31",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16T12")],
            EXACT,
            "unused/april",
            "30.00 × 348 h ÷ 720 h = 14.50",
            id="the exact time",
        ),
        pytest.param(
            [APRIL, confirmed("6.00"), cancelled("2026-04-16")],
            {},
            "unused/april",
            "24.00 × 15 ÷ 30 = 12.00",
            id="of the net price",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.fee.EUR": "5.00"},
            "unused/april",
            "30.00 × 15 ÷ 30 = 15.00; less the fee 5.00 = 10.00",
            id="less the fee",
        ),
        pytest.param(
            [MARCH, outage("2026-03-01", "2026-03-16"), cancelled("2026-03-16")],
            {},
            "unused/march",
            "31.00 × 16 ÷ 31 = 16.00; not more than is left: 31.00 − 15.50 = 15.50",
            id="capped by what is left",
        ),
        pytest.param(
            [MARCH, outage("2026-03-01", "2026-03-16"), cancelled("2026-03-16")],
            {"cancellation.fee.EUR": "5.00"},
            "unused/march",
            "31.00 × 16 ÷ 31 = 16.00; not more than is left: 31.00 − 15.50 = 15.50; less the fee 5.00 = 10.50",
            id="capped, and less the fee",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-28")],
            {"cancellation.fee.EUR": "5.00"},
            "unused/april",
            "30.00 × 3 ÷ 30 = 3.00; less the fee 3.00 = 0.00",
            id="nothing is due, and why",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-28"), withdrawn("2026-04-29")], {}, "unused/april", None, id="withdrawn"
        ),
        pytest.param([APRIL, terminated("2026-04-28")], {}, "unused/april", None, id="declined before any amount"),
        pytest.param(
            [APRIL, outage("2026-04-10", "2026-04-12")],
            NO_FLOOR,
            "disruption/april",
            "30.00 × 2 ÷ 30 = 2.00",
            id="a disruption",
        ),
        pytest.param(
            [APRIL, outage("2026-04-10T00", "2026-04-11T12:30")],
            EXACT,
            "disruption/april",
            "30.00 × 36 h 30 min ÷ 720 h = 1.520…, rounded to 1.52",
            id="a disruption by the exact time",
        ),
        pytest.param(
            [MARCH, outage("2026-03-10", "2026-03-12")],
            {},
            "disruption/march",
            "31.00 × 2 ÷ 30 = 2.066…, rounded to 2.07",
            id="the floor where it is more",
        ),
        pytest.param(
            [cycle(monthly_price="45.00"), confirmed("6.00"), outage("2026-04-10", "2026-04-12")],
            {},
            "disruption/april",
            "45.00 × 24.00 ÷ 30.00 × 2 ÷ 30 = 2.40",
            id="the floor of a monthly price, in the proportion of the net price",
        ),
        pytest.param(
            [cycle("long", "2026-03-01", "2026-04-02", "32.00"), outage("2026-03-10", "2026-03-12")],
            {"proration.basis": "thirty_days", "proration.rounding": "half_even"},
            "disruption/long",
            "32.00 × 2 ÷ 30 = 2.133…, rounded to 2.13",
            id="pro rata where the floor is less",
        ),
        pytest.param(
            [cycle("long", "2026-03-01", "2026-04-16", "46.00"), outage("2026-03-10", "2026-03-12T01")],
            {"proration.basis": "exact_time"},
            "disruption/long",
            "46.00 × 30 ÷ 46 × 3 ÷ 30 = 3.00",
            id="the floor of a longer cycle",
        ),
        pytest.param(
            [cycle("long", "2026-03-01", "2026-04-02", "32.00"), outage("2026-03-10", "2026-03-11T01")],
            {"proration.basis": "exact_time"},
            "disruption/long",
            "32.00 × 30 ÷ 32 × 2 ÷ 30 = 2.00",
            id="longer by one day than a month can be",
        ),
        pytest.param(
            [MARCH, outage("2026-03-01", "2026-04-01")],
            {},
            "disruption/march",
            "31.00 × 31 ÷ 30 = 32.033…, rounded to 32.03; not more than the net price = 31.00",
            id="capped by the net price",
        ),
        pytest.param(
            [cycle(price="0.01"), outage("2026-04-10", "2026-04-12")],
            NO_FLOOR,
            "disruption/april",
            "0.01 × 2 ÷ 30 = 0.000…, rounded to 0.00",
            id="a disruption for which nothing is due",
        ),
        pytest.param(
            [cycle("two-months", "2025-07-01", "2025-08-30", "3.75"), outage("2025-07-10", "2025-07-12")],
            NO_FLOOR,
            "disruption/two-months",
            "3.75 × 2 ÷ 60 = 0.125, rounded half up to 0.13",
            id="a disruption that half up decides",
        ),
        pytest.param(
            [APRIL, outage("2026-04-01", "2026-05-01")],
            NO_FLOOR,
            "disruption/april",
            "30.00 × 30 ÷ 30 = 30.00",
            id="exactly the net price",
        ),
        pytest.param([APRIL, outage("2026-04-10", "2026-04-11")], {}, "disruption/april", None, id="too short"),
        pytest.param([APRIL, confirmed("6.00")], {}, "billing-error/dispute", "6.00 confirmed", id="an overcharge"),
        pytest.param([APRIL, confirmed("30.01")], {}, "billing-error/dispute", None, id="too much"),
        pytest.param([APRIL, dispute()], {}, "billing-error/dispute", None, id="an open dispute"),
    ],
)
def test_the_formula_has_the_real_numbers(facts: list, terms: Terms, claim_id: str, formula: str | None) -> None:
    case = Case([agreement(terms)]).hear(account(), subscription(), *facts)
    assert case.working(claim_id).formula == formula
    state = case.billing.claims[claim_id].state
    assert formula is None or state.outcome != "granted" or f"{state.amount}" in formula.rpartition("= ")[2]


COUNTS = "to count, one of them must be more than 24 h"
LASTED = "outage out-2026-04-10 lasted 48 h"


@pytest.mark.parametrize(
    ("facts", "terms", "lines"),
    [
        pytest.param(
            [outage("2026-04-10", "2026-04-12")],
            {},
            [
                f"{LASTED}: eligible",
                f"eligible time in the cycle 48 h, longest merged outage 48 h; {COUNTS}",
                "credited time 48 h, which counts as 2 days",
                (
                    "floor of a 30th of the monthly price a day: 30.00 × 2 ÷ 30 = 2.00, "
                    "not more than pro rata 30.00 × 2 ÷ 30 = 2.00"
                ),
            ],
            id="granted",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12")],
            NO_FLOOR,
            [
                f"{LASTED}: eligible",
                f"eligible time in the cycle 48 h, longest merged outage 48 h; {COUNTS}",
                "credited time 48 h, which counts as 2 days",
            ],
            id="without a floor",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12", reported_at="2026-04-13T00:00:01")],
            {},
            [f"{LASTED}: reported 72 h 00 min 01 s after it began; the agreement allows 72 h"],
            id="declined, reported_late: by how much",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12", severity="minor")],
            {},
            [f"{LASTED}: its severity is minor, not significant"],
            id="declined, not_significant",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12", cause="force_majeure")],
            {},
            [f"{LASTED}: its cause force_majeure is one that the agreement excludes"],
            id="declined, excluded_cause",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-11")],
            {},
            [
                "outage out-2026-04-10 lasted 24 h: eligible",
                f"eligible time in the cycle 24 h, longest merged outage 24 h; {COUNTS}",
            ],
            id="declined, below_threshold: how long it was, and how long it would have to be",
        ),
        pytest.param(
            [outage("2026-03-31T22", "2026-04-01T03"), outage("2026-04-10T00", "2026-04-10T02:30")],
            {},
            [
                "outage out-2026-03-31T22 lasted 5 h: eligible",
                "outage out-2026-04-10T00 lasted 2 h 30 min: eligible",
                f"eligible time in the cycle 5 h 30 min, longest merged outage 5 h; {COUNTS}",
            ],
            id="what lies outside the cycle counts for the longest only",
        ),
        pytest.param(
            [outage("2026-04-12T00", "2026-04-12T02"), outage("2026-04-10T00", "2026-04-10T01", severity="minor")],
            {"disruption.significant_after": "PT1H"},
            [
                "outage out-2026-04-10T00 lasted 1 h: its severity is minor, not significant",
                "outage out-2026-04-12T00 lasted 2 h: eligible",
                (
                    "eligible time in the cycle 2 h, longest merged outage 2 h; "
                    "to count, one of them must be more than 1 h"
                ),
                "credited time 2 h, which counts as 1 day",
                (
                    "floor of a 30th of the monthly price a day: 30.00 × 1 ÷ 30 = 1.00, "
                    "not more than pro rata 30.00 × 1 ÷ 30 = 1.00"
                ),
            ],
            id="outages in the order in which they began",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12"), suspended("2026-04-11"), reinstated("2026-04-13")],
            {},
            [
                f"{LASTED}: eligible",
                "suspended or terminated for 24 h of it, which does not count",
                f"eligible time in the cycle 24 h, longest merged outage 24 h; {COUNTS}",
            ],
            id="suspended time",
        ),
        pytest.param(
            [outage("2026-04-10", "2026-04-12"), cancelled("2026-04-11")],
            NO_FLOOR,
            [
                f"{LASTED}: eligible",
                f"eligible time in the cycle 48 h, longest merged outage 48 h; {COUNTS}",
                "no time from 2026-04-11T00:00:00Z on is credited: it is unused and returned as such",
                "credited time 24 h, which counts as 1 day",
            ],
            id="unused time",
        ),
        pytest.param(
            [outage("2026-04-10T00", "2026-04-11T12:30")],
            EXACT,
            [
                "outage out-2026-04-10T00 lasted 36 h 30 min: eligible",
                f"eligible time in the cycle 36 h 30 min, longest merged outage 36 h 30 min; {COUNTS}",
                "credited time 36 h 30 min",
            ],
            id="the exact time, which counts as no days",
        ),
        pytest.param(
            [cycle(price="31.00"), confirmed("1.00"), outage("2026-04-10", "2026-04-12")],
            NO_FLOOR,
            [
                "net price 30.00: 31.00 less 1.00 of overcharge",
                f"{LASTED}: eligible",
                f"eligible time in the cycle 48 h, longest merged outage 48 h; {COUNTS}",
                "credited time 48 h, which counts as 2 days",
            ],
            id="of the net price, and where that comes from",
        ),
        pytest.param(
            [reported("out", "2026-04-10")],
            {},
            [
                "outage out is not resolved yet: eligible, and counted to the end of the last cycle that has ended",
                f"eligible time in the cycle 0 h, longest merged outage 0 h; {COUNTS}",
                "an eligible outage goes on and the cycle has not ended: it ends on 2026-05-01",
            ],
            id="pending",
        ),
        pytest.param(
            [cycle("x", monthly_price="45.00"), outage("2026-04-10", "2026-04-12")],
            {},
            [
                f"{LASTED}: eligible",
                f"eligible time in the cycle 48 h, longest merged outage 48 h; {COUNTS}",
                "credited time 48 h, which counts as 2 days",
                (
                    "floor of a 30th of the monthly price a day: 45.00 × 2 ÷ 30 = 3.00, "
                    "more than pro rata 30.00 × 2 ÷ 30 = 2.00"
                ),
            ],
            id="the floor where it is more",
        ),
    ],
)
def test_a_disruption_says_what_counted_and_which_condition_decided(
    facts: list[Said], terms: Terms, lines: list[str]
) -> None:
    facts = facts if any(isinstance(f, Said) and f.kind == "cycle.started" for f in facts) else [APRIL, *facts]
    case = Case([agreement(terms)], now="2026-04-20T00:00:00Z").hear(account(), subscription(), *facts)
    [claim_id] = [name for name in case.billing.claims if name.startswith("disruption/")]
    assert list(case.working(claim_id).lines) == lines


CANCELLED = "cancelled on 2026-04-16 (UTC), effective on 2026-05-01"


@pytest.mark.parametrize(
    ("facts", "terms", "lines"),
    [
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {},
            [CANCELLED, "first unused day 2026-04-16: 15 of 30 days unused"],
            id="granted",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.notice_days": 3},
            [
                CANCELLED,
                "first unused day 2026-04-19, after a notice of 3 days: 12 of 30 days unused",
            ],
            id="with a notice",
        ),
        pytest.param(
            [cycle("year", "2026-01-01", "2027-01-01", "360.00"), cancelled("2026-12-31")],
            {"proration.basis": "thirty_days"},
            [
                "a month counts as 30 days, and the cycle's 365 days as 360",
                "cancelled on 2026-12-31 (UTC), effective on 2027-01-01",
                "first unused day 2026-12-31: 1 of 365 days unused",
            ],
            id="thirty days a month, and what becomes of a year",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"proration.basis": "thirty_days"},
            [CANCELLED, "first unused day 2026-04-16: 15 of 30 days unused"],
            id="thirty days a month, in a month of as many",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16T12")],
            {"cancellation.notice_days": 1} | EXACT,
            [
                CANCELLED,
                "first unused day 2026-04-17, after a notice of 1 day: 336 h of 720 h",
            ],
            id="the exact time after a notice",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16T12")],
            EXACT,
            [
                CANCELLED,
                "unused from 2026-04-16T12:00:00Z on: 348 h of 720 h",
            ],
            id="the exact time from the request on",
        ),
        pytest.param(
            [cycle(price="31.00"), confirmed("1.00"), cancelled("2026-04-16")],
            {},
            [
                "net price 30.00: 31.00 less 1.00 of overcharge",
                CANCELLED,
                "first unused day 2026-04-16: 15 of 30 days unused",
            ],
            id="of the net price, and where that comes from",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16", keep_service=True)],
            {"cancellation.notice_days": 3},
            [
                "cancelled on 2026-04-16 (UTC), effective on 2026-05-01, the service being kept until then",
                "first unused day 2026-05-01: 0 of 30 days unused",
            ],
            id="the service kept, for which there is no notice",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.notice_days": 3, "cancellation.unused_period": "from_effective"},
            [CANCELLED, "first unused day 2026-05-01: 0 of 30 days unused"],
            id="from_effective, for which there is no notice",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16"), withdrawn("2026-04-17")],
            {},
            ["cancelled on 2026-04-16 (UTC), effective on 2026-05-01, taken back"],
            id="withdrawn",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16"), withdrawn("2026-04-17"), terminated("2026-04-20")],
            {},
            [
                f"{CANCELLED}, taken back",
                "terminated for misuse at 2026-04-20T00:00:00Z",
                "terminated for a violation: nothing is refunded",
            ],
            id="withdrawn, then terminated",
        ),
        pytest.param(
            [cycle(prepaid=False), cancelled("2026-04-16")],
            {},
            [CANCELLED, "the cycle was not prepaid"],
            id="not prepaid",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.unused_period": "none"},
            [CANCELLED, "the agreement returns no unused period"],
            id="terms",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.minimum_term_days": 20},
            [
                CANCELLED,
                "the minimum term of 20 days is served on 2026-04-21, 5 days after the request",
            ],
            id="minimum term: by how much",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.minimum_term_days": 16},
            [
                CANCELLED,
                "the minimum term of 16 days is served on 2026-04-17, 1 day after the request",
            ],
            id="minimum term: a day too early",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-10T12"), cancelled("2026-04-16")],
            {},
            [
                CANCELLED,
                "suspended since 2026-04-10T12:00:00Z when it was cancelled: nothing is refunded",
            ],
            id="suspended",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-16"), cancelled("2026-04-16")],
            {},
            [
                CANCELLED,
                "suspended since 2026-04-16T00:00:00Z when it was cancelled: nothing is refunded",
            ],
            id="suspended at that very instant",
        ),
        pytest.param(
            [
                APRIL,
                suspended("2026-04-10"),
                cancelled("2026-04-16"),
                withdrawn("2026-04-17"),
                terminated("2026-04-20"),
            ],
            {},
            [
                f"{CANCELLED}, taken back",
                "terminated for misuse at 2026-04-20T00:00:00Z",
                "terminated for a violation: nothing is refunded",
            ],
            id="cancelled while suspended, which was taken back, then terminated",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16"), terminated("2026-04-20")],
            {"cancellation.unused_period": "none"},
            [CANCELLED, "the agreement returns no unused period"],
            id="terminated after it was cancelled, which changes nothing",
        ),
        pytest.param(
            [
                APRIL,
                suspended("2026-04-10"),
                terminated("2026-04-15"),
                reinstated("2026-04-16"),
                cancelled("2026-04-16"),
            ],
            {},
            [
                CANCELLED,
                "terminated for misuse at 2026-04-15T00:00:00Z",
                "terminated for a violation: nothing is refunded",
            ],
            id="not suspended any more, but terminated",
        ),
        pytest.param(
            [APRIL, suspended("2026-04-01"), reinstated("2026-04-02"), terminated("2026-04-16T12", "non_payment")],
            {},
            [
                "terminated for non_payment at 2026-04-16T12:00:00Z",
                "terminated for a violation: nothing is refunded",
            ],
            id="terminated",
        ),
        pytest.param(
            [
                APRIL,
                suspended("2026-04-01"),
                reinstated("2026-04-02"),
                terminated("2026-04-16"),
                cancelled("2026-04-17"),
            ],
            {},
            [
                "cancelled on 2026-04-17 (UTC), effective on 2026-05-01",
                "terminated for misuse at 2026-04-16T00:00:00Z",
                "terminated for a violation: nothing is refunded",
            ],
            id="cancelled after it was terminated",
        ),
        pytest.param(
            [MARCH, outage("2026-03-01", "2026-03-16"), cancelled("2026-03-16")],
            {},
            [
                "cancelled on 2026-03-16 (UTC), effective on 2026-04-01",
                "first unused day 2026-03-16: 16 of 31 days unused",
                "the disruption comes first, and takes 15.50 of the charge",
                (
                    "tax on all that is granted of the charge: 5.89 × 31.00 ÷ 31.00 = 5.89; "
                    "less 2.95 returned before = 2.94"
                ),
            ],
            id="capped by what is left, and the tax that is left",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-28")],
            {"cancellation.fee.EUR": "5.00"},
            [
                "cancelled on 2026-04-28 (UTC), effective on 2026-05-01",
                "first unused day 2026-04-28: 3 of 30 days unused",
                "3.00 of the cancellation's fee of 5.00, which is taken once",
            ],
            id="a fee that is more than the amount",
        ),
        pytest.param(
            [APRIL, cancelled("2026-04-16")],
            {"cancellation.fee.EUR": "5.00"},
            [CANCELLED, "first unused day 2026-04-16: 15 of 30 days unused"],
            id="a whole fee, which the formula shows",
        ),
    ],
)
def test_an_unused_part_says_what_ended_the_service_and_which_condition_decided(
    facts: list, terms: Terms, lines: list[str]
) -> None:
    case = Case([agreement(terms)]).hear(account(), subscription(), *facts)
    [claim_id] = [name for name in case.billing.claims if name.startswith("unused/")]
    assert list(case.working(claim_id).lines) == lines


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        pytest.param(
            [cycle(tax="5.70"), dispute(), confirmed("10.00")],
            [
                "confirmed 10.00 fits into what is left of the charge: 30.00 − 0.00 = 30.00",
                "tax on all that is granted of the charge: 5.70 × 10.00 ÷ 30.00 = 1.90",
            ],
            id="confirmed",
        ),
        pytest.param(
            [cycle(tax="0.05"), confirmed("10.00", "other"), dispute(), confirmed("10.00")],
            [
                "confirmed 10.00 fits into what is left of the charge: 30.00 − 10.00 = 20.00",
                (
                    "tax on all that is granted of the charge: 0.05 × 20.00 ÷ 30.00 = 0.033…, rounded to 0.03; "
                    "less 0.02 returned before = 0.01"
                ),
            ],
            id="the second on its charge",
        ),
        pytest.param(
            [charge("april", "30.00"), confirmed("10.00")],
            [
                "nobody reported it: the provider's own finding",
                "confirmed 10.00 fits into what is left of the charge: 30.00 − 0.00 = 30.00",
            ],
            id="the provider's own finding, of a charge without tax",
        ),
        pytest.param(
            [cycle(tax="5.70"), confirmed("20.00", "other"), dispute(), confirmed("10.01")],
            ["confirmed 10.01 exceeds by 0.01 what is left of the charge: 30.00 − 20.00 = 10.00"],
            id="more than is left: by how much",
        ),
        pytest.param(
            [APRIL, dispute(), rejected()],
            ["the investigator rejected it; their words are in the vault"],
            id="rejected",
        ),
        pytest.param([APRIL, dispute()], ["under investigation"], id="under investigation"),
        pytest.param(
            [dispute(), confirmed("1.00")], ["charge april is not known yet"], id="the charge is not known yet"
        ),
        pytest.param(
            [dispute(charge_id="x"), rejected(charge_id="x")],
            ["the investigator rejected it; their words are in the vault"],
            id="rejected before the charge is known",
        ),
    ],
)
def test_a_dispute_says_what_became_of_it(facts: list, lines: list[str]) -> None:
    case = Case([agreement()]).hear(account(), subscription(), *facts)
    assert list(case.working("billing-error/dispute").lines) == lines


def test_a_confirmation_that_waits_for_an_agreement_has_no_formula() -> None:
    case = Case([agreement()]).hear(account(), subscription(agreement="unheard-of"), APRIL, confirmed("6.00"))
    working = case.working("billing-error/dispute")
    assert working.formula is None
    assert working.lines[-1] == "no agreement is bound yet"
    assert [fact.data.message.id for fact in working.facts] == ["m-0004", "m-0003"]


def test_other_rows_that_wait_for_an_agreement_say_so() -> None:
    case = Case([agreement()]).hear(account(), subscription(agreement="unheard-of"), APRIL)
    case.hear(outage("2026-04-10", "2026-04-12"), cancelled("2026-04-16"))
    for claim_id in ("disruption/april", "unused/april"):
        working = case.working(claim_id)
        assert (working.formula, working.inputs, working.lines) == (None, {}, ("no agreement is bound yet",))
        assert [fact.data.message.id for fact in working.facts] == ["m-0003", "m-0002"]


def test_a_disruption_that_is_pending_has_no_formula_yet() -> None:
    case = Case([agreement()], now="2026-04-20T00:00:00Z").hear(account(), subscription(), cycle(price="0.00"))
    case.hear(outage("2026-04-10", "2026-04-12"), reported("out", "2026-04-15"))
    assert case.recorded() == {"disruption/april": "pending"}
    assert case.working("disruption/april").formula is None


def test_the_tax_of_a_disruption_says_how_it_was_reckoned() -> None:
    case = row("", MARCH, outage("2026-03-10", "2026-03-12"), gives={}).case()
    assert case.working("disruption/march").lines[-1] == (
        "tax on all that is granted of the charge: 5.89 × 2.07 ÷ 31.00 = 0.3933, rounded to 0.39"
    )


def test_the_inputs_are_what_went_into_the_formula() -> None:
    case = row(
        "",
        cycle(price="31.00", tax="1.00"),
        confirmed("1.00"),
        outage("2026-04-10T00", "2026-04-11T12:30"),
        cancelled("2026-04-16"),
        terms={"cancellation.fee.EUR": "5.00", "proration.rounding": "half_even"},
        gives={},
    ).case()
    assert case.working("billing-error/dispute").inputs == {"price": "31.00", "tax": "1.00"}
    assert case.working("disruption/april").inputs == {
        "net_price": "30.00",
        "credited_time": "36 h 30 min",
        "credited_days": "2",
        "cycle_days": "30",
        "basis": "actual_days",
        "rounding": "half_even",
    }
    assert case.working("unused/april").inputs == {
        "net_price": "30.00",
        "unused_days": "15",
        "cycle_days": "30",
        "fee": "5.00",
        "basis": "actual_days",
        "rounding": "half_even",
    }


def test_the_inputs_of_what_is_declined_before_any_amount() -> None:
    case = row("", APRIL, terminated("2026-04-16"), gives={}).case()
    assert case.working("unused/april").inputs == {
        "net_price": "30.00",
        "unused_days": "0",
        "cycle_days": "30",
        "fee": "0.00",
        "basis": "actual_days",
        "rounding": "half_up",
    }


# --- the facts that it rests on -----------------------------------------------------------------------------------


def lasted(name: str, began_at: str, resolved_at: str | None = None, **other: object) -> list[Said]:
    began, *ended = outage(began_at, resolved_at, name, **other)
    return [began.at(id=f"{name}-began"), *(said.at(id=f"{name}-ended") for said in ended)]


NEXT = cycle("may", "2026-05-01", "2026-05-31").at(id="may")
FREE = cycle("june", "2026-05-31", "2026-06-30", "0.00").at(id="june")
CUT_SHORT = [APRIL.at(id="april"), cancelled("2026-04-16").at(id="request")]
CRASH = lasted("crash", "2026-04-10", "2026-04-12")
FEE = {"cancellation.fee.EUR": "20.00"}


@pytest.mark.parametrize(
    ("facts", "terms", "claim_id", "used"),
    [
        pytest.param(
            [APRIL.at(id="april"), dispute().at(id="report"), confirmed("1.00").at(id="verdict")],
            {},
            "billing-error/dispute",
            "report verdict april",
            id="an overcharge: the report, the verdict and the charge",
        ),
        pytest.param(
            [charge().at(id="headset"), confirmed("1.00", "dispute", "headset").at(id="verdict")],
            {},
            "billing-error/dispute",
            "verdict headset",
            id="the provider's own finding on a one-off charge",
        ),
        pytest.param(
            [
                APRIL.at(id="april"),
                confirmed("29.00", "one").at(id="first"),
                confirmed("9.00", "two").at(id="too-much"),
                confirmed("1.00").at(id="third"),
                confirmed("0.01", "four").at(id="after-it"),
            ],
            {},
            "billing-error/dispute",
            "third april first",
            id="an overcharge: those granted before it, which say what was left",
        ),
        pytest.param(
            [APRIL.at(id="april"), *CRASH, confirmed("1.00").at(id="granted"), confirmed("99.00", "x").at(id="not")],
            {},
            "disruption/april",
            "april granted crash-began crash-ended agreement",
            id="a disruption: the net price, and the outage",
        ),
        pytest.param(
            [
                APRIL.at(id="april"),
                *lasted("before", "2026-03-20", "2026-03-22"),
                *lasted("minor", "2026-04-20", "2026-04-21", severity="minor"),
                *lasted("touching", "2026-03-30", "2026-04-01"),
                *CRASH,
                *lasted("within", "2026-04-01", "2026-04-01T10"),
                *lasted("far", "2026-05-20", "2026-05-21"),
            ],
            {},
            "disruption/april",
            "april touching-began touching-ended within-began within-ended crash-began crash-ended minor-began "
            "minor-ended agreement",
            id="all outages of the cycle, and what they merge with beyond it",
        ),
        pytest.param(
            [
                APRIL.at(id="april"),
                reopened("crash").at("2026-01-02T00:00:00Z", id="reopened"),
                *CRASH,
                resolved("crash", "2026-04-13").at("2026-01-03T00:00:00Z", id="ended-later"),
            ],
            {},
            "disruption/april",
            "april crash-began ended-later agreement",
            id="of what ended an outage only what holds",
        ),
        pytest.param(
            [APRIL.at(id="april"), NEXT, *lasted("o", "2026-04-10")],
            {},
            "disruption/april",
            "april o-began may agreement",
            id="an outage that goes on: the cycle to whose end it counts",
        ),
        pytest.param(
            [
                APRIL.at(id="april"),
                *CRASH,
                suspended("2026-04-01").at(id="suspended-before"),
                reinstated("2026-04-02").at(id="reinstated-before"),
                suspended("2026-04-09").at(id="suspended"),
                suspended("2026-04-10").at(id="suspended-again"),
                reinstated("2026-04-11").at(id="reinstated"),
                suspended("2026-04-11T12").at(id="suspended-within"),
                reinstated("2026-04-12").at(id="reinstated-after"),
                terminated("2026-04-12").at(id="terminated-after"),
            ],
            {},
            "disruption/april",
            "april crash-began crash-ended suspended reinstated suspended-within agreement",
            id="of suspensions only those that took time off, and their end only where it came within",
        ),
        pytest.param(
            [
                APRIL.at(id="april"),
                *CRASH,
                terminated("2026-04-11T12").at(id="later"),
                terminated("2026-04-11").at(id="terminated"),
            ],
            {},
            "disruption/april",
            "april crash-began crash-ended terminated agreement",
            id="a termination that took time off: the one that holds",
        ),
        pytest.param(
            [*CUT_SHORT, withdrawn("2026-04-17").at(id="withdrawal"), *CRASH],
            {},
            "disruption/april",
            "april crash-began crash-ended agreement",
            id="a cancellation that leaves no time out of a disruption is not used for it",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                cancelled("2026-04-05").at(id="taken-back"),
                withdrawn("2026-04-06").at(id="withdrawal"),
                withdrawn("2026-04-07").at(id="withdrawal-again"),
                cancelled("2026-04-20").at(id="again"),
                withdrawn("2026-04-04").at(id="too-early"),
                *CRASH,
            ],
            {},
            "disruption/april",
            "april crash-began crash-ended taken-back withdrawal request agreement",
            id="one that does: which request counts, and why",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                cancelled("2026-04-20").at(id="again"),
                NEXT,
            ],
            {},
            "unused/may",
            "may request april agreement",
            id="an unused part: the request, and the cycle that it runs to the end of",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                cancelled("2026-04-17").at(id="again"),
                withdrawn("2026-04-18").at(id="withdrawal"),
                terminated("2026-05-01").at(id="terminated"),
            ],
            {},
            "unused/april",
            "april request withdrawal again agreement",
            id="taken back: every request, and what took it back",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                suspended("2026-04-01").at(id="long-ago"),
                reinstated("2026-04-02").at(id="over"),
                suspended("2026-04-10").at(id="suspended"),
                terminated("2026-04-20").at(id="terminated"),
            ],
            {"cancellation.minimum_term_days": 20},
            "unused/april",
            "april request suspended agreement",
            id="cancelled while suspended",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                suspended("2026-04-10").at(id="suspended"),
                reinstated("2026-04-12").at(id="reinstated"),
                terminated("2026-04-13").at(id="terminated"),
            ],
            {},
            "unused/april",
            "april request terminated agreement",
            id="cancelled after the termination",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                suspended("2026-04-10").at(id="suspended"),
                reinstated("2026-04-12").at(id="reinstated"),
                suspended("2026-04-20").at(id="later"),
                terminated("2026-04-21").at(id="terminated"),
                cycle("march", "2026-03-01", "2026-04-01", "31.00").at(id="march"),
            ],
            {"cancellation.minimum_term_days": 20},
            "unused/april",
            "april request suspended reinstated march agreement",
            id="nothing spoke against it: the suspension was over, the minimum term served",
        ),
        pytest.param(
            [*CUT_SHORT, cycle("march", "2026-03-01", "2026-04-01", "31.00").at(id="march")],
            {"cancellation.minimum_term_days": 20, "cancellation.unused_period": "none"},
            "unused/april",
            "april request agreement",
            id="the terms decide before any minimum term",
        ),
        pytest.param(
            [
                cycle(prepaid=False).at(id="april"),
                suspended("2026-04-10").at(id="suspended"),
                cancelled("2026-04-16").at(id="request"),
            ],
            {},
            "unused/april",
            "april request agreement",
            id="not prepaid, whatever else was the matter",
        ),
        pytest.param(
            [*CUT_SHORT, *CRASH],
            {},
            "unused/april",
            "april request agreement",
            id="a disruption that left enough, of a charge without tax, is not used for the unused part",
        ),
        pytest.param(
            [cycle(tax="5.70").at(id="april"), *CRASH, cancelled("2026-04-16").at(id="request")],
            {},
            "unused/april",
            "april crash-began crash-ended request agreement",
            id="one whose tax came back before is",
        ),
        pytest.param(
            [
                MARCH.at(id="march"),
                *lasted("o", "2026-03-01", "2026-03-16"),
                cancelled("2026-03-16").at(id="request"),
            ],
            {"cancellation.fee.EUR": "15.50"},
            "unused/march",
            "march o-began o-ended request agreement",
            id="one that left less than is unused is",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                NEXT,
                confirmed("3.00").at(id="overcharge"),
                FREE,
            ],
            FEE,
            "unused/may",
            "may request april overcharge agreement",
            id="a fee: the cycles that bore of it before, which say what was left of it",
        ),
        pytest.param(
            [
                *CUT_SHORT,
                FREE,
                confirmed("3.00").at(id="x"),
            ],
            FEE,
            "unused/june",
            "june request april agreement",
            id="nothing is left to bear any fee: it rests on no other cycle's amount",
        ),
    ],
)
def test_the_facts_are_those_that_it_rests_on(facts: list[Said], terms: Terms, claim_id: str, used: str) -> None:
    case = Case([agreement(terms)]).hear(account(), subscription(), facts)
    found = [f.data.message.id if hasattr(f.data, "message") else "agreement" for f in case.working(claim_id).facts]
    assert found == used.split()


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(0), "0 h"),
        (timedelta(hours=72), "72 h"),
        (timedelta(days=40), "960 h"),
        (timedelta(hours=36, minutes=30), "36 h 30 min"),
        (timedelta(hours=36, minutes=5), "36 h 05 min"),
        (timedelta(minutes=59), "0 h 59 min"),
        (timedelta(hours=70, minutes=1), "70 h 01 min"),
        (timedelta(hours=72, seconds=1), "72 h 00 min 01 s"),
        (timedelta(hours=1, minutes=2, seconds=30), "1 h 02 min 30 s"),
        (timedelta(hours=72, microseconds=250_000), "72 h 00 min 00.25 s"),
        (timedelta(microseconds=1), "0 h 00 min 00.000001 s"),
    ],
)
def test_a_duration_is_spelled_as_people_read_it(time: timedelta, text: str) -> None:
    assert spelled(time) == text


@pytest.mark.parametrize(
    ("exact", "amount", "text"),
    [
        (Fraction(3), "3.00", "x = 3.00"),
        (Fraction(0), "0", "x = 0"),
        (Fraction(1, 8), "0.13", "x = 0.125, rounded half up to 0.13"),
        (Fraction(1, 16), "0.06", "x = 0.0625, rounded to 0.06"),
        (Fraction(1, 32), "0.03", "x = 0.03125, rounded to 0.03"),
        (Fraction(1, 64), "0.02", "x = 0.015…, rounded to 0.02"),
        (Fraction(2, 3), "0.67", "x = 0.666…, rounded to 0.67"),
        (Fraction(1, 3000), "0.00", "x = 0.000…, rounded to 0.00"),
        (Fraction(5, 2), "3", "x = 2.5, rounded half up to 3"),
        (Fraction(1000, 3), "333", "x = 333.3…, rounded to 333"),
        (Fraction(1, 3), "0.333", "x = 0.3333…, rounded to 0.333"),
    ],
)
def test_an_exact_share_is_shown_with_one_decimal_more_than_its_amount(
    exact: Fraction, amount: str, text: str
) -> None:
    assert Share(exact, "x").reckoned(Decimal(amount), "half_up") == text
