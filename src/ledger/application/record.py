"""Record messages: fact → assess → difference → save, message by message, a batch in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ledger.aggregates.recording import message_event_id
from ledger.application.account import Account
from ledger.application.conflict import conflicting, said_before, said_by
from ledger.application.contention import GiveUp, Share, decide_in_parts
from ledger.application.kept_messages import AlreadyClosed, Closing
from ledger.application.ledger import Decided, Ledger
from ledger.application.requests import Request, VersionMoved, carried_out
from ledger.application.statement import Became, Refusal, Statement, Taken
from ledger.events import LedgerEvent, ReplayOutcome
from ledger.store.database import CommitUnknown, Transaction
from ledger.store.reading import shards_of_accounts
from ledger.store.writing import CarriedOut, DeadLetter, ReaderFenced, ReaderMove, Writes
from ledger.values import SYSTEM_ACCOUNT
from ledger.vault import customer_subject, dead_letter_subject

Incoming = Statement | Refusal


def take(
    ledger: Ledger,
    incoming: Sequence[Incoming],
    reader: ReaderMove | None = None,
    closing: Closing | None = None,
    *,
    expects: Mapping[str, int] | None = None,
    request: Request | None = None,
    give_up: GiveUp[Incoming] | None = None,
) -> Taken:
    """Record a batch of messages in one transaction; a repeated batch changes nothing.

    Where other writers are faster the batch is taken in parts, and in the end each account alone, in its turn. The
    messages of an account stay together until then, and in their order; every part is fenced by the reader's epoch,
    and the last one moves the reader past them all.

    With `closing` the batch is the one message that was kept, and that is closed with it. A dead letter that is
    refused again stays open; a message set aside that is refused is a dead letter from then on.

    `expects` are the versions of accounts that the caller has seen: nothing is recorded for one that has moved on.
    With `request` the batch is what a caller asked for under a key of theirs: all of it is recorded or none, and no
    refusal is kept. Where it was carried out before, nothing happens; `requests.answered` says what became of it.

    With `give_up`, which goes with no reader, a message that fails alone, and not for a passing cause, is handed over
    to be set aside, and the others go on.

    Raises ReaderFenced where another reader took over, AlreadyClosed, VersionMoved, KeyReused, Conflict where other
    writers were faster for too long, and Unavailable where the store cannot be reached.
    """
    taking = _Taking(ledger, incoming, reader, closing, expects or {}, request)
    whole = closing is not None or request is not None
    shares = [_whole(incoming, closing)] if whole or not incoming else _shares(incoming)
    decide_in_parts(ledger, shares, taking.attempt, taking.giving_up(give_up) if give_up is not None else None)
    return taking.taken()


def _whole(incoming: Sequence[Incoming], closing: Closing | None) -> Share[int]:
    """All of a batch, which is not to be split."""
    accounts = {item.account for item in incoming if isinstance(item, Statement)}
    return Share(frozenset(accounts | ({SYSTEM_ACCOUNT} if closing is not None else set())), (*range(len(incoming)),))


def _shares(incoming: Sequence[Incoming]) -> list[Share[int]]:
    """A batch by accounts, as places in it; what was refused when it was read by itself.

    Where messages of several accounts bear one identity, only the first of them is taken: these stay together.
    """
    first_of: dict[tuple[str, str], str] = {}
    together: dict[str, str] = {}

    def leader(account: str) -> str:
        while together.get(account, account) != account:
            account = together[account]
        return account

    for item in incoming:
        if isinstance(item, Statement):
            first = first_of.setdefault((item.message.source, item.message.id), item.account)
            together[leader(item.account)] = leader(first)
    places: dict[str | None, list[int]] = defaultdict(list)
    accounts: dict[str | None, set[str]] = defaultdict(set)
    for place, item in enumerate(incoming):
        if isinstance(item, Statement):
            places[leader(item.account)].append(place)
            accounts[leader(item.account)].add(item.account)
        else:
            places[None].append(place)
    return [Share(frozenset(accounts[name]), tuple(found)) for name, found in places.items()]


class _Taking:
    """A batch on its way: what became of each message so far, whether in one transaction or in several."""

    def __init__(
        self,
        ledger: Ledger,
        incoming: Sequence[Incoming],
        reader: ReaderMove | None,
        closing: Closing | None,
        expects: Mapping[str, int],
        request: Request | None,
    ) -> None:
        self._ledger = ledger
        self._incoming = incoming
        self._reader = reader
        self._closing = closing
        self._expects = expects
        self._request = request
        self._became: dict[int, Became] = {}
        self._left = len(incoming)
        self._lost: set[tuple[str, str]] = set()
        self._commit_lost = False

    def attempt(self, shares: Sequence[Share[int]], held: bool) -> None:
        """Take some of the messages in one transaction."""
        places = sorted(place for share in shares for place in share.items)
        batch = _Batch(
            self._ledger,
            [self._incoming[place] for place in places],
            self._reader_after(len(places)),
            self._lost,
            self._closing,
            self._expects,
            self._request,
        )
        try:
            became = batch.take(frozenset().union(*(share.accounts for share in shares)) if held else ())
        except ReaderFenced:
            if self._reader is None or not self._commit_lost or not _stands_at(self._ledger, self._reader):
                raise
            self._reader = None  # it was we who moved it, with the commit whose answer was lost
            self.attempt(shares, held)
        except AlreadyClosed:
            if not self._commit_lost:
                raise
            self._closing = None  # by us, likewise
            self.attempt(shares, held)
        except CommitUnknown:
            # The messages' identities will say whether the commit took place: those that were new to this attempt
            # and are found in the inbox were recorded by it.
            self._lost |= batch.new
            self._commit_lost = True
            raise
        else:
            self._became.update(zip(places, became, strict=False))
            self._left -= len(places)

    def giving_up(self, give_up: GiveUp[Incoming]) -> GiveUp[int]:
        """What becomes of a message that is given up."""

        def set_aside(place: int, error: Exception) -> None:
            give_up(self._incoming[place], error)
            self._became[place] = "set aside"
            self._left -= 1

        return set_aside

    def _reader_after(self, count: int) -> ReaderMove | None:
        """The reader stays where it is, and is held there, until no other message of the batch is left to take."""
        if self._reader is None or count == self._left:
            return self._reader
        return replace(self._reader, to=self._reader.position)

    def taken(self) -> Taken:
        """What became of the batch."""
        each = [self._became[place] for place in sorted(self._became)]
        return Taken(
            read=len(self._incoming),
            accepted=each.count("accepted"),
            duplicates=each.count("duplicate"),
            refused=[became for became in each if isinstance(became, Refusal)],
            set_aside=each.count("set aside"),
            each=each,
        )


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
    """One attempt at messages. `lost` are those that an earlier attempt may have recorded."""

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
        self._statements = [item for item in incoming if isinstance(item, Statement)]
        self._lost = set(lost)
        self._closing = closing
        self._expects = expects
        self._request = request
        self._writes = Writes(reader=reader)
        self._each: list[Became] = []
        self._said: dict[tuple[str, str], Statement] = {}

    @property
    def new(self) -> set[tuple[str, str]]:
        """The messages that this attempt was the first to bring."""
        return {(source, message_id) for source, message_id, _ in self._writes.inbox}

    def take(self, held: Collection[str] = ()) -> list[Became]:
        """What became of each message; of those of a request that was carried out before, nothing.

        The heads of `held` are held meanwhile.
        """
        digests = {id(s): self._ledger.vault.digest(s.content) for s in self._statements}
        self._ledger.vault.prepare({customer_subject(s.account) for s in self._statements if s.private})
        self._ledger.decide(lambda transaction: self._decide(transaction, digests), held)
        return self._each

    def _decide(self, transaction: Transaction, digests: Mapping[int, str]) -> Decided | None:
        if self._closing is not None:
            self._closing.check_open(transaction)
        if self._request is not None and carried_out(transaction, self._request) is not None:
            return None
        seen = seen_before(transaction, self._statements)
        fresh = {s.account for s in self._statements if (s.message.source, s.message.id) not in seen}
        accounts = self._ledger.open_accounts(transaction, sorted(fresh))
        self._check_versions(accounts.values())
        clock = self._ledger.clock_in(transaction)
        events: list[LedgerEvent] = []
        for item in self._incoming:
            if isinstance(item, Refusal):
                self._each.append(item)
                continue
            known = seen.get((item.message.source, item.message.id))
            digest = digests[id(item)]
            if known is not None:
                self._each.append(self._again(transaction, item, known == digest))
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
            self._each.append("accepted")
        refusals = [became for became in self._each if isinstance(became, Refusal)]
        if self._request is not None:
            if refusals or "duplicate" in self._each:
                return None
            self._carry_out(self._request, self._statements[0], clock())
        elif self._closing is None:
            self._bury(transaction, refusals)
        else:
            events += self._close(transaction, self._closing, refusals)
        return Decided(accounts.values(), events, self._writes)

    def _check_versions(self, accounts: Iterable[Account]) -> None:
        """The heads that are compared here are those that the transaction moves, so none can move in between."""
        for account in accounts:
            if self._expects.get(account.head.account, account.head.version) != account.head.version:
                raise VersionMoved("the account changed since it was read: read it again, then repeat the request")

    def _carry_out(self, request: Request, first: Statement, now: datetime) -> None:
        self._writes.request = CarriedOut(
            caller=request.caller,
            key=request.key,
            digest=request.digest,
            account=first.account,
            event_id=message_event_id(first.message.source, first.message.id),
            taken_at=now,
        )

    def _again(self, transaction: Transaction, item: Statement, same: bool) -> Became:
        """A message known by (source, id): a duplicate, or a conflict where it says something else."""
        if not same:
            first = self._said.get((item.message.source, item.message.id))
            before = said_by(first) if first else said_before(transaction, self._ledger.vault, item)
            return conflicting(item, before)
        if (item.message.source, item.message.id) in self._lost:
            self._lost.discard((item.message.source, item.message.id))
            return "accepted"
        return "duplicate"

    def _close(self, transaction: Transaction, closing: Closing, refusals: list[Refusal]) -> list[LedgerEvent]:
        """Close the kept message, unless it is a dead letter that is refused again, or a repair that went wrong."""
        outcome: ReplayOutcome = "accepted" if "accepted" in self._each else "duplicate"
        fact_event_id = None
        if refusals:
            if closing.of.kept == "dead-letter" or closing.repaired:
                return []
            self._bury(transaction, refusals)
            outcome = "refused"
        else:
            [statement] = self._statements
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
        shards = shards_of_accounts(transaction, [refusal.account for refusal in new.values()])
        for letter_id, refusal in new.items():
            subject = dead_letter_subject(letter_id)
            self._writes.vault.append(vault.encrypt(subject, subject, refusal.body))
            self._writes.dead_letters.append(
                DeadLetter(
                    shard=shards[refusal.account],
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
