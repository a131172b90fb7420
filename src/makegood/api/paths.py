"""Paths as they were sent, and ids in them that hold a slash.

A server hands out paths decoded, in which a slash of an id, sent as `%2F`, looks like one between two segments. So
segments are decoded one by one, and a slash inside one stands as a character that no id may have.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import Scope

_SLASH = "\0"


def sent(scope: Scope) -> str:
    """The path as it was sent, without its query."""
    raw: bytes | None = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("ascii", "backslashreplace") if raw is not None else str(scope["path"])


def by_segments(path: str) -> str:
    """A path that was sent, decoded."""
    return "/".join(unquote(segment).replace("/", _SLASH) for segment in path.split("/"))


def id_in(segment: str) -> str:
    """The id that a decoded segment stands for."""
    return segment.replace(_SLASH, "/")


PathId = Annotated[str, BeforeValidator(id_in)]
"""An id in a path."""

AccountId = Annotated[PathId, Path(description="The account id.", examples=["acct-0006"])]
