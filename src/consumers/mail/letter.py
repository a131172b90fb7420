"""A letter, before it is text or HTML: what every language's words are put into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from consumers.mail.about import About


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Figures:
    """What is looked up again later: names and amounts, a line each."""

    rows: tuple[tuple[str, str], ...]
    kind: str = "figures"


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do, in order."""

    steps: tuple[str, ...]
    kind: str = "steps"


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go on."""

    label: str
    url: str
    kind: str = "link"


Block = Paragraph | Figures | Steps | Link


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject, and what stands between greeting and closing."""

    subject: str
    blocks: Sequence[Block]


class Language(Protocol):
    """One language's words for everything that customers are told."""

    code: str
    """BCP 47."""
    repeat: str
    """What a repeat says of itself."""
    questions: str
    closing: str

    def greeting(self, name: str) -> str:
        """How a letter begins."""

    def amount(self, amount: Decimal, currency: str) -> str:
        """An amount, exactly."""

    def day(self, day: date) -> str:
        """A date."""

    def moment(self, moment: datetime) -> str:
        """A local time, with its zone."""

    def write(self, about: About) -> Letter:
        """The letter about something."""


def shown_amount(amount: Decimal, point: str) -> str:
    """An amount's digits with a language's decimal point; nothing is rounded, and nothing is a float."""
    return format(amount, "f").replace(".", point)
