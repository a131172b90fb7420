"""Amounts as Stripe states them: whole numbers of a currency's smallest unit, by Stripe's own list of currencies.

The list is that of https://docs.stripe.com/currencies, which is not ISO 4217's: MGA has no decimals there, ISK and
UGX have two that are always 00, and the third decimal of a dinar is always 0.
"""

from __future__ import annotations

from decimal import Decimal

from ledger.values import CURRENCY_SCALES, unit

ZERO_DECIMALS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMALS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
WHOLE_UNITS = frozenset(("ISK", "UGX"))
"""They have no decimals any more, and are still stated with two."""


class NotStatable(Exception):
    """Stripe cannot be asked for an amount; the message says why."""


def in_minor_units(amount: Decimal, currency: str) -> int:
    """The amount that Stripe is asked for: (Decimal("29.95"), "EUR") is 2995. Nothing is rounded.

    Raises NotStatable where Stripe has no such amount.
    """
    exact = amount.scaleb(_decimals(currency))
    minor = int(exact)
    step = 10 if currency in THREE_DECIMALS else 100 if currency in WHOLE_UNITS else 1
    if minor != exact or minor % step:
        smallest = Decimal(step).scaleb(-_decimals(currency)).normalize()
        raise NotStatable(f"Stripe pays {currency} in multiples of {smallest:f} only")
    return minor


def in_major_units(minor: int, currency: str) -> str:
    """What Stripe states as a message states it: (2995, "EUR") is "29.95". Raises NotStatable."""
    amount = Decimal(minor).scaleb(-_decimals(currency))
    whole = amount.quantize(unit(currency))
    return f"{whole if whole == amount else amount:f}"


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMALS:
        return 0
    if currency in THREE_DECIMALS:
        return 3
    if currency in WHOLE_UNITS or CURRENCY_SCALES.get(currency) == 2:
        return 2
    raise NotStatable(f"Stripe takes no payments in {currency}")
