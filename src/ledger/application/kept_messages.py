"""Messages that are kept: dead letters, which were refused, and messages set aside, which kept failing.

Nothing that came is lost. A kept message is closed once, by whoever replays or discards it, with an event in the
account `system` that says who it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ledger.aggregates import Cause, SystemRecord, stream_name
from ledger.application.ledger import Ledger
from ledger.application.statement import Statement
from ledger.events import KeptAs, KeptMessage, LedgerEvent, MessageDiscarded, MessageReplayed, ReplayOutcome, Sealed
from ledger.store.database import StoreError, Transaction
from ledger.store.reading import shards_of_accounts, vault_entry
from ledger.store.writing import Closure, HeadMove, ReaderMove, SetAside, Writes, read_heads
from ledger.values import SYSTEM_ACCOUNT
from ledger.vault import dead_letter_subject, set_aside_subject

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
        return (dead_letter_subject if self.kept == "dead-letter" else set_aside_subject)(self.kept_id)

    def body(self, ledger: Ledger) -> bytes | None:
        """What it said, None where the vault has nothing of it. Raises Erased or Damaged."""
        with ledger.database.reading() as transaction:
            entry = vault_entry(transaction, self.subject)
        return ledger.vault.decrypt(entry) if entry is not None else None


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

    def replayed(
        self,
        ledger: Ledger,
        transaction: Transaction,
        writes: Writes,
        outcome: ReplayOutcome,
        fact_event_id: str | None,
    ) -> LedgerEvent:
        """The act of a replay, with what else its transaction has to write."""
        data = MessageReplayed.Data(
            kept=self.of.kept,
            kept_id=self.of.kept_id,
            sealed=self._sealed(ledger, writes),
            outcome=outcome,
            fact_event_id=fact_event_id,
            repaired=self.repaired,
        )
        return self._record(ledger, transaction, writes, MessageReplayed, data)

    def discarded(self, ledger: Ledger, transaction: Transaction, writes: Writes) -> LedgerEvent:
        """The act of a discard, with what else its transaction has to write."""
        data = KeptMessage(kept=self.of.kept, kept_id=self.of.kept_id, sealed=self._sealed(ledger, writes))
        return self._record(ledger, transaction, writes, MessageDiscarded, data)

    def _record(
        self,
        ledger: Ledger,
        transaction: Transaction,
        writes: Writes,
        act: type[MessageReplayed | MessageDiscarded],
        data: KeptMessage,
    ) -> LedgerEvent:
        head = read_heads(transaction, [SYSTEM_ACCOUNT])[SYSTEM_ACCOUNT]
        now = ledger.clock_in(transaction)()
        recorded_at: datetime = max(now, head.recorded_at or now)
        cause = Cause(actor=self.actor, channel=self.channel, occurred_at=now, recorded_at=recorded_at, now=now)
        event = SystemRecord.empty(stream_name(self.of.kept, self.of.kept_id)).record(act, data, cause)
        outcome: Literal["replayed", "discarded"] = "replayed" if act is MessageReplayed else "discarded"
        writes.heads[SYSTEM_ACCOUNT] = HeadMove(head, head.version)
        writes.closures.append(Closure(self.of.kept, self.of.kept_id, outcome, self.actor, now))
        return event

    def _sealed(self, ledger: Ledger, writes: Writes) -> Sealed | None:
        if self.reason is None:
            return None
        ledger.vault.prepare([self.of.subject])
        sealed, entry = ledger.vault.seal(f"{self.of.subject}/closing", self.of.subject, {"reason": self.reason})
        writes.vault.append(entry)
        return sealed


def discard(ledger: Ledger, closing: Closing) -> None:
    """Say for good that a kept message will not come in. Its body stays in the vault.

    Raises AlreadyClosed, Conflict where another writer was faster, and Unavailable.
    """
    writes = Writes()
    with ledger.database.reading() as transaction:
        closing.check_open(transaction)
        event = closing.discarded(ledger, transaction, writes)
    ledger.events.put([event], writes=writes)


def set_aside(ledger: Ledger, statement: Statement, reason: str, reader: ReaderMove | None) -> None:
    """Keep a message that keeps failing, and move the reader past it; everything else goes on without it.

    `reason` quotes nothing of the message. Raises ReaderFenced, Conflict or Unavailable.
    """
    vault = ledger.vault
    body = statement.body()
    set_aside_id = vault.digest(b"set aside\x00" + statement.origin.encode() + b"\x00" + body)[:32]
    writes = Writes(reader=reader)
    with ledger.database.reading() as transaction:
        known = transaction.rows("SELECT 1 FROM set_aside WHERE set_aside_id = ?", (set_aside_id,))
        now = ledger.clock_in(transaction)()
        shards = shards_of_accounts(transaction, [statement.account])
    if not known:
        subject = set_aside_subject(set_aside_id)
        vault.prepare([subject])
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
