"""The journal for hledger and beancount: a transaction for each movement, tagged with its event.

Both read the same accounts and tags. Ids stand only in tags, where signs that mean something there are
percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ledger.values import CURRENCY_SCALES, instant_from_text, instant_to_text
from makegood.exports.bookkeeping import ACCOUNTS, Posting, postings
from makegood.house.control_characters import visible

if TYPE_CHECKING:
    from makegood.exports.columns import Row
    from makegood.exports.exporting import Export

TAGS = (
    "event_id",
    "number",
    "account_id",
    "clause",
    "claim_id",
    "item_id",
    "charge_id",
    "invoice_id",
    "net",
    "tax",
    "recorded_at",
    "occurred_at",
    "position",
)
"""What each transaction is tagged with, where the movement has it; by the names of the movement's fields."""
_BEGAN = "1900-01-01"
"""Before any transaction: the day on which beancount has accounts opened."""
_MEANS_SOMETHING = re.compile(r'[%,;"\\]|[^\x20-\x7e]')


def write_hledger(export: Export, file: Path) -> None:
    """Write a journal for hledger."""
    with file.open("x", encoding="utf-8", newline="\n") as out:
        out.writelines(f"; {line}\n" for line in _on_top(export))
        out.write("\ndecimal-mark .\n\n")
        out.writelines(f"account {account}  ; {says}\n" for account, says in ACCOUNTS.items())
        for rows in export.pages:
            for row in rows:
                out.write(_of_hledger(row, export))
        out.write("\n")
        out.writelines(
            f"commodity {_style(currency)} {currency}\n" for currency in sorted(export.totals.currencies())
        )


def _of_hledger(row: Row, export: Export) -> str:
    recorded, occurred = _days(row, export)
    days = f"{recorded}={occurred}" if recorded != occurred else f"{recorded}"
    lines = [f"\n{days} * {row['kind']}"]
    lines += [f"    ; {name}: {value}" for name, value in _tags(row).items()]
    lines += [f"    {posting.account}  {posting.amount} {row['currency']}" for posting in _postings(row)]
    return "\n".join(lines) + "\n"


def _style(currency: str) -> str:
    return f"1000.{'0' * CURRENCY_SCALES[currency]}"


def write_beancount(export: Export, file: Path) -> None:
    """Write a ledger for beancount."""
    with file.open("x", encoding="utf-8", newline="\n") as out:
        out.writelines(f"; {line}\n" for line in _on_top(export))
        out.write('\noption "title" "Makegood"\n\n')
        out.writelines(f"; {says}\n{_BEGAN} open {account}\n" for account, says in ACCOUNTS.items())
        for rows in export.pages:
            for row in rows:
                out.write(_of_beancount(row, export))
        out.write("\n")
        out.writelines(f"{_BEGAN} commodity {currency}\n" for currency in sorted(export.totals.currencies()))


def _of_beancount(row: Row, export: Export) -> str:
    recorded, _ = _days(row, export)
    lines = [f'\n{recorded} * "{row["kind"]}"']
    lines += [f'  {name}: "{value}"' for name, value in _tags(row).items()]
    lines += [f"  {posting.account}  {posting.amount} {row['currency']}" for posting in _postings(row)]
    return "\n".join(lines) + "\n"


def _on_top(export: Export) -> Iterator[str]:
    yield f"Makegood: {export.exported.title}, version {export.exported.version}"
    yield f"filter: {visible(export.filter_in_words(), lines=False)}"
    yield f"as of: {instant_to_text(export.as_of)}, position {export.position}"
    yield f"days: {export.zone}"


def _days(row: Row, export: Export) -> tuple[date, date]:
    """The day of a transaction, and the other of its two: when it was recorded, and when it became true."""
    names = ("recorded_at", "occurred_at")
    first, second = reversed(names) if export.filters.get("by_occurrence") else names
    zone = ZoneInfo(export.zone)
    return tuple(instant_from_text(row[name]).astimezone(zone).date() for name in (first, second))  # type: ignore[return-value]


def _tags(row: Row) -> Mapping[str, str]:
    return {name: tagged(str(row[name])) for name in TAGS if row[name] is not None}


def tagged(text: str) -> str:
    """A value of a tag: what would end it, or is no plain ASCII, is percent-encoded in UTF-8."""
    return _MEANS_SOMETHING.sub(lambda found: quote(found[0], safe=""), text)


def _postings(row: Row) -> list[Posting]:
    net, tax = Decimal(row["net"]), Decimal(row["tax"])
    return list(postings(row["kind"], row["clause"], net, tax, submitted=row["submitted"]))
