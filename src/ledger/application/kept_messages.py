"""Messages that are kept: dead letters, which were refused, and messages set aside, which kept failing.

Nothing that came is lost. A kept message is closed once, by whoever replays or discards it, with an event in the
account `system` that says who it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.application.record import bury
from ledger.application.statement import Became, Refusal, Statement
from ledger.events import KeptAs, KeptMessage, MessageDiscarded, MessageReplayed, ReplayOutcome, Sealed
from ledger.events.event_ids import message_event_id
from ledger.store.database import StoreError, Transaction
from ledger.store.reading.shards import shards_of_accounts
from ledger.store.reading.vault import VaultInStore, opened_body
from ledger.store.writing import Closure, ReaderMove, SetAside, Writes
from ledger.values import SYSTEM_ACCOUNT, stream_name
from ledger.vault import customer_subject, kept_subject, set_aside_subject

RUN_MAX = 10
"""So many messages may be set aside in a row; if the next one fails too, it is we who are wrong (design rule 8)."""
SHARE_MAX, SHARE_OF = 50, 1_000
"""So many of so many messages of a partition may be set aside, for the same reason."""


class AlreadyClosed(StoreError):
    """The message was replayed or discarded already: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is kept, and where it was seen."""

    kept: KeptAs
    kept_id: str
    origin: str

    @property
    def subject(self) -> str:
        """Subject and reference of its body in the vault."""
        return kept_subject(self.kept, self.kept_id)

    def body(self, ledger: Ledger) -> bytes | None:
        """What it said, None where the vault has nothing of it. Raises Erased or Damaged."""
        return opened_body(ledger.database, ledger.vault, self.subject)


@dataclass(frozen=True, slots=True)
class Closing:
    """Somebody is done with a kept message: who, through which channel, and why in their words."""

    of: Kept
    actor: str
    channel: str
    reason: str | None = None
    repaired: bool = False

    def check_open(self, transaction: Transaction) -> None:
        """Raises AlreadyClosed."""
        rows = transaction.rows(
            "SELECT outcome, actor FROM closures WHERE kept = ? AND kept_id = ?", (self.of.kept, self.of.kept_id)
        )
        if rows:
            raise AlreadyClosed(f"{self.of.kept} {self.of.kept_id} was already {rows[0][0]} by {rows[0][1]}")

    def replayed(self, act: Act, outcome: ReplayOutcome, fact_event_id: str | None) -> None:
        """Record that it was replayed."""
        data = MessageReplayed.Data(
            kept=self.of.kept,
            kept_id=self.of.kept_id,
            sealed=self._sealed(act),
            outcome=outcome,
            fact_event_id=fact_event_id,
            repaired=self.repaired,
        )
        self._close(act, MessageReplayed, data, "replayed")

    def discarded(self, act: Act) -> None:
        """Record that it was discarded."""
        data = KeptMessage(kept=self.of.kept, kept_id=self.of.kept_id, sealed=self._sealed(act))
        self._close(act, MessageDiscarded, data, "discarded")

    def _close(
        self,
        act: Act,
        event_class: type[MessageReplayed | MessageDiscarded],
        data: KeptMessage,
        outcome: Literal["replayed", "discarded"],
    ) -> None:
        stream = SystemRecord.empty(stream_name(self.of.kept, self.of.kept_id))
        act.record(stream, event_class, data, By(self.actor, self.channel))
        act.writes.closures.append(Closure(self.of.kept, self.of.kept_id, outcome, self.actor, act.now()))

    def _sealed(self, act: Act) -> Sealed | None:
        if self.reason is None:
            return None
        act.ledger.vault.prepare([self.of.subject], VaultInStore(act.transaction))
        vault, subject = act.ledger.vault, self.of.subject
        sealed, entries = vault.seal(f"{subject}/closing", subject, {"reason": self.reason})
        act.writes.vault += entries
        return sealed


def discard(ledger: Ledger, closing: Closing) -> None:
    """Say for good that a kept message will not come in. Its body stays in the vault.

    Raises AlreadyClosed, Conflict, and Unavailable.
    """

    def decide(act: Act) -> None:
        closing.check_open(act.transaction)
        closing.discarded(act)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)


def take_again(ledger: Ledger, closing: Closing, statement: Statement) -> Became:
    """Take a kept message in again, and close it with that.

    A dead letter that is refused again stays open; a message set aside that is refused is a dead letter from then on,
    unless it was repaired. Raises AlreadyClosed, Conflict, and Unavailable.
    """

    def decide(act: Act) -> Became:
        closing.check_open(act.transaction)
        [became] = act.take([statement])
        if isinstance(became, Refusal):
            if closing.of.kept == "set-aside" and not closing.repaired:
                bury(ledger, act.transaction, [became], act.writes)
                closing.replayed(act, "refused", None)
            return became
        fact_event_id = message_event_id(statement.message.source, statement.message.id)
        closing.replayed(act, "accepted" if became == "accepted" else "duplicate", fact_event_id)
        return became

    return perform(ledger, {SYSTEM_ACCOUNT, statement.account}, decide)


def set_aside(ledger: Ledger, statement: Statement, reason: str, reader: ReaderMove | None) -> None:
    """Keep a message that keeps failing, and move the reader past it; everything else goes on without it.

    The body of one whose account was erased is not kept: it can come in again by another body only. `reason` quotes
    nothing of the message. Raises ReaderFenced, Conflict or Unavailable.
    """
    vault = ledger.vault
    body = statement.body()
    set_aside_id = vault.digest(b"set aside\x00" + statement.origin.encode() + b"\x00" + body)[:32]
    writes = Writes(readers=[reader] if reader is not None else [])
    with ledger.database.reading() as transaction:
        known = transaction.rows("SELECT 1 FROM set_aside WHERE set_aside_id = ?", (set_aside_id,))
        now = ledger.clock_in(transaction)()
        shards = shards_of_accounts(transaction, [statement.account])
        subject, in_store = set_aside_subject(set_aside_id), VaultInStore(transaction)
        erased = vault.erased_among({customer_subject(statement.account)}, in_store)
        if not known and not erased:
            vault.prepare([subject], in_store)
    if not known:
        if not erased:
            writes.vault.append(vault.encrypt(subject, subject, body))
        writes.set_aside.append(
            SetAside(
                shard=shards[statement.account],
                set_aside_id=set_aside_id,
                origin=statement.origin,
                reason=reason,
                source=statement.message.source,
                id=statement.message.id,
                account=statement.account,
                channel=statement.channel,
                reader=reader.reader if reader is not None else None,
                offset=reader.to - 1 if reader is not None else None,
                set_aside_at=now,
            )
        )
    ledger.events.put([], writes=writes)


def failing_too_often(transaction: Transaction, reader: str, offset: int) -> str | None:
    """Why the message at an offset must not be set aside as well: too many before it were, and none was replayed.

    It is asked of the store, so that a restart does not begin to count anew.
    """
    rows = transaction.rows(
        "SELECT message_offset FROM set_aside WHERE reader = ? AND message_offset >= ? AND message_offset < ? "
        "AND NOT EXISTS (SELECT 1 FROM closures WHERE kept = 'set-aside' AND kept_id = set_aside_id)",
        (reader, offset - SHARE_OF, offset),
    )
    before = {int(row[0]) for row in rows}
    if before.issuperset(range(offset - RUN_MAX, offset)):
        return f"the {RUN_MAX} previous messages were set aside too"
    if len(before) >= SHARE_MAX:
        return f"{len(before)} of the {SHARE_OF} previous messages were set aside too"
    return None
