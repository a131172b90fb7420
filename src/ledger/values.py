"""Money, half-open periods, local dates and identifiers: the values that everything else is made of.

Money is exact: amounts are `Decimal` at their currency's scale, ratios are `Fraction`, and a ratio becomes an
amount in one place, `rounded`. Instants are aware datetimes in UTC with microseconds; dates are local to an
account's time zone. Nothing here reads a clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, TypeVar, dataclass_transform, overload
from zoneinfo import ZoneInfo

Rounding = Literal["half_up", "half_even"]

DAY = timedelta(hours=24)
_MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_PER_DAY = DAY // _MICROSECOND

# --- Values -----------------------------------------------------------------------------------------------------

T = TypeVar("T")


@overload
def value(cls: type[T], /) -> type[T]: ...


@overload
def value(*, order: bool) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T] | None = None, /, *, order: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    """A class whose instances never change, like a frozen dataclass.

    That nobody changes one is mypy's to hold, as it does here. To hold it while the program runs makes every instance
    four times as dear, and taking in one message makes more than twenty of them.
    """
    if cls is None:
        return dataclass(slots=True, unsafe_hash=True, order=order)
    return dataclass(slots=True, unsafe_hash=True, order=order)(cls)


# --- Currencies -------------------------------------------------------------------------------------------------


def _currency_scales() -> dict[str, int]:
    text = resources.files("ledger").joinpath("currencies.csv").read_text(encoding="ascii")
    rows = (line.split(",") for line in text.splitlines()[1:])
    return {code: int(decimals) for code, decimals, _ in rows}


CURRENCY_SCALES: dict[str, int] = _currency_scales()
"""ISO 4217's exponent of every currency that has or had one: those that are money today, and those withdrawn since,
because what was owed in one stays owed (metals and fund codes have none and buy no telephony)."""

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,14})(\.([0-9]{1,4}))?", re.ASCII)


def amount_from_text(text: str, currency: str) -> Decimal:
    """The amount that a message states, at its currency's scale: ("29.9", "EUR") is Decimal("29.90").

    Raises ValueError for a sign, an exponent, grouping, over 15 digits before the point, or more digits after it
    than the currency has (contract §1).
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError("an amount must be a string of digits in major units, such as '29.95', and never negative")
    scale = CURRENCY_SCALES[currency]
    if len(match[3] or "") > scale:
        raise ValueError(f"{currency} has {scale} decimals; this amount has {len(match[3])}")
    return Decimal(text).quantize(unit(currency))


@cache
def unit(currency: str) -> Decimal:
    """The smallest amount of a currency: Decimal("0.01") for EUR, Decimal("1") for JPY."""
    return Decimal(1).scaleb(-CURRENCY_SCALES[currency])


@cache
def zero(currency: str) -> Decimal:
    """Nothing, at the currency's scale: "0.00" in EUR, "0" in JPY."""
    return Decimal(0).scaleb(-CURRENCY_SCALES[currency])


def ratio(dividend: Decimal | Fraction | int, divisor: Decimal | Fraction | int) -> Fraction:
    """An exact quotient; one whose divisor is 0 is 0 (policy §1)."""
    return Fraction(dividend) / Fraction(divisor) if divisor else Fraction(0)


def rounded(exact: Fraction, currency: str, rounding: Rounding) -> Decimal:
    """The one place where a ratio becomes an amount: at the currency's scale, ties up or to even (policy §2)."""
    if exact < 0:
        raise ValueError(f"only amounts of zero or more are rounded, not {exact}")
    scale = CURRENCY_SCALES[currency]
    return Decimal(_nearest(exact.numerator * 10**scale, exact.denominator, rounding)).scaleb(-scale)


def in_proportion(amount: Decimal, part: Decimal, whole: Decimal, currency: str, rounding: Rounding) -> Decimal:
    """round(amount × part ÷ whole): what `rounded` makes of that ratio, by absolute value, in whole numbers alone."""
    if not (amount and part and whole):
        return zero(currency)
    (a, per_a), (p, per_p), (w, per_w) = amount.as_integer_ratio(), part.as_integer_ratio(), whole.as_integer_ratio()
    scale = CURRENCY_SCALES[currency]
    dividend, divisor = a * p * per_w * 10**scale, per_a * per_p * w
    nearest = _nearest(abs(dividend), abs(divisor), rounding)
    return Decimal(nearest if (dividend < 0) == (divisor < 0) else -nearest).scaleb(-scale)


def _nearest(dividend: int, divisor: int, rounding: Rounding) -> int:
    whole, rest = divmod(dividend, divisor)
    is_up = 2 * rest > divisor or (2 * rest == divisor and (rounding == "half_up" or whole % 2 == 1))
    return whole + 1 if is_up else whole


# --- Identifiers ------------------------------------------------------------------------------------------------

IDENTIFIER_LENGTH_MAX = 128
SYSTEM_ACCOUNT = "system"
"""The account of what no account did: agreements published, operators' acts. Upstream may not use it."""


def is_identifier(text: str, length_max: int = IDENTIFIER_LENGTH_MAX) -> bool:
    """Whether text is 1 to 128 printable characters, or another number of them, without spaces (contract §1)."""
    return 0 < len(text) <= length_max and text.isprintable() and " " not in text


@lru_cache(maxsize=1_024)
def is_own_name(name: str) -> bool:
    """Whether a name is of the form that Makegood's own actors and sources have: `/makegood`, or below it.

    However it is written: capitals and other forms of the same letters look alike to people.
    """
    return f"{unicodedata.normalize('NFKC', name).casefold()}/".startswith("/makegood/")


MADE_ID_PREFIX = "mg-"
"""The beginning of the ids that Makegood makes, of complaints for example; those of upstream begin otherwise."""


def is_made_id(id_: str) -> bool:
    """Whether an id is of the form of those that Makegood makes."""
    return id_.startswith(MADE_ID_PREFIX)


# --- Codes -------------------------------------------------------------------------------------------------------

CODE_PATTERN = "[a-z][a-z0-9_]{0,63}"
_CODE = re.compile(CODE_PATTERN)


def is_code(text: str) -> bool:
    """Whether a text is a code, one word of a list such as `call_quality`, and no free text (policy §8)."""
    return _CODE.fullmatch(text) is not None


# --- Instants and local dates -----------------------------------------------------------------------------------

_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
YEARS = range(1900, 9001)
"""The years that messages may speak of: far from the ends of the calendar, where zones cannot be applied."""


def instant_from_text(text: str) -> datetime:
    """An RFC 3339 instant, in UTC; digits beyond microseconds are cut off. Raises ValueError."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(
            "an instant must be in RFC 3339 with an offset, such as '2026-03-01T09:30:00Z' "
            "or '2026-03-01T10:30:00+01:00'"
        )
    if int(match[1]) not in YEARS:
        raise ValueError(f"the year must be between {YEARS.start} and {YEARS.stop - 1}")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def date_from_text(text: str) -> date:
    """A local date, `YYYY-MM-DD`. Raises ValueError."""
    if _DATE.fullmatch(text) is None:
        raise ValueError("a date must have the form YYYY-MM-DD")
    day = date.fromisoformat(text)
    if day.year not in YEARS:
        raise ValueError(f"the year must be between {YEARS.start} and {YEARS.stop - 1}")
    return day


def instant_to_text(instant: datetime) -> str:
    """An instant as it is stored and shown: in UTC, `Z`, with microseconds only where there are some."""
    text = instant.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


def is_time_zone(name: str) -> bool:
    """Whether IANA knows the zone, by the tzdata package's own list."""
    return name in _zone_names()


@cache
def time_zone(name: str) -> ZoneInfo:
    """The zone's rules from the tzdata package, whatever the machine has: the same midnight on every machine."""
    if not is_time_zone(name):
        raise ValueError(f"unknown time zone {name!r}: use a name from the IANA database")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def local_date(instant: datetime, zone: str) -> date:
    """The date on the wall of someone in the zone: 2022-10-15T01:00Z is the 14th in Los Angeles (policy §2)."""
    return instant.astimezone(time_zone(zone)).date()


@lru_cache(maxsize=65_536)
def midnight(day: date, zone: str) -> datetime:
    """The first instant of a local date, in UTC (policy §2).

    Where clocks went forward over midnight, or the whole date was skipped, that is the instant of the change.
    """
    rules = time_zone(zone)
    candidate = datetime(day.year, day.month, day.day, tzinfo=rules).astimezone(UTC)
    before = candidate - _MICROSECOND
    if before.astimezone(rules).date() < day:
        return candidate
    # Midnight fell into a gap that began before it: the date's first instant is the gap's, not an hour later.
    low, high = candidate - 2 * DAY, candidate
    while high - low > _MICROSECOND:
        middle = low + (high - low) // 2
        if middle.astimezone(rules).date() < day:
            low = middle
        else:
            high = middle
    return high


# --- Calendar months --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month, written `YYYY-MM`: the period for which accounts are closed."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> Month:
        """The month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def before(self) -> Month:
        """The month before it."""
        return Month(self.year, self.number - 1) if self.number > 1 else Month(self.year - 1, 12)

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.next.first_day - timedelta(days=1)

    def begins(self, zone: str) -> datetime:
        """Its first instant in a time zone, in UTC; it ends where the next one begins."""
        return midnight(self.first_day, zone)


_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


def month_from_text(text: str) -> Month:
    """A calendar month, `YYYY-MM`. Raises ValueError."""
    match = _MONTH.fullmatch(text)
    if match is None:
        raise ValueError("a month must have the form YYYY-MM, such as '2026-01'")
    if int(match[1]) not in YEARS:
        raise ValueError(f"the year must be between {YEARS.start} and {YEARS.stop - 1}")
    return Month(int(match[1]), int(match[2]))


def month_of(instant: datetime, zone: str) -> Month:
    """The month in which an instant falls for someone in the zone."""
    day = local_date(instant, zone)
    return Month(day.year, day.month)


# --- Half-open periods ------------------------------------------------------------------------------------------


@value(order=True)
class Period:
    """The half-open time `[begin, end)` between two instants."""

    begin: datetime
    end: datetime

    @property
    def elapsed(self) -> timedelta:
        """Elapsed time, whatever local clocks did meanwhile; never negative."""
        return max(self.end - self.begin, timedelta(0))

    def hull(self, other: Period) -> Period:
        """The shortest period that holds both."""
        return Period(min(self.begin, other.begin), max(self.end, other.end))

    def overlap(self, other: Period) -> Period | None:
        """The time shared with another period, or None where they share none."""
        begin, end = max(self.begin, other.begin), min(self.end, other.end)
        return Period(begin, end) if begin < end else None


def merged(periods: Iterable[Period]) -> list[Period]:
    """The union: periods that overlap or touch become one; empty ones vanish."""
    union: list[Period] = []
    for period in sorted(p for p in periods if p.begin < p.end):
        if union and period.begin <= union[-1].end:
            union[-1] = union[-1].hull(period)
        else:
            union.append(period)
    return union


def subtracted(periods: Iterable[Period], holes: Iterable[Period]) -> list[Period]:
    """What is left of the periods outside the holes."""
    left = list(periods)
    for hole in holes:
        if hole.begin < hole.end:
            left = list(_without(left, hole))
    return left


def _without(periods: Iterable[Period], hole: Period) -> Iterator[Period]:
    for period in periods:
        if period.begin < min(hole.begin, period.end):
            yield Period(period.begin, min(hole.begin, period.end))
        if max(hole.end, period.begin) < period.end:
            yield Period(max(hole.end, period.begin), period.end)


def inside(periods: Iterable[Period], window: Period) -> list[Period]:
    """The parts of the periods that lie in a window."""
    return [part for period in periods if (part := period.overlap(window)) is not None]


def total(periods: Iterable[Period]) -> timedelta:
    """Elapsed time of periods that do not overlap one another."""
    return sum((period.elapsed for period in periods), timedelta(0))


def microseconds(duration: timedelta) -> int:
    """A duration as a whole number, for exact ratios."""
    return duration // _MICROSECOND


BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
END = datetime(9999, 12, 30, tzinfo=UTC)
"""Instants outside everything that a message may speak of; `END` closes a period that goes on."""


def stream_name(kind: str, *ids: str) -> str:
    """A stream's name: `subscription/acct-1/sub-1`. Slashes inside ids are escaped, so that no two ids share one."""
    return "/".join((kind, *(id_.replace("%", "%25").replace("/", "%2F") for id_ in ids)))
