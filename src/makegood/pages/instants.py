"""How instants and dates are written for people: in a time zone, with its offset."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime

from ledger.values import date_from_text, instant_from_text


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant_in_words(instant: str | datetime, zone: str, locale: Locale) -> str:
    """An instant to the minute, with the offset of its place: `24 Apr 2026, 14:05 +02:00`.

    Seconds are shown where there are any, so that two instants never look like one.
    """
    at = instant_from_text(instant) if isinstance(instant, str) else instant
    local = at.astimezone(_zone(zone))
    day = format_date(local.date(), _DAY.get(locale.language, "medium"), locale=locale)
    time = f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"
    offset = f"{local:%z}"
    return f"{day}, {time} {offset[:3]}:{offset[3:5]}"


def date_in_words(day: str | date, locale: Locale) -> str:
    """A date: `24 Apr 2026`."""
    found = date_from_text(day) if isinstance(day, str) else day
    return format_date(found, _DAY.get(locale.language, "medium"), locale=locale)


def month_in_words(month: str, locale: Locale) -> str:
    """A month such as `2026-04`: `April 2026`."""
    first = date_from_text(f"{month}-01")
    return format_datetime(datetime(first.year, first.month, 1), "LLLL y", locale=locale)  # noqa: DTZ001


def age_in_words(seconds: int) -> str:
    """How long something has lasted, in its largest unit: `3 days`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds} s"


_DAY = {"en": "d MMM y"}
"""Where a language's own order of day and month differs from country to country, one that cannot be misread."""
