"""The portal's texts, a language a file."""

from __future__ import annotations

from collections.abc import Mapping

from makegood.pages.portal.words.english import ENGLISH
from makegood.pages.portal.words.german import GERMAN
from makegood.pages.portal.words.texts import PortalWords

LANGUAGES: Mapping[str, PortalWords] = {"en": ENGLISH, "de": GERMAN}


def words_in(language: str) -> PortalWords:
    """The texts in a language; English in one that there is not."""
    return LANGUAGES.get(language, ENGLISH)
