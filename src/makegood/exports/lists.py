"""What can be exported: the lists, each with the type of its rows, its question, and the version of its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ledger.store.reading.page import Listed
from makegood.answers import owed
from projections.claims import Claim
from projections.complaints import Complaint
from projections.credits import Credit
from projections.disputes import Dispute
from projections.refunds import Refund

What = Literal["claims", "refunds", "credits", "disputes", "complaints"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A list that can be exported. `question` takes the filters that the list has."""

    what: What
    version: int
    title: str
    rows: type
    question: Callable[..., Listed[Any]]


EXPORTED: dict[What, Exported] = {
    exported.what: exported
    for exported in (
        Exported("claims", 1, "Claims", Claim, owed.claims),
        Exported("refunds", 1, "Refunds", Refund, owed.refunds),
        Exported("credits", 1, "Credits", Credit, owed.credits),
        Exported("disputes", 1, "Disputes", Dispute, owed.disputes),
        Exported("complaints", 1, "Complaints", Complaint, owed.complaints),
    )
}
