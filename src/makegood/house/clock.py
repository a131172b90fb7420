"""The only clock; everything else takes the time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def system_clock() -> datetime:
    """The only place where the program reads the system's clock for what it records."""
    return datetime.now(UTC)
