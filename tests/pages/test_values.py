"""How amounts, instants and lists are written on pages."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from ledger.values import CURRENCY_SCALES
from makegood.pages.amounts import amount_by_code, amount_in_words, locale_of, number_in_words
from makegood.pages.charts import Bar, bars, line
from makegood.pages.instants import (
    age_in_words,
    date_in_words,
    instant_from_form,
    instant_in_words,
    month_in_words,
)

ENGLISH, GERMAN, ARABIC = Locale("en"), Locale("de"), Locale("ar")


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        ("1234.50", "EUR", ENGLISH, "€1,234.50"),
        ("1234.50", "EUR", GERMAN, "1.234,50 €"),
        ("-0.05", "EUR", GERMAN, "-0,05 €"),
        ("0.00", "USD", ENGLISH, "$0.00"),
        ("1200", "JPY", ENGLISH, "¥1,200"),
        ("1.250", "KWD", ENGLISH, "1.250 KWD"),
        # CLDR shows no digits of an Iraqi dinar, of which ISO 4217 has a thousand parts.
        ("0.500", "IQD", ENGLISH, "0.500 IQD"),
    ],
)
def test_customers_read_amounts_by_the_habits_of_their_language(
    amount: str, currency: str, locale: Locale, written: str
) -> None:
    assert amount_in_words(amount, currency, locale).replace("\xa0", " ") == written


def test_finance_reads_amounts_with_the_code_of_their_currency() -> None:
    assert amount_by_code("1234.50", "EUR", ENGLISH).replace("\xa0", " ") == "1,234.50 EUR"
    assert amount_by_code("-1234567", "JPY", ENGLISH).replace("\xa0", " ") == "-1,234,567 JPY"


@given(
    minor=st.integers(-(10**15), 10**15),
    currency=st.sampled_from(sorted(CURRENCY_SCALES)),
    locale=st.sampled_from((ENGLISH, GERMAN, Locale("fr"), Locale("he"))),
)
def test_no_language_rounds_an_amount_or_hides_a_digit(minor: int, currency: str, locale: Locale) -> None:
    scale = CURRENCY_SCALES[currency]
    amount = f"{Decimal(minor).scaleb(-scale):f}"
    for write in (amount_by_code, amount_in_words):
        written = write(amount, currency, locale)
        assert re.sub(r"\D", "", written) == re.sub(r"\D", "", amount)
        assert ("-" in written or "\u2212" in written) == (minor < 0)


def test_a_locale_that_nobody_knows_is_english() -> None:
    assert [locale_of(name).language for name in ("de-DE", "de_AT", "xx-YY", "", None, "!")] == [
        "de",
        "de",
        "en",
        "en",
        "en",
        "en",
    ]


def test_an_instant_is_written_in_its_zone_with_the_offset() -> None:
    assert instant_in_words("2026-04-24T12:05:00Z", "Europe/Berlin", ENGLISH) == "24 Apr 2026, 14:05 +02:00"
    assert instant_in_words("2026-01-24T12:05:09Z", "America/New_York", ENGLISH) == "24 Jan 2026, 07:05:09 -05:00"
    assert instant_in_words("2026-04-24T12:05:00Z", "Europe/Berlin", GERMAN) == "24.04.2026, 14:05 +02:00"


def test_dates_months_ages_and_numbers_in_words() -> None:
    assert date_in_words("2026-04-24", ENGLISH) == "24 Apr 2026"
    assert month_in_words("2026-04", GERMAN) == "April 2026"
    assert [age_in_words(seconds) for seconds in (0, 59, 60, 7_200, 86_400, 200_000)] == [
        "0 s",
        "59 s",
        "1 minute",
        "2 hours",
        "1 day",
        "2 days",
    ]
    assert number_in_words(12_746, GERMAN) == "12.746"


def test_a_chart_is_drawn_to_scale_and_escapes_what_it_is_given() -> None:
    drawn = bars(
        "Owed by clause",
        [Bar("<b>unused</b>", (Decimal("50.00"), Decimal("25.00")), "75.00 EUR"), Bar("none", (Decimal(0),), "0.00")],
        series=("refunds", "credits"),
    )
    assert "<b>" not in drawn
    assert [int(width) for width in re.findall(r'<rect class="s\d" x="\d+" y="\d+" width="(\d+)"', drawn)] == [
        220,
        110,
        0,
    ]
    assert "style=" not in drawn
    with pytest.raises(ValueError, match="at most 5"):
        bars("too many", [Bar("a", (Decimal(1),) * 6, "")])


def test_a_line_without_any_value_is_flat_and_one_without_points_is_empty() -> None:
    assert 'points="56,152 624,152"' in line("Lag", [("09:00", 0), ("10:00", 0)], "s")
    assert "polyline" not in line("Lag", [], "s")


@pytest.mark.parametrize(
    ("written", "zone", "meant"),
    [
        ("2026-04-24T14:05", "Europe/Berlin", "2026-04-24T12:05:00Z"),
        ("2026-04-24 14:05", "America/New_York", "2026-04-24T18:05:00Z"),
        ("2026-01-24 14:05:09", "UTC", "2026-01-24T14:05:09Z"),
        ("2026-10-25 02:30 +01:00", "Europe/Berlin", "2026-10-25T01:30:00Z"),
        ("2026-10-25 02:30Z", "Europe/Berlin", "2026-10-25T02:30:00Z"),
        ("2026-10-25 02:30 +0200", "Europe/Berlin", "2026-10-25T00:30:00Z"),
    ],
)
def test_a_time_in_a_form_is_one_of_its_zone(written: str, zone: str, meant: str) -> None:
    assert instant_from_form(written, zone) == meant


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("tomorrow", "such as 2026-04-24 14:05"),
        ("2026-13-01 10:00", "month must be in"),
        ("2026-03-29 02:30", "not at all in Europe/Berlin"),
        ("2026-10-25 02:30", r"twice in Europe/Berlin.* 2026-10-25 02:30 \+02:00$"),
    ],
)
def test_a_time_that_is_none_is_refused_with_what_to_write(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        instant_from_form(written, "Europe/Berlin")
