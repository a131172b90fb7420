"""Notices: what customers are told by e-mail, once, and what happens when nobody knows whether they were (policy §8).

The part follows the ledger's events by position and puts what they ask for into a queue; rows and position move
together. It sends from the queue: a row is claimed, the mail server takes the e-mail over, and that is recorded. Who
dies between the last two leaves a row that is claimed and never let go; it is sent once more, marked as a repeat, and
if that one's fate is not known either, a person decides. Projections are never read, so that a rebuild sends nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256

import structlog

from consumers.mail.gathering import Links, Moot, NotYet, credit_notice_id, credits_added, gather
from consumers.mail.languages import language_of
from consumers.mail.sending import FateUnknown, Mailer, NotTaken, RefusedForGood, ServerUnusable
from consumers.mail.writing import Envelope, Mailbox, NoAddress, mailbox, written
from consumers.part import BackOff, reason_of
from ledger.application.ledger import Ledger
from ledger.application.notice_delivery import (
    Delivery,
    NoticeTaken,
    record_discarded,
    record_failed,
    record_sent,
)
from ledger.events import (
    AccountRegistered,
    ActivationDue,
    ClaimAssessedV1,
    ComplaintFact,
    ComplaintOpened,
    FactRetracted,
    LedgerEvent,
    NoticeKind,
    RefundSucceeded,
    RefundSucceededV1,
    SettlementChanged,
    SubscriptionStatusChanged,
    course_since,
)
from ledger.store.database import Conflict, Transaction, Unavailable
from ledger.store.notice_queue import (
    NOT_REGISTERED,
    abandoned,
    begin_unless_begun,
    change_notice,
    next_to_send,
    queue_notices,
    reader_of,
    wake_notices,
)
from ledger.store.reading.events import StoredEnvelope, ended_on_before, read_shard
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.readers import reader_stands
from ledger.store.reading.shards import shards_of
from ledger.store.writing import ReaderMove, move_reader
from ledger.vault import Erased, Lost

BATCH_MAX = 2_000
"""So many events are looked at in one transaction."""
LEASE_SECONDS = 300.0
"""How long whoever claimed a notice may take; far longer than a mail server may (`CONVERSATION_SECONDS`)."""
RETRY_FIRST, RETRY_MOST = 30.0, 3600.0
"""Seconds until a notice that was not taken is tried again: at first, and in the end."""
SERVER_FIRST, SERVER_MOST = 1.0, 60.0
"""Seconds that all notices wait where the mail server cannot be used."""
IDLE_SECONDS = 1.0
RESTS = 0.25
"""Seconds that it waits for more after a batch that was not full: each costs a commit, and e-mails can wait."""

log = structlog.get_logger("makegood.notices")


# --- what customers are told --------------------------------------------------------------------------------------


def notices_of(event: LedgerEvent, effective_on: date | None = None) -> Iterator[tuple[NoticeKind, str]]:
    """What an event has customers told: each notice's kind and its id; nothing for most events.

    `effective_on` is the date on which the subscription was to end before a change of its status. An id follows from
    what the notice is about, so that what comes twice is told once: an activation for each subscription, a refund for
    each refund, the opening of a complaint for each complaint, a credit for each event that made it greater; all else
    for each event.
    """
    match event:
        case ActivationDue():
            yield _notice("activation", event, event.data.subscription_id)
        case SubscriptionStatusChanged():
            course = course_since(effective_on, event)
            if course is not None:
                yield _notice("cancellation" if course == "scheduled" else "withdrawal", event)
        case SettlementChanged() | ClaimAssessedV1():
            for credit in credits_added(event):
                yield "credit", credit_notice_id(event, credit.of)
        case RefundSucceeded() | RefundSucceededV1():
            yield _notice("refund", event, event.data.refund_id)
        case ComplaintOpened():
            yield _notice("complaint_opened", event, event.data.complaint_id)
        case ComplaintFact() if _name_of(event.type) == "complaint-resolved":
            yield _notice("complaint_resolved", event)


def _notice(kind: NoticeKind, event: LedgerEvent, about: str | None = None) -> tuple[NoticeKind, str]:
    identity = (kind, event.account, about) if about is not None else (kind, event.event_id)
    return kind, sha256("\x00".join(identity).encode()).hexdigest()[:32]


def _name_of(stored_type: str) -> str:
    """A stored type's name, whatever its version."""
    return stored_type.rpartition(".v")[0]


_TELLING = frozenset(
    {
        "activation-due",
        "subscription-status-changed",
        "claim-assessed",
        "settlement-changed",
        "refund-succeeded",
        "complaint-opened",
        "complaint-resolved",
    }
)
"""The names of the stored types that may have customers told something; others are not even read."""
_REGISTERING = frozenset({AccountRegistered.stored_as, FactRetracted.stored_as})
"""The stored types after which an account may be registered that was not: a retraction may itself be retracted."""


def _queued(transaction: Transaction, stored: StoredEnvelope, now: datetime) -> Iterator[QueuedNotice]:
    if _name_of(stored.type) not in _TELLING:
        return
    event = stored.event()
    for kind, notice_id in notices_of(event, ended_on_before(transaction, event)):
        yield QueuedNotice(
            notice_id=notice_id,
            account=stored.account,
            kind=kind,
            event_id=event.event_id,
            position=stored.position,
            queued_at=now,
            next_attempt_at=now,
        )


# --- the part -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Post:
    """Where e-mails are sent to, from whom, and what links in them begin with."""

    mailer: Mailer
    sender: Mailbox
    public_url: str


class Notices:
    """The part that tells customers. Without a `post` it only fills the queue; several may run on one store.

    `clock` is the world's time, by which the queue waits, whatever a sandbox's clock says; `jitter` keeps attempts
    from coming in step.
    """

    name = "notices"

    def __init__(
        self,
        ledger: Ledger,
        post: Post | None,
        *,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        lease: float = LEASE_SECONDS,
        retry_first: float = RETRY_FIRST,
        idle: float = IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._post = post
        self._clock = clock
        self._jitter = jitter
        self._lease = timedelta(seconds=lease)
        self._retry_first = retry_first
        self._idle = idle
        self._monotonic = monotonic
        self._recorded = recorded
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._server = BackOff(SERVER_FIRST, SERVER_MOST, jitter)
        self._server_rests_until = 0.0

    def wake(self) -> None:
        """Something was recorded: do not wait until it is noticed."""
        self._woken.set()

    def run(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        back_off = BackOff()
        self._stop = stop
        ready()
        while not stop.is_set():
            try:
                done = self.queue()
                while not stop.is_set() and self.send_next():
                    done += 1
            except (Unavailable, Conflict, NoticeTaken) as error:
                wait = back_off.next()
                log.warning("notices_wait", reason=str(error), seconds=round(wait, 3), failures=back_off.failures)
                stop.wait(wait)
                continue
            back_off.reset()
            if not done:
                self._woken.wait(self._idle)
                self._woken.clear()
            elif done < BATCH_MAX:
                stop.wait(RESTS)

    # --- filling the queue ---------------------------------------------------------------------------------------

    def queue(self) -> int:
        """Put into the queue what the next events of every shard ask for; how many events that were.

        Whoever moves the reader's position writes the rows, so that several processes may do it: the one that is too
        late has read for nothing.
        """
        with self._ledger.database.reading() as transaction:
            shards = shards_of(transaction)
        return sum(self._queue_of(shard) for shard in shards)

    def _queue_of(self, shard: int) -> int:
        now = self._clock()
        reader = reader_of(shard)
        with self._ledger.database.reading() as transaction:
            position, epoch = reader_stands(transaction, reader) or (0, 1)
            found = read_shard(transaction, shard, position, BATCH_MAX)
            notices = [notice for stored in found for notice in _queued(transaction, stored, now)]
        if not found:
            return 0
        with self._ledger.database.writing() as transaction:
            begin_unless_begun(transaction, shard)
            move_reader(transaction, ReaderMove(reader, epoch, position, found[-1].position))
            new = queue_notices(transaction, notices)
            registered = sorted({e.account for e in found if e.type in _REGISTERING})
            wake_notices(transaction, registered, NOT_REGISTERED, now)
        if new:
            log.info("notices_queued", notices=new, last=str(found[-1].at))
        return len(found)

    # --- sending -------------------------------------------------------------------------------------------------

    def send_next(self) -> bool:
        """Send one notice, if there is a mail server and one's time has come; whether there was one."""
        if self._post is None or self._monotonic() < self._server_rests_until:
            return False
        claimed = self._claim()
        if claimed is None:
            return False
        self._deliver(self._post, claimed)
        return True

    def _claim(self) -> QueuedNotice | None:
        """Take the notice whose turn it is; None where there is none. Raises Conflict where another has it."""
        now = self._clock()
        with self._ledger.database.reading() as transaction:
            left = abandoned(transaction, now - self._lease)
        for notice in left:
            self._unknown(notice)
        with self._ledger.database.reading() as transaction:
            first = next_to_send(transaction, now)
        if first is None:
            return None
        claimed = replace(first, status="sending", attempts=first.attempts + 1, claimed_at=now, next_attempt_at=None)
        self._change(first, claimed)
        return claimed

    def _deliver(self, post: Post, notice: QueuedNotice) -> None:
        began = self._monotonic()
        letter = self._written(post, notice)
        if letter is None:
            return
        try:
            post.mailer.send(letter.recipient, letter.message)
        except RefusedForGood as error:
            self._fail(notice, error.code)
        except ServerUnusable as error:
            wait = self._server.next()
            self._server_rests_until = self._monotonic() + wait
            log.warning("mail_server_unusable", code=error.code, seconds=round(wait, 3))
            self._put_back(notice, error.code, max(wait, self._retry_first))
        except NotTaken as error:
            self._put_back(notice, error.code)
        except Exception as error:
            # The answer was lost; or it is a defect, after which nobody knows either.
            if not isinstance(error, FateUnknown):
                log.error("notice_fails", **_said_of(notice), reason=reason_of(error))  # noqa: TRY400
            self._unknown(notice)
        else:
            self._server.reset()
            self._record(lambda: record_sent(self._ledger, notice, letter.delivery))
            log.info("notice_sent", **_said_of(notice), seconds=round(self._monotonic() - began, 3))
            self._recorded()

    def _written(self, post: Post, notice: QueuedNotice) -> _Written | None:
        """The e-mail, written now; None where it cannot be, which is noted then."""
        now = self._clock()
        try:
            gathered = gather(self._ledger, notice, Links(post.public_url, now))
            language = language_of(gathered.customer.locale)
            envelope = Envelope(
                sender=post.sender,
                recipient=mailbox(gathered.customer.name, gathered.customer.email),
                notice_id=notice.notice_id,
                date=now,
                repeat=notice.repeat,
            )
            message = written(language.write(gathered.about), language, envelope)
        except Erased:
            self._fail(notice, "erased")
        except Lost:
            self._fail(notice, "key_lost")
        except NoAddress:
            self._fail(notice, "no_address")
        except Moot:
            self._record(lambda: record_discarded(self._ledger, notice))
            log.info("notice_is_moot", **_said_of(notice))
        except NotYet as error:
            self._put_back(notice, error.code)
        except Unavailable:
            # The store or the keys are away, for everybody: the account's next ones wait for this one.
            self._put_back(notice, "unavailable")
        except Exception as error:
            # A defect, or damage: this one waits, and nobody else does.
            log.error("notice_cannot_be_written", **_said_of(notice), reason=reason_of(error))  # noqa: TRY400
            self._put_back(notice, "cannot_be_written")
        else:
            return _Written(envelope.recipient.address, message, Delivery(envelope.message_id, language.code))
        return None

    def _put_back(self, notice: QueuedNotice, code: str, wait: float | None = None) -> None:
        """It was not taken, for certain: try again later, each time twice as long unless it is said when."""
        if wait is None:
            back_off = BackOff(self._retry_first, RETRY_MOST, self._jitter)
            back_off.failures = notice.attempts - 1
            wait = back_off.next()
        later = self._clock() + timedelta(seconds=wait)
        self._change(notice, _waiting(notice, later, code))
        log.warning("notice_not_taken", **_said_of(notice), code=code, seconds=round(wait))

    def _fail(self, notice: QueuedNotice, code: str) -> None:
        self._record(lambda: record_failed(self._ledger, notice, code))
        log.error("notice_failed", **_said_of(notice), code=code)
        self._recorded()

    def _unknown(self, notice: QueuedNotice) -> None:
        """Nobody knows whether it arrived: send it once more, as a repeat; after the repeat a person decides."""
        if notice.repeat:
            self._change(notice, replace(notice, status="in_doubt", claimed_at=None, last_error="fate_unknown"))
            log.error("notice_in_doubt", **_said_of(notice))
        else:
            self._change(notice, _waiting(replace(notice, repeat=True), self._clock(), "fate_unknown"))
            log.warning("notice_is_repeated", **_said_of(notice))

    def _change(self, before: QueuedNotice, after: QueuedNotice) -> None:
        with self._ledger.database.writing() as transaction:
            change_notice(transaction, before, after)

    def _record(self, record: Callable[[], None]) -> None:
        """Record what became of a notice that is ours, and do not give up while it is: it happened."""
        back_off = BackOff()
        give_up_at = self._monotonic() + self._lease.total_seconds() / 2
        while True:
            last = self._stop.is_set() or self._monotonic() >= give_up_at
            try:
                record()
            except (Unavailable, Conflict):
                if last:
                    raise
                self._stop.wait(back_off.next())
            else:
                return


@dataclass(frozen=True, slots=True)
class _Written:
    """An e-mail ready to be handed over, and what is recorded when it was."""

    recipient: str
    message: bytes
    delivery: Delivery


def _waiting(notice: QueuedNotice, until: datetime, code: str) -> QueuedNotice:
    return replace(notice, status="queued", next_attempt_at=until, claimed_at=None, last_error=code)


def _said_of(notice: QueuedNotice) -> dict[str, object]:
    """What a log line says of a notice: whose and which, and nothing that it says."""
    return {
        "notice": notice.notice_id,
        "account": notice.account,
        "kind": notice.kind,
        "attempt": notice.attempts,
        "repeat": notice.repeat,
    }
