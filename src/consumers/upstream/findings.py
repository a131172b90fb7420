"""Findings: the errors in a message, in sentences that never quote it.

Values may be personal data, and reasons appear in dead letters, logs and on operators' screens. Pydantic's own
wording quotes the input, so each error is replaced by one of our sentences, according to its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ledger.values import value


@value
class Finding:
    """One error in a message: the field as a dotted path (None for the whole message), and the reason."""

    field: str | None
    reason: str


class Unreadable(Exception):
    """The bytes are not a CloudEvent in JSON, so nothing more can be checked."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


SENTENCES: dict[str, str] = {
    # pydantic's
    "missing": "this field is required and missing",
    "extra_forbidden": "unknown field: leave it out",
    "model_type": "a JSON object is required",
    "string_type": "a string in quotes is required",
    "string_unicode": "the string contains half of a surrogate pair, which is not a character: send whole characters",
    "string_pattern_mismatch": "the string contains the character U+0000, which cannot be stored: leave it out",
    "string_too_short": "the string must not be empty",
    "string_too_long": "the string is too long: at most {max_length} characters are allowed",
    "bool_type": "true or false is required, without quotes",
    "literal_error": "one of these values is required: {expected}",
    # ours
    "identifier": "an identifier must be a string of 1 to 128 printable characters without spaces",
    "refund_identifier": "a refund id must be a string of 1 to 512 printable characters without spaces",
    "currency": "unknown currency: send a code of ISO 4217, three capital letters",
    "time_zone": "unknown time zone: send a name from the IANA database, such as Area/City",
    "instant": "an instant must be a string in RFC 3339 with its offset, such as 2026-03-01T09:30:00Z, "
    "with an existing date and time",
    "local_date": "a date must be a string YYYY-MM-DD with an existing date",
    "amount_type": "an amount must be a string of digits in major units: put it in quotes",
    "amount": "an amount must be a string of digits in major units with a point before the decimals, "
    "without sign, exponent or grouping",
    "amount_decimals": "the amount has more decimals than its currency",
    "amount_zero": "a confirmed overcharge must be greater than zero",
    "ends_on": "a cycle must end after it starts: ends_on is the first date after the cycle",
    "secret_reference": "a secret must be sent as a reference, never as the secret itself: an https: URL, or in a "
    "sandbox a file: URL, of visible ASCII characters and without a user name",
    "telephone_number": "a telephone number must be a string in E.164: a plus and 7 to 15 digits with the country "
    "code, without spaces, dashes or parentheses",
    "telephone_numbers": "telephone numbers must be a list of strings, also where there is one",
    "telephone_numbers_too_many": "too many telephone numbers: at most 1,000 are allowed",
    "telephone_numbers_twice": "a telephone number is listed twice: list each once",
    "says_nothing": "the new value is missing: leave the field out if it has not changed",
    "nothing_changed": "no change is given: give a name, an e-mail address or a locale",
    "retracts_anothers": "only the source of a message can retract it: this must be the source of this message",
    "retracts_itself": "a message cannot retract itself: this must be the id of another message",
    "specversion": "only CloudEvents 1.0 are supported: specversion must be the string 1.0",
    "json_only": "the data must be JSON: leave this out or send application/json",
    "reserved_source": "this source is reserved for Makegood itself: send the name of your system",
    "reserved_id": "ids that begin with mg- are made by Makegood: send an id of your own",
    "reserved_subject": "this account id is reserved for Makegood itself: use the id of a customer's account",
}
"""All reasons for refusing a field, by the type of the error."""

_ILL_TYPED = frozenset({"string_type", "bool_type", "literal_error", "model_type"})
_OTHERWISE = "the value does not match the contract"
_SHOWN = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


def broken(rule: str) -> PydanticCustomError:
    """The error of a validator for one of our rules; `rule` is its name in SENTENCES."""
    return PydanticCustomError(rule, "see SENTENCES")


def shown(name: str) -> str:
    """A field name that is safe to show: `?` for anything but a plain name, because upstream chose it."""
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
