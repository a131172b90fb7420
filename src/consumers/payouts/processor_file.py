"""The files in which payment processors list what they paid back: CSV with our own columns, or with Stripe's.

Of Stripe's reports these are the itemized ones of the balance (https://docs.stripe.com/reports/report-types): an
amount that leaves the balance has a minus, amounts are in major units, and a refund that fails comes back in a row of
its own. Only the columns named here are looked at. What is wrong with a row is said without quoting it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from decimal import Decimal
from hashlib import sha256
from typing import BinaryIO

from consumers.upstream.fields import REFUND_IDENTIFIER_LENGTH_MAX
from ledger.events import FileFormat, PayoutStatus
from ledger.reconciliation import ListedPayout
from ledger.values import (
    CURRENCY_SCALES,
    IDENTIFIER_LENGTH_MAX,
    SYSTEM_ACCOUNT,
    amount_from_text,
    date_from_text,
    instant_from_text,
    is_identifier,
)

Open = Callable[[], BinaryIO]
"""Opens the file from its beginning; it is read more than once."""

OUR_COLUMNS = ("amount", "currency", "date", "status")
OUR_NAMES = ("return_id", "refund_id", "reference")
"""What a row says of which payout it is about: at least one of these, and `account_id` where several accounts have a
refund of the same id."""
STRIPE_COLUMNS = ("reporting_category", "source_id", "gross", "currency")
STRIPE_DATES = ("created_utc", "created")
RETURN_IN_STRIPE = "refund_metadata[makegood_return]"
"""The column in which Stripe's reports have the return that a refund was asked for, if it was chosen."""

OUR_STATUSES: Mapping[str, PayoutStatus] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "submitted": "submitted",
    "pending": "submitted",
}
STRIPE_CATEGORIES: Mapping[str, PayoutStatus] = {"refund": "succeeded", "refund_failure": "failed"}

DELIMITERS = (",", ";", "\t")


class NotReadable(Exception):
    """A file that cannot be read as a list of payouts. The message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read, by its line and column; everything else is read."""

    line: int
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class NoRefund:
    """A row of a balance report that is about something else."""

    line: int


Read = ListedPayout | Unreadable | NoRefund


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file was found to be when all of it was looked at."""

    sha256: str
    format: FileFormat
    rows: int
    first_day: date | None
    last_day: date | None


class _Wrong(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def look(open_file: Open, on_row: Callable[[Read], object]) -> Looked:
    """Read a file whole, and tell of each row. Raises NotReadable."""
    days: list[date] = []
    rows = 0
    for row in read(open_file):
        rows += 1
        if isinstance(row, ListedPayout):
            days = [min(*days, row.day), max(*days, row.day)] if days else [row.day, row.day]
        on_row(row)
    with open_file() as stream:
        digest = sha256()
        while part := stream.read(1 << 20):
            digest.update(part)
    first_day, last_day = days or (None, None)
    return Looked(digest.hexdigest(), format_of(open_file), rows, first_day, last_day)


def format_of(open_file: Open) -> FileFormat:
    """Whose columns a file has. Raises NotReadable."""
    with open_file() as stream:
        return _format(_heading(_lines(stream))[1])


def read(open_file: Open) -> Iterator[Read]:
    """The rows of a file, one after the other. Raises NotReadable, also while it is read."""
    with open_file() as stream:
        lines = _lines(stream)
        delimiter, columns = _heading(lines)
        row_of = _our_row if _format(columns) == "makegood" else _stripe_row
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 2
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise NotReadable(
                    f"line {line}: this is no row of CSV; a quotation mark may be missing: export the file again"
                ) from None
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                yield Unreadable(line, None, f"has {len(cells)} cells where the heading has {len(columns)}")
                continue
            try:
                yield row_of(line, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
            except _Wrong as wrong:
                yield Unreadable(line, wrong.column, str(wrong))


# --- the heading ----------------------------------------------------------------------------------------------------


def _lines(stream: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode("utf-8")) + 1
            raise NotReadable(
                f"line {number}, column {column}: the file is not UTF-8: export it as CSV in UTF-8"
            ) from None


def _heading(lines: Iterator[str]) -> tuple[str, list[str]]:
    heading = next(lines, "")
    delimiter = max(DELIMITERS, key=heading.count)
    columns = [name.strip().lower() for name in next(csv.reader([heading], delimiter=delimiter), [])]
    repeated = sorted({name for name in columns if name and columns.count(name) > 1})
    if repeated:
        raise NotReadable(f"line 1: the heading has the column {repeated[0]} twice: keep one of them")
    return delimiter, columns


def _format(columns: Sequence[str]) -> FileFormat:
    """Raises NotReadable for a heading that is neither ours nor Stripe's, and says what the nearer one lacks."""
    ours = [name for name in OUR_COLUMNS if name not in columns]
    if not any(name in columns for name in OUR_NAMES):
        ours.insert(0, " or ".join(OUR_NAMES))
    stripes = [name for name in STRIPE_COLUMNS if name not in columns]
    if not any(name in columns for name in STRIPE_DATES):
        stripes.append(" or ".join(STRIPE_DATES))
    if not ours:
        return "makegood"
    if not stripes:
        return "stripe"
    if "balance_transaction_id" in columns or "reporting_category" in columns:
        raise NotReadable(
            f"line 1: Stripe's report lacks the column {stripes[0]}: choose it when you download the itemized report"
        )
    raise NotReadable(
        f"line 1: the heading lacks the column {ours[0]}; a list of payouts has the columns return_id, refund_id or "
        f"reference, and {', '.join(OUR_COLUMNS)}"
    )


# --- rows -----------------------------------------------------------------------------------------------------------


def _our_row(line: int, cells: Mapping[str, str]) -> ListedPayout:
    account, return_id, refund_id, reference = (
        _id(cells, "account_id"),
        _id(cells, "return_id"),
        _id(cells, "refund_id", REFUND_IDENTIFIER_LENGTH_MAX),
        _id(cells, "reference"),
    )
    if account == SYSTEM_ACCOUNT:
        raise _Wrong("account_id", "is reserved: name the customer's account, or leave it out")
    if return_id is None and refund_id is None and reference is None:
        raise _Wrong(next(name for name in OUR_NAMES if name in cells), "is empty: name the return or the reference")
    status = OUR_STATUSES.get(cells["status"].lower())
    if status is None:
        raise _Wrong("status", f"must be one of {', '.join(OUR_STATUSES)}")
    currency = _currency(cells, "currency")
    return ListedPayout(
        line=line,
        account_id=account,
        refund_id=refund_id,
        return_id=return_id,
        reference=reference,
        amount=_amount(cells, "amount", currency),
        currency=currency,
        day=_day(cells, "date"),
        status=status,
    )


def _stripe_row(line: int, cells: Mapping[str, str]) -> ListedPayout | NoRefund:
    """What the customer got is in the currency that they paid in, where the report has it."""
    status = STRIPE_CATEGORIES.get(cells["reporting_category"])
    if status is None:
        return NoRefund(line)
    reference = _id(cells, "source_id")
    if reference is None:
        raise _Wrong("source_id", "is empty: a refund has its id here")
    to_customer = bool(cells.get("customer_facing_amount") and cells.get("customer_facing_currency"))
    amount, currency_in = (
        ("customer_facing_amount", "customer_facing_currency") if to_customer else ("gross", "currency")
    )
    currency = _currency(cells, currency_in)
    return ListedPayout(
        line=line,
        account_id=None,
        refund_id=None,
        return_id=_id(cells, RETURN_IN_STRIPE),
        reference=reference,
        amount=_amount(cells, amount, currency),
        currency=currency,
        day=_day(cells, next(name for name in STRIPE_DATES if name in cells)),
        status=status,
    )


def _id(cells: Mapping[str, str], column: str, length_max: int = IDENTIFIER_LENGTH_MAX) -> str | None:
    """Free text cannot be taken for an id: it has spaces."""
    text = cells.get(column, "")
    if text and not is_identifier(text, length_max):
        raise _Wrong(column, f"must have at most {length_max} printable characters without spaces")
    return text or None


def _currency(cells: Mapping[str, str], column: str) -> str:
    code = cells[column].upper()
    if code not in CURRENCY_SCALES:
        raise _Wrong(column, "must be a currency's code of ISO 4217, such as EUR")
    return code


_AMOUNT = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?", re.ASCII)


def _amount(cells: Mapping[str, str], column: str, currency: str) -> Decimal:
    """Lists of refunds have them with or without a minus; more decimals than the currency has must be zeros."""
    match = _AMOUNT.fullmatch(cells[column])
    if match is None:
        raise _Wrong(column, "must be digits in major units with a point, such as 29.95, without grouping")
    scale = CURRENCY_SCALES[currency]
    decimals = (match[2] or "")[:scale] + (match[2] or "")[scale:].rstrip("0")
    try:
        return amount_from_text(f"{match[1].lstrip('0') or '0'}{f'.{decimals}' if decimals else ''}", currency)
    except ValueError:
        raise _Wrong(column, f"must have at most 15 digits, and {scale} decimals") from None


_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?", re.ASCII)


def _day(cells: Mapping[str, str], column: str) -> date:
    """The date as the file has it; an instant with its offset is taken in UTC."""
    text = cells[column]
    match = _DAY.fullmatch(text)
    try:
        return date_from_text(match[1]) if match is not None else instant_from_text(text).astimezone(UTC).date()
    except ValueError:
        raise _Wrong(column, "must be a date such as 2026-01-31, or an instant") from None
