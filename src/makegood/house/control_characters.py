"""Control characters made visible: words of other people must not steer a terminal, or hide what they say.

A terminal obeys escape sequences (ESC, and U+009B by itself) and shows text that is turned around (U+202A to U+202E,
U+2066 to U+2069) or that has no width as something else than it is. They are shown as JSON escapes them.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT_IN_LINES = "\n\t"
_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""The categories of controls, formats (bidirectional marks, what has no width), halves of surrogate pairs, private
use, and separators of lines and paragraphs."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that are drawn as nothing."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NOT_ASCII = re.compile(r"[^\x20-\x7e\n]")


def visible(text: str, *, lines: bool = True) -> str:
    """A text for a terminal, its control characters as escapes; `lines` keeps line feeds and tabs.

    What one person wrote goes without them into a sentence or a cell, or it could pass for a line of ours.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = _KEPT_IN_LINES if lines else ""
    return "".join(_escaped(c) if _steers(c) and c not in kept else c for c in text)


def visible_json(document: str) -> str:
    """A JSON document of the same content, in which no control character stands as it is."""
    return _NOT_ASCII.sub(lambda found: _escaped(found[0]) if _steers(found[0]) else found[0], document)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _STEERING or character in _BLANK


def _escaped(character: str) -> str:
    short = _SHORT.get(character)
    if short is not None:
        return short
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
