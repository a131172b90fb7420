"""The queue of notices to customers, and the one-time links in them: how rows may change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.store.database import Conflict, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.notice_queue import COLUMNS, QueuedNotice, queued_notice
from ledger.store.reading.shards import shard_end, shards_of

NOT_REGISTERED = "account_not_registered"
NOT_THE_SERVERS = (NOT_REGISTERED, "refund_not_known", "cannot_be_written")
"""Why a notice waits that has nothing to do with the mail server. The account's next ones do not wait for it."""


def reader_of(shard: int) -> str:
    """Who follows a shard's events for what customers are to be told."""
    return f"notices/{shard}"


_COLUMNS = ", ".join(COLUMNS)
_OLDEST_FIRST = "ORDER BY queued_at, position, notice_id"


def queue_notices(transaction: Transaction, notices: Iterable[QueuedNotice]) -> int:
    """Put notices into the queue; how many were new. One that is known stays as it is."""
    return transaction.insert(
        "notices",
        COLUMNS,
        [
            (
                n.notice_id,
                n.account,
                n.kind,
                n.event_id,
                n.position,
                to_microseconds(n.queued_at),
                n.status,
                n.attempts,
                int(n.repeat),
                _stamp(n.next_attempt_at),
                _stamp(n.claimed_at),
                n.last_error,
            )
            for n in notices
        ],
        new_only=True,
    )


def count_as_sent(transaction: Transaction, notices: Iterable[QueuedNotice]) -> None:
    """Have notices stand as sent, also those that are not in the queue: what they tell of may come again."""
    sent = [replace(notice, status="sent", next_attempt_at=None) for notice in notices]
    queue_notices(transaction, sent)
    transaction.update(
        "notices",
        {"status": "TEXT", "next_attempt_at": "BIGINT", "claimed_at": "BIGINT", "last_error": "TEXT"},
        {"notice_id": "TEXT"},
        [("sent", None, None, None, notice.notice_id) for notice in sent],
    )


def wake_notices(transaction: Transaction, accounts: Iterable[str], code: str, now: datetime) -> None:
    """What waits in some accounts for what a code says has waited long enough: it has come."""
    for account in accounts:
        transaction.run(
            "UPDATE notices SET next_attempt_at = ? WHERE account = ? AND status = 'queued' AND last_error = ?",
            (to_microseconds(now), account, code),
        )


def change_notice(transaction: Transaction, before: QueuedNotice, after: QueuedNotice) -> None:
    """Have a notice stand otherwise. Raises Conflict where it is no longer as it was read.

    Each attempt to send counts, so that status and number of attempts say together whose turn it is.
    """
    changed = transaction.run(
        "UPDATE notices SET status = ?, attempts = ?, repeat = ?, next_attempt_at = ?, claimed_at = ?, "
        "last_error = ? WHERE notice_id = ? AND status = ? AND attempts = ?",
        (
            after.status,
            after.attempts,
            int(after.repeat),
            _stamp(after.next_attempt_at),
            _stamp(after.claimed_at),
            after.last_error,
            before.notice_id,
            before.status,
            before.attempts,
        ),
    )
    if changed != 1:
        raise Conflict(f"notice {before.notice_id} was changed by another since it was read")


def next_to_send(transaction: Transaction, now: datetime) -> QueuedNotice | None:
    """The first notice whose time has come. An account's notices go out in their order: while an earlier one is on
    its way or waits for the mail server, the later ones wait as well.
    """
    own = ", ".join(f"'{code}'" for code in NOT_THE_SERVERS)
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM notices AS n WHERE status = 'queued' AND next_attempt_at <= ? AND NOT EXISTS ("
        "SELECT 1 FROM notices AS e WHERE e.account = n.account AND e.position < n.position "
        f"AND e.status IN ('queued', 'sending') AND COALESCE(e.last_error, '') NOT IN ({own})) "
        "ORDER BY next_attempt_at, position, notice_id LIMIT 1",
        (to_microseconds(now),),
    )
    return queued_notice(rows[0]) if rows else None


def abandoned(transaction: Transaction, claimed_before: datetime) -> list[QueuedNotice]:
    """The notices that somebody began to send so long ago that they cannot be at it any more, the oldest first."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM notices WHERE status = 'sending' AND claimed_at <= ? {_OLDEST_FIRST}",
        (to_microseconds(claimed_before),),
    )
    return [queued_notice(row) for row in rows]


def begin_after_what_is_there(transaction: Transaction) -> None:
    """Have a store that was there before notices were begin with what comes next: nobody hears of the past."""
    for shard in shards_of(transaction):
        begin_unless_begun(transaction, shard, shard_end(transaction, shard))


def begin_unless_begun(transaction: Transaction, shard: int, position: int = 0) -> None:
    """Have a shard's reader begin after a position, where it never read."""
    transaction.run(
        "INSERT INTO readers (reader, position, epoch) VALUES (?, ?, 1) ON CONFLICT (reader) DO NOTHING",
        (reader_of(shard), position),
    )


# --- one-time links -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActivationLink:
    """How one link stands: tries since the beginning of the hour that counts, and who has it or had it."""

    notice_id: str
    tries: int
    tries_since: datetime
    claimed_at: datetime | None
    collected_at: datetime | None


def hold_link(transaction: Transaction, notice_id: str, now: datetime) -> ActivationLink:
    """A link's row, made where there is none, and held until the transaction ends: who press at once take turns."""
    transaction.run(
        "INSERT INTO activation_links (notice_id, tries, tries_since) VALUES (?, 0, ?) "
        "ON CONFLICT (notice_id) DO UPDATE SET tries = activation_links.tries",
        (notice_id, to_microseconds(now)),
    )
    link = find_link(transaction, notice_id)
    assert link is not None
    return link


def keep_link(transaction: Transaction, link: ActivationLink) -> None:
    """Write a link's row that is held."""
    transaction.run(
        "UPDATE activation_links SET tries = ?, tries_since = ?, claimed_at = ? WHERE notice_id = ?",
        (link.tries, to_microseconds(link.tries_since), _stamp(link.claimed_at), link.notice_id),
    )


def find_link(transaction: Transaction, notice_id: str) -> ActivationLink | None:
    """A link's row, where anybody ever pressed the button."""
    rows = transaction.rows(
        "SELECT tries, tries_since, claimed_at, collected_at FROM activation_links WHERE notice_id = ?", (notice_id,)
    )
    if not rows:
        return None
    tries, since, claimed_at, collected_at = rows[0]
    return ActivationLink(
        notice_id, int(tries), from_microseconds(since), _instant(claimed_at), _instant(collected_at)
    )


def note_collected(transaction: Transaction, notice_id: str, collected_at: datetime) -> None:
    """A link was used. Raises Conflict where it was already."""
    changed = transaction.run(
        "UPDATE activation_links SET collected_at = ? WHERE notice_id = ? AND collected_at IS NULL",
        (to_microseconds(collected_at), notice_id),
    )
    if changed != 1:
        raise Conflict(f"the link of notice {notice_id} has already been used")


def _stamp(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)
