"""The classes of age that finance asks for: 0–7, 8–30, 31–60, and over 60 days.

A day is 24 hours, and the days that have begun but not ended do not count: after 7 days and 23 hours it is still 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from typing_extensions import TypedDict

from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Where
from ledger.values import MICROSECONDS_PER_DAY

AgeClass = Literal["0-7", "8-30", "31-60", "over-60"]
AGE_CLASSES: tuple[AgeClass, ...] = get_args(AgeClass)
_DAYS: dict[AgeClass, int] = {"0-7": 8, "8-30": 31, "31-60": 61}
"""So many whole days is too old for each class; the last has no end."""


class Aged(TypedDict):
    """The number of open ones of a class of age, and of those that are overdue."""

    age: AgeClass
    count: int
    overdue: int


def aged(rows: Iterable[tuple[AgeClass, int, int]]) -> list[Aged]:
    """Classes with what is open of each, from the youngest."""
    found: list[Aged] = [{"age": age, "count": int(count), "overdue": int(overdue)} for age, count, overdue in rows]
    return sorted(found, key=lambda each: AGE_CLASSES.index(each["age"]))


def aged_together(of_each: Iterable[Iterable[Aged]]) -> list[Aged]:
    """The classes of what is open in several stores, together."""
    found: dict[AgeClass, tuple[int, int]] = {}
    for each in (each for classes in of_each for each in classes):
        count, overdue = found.get(each["age"], (0, 0))
        found[each["age"]] = count + each["count"], overdue + each["overdue"]
    return aged((age, *numbers) for age, numbers in found.items())


def age_class(since: int, now: datetime) -> AgeClass:
    """The class of something that began at an instant, in microseconds."""
    age = to_microseconds(now) - since
    return next((name for name, days in _DAYS.items() if age < days * MICROSECONDS_PER_DAY), "over-60")


def age_in_sql(column: str, now: datetime) -> str:
    """SQL for the class of an instant's column."""
    at = to_microseconds(now)
    cases = " ".join(
        f"WHEN {column} > {at - days * MICROSECONDS_PER_DAY} THEN '{name}'" for name, days in _DAYS.items()
    )
    return f"CASE {cases} ELSE 'over-60' END"


def of_age(where: Where, column: str, age: AgeClass | None, now: datetime) -> Where:
    """Have a column's instant be of a class; of any where none is asked for."""
    if age is None:
        return where
    at, number = to_microseconds(now), AGE_CLASSES.index(age)
    if age in _DAYS:
        where.that(f"{column} > ?", at - _DAYS[age] * MICROSECONDS_PER_DAY)
    if number > 0:
        where.that(f"{column} <= ?", at - _DAYS[AGE_CLASSES[number - 1]] * MICROSECONDS_PER_DAY)
    return where
