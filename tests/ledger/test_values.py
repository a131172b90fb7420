"""Money, time and periods, in tables that can be checked by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import ChargePosted, Message
from ledger.policy.facts.charge import Charge, one_off
from ledger.policy.tax import TaxInStep
from ledger.values import (
    CURRENCY_SCALES,
    Period,
    Rounding,
    amount_from_text,
    date_from_text,
    in_proportion,
    inside,
    instant_from_text,
    instant_to_text,
    is_identifier,
    is_time_zone,
    local_date,
    merged,
    midnight,
    ratio,
    rounded,
    subtracted,
    time_zone,
    total,
    unit,
    zero,
)

# --- money ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exact", "currency", "half_up", "half_even"),
    [
        # a third is never in the middle
        ("1/3", "EUR", "0.33", "0.33"),
        ("2/3", "EUR", "0.67", "0.67"),
        ("2/3", "JPY", "1", "1"),
        ("2/3", "KWD", "0.667", "0.667"),
        ("2/3", "CLF", "0.6667", "0.6667"),
        # ties: up, or to the even neighbour
        ("1/200", "EUR", "0.01", "0.00"),
        ("3/200", "EUR", "0.02", "0.02"),
        ("5/200", "EUR", "0.03", "0.02"),
        ("1/2", "JPY", "1", "0"),
        ("3/2", "JPY", "2", "2"),
        ("5/2", "JPY", "3", "2"),
        ("1/2000", "KWD", "0.001", "0.000"),
        # just beside a tie there is none
        ("4999999999/1000000000000", "EUR", "0.00", "0.00"),
        ("5000000001/1000000000000", "EUR", "0.01", "0.01"),
        # nothing, and whole amounts, stay as they are
        ("0", "EUR", "0.00", "0.00"),
        ("0", "JPY", "0", "0"),
        ("1234567.89", "EUR", "1234567.89", "1234567.89"),
        ("999999999999999", "JPY", "999999999999999", "999999999999999"),
        # carried over into the next unit
        ("0.995", "EUR", "1.00", "1.00"),
        ("9.9999", "EUR", "10.00", "10.00"),
    ],
)
def test_an_exact_amount_is_rounded_once(exact: str, currency: str, half_up: str, half_even: str) -> None:
    assert str(rounded(Fraction(exact), currency, "half_up")) == half_up
    assert str(rounded(Fraction(exact), currency, "half_even")) == half_even


_AMOUNTS = st.decimals(min_value=-(10**15), max_value=10**15, places=4)
_CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])
_ROUNDINGS = st.sampled_from(get_args(Rounding))


@given(_AMOUNTS, _AMOUNTS, _AMOUNTS, _CURRENCIES, _ROUNDINGS)
def test_a_proportion_in_whole_numbers_is_the_rounded_ratio(
    amount: Decimal, part: Decimal, whole: Decimal, currency: str, rounding: Rounding
) -> None:
    exact = ratio(Fraction(amount) * Fraction(part), whole)
    plainly = rounded(abs(exact), currency, rounding)
    assert str(in_proportion(amount, part, whole, currency, rounding)) == str(plainly if exact >= 0 else -plainly)


def test_nothing_below_zero_is_rounded() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        rounded(Fraction(-1, 1000), "EUR", "half_up")


@given(
    exact=st.fractions(min_value=0, max_value=10**9),
    currency=st.sampled_from(["JPY", "EUR", "KWD", "CLF"]),
    rounding=st.sampled_from(["half_up", "half_even"]),
)
def test_rounding_moves_by_half_a_unit_at_most_and_keeps_the_scale(
    exact: Fraction, currency: str, rounding: Rounding
) -> None:
    amount = rounded(exact, currency, rounding)
    assert abs(Fraction(amount) - exact) <= Fraction(unit(currency)) / 2
    assert -amount.as_tuple().exponent == CURRENCY_SCALES[currency]  # type: ignore[operator]
    if rounding == "half_even" and abs(Fraction(amount) - exact) == Fraction(unit(currency)) / 2:
        assert amount / unit(currency) % 2 == 0


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("29.9", "EUR", "29.90"),
        ("29.95", "EUR", "29.95"),
        ("0", "EUR", "0.00"),
        ("0.00", "EUR", "0.00"),
        ("7", "KWD", "7.000"),
        ("1980", "JPY", "1980"),
        ("999999999999999.99", "EUR", "999999999999999.99"),
        ("1.2345", "UYW", "1.2345"),
    ],
)
def test_an_amount_is_read_at_its_currencys_scale(text: str, currency: str, amount: str) -> None:
    assert str(amount_from_text(text, currency)) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("-1.00", "EUR"),
        ("+1.00", "EUR"),
        ("1e2", "EUR"),
        ("1,000.00", "EUR"),
        ("1 000", "EUR"),
        ("01.00", "EUR"),
        (".50", "EUR"),
        ("1.", "EUR"),
        ("", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1.005", "EUR"),
        ("1.000", "EUR"),
        ("1.0", "JPY"),
        ("0.0001", "KWD"),
        ("1.00\n", "EUR"),
        ("١.٠٠", "EUR"),
        ("1000000000000000", "EUR"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError):
        amount_from_text(text, currency)


def test_currencies_have_their_scales() -> None:
    assert {code: CURRENCY_SCALES[code] for code in ("JPY", "KRW", "EUR", "USD", "HUF", "KWD", "TND", "CLF")} == {
        "JPY": 0,
        "KRW": 0,
        "EUR": 2,
        "USD": 2,
        "HUF": 2,
        "KWD": 3,
        "TND": 3,
        "CLF": 4,
    }
    assert not {"XAU", "XXX", "XTS", "eur", ""} & CURRENCY_SCALES.keys()
    assert (str(zero("EUR")), str(zero("JPY")), str(unit("KWD"))) == ("0.00", "0", "0.001")


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [(Decimal("10.00"), 4, Fraction(5, 2)), (1, Decimal("0.00"), Fraction(0)), (0, 7, Fraction(0))],
)
def test_a_ratio_over_nothing_is_nothing(dividend: Decimal, divisor: Decimal, quotient: Fraction) -> None:
    assert ratio(dividend, divisor) == quotient


@pytest.mark.parametrize(
    ("price", "tax", "rounding", "grants", "returned"),
    [
        # 19 % of 10.00: a third of the price three times gives 0.63, 0.64, 0.63 and all of the tax together
        ("10.00", "1.90", "half_up", ["3.33", "3.33", "3.34"], ["0.63", "0.64", "0.63"]),
        # the smallest grants take nothing, nothing, then a cent
        ("10.00", "1.90", "half_up", ["0.01", "0.01", "0.01"], ["0.00", "0.00", "0.01"]),
        # 0.5 of a cent: up, or to the even one
        ("10.00", "5.00", "half_up", ["0.01", "0.01", "0.01"], ["0.01", "0.00", "0.01"]),
        ("10.00", "5.00", "half_even", ["0.01", "0.01", "0.01"], ["0.00", "0.01", "0.01"]),
        ("10.00", "0.00", "half_up", ["5.00", "5.00"], ["0.00", "0.00"]),
        # a tax above the price, and a price of nothing
        ("0.01", "87.73", "half_up", ["0.01"], ["87.73"]),
        ("0.00", "5.00", "half_up", ["0.00"], ["0.00"]),
    ],
)
def test_tax_comes_back_in_step(
    price: str, tax: str, rounding: Rounding, grants: list[str], returned: list[str]
) -> None:
    steps = [TaxInStep(a_charge(price, tax), rounding)]
    for grant in grants:
        steps.append(steps[-1].grant(Decimal(grant)))
    assert [str(step.returned) for step in steps[1:]] == returned


@given(
    price=st.integers(1, 100_000),
    tax=st.integers(0, 100_000),
    cuts=st.lists(st.integers(0, 100_000), max_size=6),
    rounding=st.sampled_from(["half_up", "half_even"]),
)
def test_the_steps_of_tax_add_up_to_one_rounding_of_the_whole(
    price: int, tax: int, cuts: list[int], rounding: Rounding
) -> None:
    charge = a_charge(str(Decimal(price) / 100), str(Decimal(tax) / 100))
    step = TaxInStep(charge, rounding)
    returned = net = Decimal("0.00")
    for cut in sorted(min(cut, price) for cut in [*cuts, price]):
        step = step.grant(Decimal(cut) / 100 - net)
        returned += step.returned
        net = Decimal(cut) / 100
        assert returned == rounded(ratio(Fraction(charge.tax) * Fraction(net), charge.price), "EUR", rounding)
    assert returned == charge.tax, "who gets the whole price back gets the whole tax back"


def a_charge(price: str, tax: str) -> Charge:
    instant = datetime(2026, 3, 1, tzinfo=UTC)
    data = ChargePosted.Data(
        message=Message(source="/test", id="m", time=instant),
        charge_id="chg-1",
        subscription_id=None,
        price=amount_from_text(price, "EUR"),
        tax=amount_from_text(tax, "EUR"),
        currency="EUR",
        invoice_id="inv-1",
    )
    return one_off(
        ChargePosted(
            type=ChargePosted.stored_as,
            account="acct-1",
            stream="account/acct-1",
            stream_version=1,
            event_id="e",
            correlation_id="e",
            causation_id=None,
            actor="/test",
            channel="file",
            traceparent=None,
            occurred_at=instant,
            recorded_at=instant,
            previous=None,
            data=data,
        )
    )


# --- identifiers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "acct-1", "日本", "é", "😀", "a/b%2F", "x" * 128, "~!@#$^&*()"])
def test_these_are_identifiers(text: str) -> None:
    assert is_identifier(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "a\tb", "a\n", "\x00", "\u00a0", "\u200b", "x" * 129, "\ud800"])
def test_these_are_none(text: str) -> None:
    assert not is_identifier(text)


# --- instants and dates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("2026-03-01t10:30:00+01:00", "2026-03-01T09:30:00Z"),
        ("2026-03-01T09:30:00-00:00", "2026-03-01T09:30:00Z"),
        ("2026-03-01T09:30:00z", "2026-03-01T09:30:00Z"),
        ("2026-03-01T00:00:00+05:45", "2026-02-28T18:15:00Z"),
        ("2026-03-01T09:30:00.5Z", "2026-03-01T09:30:00.500000Z"),
        ("2026-03-01T09:30:00.123456789Z", "2026-03-01T09:30:00.123456Z"),
        ("2026-03-01T09:30:00.000000999Z", "2026-03-01T09:30:00Z"),
    ],
)
def test_an_instant_is_read_and_written_in_utc(text: str, utc: str) -> None:
    assert instant_to_text(instant_from_text(text)) == utc
    assert instant_from_text(utc) == instant_from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T09:30:00",
        "2026-03-01 09:30:00Z",
        "2026-03-01T09:30Z",
        "2026-02-30T09:30:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T09:30:60Z",
        "2026-03-01T09:30:00+24:00",
        "2026-03-01T09:30:00+0100",
        "1899-12-31T23:59:59Z",
        "9001-01-01T00:00:00Z",
        "2026-03-01T09:30:00Z\n",
        "２026-03-01T09:30:00Z",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        instant_from_text(text)


@pytest.mark.parametrize("text", ["2026-02-30", "2026-3-1", "20260301", "2026-W01-1", "1899-12-31", "9001-01-01", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        date_from_text(text)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (
            lambda: amount_from_text("-1", "EUR"),
            "an amount must be a string of digits in major units, such as '29.95', and never negative",
        ),
        (lambda: amount_from_text("1.5", "JPY"), "JPY has 0 decimals; this amount has 1"),
        (
            lambda: instant_from_text("2026-03-01"),
            (
                "an instant must be in RFC 3339 with an offset, such as '2026-03-01T09:30:00Z' "
                "or '2026-03-01T10:30:00+01:00'"
            ),
        ),
        (lambda: instant_from_text("1899-12-31T23:59:59Z"), "the year must be between 1900 and 9000"),
        (lambda: date_from_text("20260301"), "a date must have the form YYYY-MM-DD"),
        (lambda: date_from_text("9001-01-01"), "the year must be between 1900 and 9000"),
    ],
)
def test_what_is_refused_is_told_how_it_is_written(read: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError) as refused:
        read()
    assert str(refused.value) == says


def test_instants_are_utc_whatever_zone_the_machine_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert instant_from_text("2026-03-01T09:30:00Z").tzinfo is UTC
        assert instant_to_text(datetime.fromisoformat("2026-03-01T10:30:00+01:00")) == "2026-03-01T09:30:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_only_zones_of_iana_are_known() -> None:
    assert is_time_zone("Europe/Berlin")
    for name in ("Europe/Bonn", "europe/berlin", "../../etc/passwd", "", "CEST", "posix/Europe/Berlin"):
        assert not is_time_zone(name)
        with pytest.raises(ValueError, match="IANA"):
            time_zone(name)


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("2022-10-15T01:00:00Z", "America/Los_Angeles", "2022-10-14"),  # the policy's own example
        ("2022-10-15T07:00:00Z", "America/Los_Angeles", "2022-10-15"),
        ("2022-10-15T06:59:59.999999Z", "America/Los_Angeles", "2022-10-14"),
        ("2011-12-30T09:59:59.999999Z", "Pacific/Apia", "2011-12-29"),
        ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"),  # the 30th never was
        ("2013-11-03T04:59:59Z", "America/Havana", "2013-11-03"),
        ("2010-11-07T02:30:30Z", "America/St_Johns", "2010-11-07"),
        ("2010-11-07T02:31:00Z", "America/St_Johns", "2010-11-06"),  # a minute later it was the 6th again
        ("2026-03-01T18:15:00Z", "Asia/Kathmandu", "2026-03-02"),
    ],
)
def test_the_local_date_of_an_instant(instant: str, zone: str, day: str) -> None:
    assert local_date(instant_from_text(instant), zone).isoformat() == day


@pytest.mark.parametrize(
    ("day", "zone", "first_instant"),
    [
        ("2026-03-01", "UTC", "2026-03-01T00:00:00Z"),
        ("2026-03-01", "Europe/Berlin", "2026-02-28T23:00:00Z"),
        ("2026-04-01", "Europe/Berlin", "2026-03-31T22:00:00Z"),
        # the date that never was begins where the next one does
        ("2011-12-29", "Pacific/Apia", "2011-12-29T10:00:00Z"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2012-01-01", "Pacific/Apia", "2011-12-31T10:00:00Z"),
        # clocks went from 24:00 to 01:00: the date begins at one o'clock
        ("2012-10-21", "America/Sao_Paulo", "2012-10-21T03:00:00Z"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        # clocks went from 24:00 back to 23:00: the date begins at the second midnight
        ("2013-02-17", "America/Sao_Paulo", "2013-02-17T03:00:00Z"),
        # clocks went from 23:30 to 00:30: the gap began before midnight, and the date with its end
        ("1919-03-31", "America/Toronto", "1919-03-31T04:30:00Z"),
        ("1919-03-30", "America/Toronto", "1919-03-30T05:00:00Z"),
        # summer time of half an hour, at two in the morning
        ("2011-10-02", "Australia/Lord_Howe", "2011-10-01T13:30:00Z"),
        ("2011-10-03", "Australia/Lord_Howe", "2011-10-02T13:00:00Z"),
        ("2011-04-03", "Australia/Lord_Howe", "2011-04-02T13:00:00Z"),
        ("2011-04-04", "Australia/Lord_Howe", "2011-04-03T13:30:00Z"),
        # clocks went from 01:00 back to 00:00: midnight came twice, and the first one counts
        ("2013-11-03", "America/Havana", "2013-11-03T04:00:00Z"),
        ("2013-11-04", "America/Havana", "2013-11-04T05:00:00Z"),
        # a minute after midnight clocks went back to 23:01
        ("2010-11-07", "America/St_Johns", "2010-11-07T02:30:00Z"),
    ],
)
def test_a_date_begins_at_its_first_instant(day: str, zone: str, first_instant: str) -> None:
    assert instant_to_text(midnight(date.fromisoformat(day), zone)) == first_instant


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2011-10-02", "Australia/Lord_Howe", 23.5),
        ("2011-04-03", "Australia/Lord_Howe", 24.5),
        ("2012-10-21", "America/Sao_Paulo", 23),
        ("2013-02-16", "America/Sao_Paulo", 25),
        ("2013-11-03", "America/Havana", 25),
        ("2011-12-30", "Pacific/Apia", 0),
        ("2026-03-01", "Asia/Kathmandu", 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(day: str, zone: str, hours: float) -> None:
    begin = date.fromisoformat(day)
    lasted = midnight(begin + timedelta(days=1), zone) - midnight(begin, zone)
    assert lasted == timedelta(hours=hours)


@given(
    day=st.dates(date(1901, 1, 1), date(2100, 1, 1)),
    zone=st.sampled_from(
        ["Pacific/Apia", "America/Sao_Paulo", "America/Toronto", "Australia/Lord_Howe", "America/Havana", "Asia/Gaza"]
    ),
)
def test_nothing_of_a_date_lies_before_its_first_instant(day: date, zone: str) -> None:
    first = midnight(day, zone)
    assert local_date(first, zone) >= day
    assert local_date(first - timedelta(microseconds=1), zone) < day
    assert midnight(day + timedelta(days=1), zone) >= first


# --- periods ----------------------------------------------------------------------------------------------------

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = st.integers(0, 90)


def period(begin: int, end: int) -> Period:
    return Period(START + timedelta(minutes=begin), START + timedelta(minutes=end))


PERIODS = st.lists(st.builds(period, MINUTES, MINUTES), max_size=8)


def minutes(periods: list[Period]) -> set[int]:
    """The minutes that periods hold, one by one."""
    first = [(p.begin - START) // timedelta(minutes=1) for p in periods]
    last = [(p.end - START) // timedelta(minutes=1) for p in periods]
    return {minute for begin, end in zip(first, last, strict=True) for minute in range(begin, end)}


@given(PERIODS)
def test_a_union_holds_the_same_minutes_apart_and_in_order(periods: list[Period]) -> None:
    union = merged(periods)
    assert minutes(union) == minutes(periods)
    for one, next_ in pairwise(union):
        assert one.end < next_.begin, "what touches is one"
    assert all(p.begin < p.end for p in union)
    assert merged(union) == union
    assert merged(reversed(periods)) == union
    assert total(union) == timedelta(minutes=len(minutes(periods)))


@given(PERIODS, PERIODS)
def test_a_difference_holds_the_minutes_outside_the_holes(periods: list[Period], holes: list[Period]) -> None:
    union = merged(periods)
    left = subtracted(union, holes)
    assert minutes(left) == minutes(union) - minutes(holes)
    assert total(left) == timedelta(minutes=len(minutes(left)))
    assert subtracted(left, holes) == left
    assert subtracted(union, merged(holes)) == left


@given(PERIODS, st.builds(period, MINUTES, MINUTES))
def test_what_lies_in_a_window_are_the_minutes_of_both(periods: list[Period], window: Period) -> None:
    union = merged(periods)
    assert minutes(inside(union, window)) == minutes(union) & minutes([window])
    outside = subtracted(union, [window])
    assert total(inside(union, window)) + total(outside) == total(union)


@given(st.builds(period, MINUTES, MINUTES), st.builds(period, MINUTES, MINUTES))
def test_an_overlap_is_what_two_periods_share(one: Period, other: Period) -> None:
    shared = one.overlap(other)
    assert shared == other.overlap(one)
    assert minutes([shared] if shared else []) == minutes([one]) & minutes([other])
    assert one.elapsed == timedelta(minutes=len(minutes([one])))


def test_half_open_periods_that_touch_share_nothing_and_are_one_together() -> None:
    morning, evening = period(0, 30), period(30, 60)
    assert morning.overlap(evening) is None
    assert merged([evening, morning]) == [period(0, 60)]
    assert morning.hull(evening) == period(0, 60)
    assert subtracted([period(0, 60)], [period(30, 30)]) == [period(0, 60)], "nothing is no hole"
    assert subtracted([period(0, 60)], [period(0, 30)]) == [period(30, 60)], "no empty period before the hole"
    assert subtracted([period(0, 60)], [period(30, 60)]) == [period(0, 30)], "nor after it"


def test_elapsed_time_knows_no_clocks() -> None:
    """A night in which clocks go forward is an hour shorter; the outage in it is as long as it was."""
    night = Period(midnight(date(2026, 3, 29), "Europe/Berlin"), midnight(date(2026, 3, 30), "Europe/Berlin"))
    assert night.elapsed == timedelta(hours=23)
    assert Period(night.end, night.begin).elapsed == timedelta(0)
