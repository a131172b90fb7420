"""A message's JSON laid out in lines, every value as it was sent, with what is wrong in it marked.

What is no JSON is shown as it is. Control characters are shown as escapes: a body may say what it wants of how it is
shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from markupsafe import Markup

from makegood.house.control_characters import visible

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+)', re.DOTALL)
_OPENING, _CLOSING = "{[", "}]"

Path = tuple[str, ...]


@dataclass(slots=True)
class _Level:
    """An object or list that is being laid out, and what of it comes next."""

    path: Path
    is_object: bool
    number: int = 0
    key: str | None = None
    empty: bool = True


@dataclass(slots=True)
class _Laid:
    """The text so far, and from where to where each value with its key stands in it."""

    text: list[str] = field(default_factory=list)
    length: int = 0
    begins: dict[Path, int] = field(default_factory=dict)
    ends: dict[Path, int] = field(default_factory=dict)
    keys: dict[Path, int] = field(default_factory=dict)
    """Where the key of a value ends."""

    def add(self, text: str) -> None:
        self.text.append(text)
        self.length += len(text)


def laid_out(body: str) -> str:
    """A body in lines; as it is where it is no JSON."""
    found = _lay_out(body)
    return body if found is None else "".join(found.text)


def marked(body: str, fields: Collection[str]) -> Markup:
    """A body in lines as HTML, with each field marked that is named by its path, such as `data.price`.

    Of a field that is missing the key of what should have it is marked.
    """
    found = _lay_out(body)
    if found is None:
        return Markup("").join([visible(body)])
    spans = sorted(set(filter(None, (_span(found, tuple(name.split("."))) for name in fields))))
    text = "".join(found.text)
    pieces, at = [Markup("")], 0
    for begin, end in spans:
        if begin < at:  # it lies in one that is marked already
            continue
        pieces += [Markup("{}<mark>{}</mark>").format(visible(text[at:begin]), visible(text[begin:end]))]
        at = end
    return Markup("").join([*pieces, visible(text[at:])])


def _span(found: _Laid, path: Path) -> tuple[int, int] | None:
    if path in found.begins:
        return found.begins[path], found.ends[path]
    while path := path[:-1]:
        if path in found.keys:
            return found.begins[path], found.keys[path]
    return None


def _tokens(body: str) -> Iterator[str]:
    at = 0
    while (found := _TOKEN.match(body, at)) is not None:
        yield found[1]
        at = found.end()


def _lay_out(body: str) -> _Laid | None:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return None
    laid = _Laid()
    levels: list[_Level] = []
    for token in _tokens(body):
        level = levels[-1] if levels else None
        if token in _CLOSING:
            closed = levels.pop()
            laid.add(token if closed.empty else f"\n{'  ' * len(levels)}{token}")
            laid.ends[closed.path] = laid.length
        elif token == ",":
            laid.add(",")
            if level is not None:
                level.number, level.key = level.number + 1, None
        elif token == ":":
            laid.add(": ")
        else:
            _begin(laid, levels, token)
    return laid


def _begin(laid: _Laid, levels: list[_Level], token: str) -> None:
    """A key, or a value: what stands in an object follows its key, all else begins a line."""
    level = levels[-1] if levels else None
    if level is not None and not (level.is_object and level.key is not None):
        laid.add(f"\n{'  ' * len(levels)}")
        level.empty = False
        name = json.loads(token) if level.is_object else str(level.number)
        laid.begins[(*level.path, name)] = laid.length
        if level.is_object:
            level.key = name
            laid.add(token)
            laid.keys[(*level.path, name)] = laid.length
            return
    name = None if level is None else level.key if level.is_object else str(level.number)
    path: Path = () if level is None or name is None else (*level.path, name)
    laid.add(token)
    if token in _OPENING:
        levels.append(_Level(path, token == "{"))
    else:
        laid.ends[path] = laid.length
