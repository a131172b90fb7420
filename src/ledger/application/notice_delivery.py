"""What becomes of notices to customers is recorded: in the account's history and in the queue, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.aggregates import Notice
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import (
    AboutNotice,
    NoticeData,
    NoticeDiscarded,
    NoticeEvent,
    NoticeFailed,
    NoticeResent,
    NoticeSent,
    Sealed,
)
from ledger.store.database import StoreError, Transaction
from ledger.store.reading.events import find_event, stream_version
from ledger.store.reading.notice_queue import QueuedNotice, find_notice, notices_in
from ledger.store.reading.vault import VaultInStore
from ledger.values import stream_name
from ledger.vault import customer_subject

PART = By("/makegood/notices", "notices")
"""Who acts when no person does."""


class NoSuchNotice(StoreError):
    """No notice has this id."""


class NoticeTaken(StoreError):
    """Another process has the notice by now, or a person decided about it."""

    def __init__(self, notice_id: str) -> None:
        super().__init__(f"notice {notice_id} was changed by someone else in the meantime; see `makegood notices`")


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
    _record_of_ours(ledger, notice, after, NoticeSent, data)


def record_failed(ledger: Ledger, notice: QueuedNotice, code: str) -> None:
    """A notice cannot be sent. Raises NoticeTaken, and Unavailable."""
    data = NoticeFailed.Data(notice_id=notice.notice_id, kind=notice.kind, code=code)
    after = replace(notice, status="failed", claimed_at=None, next_attempt_at=None, last_error=code)
    _record_of_ours(ledger, notice, after, NoticeFailed, data)


def record_discarded(ledger: Ledger, notice: QueuedNotice) -> None:
    """What a notice would have told of is gone before it was sent. Raises NoticeTaken, and Unavailable."""
    data = NoticeDiscarded.Data(notice_id=notice.notice_id, kind=notice.kind, sealed=None)
    after = replace(notice, status="discarded", claimed_at=None, next_attempt_at=None, last_error="nothing_to_tell")
    _record_of_ours(ledger, notice, after, NoticeDiscarded, data)


def resend(ledger: Ledger, notice_id: str, by: By, now: datetime) -> QueuedNotice:
    """A person has a notice sent once more: one that failed, one in doubt, or one that the customer did not find.

    It is marked as a repeat where the one before it may have arrived. `now` is the queue's own time. Raises
    NoSuchNotice, NotForPeople, Conflict and Unavailable.
    """

    def decide(act: Act, notice: QueuedNotice) -> QueuedNotice:
        if notice.status not in ("failed", "in_doubt", "sent"):
            raise NotForPeople(
                f"notice {notice_id} is {said_of(notice)}: only notices that failed, are in doubt or were sent can "
                "be sent again"
            )
        repeat = notice.repeat or notice.status != "failed"
        after = replace(notice, status="queued", repeat=repeat, next_attempt_at=now, claimed_at=None, last_error=None)
        data = NoticeData(notice_id=notice_id, kind=notice.kind)
        _change(act, notice, after, NoticeResent, data, by)
        return after

    return _by_people(ledger, notice_id, decide)


def discard(ledger: Ledger, notice_id: str, by: By, reason: str | None = None) -> QueuedNotice:
    """A person decides that a notice is not sent. The reason lies in the vault, unless the account was erased.

    Raises NoSuchNotice, NotForPeople, Conflict and Unavailable.
    """

    def decide(act: Act, notice: QueuedNotice) -> QueuedNotice:
        if notice.status not in ("queued", "failed", "in_doubt"):
            raise NotForPeople(
                f"notice {notice_id} is {said_of(notice)}: only notices that are queued, failed or in doubt can be "
                "discarded"
            )
        after = replace(notice, status="discarded", next_attempt_at=None, claimed_at=None)
        data = NoticeDiscarded.Data(notice_id=notice_id, kind=notice.kind, sealed=_sealed(act, notice, reason))
        _change(act, notice, after, NoticeDiscarded, data, by)
        return after

    return _by_people(ledger, notice_id, decide)


def discard_unsent(act: Act, account: str, by: By) -> int:
    """Have none of an account's notices sent that were not sent yet; how many there were.

    One that is being sent just now is out of reach.
    """
    found = notices_in(act.transaction, ("queued", "failed", "in_doubt"), account)
    for notice in found:
        after = replace(notice, status="discarded", next_attempt_at=None, claimed_at=None, last_error="erased")
        data = NoticeDiscarded.Data(notice_id=notice.notice_id, kind=notice.kind, sealed=None)
        _change(act, notice, after, NoticeDiscarded, data, by)
    return len(found)


def said_of(notice: QueuedNotice) -> str:
    """How a notice stands, in words."""
    return notice.status.replace("_", " ")


def _by_people(ledger: Ledger, notice_id: str, decide: Callable[[Act, QueuedNotice], QueuedNotice]) -> QueuedNotice:
    """What a person decides about a notice as it stands then; it has been of its account since it was queued."""
    with ledger.database.reading() as transaction:
        account = _found(transaction, notice_id).account
    return perform(ledger, {account}, lambda act: decide(act, _found(act.transaction, notice_id)))


def _record_of_ours(
    ledger: Ledger, before: QueuedNotice, after: QueuedNotice, event_class: type[NoticeEvent], data: AboutNotice
) -> None:
    """What became of a notice that a process has claimed, so that only this process has it stand as `after`."""

    def decide(act: Act) -> None:
        stands = find_notice(act.transaction, before.notice_id)
        if stands == after:
            return  # by a commit whose answer was lost
        if stands != before:
            raise NoticeTaken(before.notice_id)
        _change(act, before, after, event_class, data, PART)

    perform(ledger, {before.account}, decide)


def _change(
    act: Act,
    before: QueuedNotice,
    after: QueuedNotice,
    event_class: type[NoticeEvent],
    data: AboutNotice,
    by: By,
) -> None:
    act.writes.notices.append((before, after))
    record(act, before, event_class, data, by)


def record(act: Act, notice: QueuedNotice, event_class: type[NoticeEvent], data: AboutNotice, by: By) -> None:
    """Record the next event in a notice's stream, which follows from the event that the notice tells of."""
    about = find_event(act.transaction, notice.event_id)
    version = stream_version(act.transaction, stream_name("notice", notice.account, notice.notice_id))
    act.record(
        Notice.empty(notice.account, notice.notice_id, version),
        event_class,
        data,
        by,
        causation_id=notice.event_id,
        correlation_id=about.event().correlation_id if about is not None else None,
    )


def _found(transaction: Transaction, notice_id: str) -> QueuedNotice:
    notice = find_notice(transaction, notice_id)
    if notice is None:
        raise NoSuchNotice(f"notice {notice_id} not found; see `makegood notices`")
    return notice


def _sealed(act: Act, notice: QueuedNotice, reason: str | None) -> Sealed | None:
    if not reason:
        return None
    subject, vault = customer_subject(notice.account), act.ledger.vault
    vault.prepare([subject], VaultInStore(act.transaction))
    ref = f"notice/{notice.account}/{notice.notice_id}/discarded"
    sealed, entries = vault.seal(ref, subject, {"reason": reason})
    act.writes.vault += entries
    return sealed
