"""§2 Time and money."""

import pytest

from tests.policy.case import Row, account, cancelled, charge, confirmed, cycle, outage, row, table

NO_FLOOR = {"disruption.floor": "none"}
EXACT = {"proration.basis": "exact_time", "disruption.floor": "none"}


@table(
    row(
        "a billing cycle is half-open: its last date is the one before ends_on",
        cycle(),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 1.00"},
    ),
    row(
        "its first date is starts_on",
        cycle(),
        cancelled("2026-04-01"),
        gives={"unused/april": "granted 30.00"},
    ),
    row(
        "d is counted in calendar days: the February of a leap year has 29",
        cycle("february", "2024-02-01", "2024-03-01", "29.00"),
        cancelled("2024-02-20"),
        gives={"unused/february": "granted 10.00"},
    ),
    row(
        "d counts a date that the zone skipped",
        # Apia had no 30 December 2011: 31 dates, of which three are left (29, 30, 31), though two days passed.
        cycle("december", "2011-12-01", "2012-01-01", "31.00"),
        cancelled("2011-12-29T12:00-10:00"),
        gives={"unused/december": "granted 3.00"},
        zone="Pacific/Apia",
    ),
    row(
        "where the elapsed time counts, a skipped date took none",
        # 30 days passed in the cycle's 31 dates; an outage of 3 days is a tenth.
        cycle("december", "2011-12-01", "2012-01-01", "31.00"),
        outage("2011-12-10T00:00-10:00", "2011-12-13T00:00-10:00"),
        terms=EXACT,
        gives={"disruption/december": "granted 3.10"},
        zone="Pacific/Apia",
    ),
    row(
        "a cycle ends at local midnight: an outage that begins there is of the next cycle",
        cycle(),
        cycle("may", "2026-05-01", "2026-06-01", "31.00"),
        outage("2026-05-01T00:00+02:00", "2026-05-02T00:00:01+02:00"),
        gives={"disruption/may": "granted 2.07"},
        zone="Europe/Berlin",
    ),
    row(
        "a cycle begins at local midnight: an outage that ends there is of the one before",
        cycle(),
        cycle("may", "2026-05-01", "2026-06-01", "31.00"),
        outage("2026-04-29T23:59:59+02:00", "2026-05-01T00:00+02:00"),
        gives={"disruption/april": "granted 2.00"},
        zone="Europe/Berlin",
    ),
    row(
        "midnight is the first instant of the date, one o'clock where the clock jumped over midnight",
        # São Paulo, 21 October 2012: 23:59:59 was followed by 01:00. 24 h and 1 s from there on.
        cycle("until", "2012-10-01", "2012-10-21", "20.00"),
        cycle("after", "2012-10-21", "2012-11-20", "30.00"),
        outage("2012-10-21T03:00Z", "2012-10-22T03:00:01Z"),
        gives={"disruption/after": "granted 2.00"},
        zone="America/Sao_Paulo",
    ),
    row(
        "midnight is the first instant of the date, the first of two where the clock went back over it",
        # Havana, 3 November 2013: at 01:00 it was 00:00 again.
        cycle("until", "2013-10-04", "2013-11-03", "30.00"),
        cycle("after", "2013-11-03", "2013-12-03", "30.00"),
        outage("2013-11-03T04:00Z", "2013-11-04T04:00:01Z"),
        gives={"disruption/after": "granted 2.00"},
        zone="America/Havana",
    ),
    row(
        "midnight is the first instant of the date, even where it was the day before again a minute later",
        # St. John's, 7 November 2010: at 00:01 it was 23:01 of the 6th again.
        cycle("until", "2010-10-08", "2010-11-07", "30.00"),
        cycle("after", "2010-11-07", "2010-12-07", "30.00"),
        outage("2010-11-07T02:30Z", "2010-11-08T02:30:01Z"),
        gives={"disruption/after": "granted 2.00"},
        zone="America/St_Johns",
    ),
    row(
        "midnight of a date that was skipped is the instant of the skip",
        # Apia went from 29 December 2011, 24:00 (10:00Z on the 30th) to the 31st.
        cycle("until", "2011-12-01", "2011-12-30", "29.00"),
        cycle("after", "2011-12-30", "2012-01-29", "30.00"),
        outage("2011-12-30T10:00Z", "2011-12-31T10:00:01Z"),
        gives={"disruption/after": "granted 2.00"},
        zone="Pacific/Apia",
    ),
    row(
        "a day of 23 hours is one day",
        # Berlin, 29 March 2026: the 29th, 30th and 31st are left.
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        cancelled("2026-03-29T12:00+02:00"),
        gives={"unused/march": "granted 3.00"},
        zone="Europe/Berlin",
    ),
    row(
        "a day of 25 hours is one day",
        cycle("october", "2026-10-01", "2026-11-01", "31.00"),
        cancelled("2026-10-25T12:00+01:00"),
        gives={"unused/october": "granted 7.00"},
        zone="Europe/Berlin",
    ),
    row(
        "a cycle with a day of 23 hours has that much less time",
        # 743 h: 743.00 is 1.00 an hour.
        cycle("march", "2026-03-01", "2026-04-01", "743.00"),
        outage("2026-03-10", "2026-03-11T06"),
        terms=EXACT,
        gives={"disruption/march": "granted 30.00"},
        zone="Europe/Berlin",
    ),
)
def test_a_cycle_is_a_range_of_local_dates(row: Row) -> None:
    row.holds()


@table(
    row(
        "a clock that goes forward adds no time to an outage",
        # From noon to half past noon of the next day by the clock, 23 h 30 min in fact.
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-28T12:00+01:00", "2026-03-29T12:30+02:00"),
        gives={"disruption/march": "declined: below_threshold"},
        zone="Europe/Berlin",
    ),
    row(
        "a clock that goes back removes none",
        # From noon to half past eleven of the next day by the clock, 24 h 30 min in fact.
        cycle("october", "2026-10-01", "2026-11-01", "30.00"),
        outage("2026-10-24T12:00+02:00", "2026-10-25T11:30+01:00"),
        gives={"disruption/october": "granted 2.00"},
        zone="Europe/Berlin",
    ),
    row(
        "how late a report is is elapsed time too",
        # 73 h by the clock, 72 h in fact.
        cycle("march", "2026-03-01", "2026-04-01", "31.00"),
        outage("2026-03-27T12:00+01:00", "2026-03-29T12:00+02:00", reported_at="2026-03-30T13:00+02:00"),
        gives={"disruption/march": "granted 2.07"},
        zone="Europe/Berlin",
    ),
)
def test_durations_are_elapsed_time(row: Row) -> None:
    row.holds()


@table(
    row(
        "2022-10-15T01:00Z is the 14th in Los Angeles",
        cycle("october", "2022-10-01", "2022-10-31", "30.00"),
        cancelled("2022-10-15T01:00Z"),
        gives={"unused/october": "granted 17.00"},
        zone="America/Los_Angeles",
    ),
    row(
        "in UTC it is the 15th",
        cycle("october", "2022-10-01", "2022-10-31", "30.00"),
        cancelled("2022-10-15T01:00Z"),
        gives={"unused/october": "granted 16.00"},
    ),
    row(
        "in Kathmandu, 5 h 45 min ahead, 18:15Z is the next day already",
        cycle("october", "2022-10-01", "2022-10-31", "30.00"),
        cancelled("2022-10-14T18:15Z"),
        gives={"unused/october": "granted 16.00"},
        zone="Asia/Kathmandu",
    ),
    row(
        "a microsecond earlier it is not",
        cycle("october", "2022-10-01", "2022-10-31", "30.00"),
        cancelled("2022-10-14T18:14:59.999999Z"),
        gives={"unused/october": "granted 17.00"},
        zone="Asia/Kathmandu",
    ),
)
def test_the_local_date_of_an_instant_is_taken_in_the_accounts_zone(row: Row) -> None:
    row.holds()


@table(
    row(
        "multiply first, divide last: 10.00 × 2 ÷ 30 = 0.6667, not 2 × 0.33",
        cycle(price="10.00"),
        cancelled("2026-04-29"),
        gives={"unused/april": "granted 0.67"},
    ),
    row(
        "round once: 10.00 × 30 ÷ 365 × 90 ÷ 30 = 2.4658, not 0.82 × 3",
        cycle("year", "2025-01-01", "2026-01-01", "10.00"),
        outage("2025-03-01", "2025-05-30"),
        gives={"disruption/year": "granted 2.47"},
    ),
    row(
        "half up: 3.75 ÷ 30 = 0.125",
        cycle(price="3.75"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 0.13"},
    ),
    row(
        "half_even if the agreement says so: 0.125 is 0.12",
        cycle(price="3.75"),
        cancelled("2026-04-30"),
        terms={"proration.rounding": "half_even"},
        gives={"unused/april": "granted 0.12"},
    ),
    row(
        "half_even goes up to an even cent: 11.25 ÷ 30 = 0.375",
        cycle(price="11.25"),
        cancelled("2026-04-30"),
        terms={"proration.rounding": "half_even"},
        gives={"unused/april": "granted 0.38"},
    ),
    row(
        "half_even rounds only halves so: 3.78 ÷ 30 = 0.126",
        cycle(price="3.78"),
        cancelled("2026-04-30"),
        terms={"proration.rounding": "half_even"},
        gives={"unused/april": "granted 0.13"},
    ),
    row(
        "less than a half is rounded down: 3.72 ÷ 30 = 0.124",
        cycle(price="3.72"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 0.12"},
    ),
    row(
        "half_even for a disruption too: 3.75 × 2 ÷ 60",
        cycle("two-months", "2025-07-01", "2025-08-30", "3.75"),
        outage("2025-07-10", "2025-07-12"),
        terms={"proration.rounding": "half_even", "disruption.floor": "none"},
        gives={"disruption/two-months": "granted 0.12"},
    ),
    row(
        "half_even for the tax too: 0.25 × 15.00 ÷ 30.00 = 0.125",
        cycle(tax="0.25"),
        cancelled("2026-04-16"),
        terms={"proration.rounding": "half_even"},
        gives={"unused/april": "granted 15.00 + 0.12"},
    ),
    row(
        "half up for the tax: 0.125 is 0.13",
        cycle(tax="0.25"),
        cancelled("2026-04-16"),
        gives={"unused/april": "granted 15.00 + 0.13"},
    ),
    row(
        "no float anywhere: 13 digits before the point and the last cent is right",
        cycle(price="1000000000000.10"),
        cancelled("2026-04-11"),
        gives={"unused/april": "granted 666666666666.73"},
    ),
)
def test_amounts_are_exact_and_rounded_once(row: Row) -> None:
    row.holds()


@table(
    row(
        "JPY has no decimals: 1000 × 10 ÷ 30 = 333.3",
        cycle(price="1000", currency="JPY"),
        cancelled("2026-04-21"),
        gives={"unused/april": "granted 333"},
        currency="JPY",
    ),
    row(
        "half a yen is rounded up: 75 ÷ 30 = 2.5",
        cycle(price="75", currency="JPY"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 3"},
        currency="JPY",
    ),
    row(
        "EUR has two: 10.00 ÷ 30 = 0.333",
        cycle(price="10.00"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 0.33"},
    ),
    row(
        "KWD has three: 10.000 ÷ 30 = 0.3333",
        cycle(price="10.000", currency="KWD"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 0.333"},
        currency="KWD",
    ),
    row(
        "CLF has four",
        cycle(price="10.0000", currency="CLF"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 0.3333"},
        currency="CLF",
    ),
    row(
        "an amount is shown at the currency's scale however it was written",
        cycle(price="30"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 1.00"},
    ),
    row(
        "tax has the currency's decimals too: 0.100 × 1 ÷ 30 = 0.0033",
        cycle(price="30.000", currency="KWD", tax="0.100"),
        cancelled("2026-04-30"),
        gives={"unused/april": "granted 1.000 + 0.003"},
        currency="KWD",
    ),
)
def test_amounts_have_their_currencys_decimals(row: Row) -> None:
    row.holds()


@table(
    row(
        "a charge is a cycle, its id the cycle's",
        cycle(tax="3.00"),
        confirmed("10.00", charge_id="april"),
        gives={"billing-error/dispute": "granted 10.00 + 1.00"},
    ),
    row(
        "or a one-off, its id the charge's",
        charge(price="15.00", tax="1.50"),
        confirmed("10.00", charge_id="headset"),
        gives={"billing-error/dispute": "granted 10.00 + 1.00"},
    ),
    row(
        "tax is 0 unless it is said",
        charge(price="15.00"),
        confirmed("10.00", charge_id="headset"),
        gives={"billing-error/dispute": "granted 10.00"},
    ),
    row(
        "pro-rata is of the net price, less the overcharges granted: (30.00 − 6.00) × 10 ÷ 30",
        cycle(),
        confirmed("6.00"),
        cancelled("2026-04-21"),
        gives={"billing-error/dispute": "granted 6.00", "unused/april": "granted 8.00"},
    ),
    row(
        "so is a disruption: (30.00 − 6.00) × 2 ÷ 30",
        cycle(),
        outage("2026-04-10", "2026-04-12"),
        confirmed("6.00"),
        gives={"billing-error/dispute": "granted 6.00", "disruption/april": "granted 1.60"},
    ),
    row(
        "less those of that charge only",
        cycle(),
        charge(),
        outage("2026-04-10", "2026-04-12"),
        confirmed("6.00", charge_id="headset"),
        gives={"billing-error/dispute": "granted 6.00", "disruption/april": "granted 2.00"},
    ),
    row(
        "less those granted, not those that were too much",
        cycle(),
        confirmed("6.00", "first"),
        confirmed("24.01", "second"),
        outage("2026-04-10", "2026-04-12"),
        gives={
            "billing-error/first": "granted 6.00",
            "billing-error/second": "declined: amount_exceeds_charge",
            "disruption/april": "granted 1.60",
        },
    ),
    row(
        "the unused part is of the net price, not of what disruption leaves: 30.00 × 10 ÷ 30",
        cycle(),
        outage("2026-04-10", "2026-04-12"),
        cancelled("2026-04-21"),
        gives={"disruption/april": "granted 2.00", "unused/april": "granted 10.00"},
    ),
)
def test_pro_rata_is_of_the_net_price(row: Row) -> None:
    row.holds()


@table(
    row(
        "after g was granted, the tax returned in total is round(tax × g ÷ price)",
        # 0.05 × 10 ÷ 30 = 0.017 → 0.02; × 20 ÷ 30 = 0.033 → 0.03; × 30 ÷ 30 = 0.05.
        cycle(tax="0.05"),
        confirmed("10.00", "first"),
        confirmed("10.00", "second"),
        confirmed("10.00", "third"),
        gives={
            "billing-error/first": "granted 10.00 + 0.02",
            "billing-error/second": "granted 10.00 + 0.01",
            "billing-error/third": "granted 10.00 + 0.02",
        },
    ),
    row(
        "each grant returns the difference to what was returned before: overcharge, disruption, unused part",
        # N = 28.00. 0.10 × 2.00 ÷ 30 = 0.007 → 0.01; disruption 28 × 2 ÷ 30 = 1.87, g = 3.87: 0.013 → 0.01;
        # unused 28 × 12 ÷ 30 = 11.20, g = 15.07: 0.0502 → 0.05.
        cycle(tax="0.10"),
        cancelled("2026-04-19"),
        outage("2026-04-10", "2026-04-12"),
        confirmed("2.00"),
        gives={
            "billing-error/dispute": "granted 2.00 + 0.01",
            "disruption/april": "granted 1.87",
            "unused/april": "granted 11.20 + 0.04",
        },
    ),
    row(
        "the parts never exceed the charge: all of the price returns all of the tax",
        cycle(price="0.03", tax="0.01"),
        confirmed("0.01", "first"),
        confirmed("0.01", "second"),
        confirmed("0.01", "third"),
        gives={
            "billing-error/first": "granted 0.01",
            "billing-error/second": "granted 0.01 + 0.01",
            "billing-error/third": "granted 0.01",
        },
    ),
    row(
        "the steps are taken in a fixed order, whatever came first: overcharges by time",
        cycle(tax="0.05"),
        confirmed("10.00", "came-first").at("2026-05-03T00:00:00Z"),
        confirmed("10.00", "came-second").at("2026-05-02T00:00:00Z"),
        gives={
            "billing-error/came-first": "granted 10.00 + 0.01",
            "billing-error/came-second": "granted 10.00 + 0.02",
        },
    ),
    row(
        "then id",
        cycle(tax="0.05"),
        confirmed("10.00", "came-first").at("2026-05-02T00:00:00Z", id="b"),
        confirmed("10.00", "came-second").at("2026-05-02T00:00:00Z", id="a"),
        gives={
            "billing-error/came-first": "granted 10.00 + 0.01",
            "billing-error/came-second": "granted 10.00 + 0.02",
        },
    ),
    row(
        "ids are compared by code point: Z before a",
        cycle(tax="0.05"),
        confirmed("10.00", "came-first").at("2026-05-02T00:00:00Z", id="a"),
        confirmed("10.00", "came-second").at("2026-05-02T00:00:00Z", id="Z"),
        gives={
            "billing-error/came-first": "granted 10.00 + 0.01",
            "billing-error/came-second": "granted 10.00 + 0.02",
        },
    ),
    row(
        "ids are compared as strings: 10 before 9",
        cycle(tax="0.05"),
        confirmed("10.00", "came-first").at("2026-05-02T00:00:00Z", id="9"),
        confirmed("10.00", "came-second").at("2026-05-02T00:00:00Z", id="10"),
        gives={
            "billing-error/came-first": "granted 10.00 + 0.01",
            "billing-error/came-second": "granted 10.00 + 0.02",
        },
    ),
    row(
        "then the sources",
        cycle(tax="0.05"),
        confirmed("10.00", "came-first").at("2026-05-02T00:00:00Z", id="a", source="/z"),
        confirmed("10.00", "came-second").at("2026-05-02T00:00:00Z", id="a", source="/a"),
        gives={
            "billing-error/came-first": "granted 10.00 + 0.01",
            "billing-error/came-second": "granted 10.00 + 0.02",
        },
    ),
    row(
        "a quotient whose divisor is 0 is 0: the tax of a charge without a price never returns",
        cycle(price="0.00", tax="1.00"),
        cancelled("2026-04-21"),
        gives={"unused/april": "declined: nothing_due"},
    ),
    row(
        "a charge without a subscription uses the agreement's defaults: half up, whatever ours says",
        charge(price="2.00", tax="0.25"),
        confirmed("1.00", charge_id="headset"),
        terms={"proration.rounding": "half_even"},
        gives={"billing-error/dispute": "granted 1.00 + 0.13"},
    ),
    row(
        "a one-off of a subscription uses that subscription's",
        charge(price="2.00", tax="0.25", subscription_id="sub"),
        confirmed("1.00", charge_id="headset"),
        terms={"proration.rounding": "half_even"},
        gives={"billing-error/dispute": "granted 1.00 + 0.12"},
    ),
)
def test_tax_comes_back_in_step(row: Row) -> None:
    row.holds()


# March has 31 days: a 30th of 31.00 for each day comes to more than the pro-rata part, so that all claims together
# would come to more than the price.
MARCH = cycle("march", "2026-03-01", "2026-04-01", "31.00", tax="3.10")


@table(
    row(
        "the net granted on one charge never exceeds its price: the unused part comes last",
        # 15 days of disruption by the floor: 15.50; 16 days unused would be 16.00.
        MARCH,
        outage("2026-03-01", "2026-03-16"),
        cancelled("2026-03-16"),
        gives={"disruption/march": "granted 15.50 + 1.55", "unused/march": "granted 15.50 + 1.55"},
    ),
    row(
        "disruption comes after overcharge",
        # N = 1.00; 31 days of disruption by the floor would be 1.03.
        MARCH,
        confirmed("30.00", charge_id="march"),
        outage("2026-03-01", "2026-04-01"),
        gives={"billing-error/dispute": "granted 30.00 + 3.00", "disruption/march": "granted 1.00 + 0.10"},
    ),
    row(
        "overcharge comes first",
        MARCH,
        outage("2026-03-01", "2026-03-16"),
        cancelled("2026-03-16"),
        confirmed("31.00", charge_id="march"),
        gives={
            "billing-error/dispute": "granted 31.00 + 3.10",
            "disruption/march": "declined: nothing_due",
            "unused/march": "declined: nothing_due",
        },
    ),
)
def test_no_charge_gives_back_more_than_its_price(row: Row) -> None:
    row.holds()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_nothing_is_assessed_before_the_accounts_zone_is_known(zone: str) -> None:
    """Facts wait for the registration; then all come out as if it had come first."""
    facts = (cycle(), cancelled("2026-04-20T22:30Z"))
    expected = {"Europe/Berlin": "granted 10.00", "UTC": "granted 11.00"}[zone]
    found = row("", *facts, gives={"unused/april": expected}, zone=zone)
    case = found.case()
    late = type(case)(case.agreements, case.now)
    for message in case.messages[1:]:
        late.take(message)
    assert late.recorded() == {}
    late.hear(account(zone).at(id="registered-last"))
    assert late.recorded() == found.gives
