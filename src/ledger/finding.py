"""The words by which a customer is found, each in the one spelling in which it is compared.

Nothing here is stored: of a spelling the store has a keyed hash (`Vault.index`, decision 0053).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["email", "name", "number"]

WORDS_MAX = 20
"""So many words of a name are told apart; names of more are found by the first, and as a whole."""

_NOT_IN_A_NUMBER = re.compile(r"\(0\)|[\s\-./()\u2010-\u2015\u2212]")
_DIGITS = re.compile(r"(\+|00)?([0-9]{5,15})", re.ASCII)
_OF_ONE_DIGIT = frozenset("17")
_OF_TWO_DIGITS = re.compile("2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]", re.ASCII)
"""The country codes of ITU-T E.164 that have two digits. Those of one are 1 and 7, and all others have three."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What a text may be meant as: accounts are sought that have `whole`, or every one of `words`."""

    kind: Kind
    whole: tuple[str, ...]
    """Spellings of which any one is enough."""
    words: tuple[str, ...] = ()


def words_of(content: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    """The words by which a customer is found, of what a message has for the vault."""
    customer = content.get("customer")
    if isinstance(customer, Mapping):
        if address := _email(str(customer.get("email") or "")):
            yield "email", address
        words = _words(str(customer.get("name") or ""))
        for word in words[:WORDS_MAX]:
            yield "name", word
        if words:
            yield "name", "".join(words)
    numbers = content.get("numbers")
    if isinstance(numbers, list):
        for number in numbers:
            yield "number", str(number)
            if national := _within_country(str(number)):
                yield "number", national


def sought_by(text: str) -> list[Sought]:
    """What somebody looks for by a text: an e-mail address, a telephone number, or a name."""
    if "@" in text:
        return [Sought("email", (address,))] if (address := _email(text)) else []
    found = [Sought("number", numbers)] if (numbers := _numbers(text)) else []
    words = _words(text)
    if words and not numbers:
        found.append(Sought("name", ("".join(words),), tuple(dict.fromkeys(words[:WORDS_MAX]))))
    return found


def _email(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).strip()


def _words(text: str) -> list[str]:
    """A name's words without accents, capitals and punctuation: `Jörg O'Neill-Weiß` is `jorg`, `oneill`, `weiss`."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(
        character if unicodedata.category(character)[0] in "LN" else " "
        for character in plain
        if unicodedata.category(character)[0] != "M" and character not in "'’.`´"
    )
    return kept.split()


def _numbers(text: str) -> tuple[str, ...]:
    """The spellings of a number as people write it: with its country code, or as it is dialled within a country."""
    found = _DIGITS.fullmatch(_NOT_IN_A_NUMBER.sub("", text))
    if found is None:
        return ()
    prefix, digits = found.groups()
    abroad = f"+{digits}"
    national = _national(digits)
    return (abroad,) if prefix or not national else (abroad, national)


def _within_country(number: str) -> str:
    digits = number.removeprefix("+")
    code = 1 if digits[0] in _OF_ONE_DIGIT else 2 if _OF_TWO_DIGITS.match(digits) else 3
    return _national(digits[code:])


def _national(digits: str) -> str:
    """Without the zero that some countries dial first, and some only at home."""
    return digits.lstrip("0")
