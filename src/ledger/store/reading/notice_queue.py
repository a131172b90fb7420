"""The queue of notices to customers: how each stands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ledger.events import NoticeKind
from ledger.store.database import Row, Transaction
from ledger.store.instants import from_microseconds
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Order, Page, Where, listed, merged

NoticeStatus = Literal["queued", "sending", "sent", "failed", "in_doubt", "discarded"]
OPEN: tuple[NoticeStatus, ...] = ("queued", "sending", "failed", "in_doubt")
"""How a notice stands that somebody has still to do something about: the part, or a person."""

ORDER: Order = {"queued_at": int, "position": int, "notice_id": str}
"""The oldest first."""


@dataclass(frozen=True, slots=True)
class QueuedNotice:
    """One notice in the queue.

    `position` is that of the event it tells of, in the shard of its account. A `repeat` may be the second copy that
    a customer gets. `last_error` is a code of ours, never what a mail server said.
    """

    notice_id: str
    account: str
    kind: NoticeKind
    event_id: str
    position: int
    queued_at: datetime
    status: NoticeStatus = "queued"
    attempts: int = 0
    repeat: bool = False
    next_attempt_at: datetime | None = None
    claimed_at: datetime | None = None
    last_error: str | None = None


COLUMNS = (
    "notice_id",
    "account",
    "kind",
    "event_id",
    "position",
    "queued_at",
    "status",
    "attempts",
    "repeat",
    "next_attempt_at",
    "claimed_at",
    "last_error",
)
"""The columns of the queue that `queued_notice` reads, in their order."""


def find_notice(transaction: Transaction, notice_id: str) -> QueuedNotice | None:
    """The notice with an id."""
    rows = transaction.rows(f"SELECT {', '.join(COLUMNS)} FROM notices WHERE notice_id = ?", (notice_id,))
    return queued_notice(rows[0]) if rows else None


def notices_in(
    transaction: Transaction,
    statuses: Collection[NoticeStatus],
    account: str | None = None,
    page: Page | None = None,
) -> Listed[QueuedNotice]:
    """The notices that stand in one of these ways, the oldest first."""
    of_each = [
        listed(transaction, COLUMNS, "notices", ORDER, Where().equal(status=status, account=account), page)
        for status in statuses
    ]
    found = merged(of_each, page)
    return found.told(queued_notice(tuple(row.values())) for row in found)


def unsent(transaction: Transaction) -> Left:
    """The e-mails that wait to be sent, or are under way; since when, by the world's time."""
    return left(transaction, "SELECT COUNT(*), MIN(queued_at) FROM notices WHERE status IN ('queued', 'sending')")


def notices_left(transaction: Transaction) -> Left:
    """The e-mails that a person must decide about."""
    return left(transaction, "SELECT COUNT(*), MIN(queued_at) FROM notices WHERE status IN ('failed', 'in_doubt')")


def queued_notice(row: Row) -> QueuedNotice:
    """A row of the queue."""
    notice_id, account, kind, event_id, position, queued_at, status, attempts, repeat, next_at, claimed_at, why = row
    return QueuedNotice(
        notice_id=notice_id,
        account=account,
        kind=kind,
        event_id=event_id,
        position=int(position),
        queued_at=from_microseconds(queued_at),
        status=status,
        attempts=int(attempts),
        repeat=bool(repeat),
        next_attempt_at=_stamped(next_at),
        claimed_at=_stamped(claimed_at),
        last_error=why,
    )


def _stamped(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)
