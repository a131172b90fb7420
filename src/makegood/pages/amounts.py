"""How amounts are written for people: by the habits of a language, and never rounded by them."""

from __future__ import annotations

import copy
from decimal import Decimal
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, get_currency_symbol, get_group_symbol, parse_pattern

BY_CODE = "#,##0.00 ¤¤"
"""Amount and currency code, in which finance writes: `1,234.50 EUR`. No two currencies share a code."""


@lru_cache(maxsize=256)
def locale_of(name: str | None) -> Locale:
    """The locale of a name such as `de-DE`; English where there is none, and for one that nobody knows."""
    try:
        return Locale.parse((name or "en").replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def amount_in_words(amount: str, currency: str, locale: Locale) -> str:
    """An amount at its currency's scale, as people of a locale write it: `1.234,50 €`.

    All of the amount's digits are shown, and no others, whatever number of them the locale has for the currency. A
    currency that has no sign there is named by its code.
    """
    if get_currency_symbol(currency, locale) == currency:
        return amount_by_code(amount, currency, locale)
    return _written(amount, currency, locale, locale.currency_formats["standard"].pattern)


def amount_by_code(amount: str, currency: str, locale: Locale) -> str:
    """An amount at its currency's scale with the currency's code: `1,234.50 EUR`."""
    return _written(amount, currency, locale, BY_CODE)


def number_in_words(number: int, locale: Locale) -> str:
    """A whole number with its groups: `12,746`."""
    return f"{number:,}".replace(",", get_group_symbol(locale))


@lru_cache(maxsize=8_192)
def _written(amount: str, currency: str, locale: Locale, pattern: str) -> str:
    """An amount in a pattern; kept, because a house has few prices, and a page writes them a hundred times."""
    digits = len(amount.partition(".")[2])
    return str(_at_scale(pattern, digits).apply(Decimal(amount), locale, currency=currency, currency_digits=False))


@cache
def _at_scale(pattern: str, digits: int) -> NumberPattern:
    """A pattern with just so many digits after the point."""
    found = copy.copy(parse_pattern(pattern))
    found.frac_prec = (digits, digits)
    return found
