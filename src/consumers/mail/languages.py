"""The languages that customers are written to in."""

from __future__ import annotations

from consumers.mail.english import English
from consumers.mail.german import German
from consumers.mail.letter import Language

ENGLISH: Language = English()
GERMAN: Language = German()


def language_of(locale: str | None) -> Language:
    """A customer's language: German for `de`, `de-AT`, `de_CH.UTF-8`, else English."""
    primary = (locale or "").replace("_", "-").partition("-")[0].strip().lower()
    return GERMAN if primary == GERMAN.code else ENGLISH
