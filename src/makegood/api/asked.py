"""What questions are asked with, as parameters of an address: ids, and the moments that an answer is told for."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from ledger.store.positions import PATTERN, KnownAt
from ledger.values import is_identifier
from makegood.answers.moments import AS_OF, KNOWN_AT, as_of_from_text, known_at_from_text


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise PydanticCustomError("identifier", "an id must have 1 to 128 printable characters without spaces")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("printable", "the value contains unprintable characters")
    return text


def _as_of(text: str) -> date:
    try:
        return as_of_from_text(text)
    except ValueError as error:
        raise PydanticCustomError("as_of", AS_OF) from error


def _known_at(text: str) -> KnownAt:
    try:
        return known_at_from_text(text)
    except ValueError as error:
        raise PydanticCustomError("known_at", KNOWN_AT) from error


_AN_INSTANT = {"type": "string", "format": "date-time"}


Identifier = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_identifier)]
Printable = Annotated[str, Field(max_length=1_024), AfterValidator(_printable)]
AsOf = Annotated[
    Any, PlainValidator(_as_of), WithJsonSchema({"anyOf": [_AN_INSTANT, {"type": "string", "format": "date"}]})
]
KnownAtMoment = Annotated[
    Any,
    PlainValidator(_known_at),
    WithJsonSchema({"anyOf": [_AN_INSTANT, {"type": "string", "pattern": PATTERN}]}),
]

OfAccount = Annotated[Identifier | None, Query(description="Only this account.")]
