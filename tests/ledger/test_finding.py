"""The words by which customers are found, each in one spelling: tables that a person in support can read."""

from __future__ import annotations

import pytest

from ledger.finding import WORDS_MAX, Sought, sought_by, words_of


def words(kind: str, **content: object) -> list[str]:
    return [word for of, word in words_of(content) if of == kind]


def finds(text: str, **content: object) -> bool:
    """Whether a customer of whom this was said is found by a text."""
    said = set(words_of(content))
    return any(
        any((sought.kind, spelling) in said for spelling in sought.whole)
        or (sought.words and all((sought.kind, word) in said for word in sought.words))
        for sought in sought_by(text)
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Lena Müller", "muller"),
        ("Lena Müller", "MÜLLER lena"),
        ("Lena Müller", "Mu\u0308ller"),
        ("Lena Müller", "lenamuller"),
        ("Vera Weiß", "weiss"),
        ("Vera Weiß", "WEISS"),
        ("Siobhán O’Neill-Byrne", "o'neill"),
        ("Siobhán O’Neill-Byrne", "Byrne, Siobhan"),
        ("Bäckerei Lindenhof GmbH", "backerei lindenhof"),
        ("Hausverwaltung Grünwald & Söhne", "sohne grunwald"),
        ("佐藤 美咲", "佐藤"),
        ("佐藤 美咲", "佐藤美咲"),
        ("\uff37\uff45\uff53\uff54", "west"),
        ("Ahmed İpek", "ipek"),
        ("Studio 54", "studio 54"),
    ],
)
def test_a_name_is_found_by_its_words(name: str, text: str) -> None:
    assert finds(text, customer={"name": name, "email": "x@example.com"})


@pytest.mark.parametrize("text", ["mull", "muller anna", "lena.muller@example.com", "lena2", "ü", "", "  ", "&", "-"])
def test_and_by_nothing_else(text: str) -> None:
    assert not finds(text, customer={"name": "Lena Müller", "email": "x@example.com"})


def test_a_name_of_very_many_words_is_found_by_the_first_and_as_a_whole() -> None:
    name = [f"word{chr(97 + n)}" for n in range(WORDS_MAX + 5)]
    said = words("name", customer={"name": " ".join(name)})
    assert said == [*name[:WORDS_MAX], "".join(name)]
    assert finds(" ".join(name), customer={"name": " ".join(name)})


@pytest.mark.parametrize("text", ["Zoe@Example.COM", " zoe@example.com ", "\uff5aoe@example.com"])
def test_an_address_is_found_without_regard_to_capitals(text: str) -> None:
    assert finds(text, customer={"name": "Z", "email": "zoe@example.com"})
    assert not finds(text, customer={"name": "Z", "email": "zoee@example.com"})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("+493023125000", "+49 30 23125-000"),
        ("+493023125000", "+49 (0)30 23125000"),
        ("+493023125000", "0049 30 23125000"),
        ("+493023125000", "493023125000"),
        ("+493023125000", "030/23125000"),
        ("+493023125000", "(030) 23125 000"),
        ("+12025550100", "(202) 555-0100"),
        ("+12025550100", "202.555.0100"),
        ("+12025550100", "1 202 555 0100"),
        ("+353201234567", "020 1234567"),
        ("+390612345678", "06 12345678"),
        ("+79161234567", "9161234567"),
    ],
)
def test_a_number_is_found_in_every_spelling(number: str, text: str) -> None:
    assert finds(text, numbers=[number])


@pytest.mark.parametrize("text", ["+4930231250001", "23125000", "+303023125000", "00000", "+", "30231"])
def test_a_part_of_a_number_finds_nobody(text: str) -> None:
    assert not finds(text, numbers=["+493023125000"])


def test_a_message_without_people_in_it_has_no_words() -> None:
    for content in ({}, {"credentials": {"username": "zoe"}}, {"reason": "zoe"}, {"customer": {"locale": "de"}}):
        assert list(words_of(content)) == []


def test_digits_may_be_a_number_and_letters_a_name() -> None:
    assert [sought.kind for sought in sought_by("030 23125000")] == ["number"]
    assert sought_by("Lena Müller") == [Sought("name", ("lenamuller",), ("lena", "muller"))]
    assert [sought.kind for sought in sought_by("zoe@example.com")] == ["email"]
