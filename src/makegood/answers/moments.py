"""The moments at which an account can be viewed: as of an instant, and as known at an instant or position."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ledger.store.positions import EXAMPLE, KnownAt, reached_from_text
from ledger.values import YEARS, date_from_text, instant_from_text, instant_to_text

_INSTANT = "an instant with its offset, such as 2026-03-01T09:30:00Z"
_OF_THE_YEARS = f"of the years {YEARS.start} to {YEARS.stop - 1}"
AS_OF = f"this must be {_INSTANT}, or a date, such as 2026-03-01, {_OF_THE_YEARS}"
"""The expected form of `as_of`."""
KNOWN_AT = f"this must be {_INSTANT}, {_OF_THE_YEARS}, or a position, such as {EXAMPLE}"
"""The expected form of `known_at`."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an answer is told for: as of when it is assessed anew, and what was known; now where neither is
    named."""

    as_of: date | None = None
    known_at: KnownAt | None = None

    def __bool__(self) -> bool:
        return self.as_of is not None or self.known_at is not None

    def words(self) -> dict[str, str]:
        """What is named of it, as it is written."""
        found = {}
        if self.as_of is not None:
            found["as_of"] = as_of_to_text(self.as_of)
        if self.known_at is not None:
            found["known_at"] = known_at_to_text(self.known_at)
        return found


NOW = Moment()
"""As everything stands."""


def as_of_from_text(text: str) -> date:
    """An instant, or a date, which means its end in the account's zone. Raises ValueError."""
    try:
        return instant_from_text(text)
    except ValueError:
        pass
    try:
        return date_from_text(text)
    except ValueError:
        raise ValueError(AS_OF) from None


def known_at_from_text(text: str) -> KnownAt:
    """An instant, or a position. Raises ValueError."""
    try:
        return instant_from_text(text)
    except ValueError:
        pass
    try:
        return reached_from_text(text)
    except ValueError:
        raise ValueError(KNOWN_AT) from None


def as_of_to_text(as_of: date) -> str:
    """An instant or a date as it is shown."""
    return instant_to_text(as_of) if isinstance(as_of, datetime) else as_of.isoformat()


def known_at_to_text(known_at: KnownAt) -> str:
    """An instant or a position as it is shown."""
    return instant_to_text(known_at) if isinstance(known_at, datetime) else str(known_at)
