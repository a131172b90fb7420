"""Proration (policy §2, §3, §5): what share of a cycle's net price a number of days, or a time, stands for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from ledger.agreement import Proration
from ledger.policy.facts.charge import Cycle
from ledger.values import Rounding, microseconds, ratio, value

DAYS_PER_MONTH = Fraction("30.4375")
"""A year of 365.25 days in twelve months: what tells a cycle of a month from one of several."""


@value
class Share:
    """An exact share of a net price, and how it was reckoned: `expression` is "29.95 × 24 ÷ 30"."""

    exact: Fraction
    expression: str

    def reckoned(self, amount: Decimal, rounding: Rounding) -> str:
        """How it became an amount: "29.95 × 24 ÷ 30 = 23.96", "25.00 × 20 ÷ 30 = 16.666…, rounded to 16.67"."""
        scale = -int(amount.as_tuple().exponent)
        if self.exact == amount:
            return self.unrounded(scale)
        tie = self.exact.numerator * 2 * 10**scale % self.exact.denominator == 0
        how = f"rounded {rounding.replace('_', ' ')} to" if tie else "rounded to"
        return f"{self.unrounded(scale)}, {how} {amount}"

    def unrounded(self, scale: int) -> str:
        """What it comes to: "29.95 × 24 ÷ 30 = 23.96"; one decimal more than the scale and "…" where it goes on."""
        number, per = self.exact.numerator, self.exact.denominator
        ends = next((places for places in range(scale, scale + 4) if number * 10**places % per == 0), None)
        places = scale + 1 if ends is None else ends
        digits = Decimal(int(self.exact * 10**places)).scaleb(-places)
        return f"{self.expression} = {digits:f}{'…' if ends is None else ''}"


def days_of_thirty(cycle: Cycle) -> int:
    """`D` of the policy: the cycle's days under 28, else 30 for each month it comes to (a year: 360)."""
    if cycle.days < 28:
        return cycle.days
    months = cycle.days / DAYS_PER_MONTH
    return 30 * int(months + Fraction(1, 2))


def share_of_days(terms: Proration, net_price: Decimal, cycle: Cycle, days: int) -> Share:
    """The price of a number of days, by the basis `actual_days` or `thirty_days`."""
    divisor = days_of_thirty(cycle) if terms.basis == "thirty_days" else cycle.days
    number, per = net_price.as_integer_ratio()
    return Share(Fraction(number * days, per * divisor), f"{net_price} × {days} ÷ {divisor}")


def share_of_time(net_price: Decimal, cycle: Cycle, time: timedelta) -> Share:
    """The price of a time, by the basis `exact_time`: out of the cycle's elapsed time."""
    return Share(
        ratio(Fraction(net_price) * microseconds(time), microseconds(cycle.period.elapsed)),
        f"{net_price} × {spelled(time)} ÷ {spelled(cycle.period.elapsed)}",
    )


def monthly_price(cycle: Cycle) -> Fraction:
    """The price of a month of the cycle, where the floor of a 30th a day needs one (policy §3)."""
    if cycle.monthly_price is not None:
        return Fraction(cycle.monthly_price)
    if cycle.days <= 31:
        return Fraction(cycle.price)
    return Fraction(cycle.price) * 30 / cycle.days


def reckoned_from(cycle: Cycle, net_price: Decimal, terms: Proration) -> Iterator[str]:
    """Where the numbers of a formula come from that are not the cycle's own: its net price, days as months of 30."""
    if net_price != cycle.price:
        yield f"net price {net_price}: {cycle.price} less {cycle.price - net_price} of overcharge"
    if terms.basis == "thirty_days" and days_of_thirty(cycle) != cycle.days:
        yield f"a month counts as 30 days, and the cycle's {cycle.days} days as {days_of_thirty(cycle)}"


def spelled(time: timedelta) -> str:
    """A duration as people read it: "72 h", "36 h 30 min", "72 h 00 min 00.25 s"; what is nothing at its end is left
    out."""
    seconds, rest = divmod(microseconds(time), 1_000_000)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    if seconds % 60 or rest:
        return f"{seconds // 3600} h {seconds // 60 % 60:02} min {seconds % 60:02}{fraction} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min" if seconds % 3600 else f"{seconds // 3600} h"


def spelled_days(count: int) -> str:
    """A number of days as people read it: "1 day", "24 days"."""
    return "1 day" if count == 1 else f"{count} days"
