"""What becomes of notices to customers is recorded: in the account's history and in the queue, in one transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.aggregates import Cause, Notice, stream_name
from ledger.application.access import By
from ledger.application.ledger import Ledger
from ledger.events import (
    AboutNotice,
    LedgerEvent,
    NoticeData,
    NoticeDiscarded,
    NoticeEvent,
    NoticeFailed,
    NoticeResent,
    NoticeSent,
    Sealed,
)
from ledger.store.database import CommitUnknown, Conflict, StoreError
from ledger.store.notice_queue import NoticeTaken, QueuedNotice, find_notice
from ledger.store.reading import find_event
from ledger.store.writing import HeadMove, Writes, read_heads
from ledger.vault import Erased, customer_subject

ATTEMPTS_MAX = 12

PART = By("/makegood/notices", "notices")
"""Who acts when no person does."""


class NoSuchNotice(StoreError):
    """No notice has this id."""


class NotForPeople(StoreError):
    """The notice stands so that there is nothing for a person to decide about it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is recorded of a notice that a mail server took over."""

    message_id: str
    locale: str


def record_sent(ledger: Ledger, notice: QueuedNotice, delivery: Delivery) -> None:
    """A mail server took a notice over. Raises NoticeTaken where another process has it by now, and Unavailable."""
    data = NoticeSent.Data(
        notice_id=notice.notice_id,
        kind=notice.kind,
        about=notice.event_id,
        message_id=delivery.message_id,
        repeat=notice.repeat,
        locale=delivery.locale,
    )
    after = replace(notice, status="sent", claimed_at=None, next_attempt_at=None, last_error=None)
    record(ledger, notice, after, lambda _: (NoticeSent, data), PART)


def record_failed(ledger: Ledger, notice: QueuedNotice, code: str) -> None:
    """A notice cannot be sent. Raises NoticeTaken, and Unavailable."""
    data = NoticeFailed.Data(notice_id=notice.notice_id, kind=notice.kind, code=code)
    after = replace(notice, status="failed", claimed_at=None, next_attempt_at=None, last_error=code)
    record(ledger, notice, after, lambda _: (NoticeFailed, data), PART)


def record_discarded(ledger: Ledger, notice: QueuedNotice) -> None:
    """What a notice would have told of is gone before it was sent. Raises NoticeTaken, and Unavailable."""
    data = NoticeDiscarded.Data(notice_id=notice.notice_id, kind=notice.kind, sealed=None)
    after = replace(notice, status="discarded", claimed_at=None, next_attempt_at=None, last_error="nothing_to_tell")
    record(ledger, notice, after, lambda _: (NoticeDiscarded, data), PART)


def resend(ledger: Ledger, notice_id: str, by: By, now: datetime) -> QueuedNotice:
    """A person has a notice sent once more: one that failed, one in doubt, or one that the customer did not find.

    It is marked as a repeat where the one before it may have arrived. `now` is the queue's own time. Raises
    NoSuchNotice, NotForPeople, Conflict and Unavailable.
    """
    notice = _found(ledger, notice_id)
    if notice.status not in ("failed", "in_doubt", "sent"):
        raise NotForPeople(
            f"notice {notice_id} is {said_of(notice)}: only notices that failed, are in doubt or were sent can be "
            "sent again"
        )
    repeat = notice.repeat or notice.status != "failed"
    after = replace(notice, status="queued", repeat=repeat, next_attempt_at=now, claimed_at=None, last_error=None)
    data = NoticeData(notice_id=notice_id, kind=notice.kind)
    record(ledger, notice, after, lambda _: (NoticeResent, data), by)
    return after


def discard(ledger: Ledger, notice_id: str, by: By, reason: str | None = None) -> QueuedNotice:
    """A person decides that a notice is not sent. The reason lies in the vault, unless its key was erased.

    Raises NoSuchNotice, NotForPeople, Conflict and Unavailable.
    """
    notice = _found(ledger, notice_id)
    if notice.status not in ("queued", "failed", "in_doubt"):
        raise NotForPeople(
            f"notice {notice_id} is {said_of(notice)}: only notices that are queued, failed or in doubt can be "
            "discarded"
        )
    after = replace(notice, status="discarded", next_attempt_at=None, claimed_at=None)

    def act(writes: Writes) -> tuple[type[NoticeDiscarded], NoticeDiscarded.Data]:
        sealed = _sealed(ledger, notice, reason, writes)
        return NoticeDiscarded, NoticeDiscarded.Data(notice_id=notice_id, kind=notice.kind, sealed=sealed)

    record(ledger, notice, after, act, by)
    return after


def said_of(notice: QueuedNotice) -> str:
    """How a notice stands, in words."""
    return notice.status.replace("_", " ")


Act = Callable[[Writes], tuple[type[NoticeEvent], AboutNotice]]


def record(ledger: Ledger, before: QueuedNotice, after: QueuedNotice, act: Act, by: By) -> None:
    """Record an act on a notice in its account's history, and move its row, once.

    The account is not loaded: an act on a notice changes nothing that is decided about it.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        with ledger.database.reading() as transaction:
            stands = find_notice(transaction, before.notice_id)
        if stands == after:
            return  # by a commit whose answer was lost
        if stands != before:
            raise NoticeTaken(before.notice_id)
        writes = Writes(notices=[(before, after)])
        event = event_of(ledger, before, act(writes), by, writes)
        try:
            ledger.events.put([event], writes=writes)
        except NoticeTaken:
            raise
        except (Conflict, CommitUnknown):
            if attempt == ATTEMPTS_MAX:
                raise
            time.sleep(random.uniform(0, 0.002 * 2**attempt))
        else:
            return


def event_of(
    ledger: Ledger, notice: QueuedNotice, act: tuple[type[NoticeEvent], AboutNotice], by: By, writes: Writes
) -> LedgerEvent:
    """The next event in a notice's stream; its account's head moves with what else is written."""
    # The head before the stream: whatever is recorded between the two moves the head, and the write fails.
    with ledger.database.reading() as transaction:
        head = read_heads(transaction, [notice.account])[notice.account]
        now = ledger.clock_in(transaction)()
        about = find_event(transaction, notice.event_id)
    past = ledger.events.get(stream_name("notice", notice.account, notice.notice_id))
    cause = Cause(
        actor=by.actor,
        channel=by.channel,
        occurred_at=now,
        recorded_at=max(now, head.recorded_at or now),
        now=now,
        correlation_id=about.event().correlation_id if about is not None else None,
        causation_id=notice.event_id,
    )
    writes.heads[notice.account] = HeadMove(head, head.version)
    event_class, data = act
    return Notice.empty(notice.account, notice.notice_id, len(list(past))).record(event_class, data, cause)


def _found(ledger: Ledger, notice_id: str) -> QueuedNotice:
    with ledger.database.reading() as transaction:
        notice = find_notice(transaction, notice_id)
    if notice is None:
        raise NoSuchNotice(f"notice {notice_id} not found; see `makegood notices`")
    return notice


def _sealed(ledger: Ledger, notice: QueuedNotice, reason: str | None, writes: Writes) -> Sealed | None:
    if not reason:
        return None
    subject = customer_subject(notice.account)
    try:
        ledger.vault.still_opens(subject)
        ledger.vault.prepare([subject])
        ref = f"notice/{notice.account}/{notice.notice_id}/discarded"
        sealed, entry = ledger.vault.seal(ref, subject, {"reason": reason})
    except Erased:
        return None
    writes.vault.append(entry)
    return sealed
