"""Instants in columns: whole microseconds since 1970, which sort and compare alike in every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(instant: datetime) -> int:
    """An instant as a column's value."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """A column's value as an instant in UTC."""
    return _EPOCH + value * _MICROSECOND
