"""What is wrong with a message, in plain words that never quote it.

Values may be personal data, and reasons stand in dead letters, logs and on the screens of operators. So pydantic's
own wording, which quotes the input, stays here: an error becomes one of our sentences by its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the field as a dotted path (None for the whole message), and why."""

    field: str | None
    reason: str


class Unreadable(Exception):
    """The bytes hold no CloudEvent in JSON; there is nothing more to look at."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


SENTENCES: dict[str, str] = {
    # pydantic's
    "missing": "this field is required, and the message does not have it",
    "extra_forbidden": "the contract knows no such field here, and unknown fields are refused: leave it out",
    "model_type": "this must be a JSON object",
    "string_type": "this must be a string in quotes, not a number or anything else",
    "string_unicode": "this string holds half of a surrogate pair, which is no character: send whole characters",
    "string_pattern_mismatch": "this string holds the character U+0000, which cannot be stored: leave it out",
    "string_too_short": "this string must not be empty",
    "string_too_long": "this string is too long: {max_length} characters are allowed",
    "bool_type": "this must be true or false, without quotes",
    "literal_error": "this must be one of the values that the contract names: {expected}",
    # ours
    "identifier": "an identifier is a string of 1 to 128 printable characters without spaces",
    "refund_identifier": "a refund's identifier is a string of 1 to 512 printable characters without spaces",
    "currency": "this is no currency of ISO 4217: send the three capital letters of one that is",
    "time_zone": "IANA knows no such time zone: send a name of its database, such as Area/City",
    "instant": "an instant is a string in RFC 3339 with its offset, such as 2026-03-01T09:30:00Z, "
    "of a day and a time that exist",
    "local_date": "a date is a string YYYY-MM-DD of a day that exists",
    "amount_type": "an amount is a string of digits in major units: put it in quotes",
    "amount": "an amount is a string of digits in major units with a point before the decimals, "
    "without sign, exponent or grouping",
    "amount_decimals": "this amount has more decimals than its currency",
    "amount_zero": "an overcharge that is confirmed must be more than zero",
    "ends_on": "a cycle must end after it starts: ends_on is the first date that no longer belongs to it",
    "secret_reference": "a secret is handed over as a reference, an https: or file: URL, and never itself",
    "says_nothing": "this must say what holds from now on: leave it out where it stays as it was",
    "nothing_changed": "this names nothing that has changed: give a name, an e-mail address or a locale",
    "retracts_anothers": "a source takes back only what it said itself: this must be the source of the message",
    "retracts_itself": "a message cannot take itself back: this must be the id of another one",
    "specversion": "this is no CloudEvent 1.0: specversion must be the string 1.0",
    "json_only": "the data must be JSON: leave this out or send application/json",
    "reserved_source": "this source is reserved for what people do at the door: send the name of your system",
    "reserved_subject": "this account id is reserved for the ledger itself: use the id of a customer's account",
}
"""Every reason that a field can be refused for, by the type of its error."""

_ILL_TYPED = frozenset({"string_type", "bool_type", "literal_error", "model_type"})
_OTHERWISE = "this is not what the contract asks for here"
_SHOWN = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


def broken(rule: str) -> PydanticCustomError:
    """What a validator raises where one of our rules is broken; `rule` is its name in SENTENCES."""
    return PydanticCustomError(rule, "see SENTENCES")


def shown(name: str) -> str:
    """The name of a field as it may be shown: upstream chose it, so one that is not plainly a name is a `?`."""
    return name if _SHOWN.fullmatch(name) else "?"


def findings(error: ValidationError, *within: str) -> Iterator[Finding]:
    """Every error of a model as a finding, in the model's order; `within` is the path to the model."""
    for details in error.errors(include_url=False):
        path = (*within, *(shown(str(part)) for part in details["loc"]))
        yield Finding(".".join(path) or None, _sentence(details))


def _sentence(details: ErrorDetails) -> str:
    kind = details["type"]
    if kind in _ILL_TYPED and details["input"] is None:  # a null stands for an absent field
        kind = "missing"
    return SENTENCES.get(kind, _OTHERWISE).format_map(details.get("ctx", {}))
