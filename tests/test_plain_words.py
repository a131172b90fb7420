"""Titles, summaries and descriptions name things: nouns and the field's terms, as colleagues say them.

Only a reader can tell whether a sentence reads well. A machine sees openings that hide a noun, full stops after
headings, and languages that differ in content; that is held here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from consumers.mail.languages import ENGLISH, GERMAN
from consumers.mail.letter import Figures, Language, Link, Paragraph, Steps
from consumers.upstream.findings import SENTENCES
from makegood.answers.metrics import METRICS
from makegood.api.app import document
from makegood.api.problems import KINDS, REASONS
from makegood.cli import app
from makegood.pages import activation_words
from makegood.program.exporting import documents
from tests.consumers.test_mail import ABOUT

HIDES_A_NOUN = re.compile(r"(what|who|whoever|whom|whose|whether|why|how|nobody|somebody|not now)\b", re.IGNORECASE)
RIDDLES = re.compile(
    r"\b(never so|leads nowhere|nobody is known|whoever|stands? so|said of|(?:was|is|were) told|be told)\b",
    re.IGNORECASE,
)


def commands(group: Any, name: str = "makegood") -> Iterator[tuple[str, Any]]:
    yield name, group
    for each, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{name} {each}")


def headings() -> Iterator[tuple[str, str]]:
    """Headings: titles of problems, summaries of operations and of answers in the API's description."""
    for kind in KINDS:
        yield f"problem {kind.name}", kind.title
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            yield f"summary of {method} {path}", operation["summary"]
            for status, answer in operation["responses"].items():
                yield f"answer {status} to {method} {path}", answer["description"]


def sentences() -> Iterator[tuple[str, str]]:
    """Sentences for people and programmers: descriptions, help, findings, metrics."""
    for path, content in documents().items():
        for where, text in described(json.loads(content)):
            yield f"{path}: {where}", text
    for name, command in commands(typer.main.get_command(app)):
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for metric in METRICS:
        yield metric.name, metric.says
    for name, sentence in (SENTENCES | REASONS).items():
        yield f"finding {name}", sentence


def described(node: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("description", "summary") and isinstance(value, str):
                yield f"{where}/{name}", value
            elif name not in ("example", "examples"):
                yield from described(value, f"{where}/{name}")
    elif isinstance(node, list):
        for value in node:
            yield from described(value, where)


def test_a_heading_is_a_noun_or_an_imperative_without_a_full_stop() -> None:
    wrong = [
        (where, text) for where, text in headings() if HIDES_A_NOUN.match(text) or text.endswith(".") or not text
    ]
    assert wrong == []


def test_no_sentence_begins_with_a_word_that_hides_a_noun() -> None:
    assert [(where, text) for where, text in sentences() if HIDES_A_NOUN.match(text)] == []


def test_no_sentence_is_a_riddle() -> None:
    assert [(where, text) for where, text in sentences() if RIDDLES.search(text)] == []


def test_a_metric_is_described_in_one_sentence() -> None:
    assert [metric.name for metric in METRICS if not metric.says.endswith(".") or "\n" in metric.says] == []


def values(language: Language, name: str) -> tuple[list[Any], str]:
    """The blocks of a letter, without their words, and its text."""
    blocks: list[Any] = []
    text = []
    for block in language.write(ABOUT[name]).blocks:
        match block:
            case Paragraph():
                blocks.append("paragraph")
                text.append(block.text)
            case Figures():
                blocks.append(("figures", len(block.rows)))
            case Steps():
                blocks.append(("steps", len(block.steps)))
                text += block.steps
            case Link():
                blocks.append(("link", block.url))
    return blocks, " ".join(text)


@pytest.mark.parametrize("name", ABOUT)
def test_a_letter_says_the_same_in_every_language(name: str) -> None:
    """The same blocks in the same order, and in the text the same ids, times and names."""
    (english, in_english), (german, in_german) = values(ENGLISH, name), values(GERMAN, name)
    assert english == german
    ids = re.compile(r"\b[a-z]+-\d+\b|\d{1,2}:\d{2}|\b\d{4}\b")
    assert sorted(ids.findall(in_english)) == sorted(ids.findall(in_german))


def test_a_page_says_the_same_in_every_language() -> None:
    english, german = activation_words.ENGLISH, activation_words.GERMAN
    assert english.trouble.keys() == german.trouble.keys()
    pairs = [(english.ask, german.ask), (english.show, german.show)]
    pairs += [(english.trouble[why], german.trouble[why]) for why in english.trouble]
    for one, other in pairs:
        assert bool(one.button) == bool(other.button)
        assert bool(one.after) == bool(other.after)
        assert bool(one.secret) == bool(other.secret)
        assert "Sie" in " ".join([*other.paragraphs, other.after or "", other.title]) or other.title.startswith("Ihr")


def test_german_is_formal() -> None:
    letters = [values(GERMAN, name)[1] for name in ABOUT]
    assert [text for text in letters if re.search(r"\b([Dd]u|[Dd]ein\w*|[Dd]ich|[Dd]ir)\b", text)] == []
