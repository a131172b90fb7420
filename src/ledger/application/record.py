"""Record messages: fact → assess → difference → save, message by message, a batch in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from ledger.application.account import Account
from ledger.application.contention import Share, decide_in_parts
from ledger.application.differing_content import conflicting, said_before, said_by
from ledger.application.gathering import GiveUp
from ledger.application.ledger import Decided, Ledger
from ledger.application.statement import Became, Refusal, Statement, Taken
from ledger.events import LedgerEvent
from ledger.events.event_ids import message_event_id
from ledger.store.database import CommitUnknown, Transaction
from ledger.store.reading.inbox import digests_of
from ledger.store.reading.shards import shards_of_accounts
from ledger.store.reading.vault import VaultInStore
from ledger.store.writing import DeadLetter, ReaderFenced, ReaderMove, Writes
from ledger.vault import customer_subject, dead_letter_subject, may_be_same

Incoming = Statement | Refusal

HELD_MAX = 16
"""Messages of so few accounts are read and written in one transaction, which holds their heads from the beginning:
two would take longer than the deciding between them. Nobody is to wait for more accounts to be decided about."""

_NO_FILES = "secrets in files are for sandboxes only: send an https: URL"


def take(
    ledger: Ledger,
    incoming: Sequence[Incoming],
    *readers: ReaderMove,
    give_up: GiveUp[Incoming] | None = None,
) -> Taken:
    """Record a batch of messages in one transaction; a repeated batch changes nothing.

    Where other writers are faster the batch is taken in parts, and in the end each account alone, in its turn. The
    messages of an account stay together until then, and in their order; every part is fenced by the readers' epochs,
    and the last one moves the readers past them all.

    Without a reader, callers in several threads who wait at once are taken together, each as if alone.

    With `give_up`, which goes with no reader, a message that fails alone, and not for a passing cause, is handed over
    to be set aside, and the others go on.

    Raises ReaderFenced where another reader took over, Conflict where other writers were faster for too long, and
    Unavailable where the store cannot be reached.
    """
    if readers:
        became: dict[int, Became] = {}
        _take(ledger, incoming, readers, None, became)
        return _taken([became[place] for place in range(len(incoming))])

    def take_together(items: Sequence[Incoming], give_up: GiveUp[int] | None, became: dict[int, Became]) -> None:
        _take(ledger, items, (), give_up, became)

    return _taken(ledger.gathering.take(incoming, give_up, take_together))


def _take(
    ledger: Ledger,
    incoming: Sequence[Incoming],
    readers: Sequence[ReaderMove],
    give_up: GiveUp[int] | None,
    became: dict[int, Became],
) -> None:
    """Take messages, and note by their places what became of each as soon as it is durable."""
    taking = _Taking(ledger, incoming, readers, became)
    shares = _shares(incoming) or [Share(frozenset(), ())]
    decide_in_parts(ledger, shares, taking.attempt, taking.giving_up(give_up) if give_up is not None else None)


def _taken(each: list[Became]) -> Taken:
    return Taken(
        read=len(each),
        accepted=each.count("accepted"),
        duplicates=each.count("duplicate"),
        refused=[became for became in each if isinstance(became, Refusal)],
        set_aside=each.count("set aside"),
        each=each,
    )


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
            if first != item.account:
                together[leader(item.account)] = leader(first)
    places: dict[str | None, list[int]] = defaultdict(list)
    accounts: dict[str | None, set[str]] = defaultdict(set)
    for place, item in enumerate(incoming):
        if isinstance(item, Statement):
            leading = leader(item.account)
            places[leading].append(place)
            accounts[leading].add(item.account)
        else:
            places[None].append(place)
    return [Share(frozenset(accounts[name]), tuple(found)) for name, found in places.items()]


class _Taking:
    """A batch on its way: what became of each message so far, whether in one transaction or in several."""

    def __init__(
        self,
        ledger: Ledger,
        incoming: Sequence[Incoming],
        readers: Sequence[ReaderMove],
        became: dict[int, Became],
    ) -> None:
        self._ledger = ledger
        self._incoming = incoming
        self._readers = readers
        self._became = became
        self._left = len(incoming)
        self._lost: set[tuple[str, str]] = set()
        self._commit_lost = False

    def attempt(self, shares: Sequence[Share[int]], held: bool) -> None:
        """Take some of the messages in one transaction."""
        places = sorted(place for share in shares for place in share.items)
        batch = [self._incoming[place] for place in places]
        recording = Recording(self._ledger, batch, Writes(readers=self._readers_after(len(places))), self._lost)

        def decide(transaction: Transaction) -> Decided:
            recording.take(transaction)
            bury(self._ledger, transaction, recording.refused, recording.writes)
            return Decided(recording.accounts.values(), recording.events, recording.writes)

        accounts = frozenset[str]().union(*(share.accounts for share in shares))
        if not held and self._ledger.database.holds_rows:
            held = len(accounts) <= HELD_MAX
        try:
            self._ledger.decide(decide, accounts if held else ())
        except ReaderFenced:
            if not self._readers or not self._commit_lost or not _stand_at(self._ledger, self._readers):
                raise
            self._readers = ()  # it was we who moved them, with the commit whose answer was lost
            self.attempt(shares, held)
        except CommitUnknown:
            # The messages' identities will say whether the commit took place: those that were new to this attempt
            # and are found in the inbox were recorded by it.
            self._lost |= recording.new
            self._commit_lost = True
            raise
        else:
            self._became.update(zip(places, recording.each, strict=True))
            self._left -= len(places)

    def giving_up(self, give_up: GiveUp[int]) -> GiveUp[int]:
        """What becomes of a message that is given up."""

        def set_aside(place: int, error: Exception) -> None:
            give_up(place, error)
            self._became[place] = "set aside"
            self._left -= 1

        return set_aside

    def _readers_after(self, count: int) -> Sequence[ReaderMove]:
        """Readers stay where they are, and are held there, until no other message of the batch is left to take."""
        if count == self._left:
            return self._readers
        return [replace(reader, to=reader.position) for reader in self._readers]


def _stand_at(ledger: Ledger, readers: Sequence[ReaderMove]) -> bool:
    """Whether readers already stand where a lost commit was to move them, under the same epochs."""
    names = [reader.reader for reader in readers]
    with ledger.database.reading(by_keys=True) as transaction:
        rows = transaction.rows_in("SELECT reader, position, epoch FROM readers WHERE reader IN (?*)", names)
    return {*rows} == {(reader.reader, reader.to, reader.epoch) for reader in readers}


def seen_before(transaction: Transaction, statements: Sequence[Statement]) -> dict[tuple[str, str], str]:
    """The digests of those messages that were taken before, by source and id."""
    return digests_of(transaction, sorted({s.message.id for s in statements}))


class Recording:
    """Messages that are decided about in one transaction: what became of each, and what is to be written of them.

    `lost` are those that an earlier attempt may have recorded. `accounts` are those that are open already in the same
    state of the store; the others that are decided about are added.
    """

    def __init__(
        self,
        ledger: Ledger,
        incoming: Sequence[Incoming],
        writes: Writes,
        lost: Collection[tuple[str, str]] = (),
        accounts: dict[str, Account] | None = None,
    ) -> None:
        self._ledger = ledger
        self._incoming = incoming
        self._statements = [item for item in incoming if isinstance(item, Statement)]
        self._lost = set(lost)
        self._said: dict[tuple[str, str], Statement] = {}
        self.writes = writes
        self.accounts = accounts if accounts is not None else {}
        self.events: list[LedgerEvent] = []
        self.each: list[Became] = []
        self._digests = {id(s): ledger.vault.digest_to_keep(s.content) for s in self._statements}

    @property
    def new(self) -> set[tuple[str, str]]:
        """The messages that this attempt was the first to bring."""
        return {(source, message_id) for source, message_id, _ in self.writes.inbox}

    @property
    def refused(self) -> list[Refusal]:
        """The messages that were not taken."""
        return [became for became in self.each if isinstance(became, Refusal)]

    def take(self, transaction: Transaction) -> None:
        """Record each message's fact with all that follows from it, in memory; customers' keys are made for it.

        Of an account that was erased the fact is recorded, and its words are not.
        """
        self._ledger.vault.prepare(
            {customer_subject(s.account) for s in self._statements if s.private}, VaultInStore(transaction)
        )
        seen = seen_before(transaction, self._statements)
        fresh = {s.account for s in self._statements if (s.message.source, s.message.id) not in seen}
        self.accounts |= self._ledger.open_accounts(transaction, sorted(fresh - self.accounts.keys()))
        clock = self._ledger.clock_in(transaction)
        for item in self._incoming:
            if isinstance(item, Refusal):
                self.each.append(item)
                continue
            known = seen.get((item.message.source, item.message.id))
            digest = self._digests[id(item)]
            if known is not None:
                self.each.append(self._again(transaction, item, may_be_same(known, digest)))
                continue
            if _names_file(item) and not self._ledger.is_sandbox(transaction):
                self.each.append(item.refused("data.credentials.secret_ref", _NO_FILES))
                continue
            self._said[item.message.source, item.message.id] = item
            seen[item.message.source, item.message.id] = digest
            self._lost.discard((item.message.source, item.message.id))
            self.writes.inbox.append((item.message.source, item.message.id, digest))
            sealed = None
            if item.private:
                ref = message_event_id(item.message.source, item.message.id)
                sealed, entries = self._ledger.vault.seal(ref, customer_subject(item.account), item.private)
                self.writes.vault += entries
                if entries:
                    self.writes.index += self._ledger.vault.index(ref, item.account, item.private)
            account = self.accounts[item.account]
            account.record(item, sealed, clock())
            self.events += account.collect()
            self.each.append("accepted")

    def _again(self, transaction: Transaction, item: Statement, same: bool) -> Became:
        """A message known by (source, id): a duplicate, or a conflict where it says something else."""
        if not same and not item.first_stands:
            first = self._said.get((item.message.source, item.message.id))
            before = said_by(first) if first else said_before(transaction, self._ledger.vault, item)
            return conflicting(item, before)
        if (item.message.source, item.message.id) in self._lost:
            self._lost.discard((item.message.source, item.message.id))
            return "accepted"
        return "duplicate"


def _names_file(statement: Statement) -> bool:
    """Whether a message says that a customer's secret lies in a file."""
    credentials = (statement.private or {}).get("credentials")
    return isinstance(credentials, dict) and str(credentials.get("secret_ref", "")).lower().startswith("file:")


def bury(ledger: Ledger, transaction: Transaction, refusals: Sequence[Refusal], writes: Writes) -> None:
    """Keep every refused message with its reason: its body in the vault, the rest as a dead letter.

    A dead letter is known by where it was seen and what it says, so that a redelivery adds none. The body of one
    whose account was erased is not kept.
    """
    if not refusals:
        return
    vault = ledger.vault
    by_id = {vault.digest(b"dead letter\x00" + r.origin.encode() + b"\x00" + r.body)[:32]: r for r in refusals}
    known = {
        row[0]
        for row in transaction.rows_in(
            "SELECT dead_letter_id FROM dead_letters WHERE dead_letter_id IN (?*)", sorted(by_id)
        )
    }
    new = {letter_id: refusal for letter_id, refusal in by_id.items() if letter_id not in known}
    in_store = VaultInStore(transaction)
    subjects = {customer_subject(refusal.account) for refusal in new.values() if refusal.account is not None}
    erased = vault.erased_among(subjects, in_store)
    with_body = {
        letter_id
        for letter_id, refusal in new.items()
        if refusal.account is None or customer_subject(refusal.account) not in erased
    }
    vault.prepare((dead_letter_subject(letter_id) for letter_id in with_body), in_store)
    refused_at = ledger.clock_in(transaction)()
    shards = shards_of_accounts(transaction, [refusal.account for refusal in new.values()])
    for letter_id, refusal in new.items():
        subject = dead_letter_subject(letter_id)
        if letter_id in with_body:
            writes.vault.append(vault.encrypt(subject, subject, refusal.body))
        writes.dead_letters.append(
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
