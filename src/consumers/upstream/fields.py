"""The kinds of field that upstream's messages are made of, and their rules (contract §1).

A message states a currency before its amounts are looked at: in a model, `currency` stands before every amount.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from consumers.upstream.findings import broken
from ledger.values import (
    CURRENCY_SCALES,
    amount_from_text,
    date_from_text,
    instant_from_text,
    is_identifier,
    is_time_zone,
    zero,
)

STRING_LENGTH_MAX = 1_024
FREE_TEXT_LENGTH_MAX = 4_096

_FINEST_CURRENCY = max(CURRENCY_SCALES, key=CURRENCY_SCALES.__getitem__)
_NO_NUL = r"^[^\u0000]*$"
"""PostgreSQL's text cannot hold U+0000, and nobody's name or words need it."""

_SECRET_REFERENCE = re.compile(r"https://[^\s/?#]\S*|file:\S+", re.IGNORECASE)


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise broken("identifier")
    return text


def _currency(code: str) -> str:
    if code not in CURRENCY_SCALES:
        raise broken("currency")
    return code


def _time_zone(name: str) -> str:
    if not is_time_zone(name):
        raise broken("time_zone")
    return name


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise broken("missing" if value is None else "string_type")
    try:
        return instant_from_text(value)
    except ValueError:
        raise broken("instant") from None


def _local_date(value: object) -> date:
    if not isinstance(value, str):
        raise broken("missing" if value is None else "string_type")
    try:
        return date_from_text(value)
    except ValueError:
        raise broken("local_date") from None


def _amount(value: object, info: ValidationInfo) -> Decimal:
    if not isinstance(value, str):
        raise broken("missing" if value is None else "amount_type")
    try:
        amount = amount_from_text(value, _FINEST_CURRENCY)
    except ValueError:
        raise broken("amount") from None
    currency = info.data.get("currency")
    if currency is None:  # it was refused itself: how many digits it has, nobody can say
        return amount
    try:
        return amount_from_text(value, currency)
    except ValueError:
        raise broken("amount_decimals") from None


def _positive(amount: Decimal) -> Decimal:
    if not amount:
        raise broken("amount_zero")
    return amount


NO_TAX = Decimal(0)


def _tax(value: object, info: ValidationInfo) -> Decimal:
    if value is None or value is NO_TAX:
        currency = info.data.get("currency")
        return NO_TAX if currency is None else zero(currency)
    return _amount(value, info)


def _absent_is_false(value: object) -> object:
    return False if value is None else value


def _secret_reference(text: str) -> str:
    if _SECRET_REFERENCE.fullmatch(text) is None:
        raise broken("secret_reference")
    return text


_AMOUNT_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"})

Text = Annotated[str, Field(max_length=STRING_LENGTH_MAX, pattern=_NO_NUL)]
"""A string such as a name, a plan or a category."""

NonEmptyText = Annotated[str, Field(min_length=1, max_length=STRING_LENGTH_MAX, pattern=_NO_NUL)]
"""A string that says something, such as an e-mail address."""

FreeText = Annotated[str, Field(max_length=FREE_TEXT_LENGTH_MAX, pattern=_NO_NUL)]
"""Sentences that a person wrote; they go into the vault."""

Identifier = Annotated[
    str, AfterValidator(_identifier), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128})
]
"""1 to 128 printable characters without spaces."""

Instant = Annotated[datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant with its offset; held in UTC."""

LocalDate = Annotated[date, PlainValidator(_local_date), WithJsonSchema({"type": "string", "format": "date"})]
"""A date in the account's zone."""

Currency = Annotated[str, AfterValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})]
"""An ISO 4217 code; metals and fund codes, for which ISO defines no decimals, are none."""

TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""An IANA zone."""

Amount = Annotated[Decimal, PlainValidator(_amount), _AMOUNT_SCHEMA]
"""Zero or more, in major units; held at the scale of the message's currency."""

PositiveAmount = Annotated[Amount, AfterValidator(_positive)]
"""More than zero."""

Tax = Annotated[Decimal, PlainValidator(_tax), Field(validate_default=True), _AMOUNT_SCHEMA]
"""An amount that is zero where the message names none: give it `NO_TAX` as default."""

Flag = Annotated[bool, BeforeValidator(_absent_is_false)]
"""True or false; false where the message says null: give it `False` as default."""

SecretReference = Annotated[Text, AfterValidator(_secret_reference)]
"""Where a secret can be fetched once: `https:` or, in a sandbox, `file:`. Never the secret."""
