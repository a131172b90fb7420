"""The texts that are drawn on a terminal with rich, which itself lets escape sequences pass."""

from __future__ import annotations

from typing import Any

from rich.text import Text as RichText

from makegood.house.control_characters import visible


class Text(RichText):
    """A text for people. Whatever is in it, its control characters are visible (`visible`)."""

    def __init__(self, text: str = "", style: str = "") -> None:
        super().__init__(visible(text), style)

    def append(self, text: RichText | str, style: Any = None) -> Text:
        """Add text, likewise."""
        super().append(visible(text) if isinstance(text, str) else text, style)
        return self

    @classmethod
    def of(cls, *parts: str | tuple[str, str]) -> Text:
        """A text of parts, each of which may have a style."""
        text = cls()
        for part in parts:
            text.append(*((part,) if isinstance(part, str) else part))
        return text
