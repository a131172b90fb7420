"""What can be exported: lists and the journal, each with its question, its formats, and a version.

The version of a list is that of its columns, the version of the journal that of its accounts and tags.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Unpack, get_args

from ledger.store.reading.page import Listed, Page
from makegood.access.sight import Sight
from makegood.answers import finance, owed
from makegood.answers.filters import Asked, Filters
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections import journal_entries
from projections.claims import Claim
from projections.complaints import Complaint
from projections.credits import Credit
from projections.disputes import Dispute
from projections.journal_entries import JournalEntry
from projections.moved import Movement
from projections.refunds import Refund

What = Literal["claims", "refunds", "credits", "disputes", "complaints", "movements", "journal"]
ListFormat = Literal["csv", "xlsx", "jsonl", "parquet"]
JournalFormat = Literal["hledger", "beancount"]
Format = ListFormat | JournalFormat
LIST_FORMATS: tuple[ListFormat, ...] = get_args(ListFormat)
JOURNAL_FORMATS: tuple[JournalFormat, ...] = get_args(JournalFormat)


@dataclass(frozen=True, slots=True)
class Exported:
    """What can be exported. `question` takes the filters that the list has.

    Totals are by currency, and by the columns in `groups`.
    """

    what: What
    version: int
    title: str
    rows: type
    question: Callable[..., Listed[Any]]
    groups: tuple[str, ...] = ()
    formats: tuple[Format, ...] = LIST_FORMATS


@of_all_shards
def _journal(
    house: House, sight: Sight, *, by_occurrence: bool = False, page: Page | None = None, **asked: Unpack[Asked]
) -> Listed[JournalEntry]:
    narrowing = Filters(**asked).narrowing(sight, house.settings.time_zone)
    by: Literal["recorded_at", "occurred_at"] = "occurred_at" if by_occurrence else "recorded_at"
    return journal_entries.listed(house.database, narrowing, by, page)


EXPORTED: dict[What, Exported] = {
    exported.what: exported
    for exported in (
        Exported("claims", 1, "Claims", Claim, owed.claims),
        Exported("refunds", 1, "Refunds", Refund, owed.refunds),
        Exported("credits", 1, "Credits", Credit, owed.credits),
        Exported("disputes", 1, "Disputes", Dispute, owed.disputes),
        Exported("complaints", 1, "Complaints", Complaint, owed.complaints),
        Exported("movements", 1, "Movements", Movement, finance.movements, ("kind",)),
        Exported("journal", 1, "Journal", JournalEntry, _journal, ("kind",), JOURNAL_FORMATS),
    )
}
