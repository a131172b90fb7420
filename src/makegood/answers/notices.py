"""E-mails to customers: how each stands, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.store.notice_queue import OPEN, NoticeStatus, QueuedNotice, notices_in
from ledger.values import instant_to_text
from makegood.house.opening import House


def notices(
    house: House, account: str | None = None, statuses: Iterable[NoticeStatus] | None = None
) -> list[dict[str, Any]]:
    """The e-mails to customers that stand in one of these ways, the oldest first; those that are open unless told."""
    return [notice(house, each) for each in in_queue(house, account, statuses)]


def in_queue(
    house: House, account: str | None = None, statuses: Iterable[NoticeStatus] | None = None
) -> list[QueuedNotice]:
    """The same, as they stand in the queue."""
    with house.database.reading() as transaction:
        return notices_in(transaction, OPEN if statuses is None else statuses, account)


def notice(house: House, queued: QueuedNotice) -> dict[str, Any]:
    """How an e-mail to a customer stands, and what comes next."""
    next_at = instant_to_text(queued.next_attempt_at) if queued.next_attempt_at is not None else None
    return {
        "notice_id": queued.notice_id,
        "account_id": queued.account,
        "kind": queued.kind,
        "event_id": queued.event_id,
        "status": queued.status,
        "attempts": queued.attempts,
        "repeat": queued.repeat,
        "queued_at": instant_to_text(queued.queued_at),
        "next_attempt_at": next_at,
        "last_error": queued.last_error,
        "next": _next(queued, bool(house.settings.smtp), next_at),
    }


def _next(queued: QueuedNotice, posts: bool, next_at: str | None) -> str | None:
    """What comes next, in words; None where nothing does."""
    decide = f"makegood notices resend {queued.notice_id}, or discard"
    match queued.status:
        case "queued" if not posts:
            return "waiting for a mail server: set MAKEGOOD_SMTP"
        case "queued" if queued.attempts:
            return f"next attempt at {next_at}"
        case "queued":
            return "sent by `makegood run`"
        case "sending":
            return "being sent"
        case "in_doubt":
            return f"find out whether it arrived, then: {decide}"
        case "failed":
            return f"fix the error, then: {decide}"
    return None
