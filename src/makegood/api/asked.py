"""What questions are asked with, as parameters of an address: ids, and the moments that an answer is told for."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from ledger.store.positions import PATTERN, KnownAt
from ledger.values import Month, is_identifier, month_from_text
from makegood.access.sight import Sight
from makegood.answers.filters import FilterRefused
from makegood.answers.moments import AS_OF, KNOWN_AT, Moment, as_of_from_text, known_at_from_text


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


def _month(text: str) -> Month:
    try:
        return month_from_text(text)
    except ValueError as error:
        raise PydanticCustomError("month", "a month has the form YYYY-MM, such as 2026-01") from error


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
InMonth = Annotated[
    Any,
    PlainValidator(_month),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}),
]

AsOfThen = Annotated[
    AsOf | None,
    Query(description="Assess one account anew from the facts that were true by then; requires `account`."),
]
KnownThen = Annotated[KnownAtMoment | None, Query(description="Use only events recorded by then.")]


def _moment(as_of: AsOfThen = None, known_at: KnownThen = None) -> Moment:
    return Moment(as_of, known_at)


AskedMoment = Annotated[Moment, Depends(_moment)]


def check_as_of(sight: Sight, as_of: object, account: str | None) -> None:
    """Raises FilterRefused where all accounts are to be assessed anew: a request has no time for that."""
    if as_of is not None and sight.among(account) is None:
        raise FilterRefused("account", "an assessment of all accounts takes long: name one, or use the command line")


OfAccount = Annotated[Identifier | None, Query(description="Only this account.")]
