"""The kinds of field that upstream's messages are made of, and their rules (contract §1).

A message states a currency before its amounts are looked at: in a model, `currency` stands before every amount.
What a field holds, such as an instant or an amount, it takes as well: messages of the door's own are made of it.

Beside each rule stands what JSON Schema can say of it. That never refuses what the rule lets in; where it lets in
more, its description tells the rest. Patterns keep to what every dialect of regular expressions reads alike.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from consumers.upstream.findings import broken
from ledger.values import (
    CURRENCY_SCALES,
    IDENTIFIER_LENGTH_MAX,
    MADE_ID_PREFIX,
    amount_from_text,
    date_from_text,
    instant_from_text,
    is_identifier,
    is_time_zone,
    zero,
)

STRING_LENGTH_MAX = 1_024
FREE_TEXT_LENGTH_MAX = 4_096
REFUND_IDENTIFIER_LENGTH_MAX = 512
"""A refund's id has its claim's in it, which has a business id in it (contract §3b)."""

_FINEST_CURRENCY = max(CURRENCY_SCALES, key=CURRENCY_SCALES.__getitem__)
NUMBERS_MAX = 1_000
"""So many telephone numbers one message may name."""
_NO_NUL = r"^[^\u0000]*$"
"""PostgreSQL's text cannot hold U+0000, and nobody's name or words need it."""

_TELEPHONE_NUMBER_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""E.164: a plus, and with the country code at most 15 digits; fewer than 7 is nobody's."""
_TELEPHONE_NUMBER = re.compile(_TELEPHONE_NUMBER_PATTERN, re.ASCII)

_HOST = r"([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = "(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_SECRET_REFERENCE_PATTERN = rf"^([Hh][Tt][Tt][Pp][Ss]://{_HOST}(:{_PORT})?([/?#][!-~]*)?|[Ff][Ii][Ll][Ee]:[!-~]+)$"
"""A URL that can be asked for as it stands: a host, perhaps a port, and visible ASCII."""
_SECRET_REFERENCE = re.compile(_SECRET_REFERENCE_PATTERN)


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise broken("identifier")
    return text


def _refund_identifier(text: str) -> str:
    if not is_identifier(text, REFUND_IDENTIFIER_LENGTH_MAX):
        raise broken("refund_identifier")
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
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise broken("missing" if value is None else "string_type")
    try:
        return instant_from_text(value)
    except ValueError:
        raise broken("instant") from None


def _local_date(value: object) -> date:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise broken("missing" if value is None else "string_type")
    try:
        return date_from_text(value)
    except ValueError:
        raise broken("local_date") from None


def _amount(value: object, info: ValidationInfo) -> Decimal:
    if isinstance(value, Decimal):
        value = str(value)
    if not isinstance(value, str):
        raise broken("missing" if value is None else "amount_type")
    currency = info.data.get("currency")  # none where it was refused itself: how many digits it has, nobody can say
    try:
        return amount_from_text(value, currency or _FINEST_CURRENCY)
    except ValueError:
        raise broken("amount_decimals" if _is_amount(value) else "amount") from None


def _is_amount(text: str) -> bool:
    try:
        amount_from_text(text, _FINEST_CURRENCY)
    except ValueError:
        return False
    return True


def _signed(value: object, info: ValidationInfo) -> Decimal:
    text = str(value) if isinstance(value, Decimal) else value
    if isinstance(text, str) and text.startswith("-"):
        return -_positive(_amount(text[1:], info))
    return _amount(text, info)


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


def _says_something(value: object) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise broken("says_nothing")
    return value


def _secret_reference(text: str) -> str:
    if _SECRET_REFERENCE.fullmatch(text) is None:
        raise broken("secret_reference")
    return text


def _telephone_number(text: str) -> str:
    if _TELEPHONE_NUMBER.fullmatch(text) is None:
        raise broken("telephone_number")
    return text


def _telephone_numbers(value: object) -> object:
    """None for no numbers: a message that lists none says no more than one without the list."""
    if value is None or isinstance(value, tuple):
        return value
    if not isinstance(value, list):
        raise broken("telephone_numbers")
    if len(value) > NUMBERS_MAX:
        raise broken("telephone_numbers_too_many")
    return tuple(value) or None


def _listed_once(numbers: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """In one order, whichever they came in: a message that lists them in another says the same."""
    if numbers is None:
        return None
    if len(set(numbers)) < len(numbers):
        raise broken("telephone_numbers_twice")
    return tuple(sorted(numbers))


# --- What JSON Schema can say of the rules ------------------------------------------------------------------------

_YEAR = "(19[0-9]{2}|[2-8][0-9]{3}|9000)"
_MONTH_AND_DAY = "(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR = "([01][0-9]|2[0-3])"
_MINUTE = "[0-5][0-9]"

IDENTIFIER_SCHEMA: dict[str, Any] = {
    "description": f"An identifier: 1 to {IDENTIFIER_LENGTH_MAX} printable characters without spaces.",
    "type": "string",
    "minLength": 1,
    "maxLength": IDENTIFIER_LENGTH_MAX,
    # Controls, spaces, marks that are not seen, and private use; the rarer ones that do not print are only described.
    "pattern": r"^[^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f"
    r"\u3000\ue000-\uf8ff\ufeff]+$",
}
_NEW_IDENTIFIER_SCHEMA = {
    **IDENTIFIER_SCHEMA,
    "description": f"A new identifier: 1 to {IDENTIFIER_LENGTH_MAX} printable characters without spaces. "
    f"Those that begin with {MADE_ID_PREFIX} are made by Makegood.",
    "not": {"pattern": f"^{MADE_ID_PREFIX}"},
}
_REFUND_IDENTIFIER_SCHEMA = {
    **IDENTIFIER_SCHEMA,
    "description": f"A refund id: 1 to {REFUND_IDENTIFIER_LENGTH_MAX} printable characters without spaces.",
    "maxLength": REFUND_IDENTIFIER_LENGTH_MAX,
}
_INSTANT_SCHEMA = {
    "description": "An instant in RFC 3339 with its offset; the date and time must exist. No leap seconds.",
    "type": "string",
    "format": "date-time",
    "pattern": rf"^{_YEAR}-{_MONTH_AND_DAY}[Tt]{_HOUR}:{_MINUTE}:{_MINUTE}(\.[0-9]+)?([Zz]|[+-]{_HOUR}:{_MINUTE})$",
}
_LOCAL_DATE_SCHEMA = {
    "description": "A date in the account's time zone; it must exist.",
    "type": "string",
    "format": "date",
    "pattern": f"^{_YEAR}-{_MONTH_AND_DAY}$",
}
_CURRENCY_SCHEMA = {
    "description": "A currency code of ISO 4217, of today or withdrawn; except metals and fund codes, for which it "
    "defines no decimals.",
    "type": "string",
    "enum": sorted(CURRENCY_SCALES),
}
_TIME_ZONE_SCHEMA = {
    "description": "A time zone name from the IANA database, such as Europe/Berlin. The database changes several "
    "times a year, so its names are not listed here.",
    "type": "string",
    "pattern": "^[A-Za-z][A-Za-z0-9_+/-]*$",
}
_SECRET_REFERENCE_SCHEMA = {
    "description": "A one-time reference to the secret: an https: URL or, in a sandbox, a file: URL. "
    "Never the secret itself.",
    "type": "string",
    "maxLength": STRING_LENGTH_MAX,
    "pattern": _SECRET_REFERENCE_PATTERN,
}
_TELEPHONE_NUMBERS_SCHEMA = {
    "description": "Telephone numbers, each once, in E.164: a plus, the country code and the rest, without spaces, "
    "dashes or parentheses.",
    "type": ["array", "null"],
    "items": {"type": "string", "pattern": _TELEPHONE_NUMBER_PATTERN},
    "maxItems": NUMBERS_MAX,
    "uniqueItems": True,
}
_WHITE = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CHANGED_SCHEMA = {
    "description": "The new value. Leave the field out if it has not changed; never send null or a blank string.",
    "type": "string",
    "maxLength": STRING_LENGTH_MAX,
    "pattern": rf"^[^\u0000]*[^\u0000{_WHITE}][^\u0000]*$",
}
AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"
_AMOUNT_SCHEMA = {
    "description": "An amount of at least zero in major units, with no more decimals than its currency.",
    "type": "string",
    "pattern": AMOUNT_PATTERN,
}
_POSITIVE_AMOUNT_SCHEMA = {
    **_AMOUNT_SCHEMA,
    "description": "An amount greater than zero in major units, with no more decimals than its currency.",
    "not": {"pattern": r"^[0.]*$"},
}
_SIGNED_AMOUNT_SCHEMA = {
    **_AMOUNT_SCHEMA,
    "description": "An amount in major units, with no more decimals than its currency; it may be below zero.",
    "pattern": AMOUNT_PATTERN.replace("^", "^-?", 1),
    "not": {"pattern": r"^-[0.]*$"},
}
_TAX_SCHEMA = {**_AMOUNT_SCHEMA, "type": ["string", "null"]}


# --- The kinds of field -------------------------------------------------------------------------------------------

Text = Annotated[str, Field(max_length=STRING_LENGTH_MAX, pattern=_NO_NUL)]
"""A string such as a name or a plan."""

CODED = object()
"""Marks a field of which only a code stands in the fact; free text goes into the vault (policy §8)."""

CodeOrWords = Annotated[
    str,
    Field(
        max_length=STRING_LENGTH_MAX,
        pattern=_NO_NUL,
        description="A code (1 to 64 of a-z, 0-9 and _, beginning with a letter), or free text, which is stored in "
        "the vault only.",
    ),
    CODED,
]
"""A category or a channel: a code, or the words of a person."""

CodeOrWordsIfAny = Annotated[CodeOrWords | None, CODED]
"""The same, or absent."""

NonEmptyText = Annotated[str, Field(min_length=1, max_length=STRING_LENGTH_MAX, pattern=_NO_NUL)]
"""A string that is not empty, such as an e-mail address."""

Changed = Annotated[Text | None, BeforeValidator(_says_something), WithJsonSchema(_CHANGED_SCHEMA)]
"""A string that replaces another one: neither null nor blank, or absent. Its default is `None`."""

FreeText = Annotated[str, Field(max_length=FREE_TEXT_LENGTH_MAX, pattern=_NO_NUL)]
"""Sentences that a person wrote; they go into the vault."""

Identifier = Annotated[str, AfterValidator(_identifier), WithJsonSchema(IDENTIFIER_SCHEMA)]
"""1 to 128 printable characters without spaces."""

OPENS = object()
"""Marks a field whose id becomes known by the message."""

NewIdentifier = Annotated[str, AfterValidator(_identifier), WithJsonSchema(_NEW_IDENTIFIER_SCHEMA), OPENS]
"""The identifier of something that the message makes known; of the form of made ids only in messages of the door."""

RefundIdentifier = Annotated[str, AfterValidator(_refund_identifier), WithJsonSchema(_REFUND_IDENTIFIER_SCHEMA)]
"""1 to 512 printable characters without spaces."""

Instant = Annotated[datetime, PlainValidator(_instant), WithJsonSchema(_INSTANT_SCHEMA)]
"""An instant with its offset; held in UTC."""

LocalDate = Annotated[date, PlainValidator(_local_date), WithJsonSchema(_LOCAL_DATE_SCHEMA)]
"""A date in the account's zone."""

Currency = Annotated[str, AfterValidator(_currency), WithJsonSchema(_CURRENCY_SCHEMA)]
"""An ISO 4217 code, of today or withdrawn, except metals and fund codes, for which ISO defines no decimals."""

TimeZone = Annotated[str, AfterValidator(_time_zone), WithJsonSchema(_TIME_ZONE_SCHEMA)]
"""An IANA zone."""

Amount = Annotated[Decimal, PlainValidator(_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
"""Zero or more, in major units; held at the scale of the message's currency."""

PositiveAmount = Annotated[Amount, AfterValidator(_positive), WithJsonSchema(_POSITIVE_AMOUNT_SCHEMA)]
"""More than zero."""

SignedAmount = Annotated[Decimal, PlainValidator(_signed), WithJsonSchema(_SIGNED_AMOUNT_SCHEMA)]
"""A net amount or a tax as the ledger worked it out, below zero too; held at the scale of the message's currency."""

Tax = Annotated[Decimal, PlainValidator(_tax), Field(validate_default=True), WithJsonSchema(_TAX_SCHEMA)]
"""An amount that is zero where the message has none. Its default is `NO_TAX`."""

Flag = Annotated[bool, BeforeValidator(_absent_is_false), WithJsonSchema({"type": ["boolean", "null"]})]
"""True or false, and false for null. Its default is `False`."""

Severity = Literal["significant", "minor"]
"""How badly the service failed."""

OutageCause = Literal["provider", "customer_equipment", "force_majeure", "unknown"]
"""What a failure of the service came from."""

Violation = Literal["misuse", "non_payment"]
"""What the provider stops a service for."""

CancelledBy = Literal["portal", "support"]
"""By which way a customer cancelled."""

SecretReference = Annotated[Text, AfterValidator(_secret_reference), WithJsonSchema(_SECRET_REFERENCE_SCHEMA)]
"""A one-time reference to a secret: `https:` or, in a sandbox, `file:`. Never the secret."""

TelephoneNumbers = Annotated[
    tuple[Annotated[str, AfterValidator(_telephone_number)], ...] | None,
    BeforeValidator(_telephone_numbers),
    AfterValidator(_listed_once),
    WithJsonSchema(_TELEPHONE_NUMBERS_SCHEMA),
]
"""Telephone numbers in E.164, each once; None where none is listed. Its default is `None`."""
