"""Record messages: fact → assess → difference → save, message by message, a batch in one transaction."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from ledger.aggregates.recording import message_event_id
from ledger.application.account import Account
from ledger.application.conflict import conflicting, said_before, said_by
from ledger.application.kept import AlreadyClosed, Closing
from ledger.application.ledger import Ledger
from ledger.application.requests import Request, VersionMoved, carried_out
from ledger.application.statement import Refusal, Statement, Taken
from ledger.events import LedgerEvent, ReplayOutcome
from ledger.store.database import CommitUnknown, Conflict, Transaction
from ledger.store.writing import CarriedOut, DeadLetter, ReaderFenced, ReaderMove, Writes
from ledger.vault import customer_subject, dead_letter_subject

ATTEMPTS_MAX = 12
"""How often a batch is decided anew when other writers are faster, before the caller hears of it."""

Incoming = Statement | Refusal


def take(
    ledger: Ledger,
    incoming: Sequence[Incoming],
    reader: ReaderMove | None = None,
    closing: Closing | None = None,
    *,
    expects: Mapping[str, int] | None = None,
    request: Request | None = None,
) -> Taken:
    """Record a batch of messages in one transaction; a repeated batch changes nothing.

    With `closing` the batch is the one message that was kept, and that is closed with it. A dead letter that is
    refused again stays open; a message set aside that is refused is a dead letter from then on.

    `expects` are the versions of accounts that the caller has seen: nothing is recorded for one that has moved on.
    With `request` the batch is what a caller asked for under a key of theirs: all of it is recorded or none, and no
    refusal is kept. Where it was carried out before, nothing happens; `requests.answered` says what became of it.

    Raises ReaderFenced where another reader took over, AlreadyClosed, VersionMoved, KeyReused, Conflict where other
    writers were faster for too long, and Unavailable where the store cannot be reached.
    """
    lost: set[tuple[str, str]] = set()
    commit_lost = False
    for attempt in range(1, ATTEMPTS_MAX + 1):
        batch = _Batch(ledger, incoming, reader, lost, closing, expects or {}, request)
        try:
            return batch.take()
        except ReaderFenced:
            if reader is None or not commit_lost or not _stands_at(ledger, reader):
                raise
            reader = None  # it was we who moved it, with the commit whose answer was lost
        except AlreadyClosed:
            if not commit_lost:
                raise
            closing = None  # by us, likewise
        except CommitUnknown:
            # The messages' identities will say whether the commit took place: those that were new to this attempt
            # and are found in the inbox were recorded by it.
            lost |= batch.new
            commit_lost = True
            if attempt == ATTEMPTS_MAX:
                raise
        except Conflict:
            if attempt == ATTEMPTS_MAX:
                raise
        time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 7)))
    raise Conflict("other writers were faster every time; try again")


def _stands_at(ledger: Ledger, reader: ReaderMove) -> bool:
    """Whether the reader already stands where a lost commit was to move it, under the same epoch."""
    with ledger.database.reading() as transaction:
        return transaction.rows(
            "SELECT 1 FROM readers WHERE reader = ? AND position = ? AND epoch = ?",
            (reader.reader, reader.to, reader.epoch),
        ) == [(1,)]


def seen_before(transaction: Transaction, statements: Sequence[Statement]) -> dict[tuple[str, str], str]:
    """The digests of those messages that were taken before, by source and id."""
    ids = sorted({s.message.id for s in statements})
    rows = transaction.rows_in("SELECT source, id, digest FROM inbox WHERE id IN (?*)", ids)
    return {(source, message_id): digest for source, message_id, digest in rows}


class _Batch:
    """One attempt at a batch. `lost` are messages that an earlier attempt may have recorded."""

    def __init__(
        self,
        ledger: Ledger,
        incoming: Sequence[Incoming],
        reader: ReaderMove | None,
        lost: set[tuple[str, str]],
        closing: Closing | None,
        expects: Mapping[str, int],
        request: Request | None,
    ) -> None:
        self._ledger = ledger
        self._incoming = incoming
        self._lost = set(lost)
        self._closing = closing
        self._expects = expects
        self._request = request
        self._writes = Writes(reader=reader)
        self._taken = Taken(read=len(incoming))
        self._said: dict[tuple[str, str], Statement] = {}

    @property
    def new(self) -> set[tuple[str, str]]:
        """The messages that this attempt was the first to bring."""
        return {(source, message_id) for source, message_id, _ in self._writes.inbox}

    def take(self) -> Taken:
        statements = [item for item in self._incoming if isinstance(item, Statement)]
        digests = {id(s): self._ledger.vault.digest(s.content) for s in statements}
        self._ledger.vault.prepare({customer_subject(s.account) for s in statements if s.private})
        with self._ledger.database.reading() as transaction:
            if self._closing is not None:
                self._closing.check_open(transaction)
            if self._request is not None and carried_out(transaction, self._request) is not None:
                return self._taken
            seen = seen_before(transaction, statements)
            fresh = {s.account for s in statements if (s.message.source, s.message.id) not in seen}
            accounts = self._ledger.open_accounts(transaction, sorted(fresh))
            self._check_versions(accounts.values())
            clock = self._ledger.clock_in(transaction)
            refusals: list[Refusal] = []
            events: list[LedgerEvent] = []
            for item in self._incoming:
                if isinstance(item, Refusal):
                    self._refuse(item, refusals)
                    continue
                known = seen.get((item.message.source, item.message.id))
                digest = digests[id(item)]
                if known is not None:
                    self._again(transaction, item, known == digest, refusals)
                    continue
                self._said[item.message.source, item.message.id] = item
                seen[item.message.source, item.message.id] = digest
                self._lost.discard((item.message.source, item.message.id))
                self._writes.inbox.append((item.message.source, item.message.id, digest))
                sealed = None
                if item.private:
                    ref = message_event_id(item.message.source, item.message.id)
                    sealed, entry = self._ledger.vault.seal(ref, customer_subject(item.account), item.private)
                    self._writes.vault.append(entry)
                account = accounts[item.account]
                account.record(item, sealed, clock())
                events += account.collect()
                self._accept()
            if self._request is not None:
                if refusals or self._taken.duplicates:
                    self._taken.refused = refusals
                    return self._taken
                self._carry_out(self._request, statements[0], clock())
            elif self._closing is None:
                self._bury(transaction, refusals)
            else:
                events += self._close(transaction, self._closing, statements, refusals)
        self._ledger.save_accounts(accounts.values(), events, self._writes)
        self._taken.refused = refusals
        return self._taken

    def _check_versions(self, accounts: Iterable[Account]) -> None:
        """The heads that are compared here are those that the transaction moves, so none can move in between."""
        for account in accounts:
            if self._expects.get(account.head.account, account.head.version) != account.head.version:
                raise VersionMoved("the account has changed since it was read: read it again, then ask anew")

    def _carry_out(self, request: Request, first: Statement, now: datetime) -> None:
        self._writes.request = CarriedOut(
            caller=request.caller,
            key=request.key,
            digest=request.digest,
            account=first.account,
            event_id=message_event_id(first.message.source, first.message.id),
            taken_at=now,
        )

    def _again(self, transaction: Transaction, item: Statement, same: bool, refusals: list[Refusal]) -> None:
        """A message known by (source, id): a duplicate, or a conflict where it says something else."""
        if not same:
            first = self._said.get((item.message.source, item.message.id))
            before = said_by(first) if first else said_before(transaction, self._ledger.vault, item)
            self._refuse(conflicting(item, before), refusals)
        elif (item.message.source, item.message.id) in self._lost:
            self._lost.discard((item.message.source, item.message.id))
            self._accept()
        else:
            self._taken.duplicates += 1
            self._taken.each.append("duplicate")

    def _accept(self) -> None:
        self._taken.accepted += 1
        self._taken.each.append("accepted")

    def _refuse(self, refusal: Refusal, refusals: list[Refusal]) -> None:
        refusals.append(refusal)
        self._taken.each.append(refusal)

    def _close(
        self, transaction: Transaction, closing: Closing, statements: list[Statement], refusals: list[Refusal]
    ) -> list[LedgerEvent]:
        """Close the kept message, unless it is a dead letter that is refused again, or a repair that went wrong."""
        outcome: ReplayOutcome = "accepted" if self._taken.accepted else "duplicate"
        fact_event_id = None
        if refusals:
            if closing.of.kept == "dead-letter" or closing.repaired:
                return []
            self._bury(transaction, refusals)
            outcome = "refused"
        else:
            [statement] = statements
            fact_event_id = message_event_id(statement.message.source, statement.message.id)
        return [closing.replayed(self._ledger, transaction, self._writes, outcome, fact_event_id)]

    def _bury(self, transaction: Transaction, refusals: list[Refusal]) -> None:
        """Keep every refused message with its reason: its body in the vault, the rest as a dead letter.

        A dead letter is known by where it was seen and what it says, so that a redelivery adds none.
        """
        if not refusals:
            return
        vault = self._ledger.vault
        by_id = {vault.digest(b"dead letter\x00" + r.origin.encode() + b"\x00" + r.body)[:32]: r for r in refusals}
        known = {
            row[0]
            for row in transaction.rows_in(
                "SELECT dead_letter_id FROM dead_letters WHERE dead_letter_id IN (?*)", sorted(by_id)
            )
        }
        new = {letter_id: refusal for letter_id, refusal in by_id.items() if letter_id not in known}
        vault.prepare(dead_letter_subject(letter_id) for letter_id in new)
        refused_at = self._ledger.clock_in(transaction)()
        for letter_id, refusal in new.items():
            subject = dead_letter_subject(letter_id)
            self._writes.vault.append(vault.encrypt(subject, subject, refusal.body))
            self._writes.dead_letters.append(
                DeadLetter(
                    dead_letter_id=letter_id,
                    origin=refusal.origin,
                    reason=refusal.reason,
                    field=refusal.field,
                    source=refusal.source,
                    id=refusal.message_id,
                    account=refusal.account,
                    channel=refusal.channel,
                    refused_at=refused_at,
                )
            )
