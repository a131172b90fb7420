"""E-mails to customers: how each stands, and what comes next."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import NoticeKind
from ledger.store.reading.notice_queue import OPEN, NoticeStatus, QueuedNotice, notices_in
from ledger.store.reading.page import Listed, Page
from ledger.values import instant_to_text
from makegood.answers.of_all_shards import of_all_shards
from makegood.house.opening import House
from projections.shown_values import Instant


class Notice(TypedDict):
    """An e-mail to a customer."""

    notice_id: str
    account_id: str
    kind: NoticeKind
    event_id: str
    status: NoticeStatus
    attempts: int
    repeat: bool
    queued_at: Instant
    next_attempt_at: Instant | None
    last_error: NotRequired[Annotated[str | None, Field(description="Not shown to customers, like the next step.")]]
    next: NotRequired[Annotated[str | None, Field(description="The next step, in words.")]]


@of_all_shards
def notices(
    house: House,
    *,
    account: str | None = None,
    statuses: Collection[NoticeStatus] | None = None,
    page: Page | None = None,
) -> Listed[Notice]:
    """The e-mails to customers that stand in one of these ways, the oldest first; those that are open unless told."""
    with house.database.reading() as transaction:
        found = notices_in(transaction, OPEN if statuses is None else statuses, account, page)
    return found.told(notice(house, each) for each in found)


def notice(house: House, queued: QueuedNotice) -> Notice:
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
