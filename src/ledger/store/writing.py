"""What one transaction writes besides the events: heads, inbox, requests, due work, readers, vault, notices, …"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ledger.events import KeptAs
from ledger.store.column_types import as_integer
from ledger.store.database import Conflict, Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.notice_queue import change_notice, count_as_sent, hold_link, note_collected
from ledger.store.positions import dead_letter_sequence, set_aside_sequence
from ledger.store.reading.audit import Log
from ledger.store.reading.erasures import erased_accounts, subjects_of
from ledger.store.reading.notice_queue import QueuedNotice
from ledger.store.reading.shards import shard_of_new
from ledger.store.reading.vault_index import WHOLE_INDEX
from ledger.vault import Bound, IndexEntry, VaultEntry, dead_letter_subject, set_aside_subject

INDEX_COLUMNS = ("token", "kind", "account", "ref")


class HeadMoved(Conflict):
    """Another writer recorded something for an account since its head was read."""


class ReaderFenced(Conflict):
    """Another reader took over under a newer epoch, or moved the position: what was read must be dropped."""


@dataclass(slots=True)
class Head:
    """Where an account's history stands: how many events, the last one's leaf hash, and when time changes it next.

    `version` 0 is an account without events, which has no row yet. `shard` is for ever; it is None for an account
    that is decided about in memory only, and belongs to none.
    """

    account: str
    shard: int | None = None
    version: int = 0
    leaf_hash: str | None = None
    recorded_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(slots=True)
class HeadMove:
    """A head as it was read, and as it is to be."""

    head: Head
    expected_version: int


@dataclass(frozen=True, slots=True)
class ReaderMove:
    """A reader's position moves from one to another, under the epoch that it was given."""

    reader: str
    epoch: int
    position: int
    to: int


@dataclass(frozen=True, slots=True)
class WaitingFact:
    """A row of facts that wait for another."""

    event_id: str
    type: str
    source: str
    id: str
    waits_for: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WaitingChanges:
    """Facts of an account that wait for something they did not wait for before, and the ids of those that do not
    wait any more."""

    now: list[WaitingFact]
    no_more: list[str]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused message; its body is a vault entry under the dead letter's id."""

    shard: int
    dead_letter_id: str
    origin: str
    reason: str
    field: str | None
    source: str | None
    id: str | None
    account: str | None
    channel: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class SetAside:
    """A well-formed message that kept failing; its body is a vault entry under its id.

    `reader` and `offset` say where on Kafka it was read; both are None for a message from elsewhere.
    """

    shard: int
    set_aside_id: str
    origin: str
    reason: str
    source: str
    id: str
    account: str
    channel: str
    reader: str | None
    offset: int | None
    set_aside_at: datetime


@dataclass(frozen=True, slots=True)
class Closure:
    """A kept message is done with: it was replayed or discarded, and by whom."""

    kept: KeptAs
    kept_id: str
    outcome: Literal["replayed", "discarded"]
    actor: str
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """A new generation: by sequence, the last position that it keeps of those before it.

    `readers` are to stand no further than at a position. The notices were sent, and the links used, in the history
    that is given up.
    """

    generation: int
    keeps: Mapping[str, int]
    readers: Mapping[str, int]
    sent: Collection[QueuedNotice]
    collected: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A request became a fact, under the key that its caller gave it."""

    caller: str
    key: str
    digest: str
    account: str
    event_id: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of an agreement enters the catalogue."""

    name: str
    version: int
    sha256: str
    text: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class ErasedAccount:
    """An account of which everything that the vault has is deleted, and nothing is kept in words from then on."""

    account: str
    erased_at: datetime


@dataclass(slots=True)
class Writes:
    """Everything that a batch brings, in one place, so that it is written in one transaction or not at all."""

    heads: dict[str, HeadMove] = field(default_factory=dict)
    catalogue: dict[str, int] = field(default_factory=dict)
    """The agreements decided by, with the number of versions seen: a newer publication is a conflict."""
    publications: list[Publication] = field(default_factory=list)
    inbox: list[tuple[str, str, str]] = field(default_factory=list)
    """Source, id and keyed digest of every message taken."""
    waiting: dict[str, WaitingChanges] = field(default_factory=dict)
    awaiting: dict[str, set[str]] = field(default_factory=dict)
    """The agreements that an account waits for, all of them."""
    approved: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """The refunds of an account that are approved and not submitted, all of them, and since when."""
    vault: list[VaultEntry] = field(default_factory=list)
    index: list[IndexEntry] = field(default_factory=list)
    """By which words of these entries of the vault customers are found."""
    index_lost: bool = False
    """Whether the index's key is lost: all of it goes, and is filled again under another."""
    bound: Bound | None = None
    """The vault that is the store's from now on."""
    lost: list[tuple[str, str]] = field(default_factory=list)
    """What of the vault cannot be read any more, by reference, and the id of the loss."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    notices: list[tuple[QueuedNotice, QueuedNotice]] = field(default_factory=list)
    """Notices as they stood in the queue, and as they are to stand."""
    collected: dict[str, datetime] = field(default_factory=dict)
    """The notices whose link was used, and when."""
    request: CarriedOut | None = None
    readers: Sequence[ReaderMove] = ()
    sandbox_clock: datetime | None = None
    erased: ErasedAccount | None = None
    generation: Begun | None = None
    log: Log | None = None
    """The log under whose name a shard's tree is signed from now on."""

    def write_before_events(self, transaction: Transaction) -> None:
        """Everything but the events, in the order that keeps writers from waiting for each other in a circle.

        Heads in account order, then the catalogue, then the readers, then what can only conflict by a mistake, and
        last the vault's last key, whose row is held for as long as the shard's position, which comes next.
        """
        self._move_heads(transaction)
        self._hold_catalogue(transaction)
        for move in sorted(self.readers, key=lambda move: move.reader):
            move_reader(transaction, move)
        self._write_inbox(transaction)
        self._write_request(transaction)
        self._write_waiting(transaction)
        self._write_approved(transaction)
        transaction.insert(
            "vault",
            ("ref", "subject", "nonce", "ciphertext"),
            [(v.ref, v.subject, v.nonce, v.ciphertext) for v in self.vault],
        )
        transaction.insert("vault_index", INDEX_COLUMNS, [(i.token, i.kind, i.account, i.ref) for i in self.index])
        self._write_dead_letters(transaction)
        self._write_set_aside(transaction)
        if self.erased is not None:
            self._erase(transaction, self.erased)
        transaction.insert(
            "closures",
            ("kept", "kept_id", "outcome", "actor", "closed_at"),
            [(c.kept, c.kept_id, c.outcome, c.actor, to_microseconds(c.closed_at)) for c in self.closures],
        )
        for before, after in self.notices:
            change_notice(transaction, before, after)
        for notice_id, collected_at in self.collected.items():
            note_collected(transaction, notice_id, collected_at)
        if self.generation is not None:
            _begin_generation(transaction, self.generation)
        if self.log is not None:
            transaction.insert(
                "audit_logs",
                ("shard", "number", "origin", "follows"),
                [(self.log.shard, self.log.number, self.log.origin, self.log.follows)],
            )
        if self.sandbox_clock is not None:
            transaction.run(
                "INSERT INTO store (name, value) VALUES ('clock', ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(to_microseconds(self.sandbox_clock)),),
            )
        self._write_bound(transaction)

    def _move_heads(self, transaction: Transaction) -> None:
        moves = [self.heads[account] for account in sorted(self.heads)]
        new = [move.head for move in moves if move.expected_version == 0]
        old = [move for move in moves if move.expected_version > 0]
        inserted = transaction.insert(
            "heads",
            ("account", "shard", "version", "leaf_hash", "recorded_at", "due_at"),
            [
                (h.account, h.shard, h.version, h.leaf_hash, _stamp(h.recorded_at), _stamp_or_none(h.due_at))
                for h in new
            ],
            new_only=True,
        )
        if inserted != len(new):
            raise HeadMoved("another writer recorded the first event of an account")
        moved = transaction.update(
            "heads",
            {"version": "BIGINT", "leaf_hash": "TEXT", "recorded_at": "BIGINT", "due_at": "BIGINT"},
            {"account": "TEXT", "version": "BIGINT"},
            [
                (
                    move.head.version,
                    move.head.leaf_hash,
                    _stamp(move.head.recorded_at),
                    _stamp_or_none(move.head.due_at),
                    move.head.account,
                    move.expected_version,
                )
                for move in old
            ],
        )
        if moved != len(old):
            raise HeadMoved("another writer recorded an event for an account since it was read")

    def _hold_catalogue(self, transaction: Transaction) -> None:
        for name in sorted(self.catalogue):
            transaction.run(
                "INSERT INTO catalogue (name, versions) VALUES (?, 0) ON CONFLICT (name) DO NOTHING", (name,)
            )
            held = transaction.run(
                "UPDATE catalogue SET versions = versions WHERE name = ? AND versions = ?",
                (name, self.catalogue[name]),
            )
            if held != 1:
                raise HeadMoved(f"another version of agreement {name} was published since it was read")
        for publication in self.publications:
            transaction.run("UPDATE catalogue SET versions = versions + 1 WHERE name = ?", (publication.name,))
            transaction.run(
                "INSERT INTO agreements (name, version, sha256, text) VALUES (?, ?, ?, ?)",
                (publication.name, publication.version, publication.sha256, publication.text),
            )
            # Whoever waits for the name falls due now. They are found here, under the catalogue's lock, so that none
            # that began to wait meanwhile is missed.
            due_at = to_microseconds(publication.published_at)
            transaction.run(
                "UPDATE heads SET due_at = ? WHERE (due_at IS NULL OR due_at > ?) "
                "AND account IN (SELECT account FROM awaiting_agreement WHERE agreement = ?)",
                (due_at, due_at, publication.name),
            )

    def _write_bound(self, transaction: Transaction) -> None:
        """The row is touched only where a newer key was used than ever before."""
        if self.bound is not None:
            last = self.bound.last
            transaction.run("DELETE FROM vault_bound")
            transaction.insert(
                "vault_bound", ("vault_id", "serial", "mark"), [(self.bound.vault_id, last.number, last.mark)]
            )
            transaction.insert("vault_lost", ("ref", "loss_id"), self.lost)
            transaction.delete("vault_index", ("ref",), [(ref,) for ref, _ in self.lost])
            if self.index_lost:
                transaction.run("DELETE FROM vault_index")
                transaction.run("DELETE FROM store WHERE name = ?", (WHOLE_INDEX,))
        used = max((entry.serial for entry in self.vault if entry.serial), key=lambda s: s.number, default=None)
        if used is not None:
            transaction.run(
                "UPDATE vault_bound SET serial = ?, mark = ? WHERE serial < ?", (used.number, used.mark, used.number)
            )

    def _write_inbox(self, transaction: Transaction) -> None:
        transaction.insert("inbox", ("source", "id", "digest"), sorted(self.inbox))

    def _write_request(self, transaction: Transaction) -> None:
        """The account's version is the one after the transaction's events: its head has counted them already."""
        r = self.request
        if r is not None:
            transaction.insert(
                "requests",
                ("caller", "key", "digest", "account", "event_id", "account_version", "taken_at"),
                [
                    (
                        r.caller,
                        r.key,
                        r.digest,
                        r.account,
                        r.event_id,
                        self.heads[r.account].head.version,
                        to_microseconds(r.taken_at),
                    )
                ],
            )

    def _write_waiting(self, transaction: Transaction) -> None:
        no_more = [(event_id,) for changes in self.waiting.values() for event_id in changes.no_more]
        transaction.delete("waiting", ("event_id",), no_more)
        transaction.upsert(
            "waiting",
            {
                "event_id": "TEXT",
                "account": "TEXT",
                "type": "TEXT",
                "source": "TEXT",
                "id": "TEXT",
                "waits_for": "TEXT",
                "since": "BIGINT",
            },
            ("event_id",),
            [
                (w.event_id, account, w.type, w.source, w.id, w.waits_for, to_microseconds(w.since))
                for account, changes in self.waiting.items()
                for w in changes.now
            ],
        )
        accounts = sorted(self.awaiting)
        transaction.delete("awaiting_agreement", ("account",), [(account,) for account in accounts])
        transaction.insert(
            "awaiting_agreement",
            ("account", "agreement"),
            [(account, name) for account in accounts for name in sorted(self.awaiting[account])],
        )

    def _write_approved(self, transaction: Transaction) -> None:
        accounts = sorted(self.approved)
        transaction.delete("approved_refunds", ("account",), [(account,) for account in accounts])
        transaction.insert(
            "approved_refunds",
            ("account", "refund_id", "since"),
            [
                (account, refund_id, to_microseconds(since))
                for account in accounts
                for refund_id, since in sorted(self.approved[account].items())
            ],
        )

    def _erase(self, transaction: Transaction, erased: ErasedAccount) -> None:
        """Delete what the vault has of an account. The sequences of kept messages are held, so that none comes
        meanwhile whose body would stay; who records something else of the account has to move its head."""
        shard = self.heads[erased.account].head.shard
        assert shard is not None
        for sequence in (dead_letter_sequence(shard), set_aside_sequence(shard)):
            next_positions(transaction, sequence, 0)
        row = (erased.account, to_microseconds(erased.erased_at))
        transaction.insert("erasures", ("account", "erased_at"), [row])
        for subject in subjects_of(transaction, [erased.account])[erased.account]:
            transaction.run(
                "DELETE FROM vault_lost WHERE ref IN (SELECT ref FROM vault WHERE subject = ?)", (subject,)
            )
            transaction.run(
                "DELETE FROM vault_index WHERE ref IN (SELECT ref FROM vault WHERE subject = ?)", (subject,)
            )
            transaction.run("DELETE FROM vault WHERE subject = ?", (subject,))

    def _keep_no_body_of_erased(self, transaction: Transaction, kept: Sequence[tuple[str, str | None]]) -> None:
        """Raises HeadMoved where the body of a message is to be kept whose account was erased since it was decided.

        It is asked under the lock of the messages' sequence, which whoever erases an account holds.
        """
        bodies = {entry.subject for entry in self.vault}
        accounts = {account for subject, account in kept if subject in bodies and account is not None}
        if accounts and erased_accounts(transaction, accounts):
            raise HeadMoved("an account was erased since a message of it was to be kept")

    def _write_dead_letters(self, transaction: Transaction) -> None:
        positions = positions_for(transaction, dead_letter_sequence, [d.shard for d in self.dead_letters])
        self._keep_no_body_of_erased(
            transaction, [(dead_letter_subject(d.dead_letter_id), d.account) for d in self.dead_letters]
        )
        transaction.insert(
            "dead_letters",
            (
                "position",
                "dead_letter_id",
                "origin",
                "reason",
                "field",
                "source",
                "id",
                "account",
                "channel",
                "refused_at",
            ),
            [
                (
                    position,
                    d.dead_letter_id,
                    d.origin,
                    d.reason,
                    d.field,
                    d.source,
                    d.id,
                    d.account,
                    d.channel,
                    to_microseconds(d.refused_at),
                )
                for position, d in zip(positions, self.dead_letters, strict=True)
            ],
        )

    def _write_set_aside(self, transaction: Transaction) -> None:
        positions = positions_for(transaction, set_aside_sequence, [s.shard for s in self.set_aside])
        self._keep_no_body_of_erased(
            transaction, [(set_aside_subject(s.set_aside_id), s.account) for s in self.set_aside]
        )
        transaction.insert(
            "set_aside",
            (
                "position",
                "set_aside_id",
                "origin",
                "reason",
                "source",
                "id",
                "account",
                "channel",
                "reader",
                "message_offset",
                "set_aside_at",
            ),
            [
                (
                    position,
                    s.set_aside_id,
                    s.origin,
                    s.reason,
                    s.source,
                    s.id,
                    s.account,
                    s.channel,
                    s.reader,
                    s.offset,
                    to_microseconds(s.set_aside_at),
                )
                for position, s in zip(positions, self.set_aside, strict=True)
            ],
        )


def next_positions(transaction: Transaction, sequence: str, count: int) -> int:
    """Take the next `count` positions of a sequence; returns the last. The sequence's row is held until commit."""
    taken = transaction.rows(
        "INSERT INTO sequences (name, position) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET position = sequences.position + excluded.position RETURNING position",
        (sequence, count),
    )
    return int(taken[0][0])


def positions_for(transaction: Transaction, sequence: Callable[[int], str], shards: Sequence[int]) -> list[int]:
    """The next position for each of what is written in these shards, in their order; shard by shard, so that no two
    writers wait for each other in a circle."""
    next_of = {}
    for shard, count in sorted(Counter(shards).items()):
        next_of[shard] = next_positions(transaction, sequence(shard), count) - count + 1
    positions = []
    for shard in shards:
        positions.append(next_of[shard])
        next_of[shard] += 1
    return positions


def take_over_reader(transaction: Transaction, reader: str) -> tuple[int, int]:
    """Become the one who moves a reader: its position, and a new epoch that fences off whoever had it before."""
    rows = transaction.rows(
        "INSERT INTO readers (reader, position, epoch) VALUES (?, 0, 1) "
        "ON CONFLICT (reader) DO UPDATE SET epoch = readers.epoch + 1 RETURNING position, epoch",
        (reader,),
    )
    position, epoch = rows[0]
    return as_integer(position, f"the position of {reader}"), as_integer(epoch, f"the epoch of {reader}")


def move_reader(transaction: Transaction, move: ReaderMove) -> None:
    """Move a reader's position. Raises ReaderFenced where another took over or moved it meanwhile."""
    moved = transaction.run(
        "UPDATE readers SET position = ? WHERE reader = ? AND epoch = ? AND position = ?",
        (move.to, move.reader, move.epoch, move.position),
    )
    if moved != 1:
        raise ReaderFenced(f"reader {move.reader} was taken over by another")


def _begin_generation(transaction: Transaction, begun: Begun) -> None:
    transaction.insert(
        "generations",
        ("sequence", "generation", "keeps"),
        [(sequence, begun.generation, keeps) for sequence, keeps in sorted(begun.keeps.items())],
    )
    for reader, most in sorted(begun.readers.items()):
        # Whoever had it before is fenced off: they go by what was given up.
        transaction.run(
            "UPDATE readers SET position = ?, epoch = epoch + 1 WHERE reader = ? AND position > ?",
            (most, reader, most),
        )
    count_as_sent(transaction, begun.sent)
    for notice_id, collected_at in sorted(begun.collected.items()):
        hold_link(transaction, notice_id, collected_at)
        note_collected(transaction, notice_id, collected_at)


def hold_heads(transaction: Transaction, accounts: Iterable[str]) -> None:
    """Have every other writer about accounts wait until the end of the transaction; an account without events has
    no head to hold. They are taken in account order, as they are by those who move them."""
    transaction.rows_in(
        "SELECT account FROM heads WHERE account IN (?*) ORDER BY account FOR UPDATE", sorted(accounts)
    )


def read_heads(transaction: Transaction, accounts: Iterable[str]) -> dict[str, Head]:
    """The heads of accounts, those without events included, in the shard that is chosen for them."""
    heads = {account: Head(account) for account in accounts}
    for account, shard, version, leaf, recorded_at, due_at in transaction.rows_in(
        "SELECT account, shard, version, leaf_hash, recorded_at, due_at FROM heads WHERE account IN (?*)", list(heads)
    ):
        heads[account] = Head(
            account,
            shard,
            version,
            leaf,
            from_microseconds(recorded_at),
            from_microseconds(due_at) if due_at is not None else None,
        )
    if new := [head for head in heads.values() if head.shard is None]:
        shard = shard_of_new(transaction, [head.account for head in new])
        for head in new:
            head.shard = shard
    return heads


def read_waiting(transaction: Transaction, accounts: Iterable[str]) -> dict[str, dict[str, str]]:
    """What is stored of the facts of accounts that wait: by account and event id, what each waits for."""
    found: dict[str, dict[str, str]] = {account: {} for account in accounts}
    for account, event_id, waits_for in transaction.rows_in(
        "SELECT account, event_id, waits_for FROM waiting WHERE account IN (?*)", list(found)
    ):
        found[account][event_id] = waits_for
    return found


def _stamp(instant: datetime | None) -> int:
    if instant is None:
        raise ValueError("a head that moves has recorded something, and so an instant at which it did")
    return to_microseconds(instant)


def _stamp_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)
