"""Service agreements: the terms a subscription was sold under, read strictly from TOML (contract §2)."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from ledger.events.billing_account import SettleAs
from ledger.values import CURRENCY_SCALES, Rounding, amount_from_text, is_identifier, zero

Basis = Literal["actual_days", "thirty_days", "exact_time"]

DURATION_MAX = timedelta(days=36_600)
"""A hundred years: with it added, the latest instant that a message may name is still within the calendar."""

_DURATION = re.compile(
    r"P(?:(\d{1,5})W|(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,7})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?)", re.ASCII
)


def duration_from_text(text: object) -> timedelta:
    """An ISO 8601 duration of fixed length, such as PT72H or P10D; a day is 24 hours. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(
            "a duration in ISO 8601 is expected, in weeks, days, hours, minutes and seconds, such as 'PT72H'"
        )
    weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if duration > DURATION_MAX:
        raise ValueError(f"a duration of at most {DURATION_MAX.days} days is expected")
    return duration


def _amounts_by_currency(table: object) -> object:
    if not isinstance(table, Mapping):
        raise ValueError('a table of amounts by currency is expected, such as EUR = "5.00"')  # noqa: TRY004
    return {currency: _amount(currency, text) for currency, text in table.items()}


def _amount(currency: str, text: object) -> Decimal:
    """An amount of such a table; an error names the currency, so that its line is found."""
    said = f'the amount of {currency} must be a string, such as "5.00"'
    if currency not in CURRENCY_SCALES:
        said = f"ISO 4217 knows no currency {currency!r}"
    elif isinstance(text, str):
        try:
            return amount_from_text(text, currency)
        except ValueError as error:
            said = str(error)
    raise PydanticCustomError("amount", "{said}", {"said": said, "currency": currency})


def _identifier(text: object) -> object:
    if not isinstance(text, str) or not is_identifier(text):
        raise ValueError("a name of 1 to 128 printable characters without spaces is expected")
    return text


Duration = Annotated[timedelta, BeforeValidator(duration_from_text)]
AmountsByCurrency = Annotated[dict[str, Decimal], BeforeValidator(_amounts_by_currency)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", validate_default=True)


class Proration(_Table):
    """How a part of a cycle is turned into a part of its price."""

    basis: Basis = "actual_days"
    rounding: Rounding = "half_up"


class Disruption(_Table):
    """The terms for refunds after a disruption of service (policy §3)."""

    significant_after: Duration = "PT24H"  # type: ignore[assignment]
    report_within: Duration = "PT72H"  # type: ignore[assignment]
    excluded_causes: tuple[Literal["provider", "customer_equipment", "force_majeure", "unknown"], ...] = Field(
        default=("customer_equipment", "force_majeure"), strict=False
    )
    floor: Literal["monthly_30th", "none"] = "monthly_30th"
    settle_as: SettleAs = "credit"


class BillingError(_Table):
    """The terms for overcharges: their settlement, and the time limit of an investigation (policy §4)."""

    settle_as: SettleAs = "refund"
    investigate_within: Duration = "P10D"  # type: ignore[assignment]


class Cancellation(_Table):
    """The terms for the unused part of a prepaid cycle after a cancellation (policy §5)."""

    unused_period: Literal["from_request", "from_effective", "none"] = "from_request"
    notice_days: Annotated[int, Field(ge=0, le=36_600)] = 0
    minimum_term_days: Annotated[int, Field(ge=0, le=36_600)] = 0
    settle_as: SettleAs = "refund"
    fee: AmountsByCurrency = {}

    def fee_in(self, currency: str) -> Decimal:
        """The fee for a cancellation in a currency; nothing where the agreement names none."""
        return self.fee.get(currency, zero(currency))


class Approval(_Table):
    """The terms for automatic approval of refunds: the hold and the limit (policy §7)."""

    hold: Duration = "PT24H"  # type: ignore[assignment]
    automatic_up_to: AmountsByCurrency = {}


class Agreement(_Table):
    """One version of a service agreement. Keys left out have contract §2's defaults."""

    name: Annotated[str, BeforeValidator(_identifier)]
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    valid_from: date
    proration: Proration = Proration()
    disruption: Disruption = Disruption()
    billing_error: BillingError = BillingError()
    cancellation: Cancellation = Cancellation()
    approval: Approval = Approval()


DEFAULTS = Agreement(name="defaults", version=1, valid_from=date(2000, 1, 1))
"""The terms of a charge without a subscription (policy §1)."""


@dataclass(frozen=True, slots=True)
class PublishedAgreement:
    """A version of an agreement with the exact text it was published as."""

    terms: Agreement
    text: str

    @property
    def sha256(self) -> str:
        """The hash of the text's UTF-8 bytes, by which a binding names it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class AgreementRefused(ValueError):
    """An agreement cannot be published; the message names the line, the key and the expected value."""


def read_agreement(text: str) -> PublishedAgreement:
    """Read an agreement's TOML strictly. Raises AgreementRefused."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AgreementRefused(f"invalid TOML: {error}") from None
    try:
        return PublishedAgreement(Agreement.model_validate(tables), text)
    except ValidationError as error:
        raise AgreementRefused("; ".join(_sentence(text, dict(problem)) for problem in error.errors())) from None


def _sentence(text: str, problem: dict[str, Any]) -> str:
    keys = [str(key) for key in problem["loc"]]
    if "currency" in problem.get("ctx", {}):
        keys.append(problem["ctx"]["currency"])
    where = f"key {'.'.join(keys)}"
    line = _line_of(text, keys)
    said = {
        "missing": "is missing",
        "extra_forbidden": "is unknown: leave it out",
        "literal_error": f"must be {problem.get('ctx', {}).get('expected')}",
    }.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"line {line}, {where}: {said}" if line else f"{where}: {said}"


def _line_of(text: str, keys: list[str]) -> int | None:
    """The line on which a key of a parsed TOML text stands, by its table's heading; None where it is missing."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("#", 1)[0].strip()
        if code.startswith("["):
            table = [part.strip().strip("\"'") for part in code.strip("[]").split(".")]
            if table == keys:
                return number
        elif "=" in code:
            path = table + [part.strip().strip("\"'") for part in code.split("=", 1)[0].split(".")]
            if path == keys or path == keys[: len(path)]:
                return number
    return None


def bindable(published: list[PublishedAgreement], registered_on: date) -> PublishedAgreement | None:
    """The version that holds for a subscription registered on a local date (contract §2).

    That is the latest `valid_from` not after the date, and of several the greatest version; None where there is none.
    """
    candidates = [p for p in published if p.terms.valid_from <= registered_on]
    return max(candidates, key=lambda p: (p.terms.valid_from, p.terms.version), default=None)
