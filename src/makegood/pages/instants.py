"""How instants and dates are written for people: in a time zone, with its offset."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime

from ledger.values import date_from_text, instant_from_text, instant_to_text


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant_in_words(instant: str | datetime, zone: str, locale: Locale) -> str:
    """An instant to the minute, with the offset of its place: `24 Apr 2026, 14:05 +02:00`.

    Seconds are shown where there are any, so that two instants never look like one.
    """
    at = instant_from_text(instant) if isinstance(instant, str) else instant
    local = at.astimezone(_zone(zone))
    day = _day_in_words(local.date(), locale)
    time = f"{local:%H:%M:%S}" if local.second or local.microsecond else f"{local:%H:%M}"
    return f"{day}, {time} {_offset(local)}"


def _offset(local: datetime) -> str:
    return local.replace(microsecond=0).isoformat()[-len("+00:00") :]


def date_in_words(day: str | date, locale: Locale) -> str:
    """A date: `24 Apr 2026`."""
    return _day_in_words(date_from_text(day) if isinstance(day, str) else day, locale)


@lru_cache(maxsize=4_096)
def _day_in_words(day: date, locale: Locale) -> str:
    return format_date(day, _DAY.get(locale.language, "medium"), locale=locale)


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


def instant_from_form(text: str, zone: str) -> str:
    """The instant that a form's field means, as the contract writes it: `2026-04-24T14:05` in the zone, or with an
    offset of its own, `2026-04-24 14:05 +02:00`.

    Raises ValueError with what to write for what is none, and for an hour that a zone skips or has twice.
    """
    found = _LOCAL.fullmatch(text.strip())
    if found is None:
        raise ValueError("write date and time, such as 2026-04-24 14:05")
    day, time, offset = found.groups()
    if offset is not None:
        whole = time if time.count(":") == 2 else f"{time}:00"
        at = re.sub(r"^(...)(\d\d)$", r"\1:\2", offset)
        return instant_to_text(instant_from_text(f"{day}T{whole}{at}"))
    local = datetime.fromisoformat(f"{day}T{time}")
    place = _zone(zone)
    first, second = (local.replace(tzinfo=place, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        exists = first.astimezone(UTC).astimezone(place).replace(tzinfo=None) == local
        happens = "twice" if exists else "not at all"
        raise ValueError(
            f"this time comes {happens} in {zone}, because clocks change: write it with its offset, such as "
            f"{day} {time} {_offset(first)}"
        )
    return instant_to_text(first.astimezone(UTC))


_LOCAL = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?) ?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)
