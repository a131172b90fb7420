"""One state of the store: how far it goes, and what the tables beside its events say.

Nothing of it is believed, and whatever is stored in a column is told of where it cannot be read, not stumbled over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json

from ledger.application.verification.found import Mismatch
from ledger.events.event_ids import message_event_id
from ledger.store.column_types import ColumnChanged
from ledger.store.database import Row, Transaction
from ledger.store.positions import (
    Position,
    dead_letter_sequence,
    event_sequence,
    set_aside_sequence,
)
from ledger.store.reading.audit import Log, logs_of, tree_size
from ledger.store.reading.shards import shards_of
from ledger.store.reading.vault_index import entries_of_nothing

_PAGE = 2_000
"""So many rows are read together."""


@dataclass(slots=True)
class Snapshot:
    """What a state of the store says of itself. The lists have the rows of small tables."""

    sequences: dict[str, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """The last position of each shard, as its sequence has it."""
    heads: dict[str, tuple[int, int, str | None, int]] = field(default_factory=dict)
    """Shard, version, leaf hash and instant of each account's head."""
    inbox: int = 0
    agreements: list[Row] = field(default_factory=list)
    catalogue: list[Row] = field(default_factory=list)
    closures: list[Row] = field(default_factory=list)
    generations: list[Row] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    vault_id: str | None = None
    logs: dict[int, list[Log]] = field(default_factory=dict)
    tree_sizes: dict[int, int] = field(default_factory=dict)
    tiles: defaultdict[int, dict[tuple[int, int], bytes]] = field(default_factory=lambda: defaultdict(dict))
    """The hashes of the tiles of each shard's tree, by level and number."""
    checkpoints: list[Row] = field(default_factory=list)
    """Origin, size and note of each."""
    cosignatures: defaultdict[tuple[str, int], list[Row]] = field(default_factory=lambda: defaultdict(list))
    """Name, key id and line of the cosignatures of each checkpoint, by its origin and size."""
    mismatches: list[Mismatch] = field(default_factory=list)
    """What already differs between these tables and the events that they name."""


UNREADABLE = (ColumnChanged, ValueError, TypeError, KeyError, AttributeError)
"""What is raised where a column holds what nobody wrote there."""


def read_snapshot(transaction: Transaction) -> Snapshot:
    """Read it, in one state of the store. Raises a Database's errors."""
    snapshot = Snapshot()
    for what, read in (
        ("how far the store goes", _read_ends),
        ("the accounts' heads", _read_heads),
        ("the vault that is bound", _read_vault),
        ("the trees", _read_trees),
    ):
        try:
            read(transaction, snapshot)
        except UNREADABLE:
            snapshot.mismatches.append(
                Mismatch(None, None, f"{what}: a column of the table holds what cannot be read")
            )
    snapshot.inbox = int(transaction.rows("SELECT COUNT(*) FROM inbox")[0][0])
    snapshot.agreements = transaction.rows("SELECT name, version, sha256, text FROM agreements")
    snapshot.catalogue = transaction.rows("SELECT name, versions FROM catalogue")
    snapshot.closures = transaction.rows("SELECT kept, kept_id, outcome, actor FROM closures")
    snapshot.generations = transaction.rows("SELECT sequence, generation, keeps FROM generations")
    snapshot.losses = [str(loss) for (loss,) in transaction.rows("SELECT DISTINCT loss_id FROM vault_lost")]
    checks: tuple[tuple[str, Callable[[], Iterable[Mismatch]]], ...] = (
        ("sequences", lambda: _sequences(transaction, snapshot)),
        ("events", lambda: _event_ids(transaction)),
        ("requests", lambda: _requests(transaction)),
        ("waiting", lambda: _waiting(transaction)),
        ("notices", lambda: _notices(transaction)),
        ("closures", lambda: _kept(transaction, snapshot.closures)),
        ("vault_index", lambda: _index(transaction)),
    )
    for table, check in checks:
        try:
            snapshot.mismatches += check()
        except UNREADABLE:
            snapshot.mismatches.append(Mismatch(None, None, f"the table {table} holds what cannot be read"))
    return snapshot


def _read_ends(transaction: Transaction, snapshot: Snapshot) -> None:
    snapshot.ends = dict.fromkeys(shards_of(transaction), 0)
    snapshot.sequences = {
        name: int(position) for name, position in transaction.rows("SELECT name, position FROM sequences")
    }
    snapshot.ends = {shard: snapshot.sequences.get(event_sequence(shard), 0) for shard in snapshot.ends}


def _read_heads(transaction: Transaction, snapshot: Snapshot) -> None:
    for account, shard, version, leaf, recorded_at in transaction.rows(
        "SELECT account, shard, version, leaf_hash, recorded_at FROM heads"
    ):
        snapshot.heads[account] = (shard, version, leaf, recorded_at)


def _read_vault(transaction: Transaction, snapshot: Snapshot) -> None:
    vaults = transaction.rows("SELECT vault_id FROM vault_bound")
    snapshot.vault_id = str(vaults[0][0]) if vaults else None


def _read_trees(transaction: Transaction, snapshot: Snapshot) -> None:
    for shard in snapshot.ends:
        snapshot.logs[shard] = logs_of(transaction, shard)
        snapshot.tree_sizes[shard] = tree_size(transaction, shard)
    for shard, level, number, hashes in transaction.rows("SELECT shard, level, number, hashes FROM audit_tiles"):
        # A tile that is no bytes has none of the hashes that belong there, and is told of as such.
        snapshot.tiles[shard][level, number] = bytes(hashes) if isinstance(hashes, (bytes, memoryview)) else b""
    snapshot.checkpoints = transaction.rows("SELECT origin, size, note FROM audit_checkpoints ORDER BY origin, size")
    for origin, size, name, key_id, line in transaction.rows(
        "SELECT origin, size, name, key_id, line FROM audit_cosignatures"
    ):
        snapshot.cosignatures[origin, size].append((name, key_id, line))


def _sequences(transaction: Transaction, snapshot: Snapshot) -> Iterator[Mismatch]:
    counted = dict.fromkeys(snapshot.ends, (0, 0))
    for shard, count, last in transaction.rows("SELECT shard, COUNT(*), MAX(position) FROM events GROUP BY shard"):
        if isinstance(shard, int) and isinstance(last, int):
            counted[shard] = (count, last)
        else:
            yield Mismatch(None, None, f"of {count} events the shard or a position is no whole number")
    for shard, (count, last) in counted.items():
        end = snapshot.ends.get(shard, 0)
        if last != end or count != end or shard not in snapshot.ends:
            at = Position(shard, max(last, end))
            yield Mismatch(
                at, None, f"the shard's sequence counts {end} events; there are {count}, the last at {last}"
            )
    known = {event_sequence(shard) for shard in snapshot.ends}
    for table, sequence in (("dead_letters", dead_letter_sequence), ("set_aside", set_aside_sequence)):
        [(count, last)] = transaction.rows(f"SELECT COUNT(*), MAX(position) FROM {table}")
        names = [sequence(shard) for shard in snapshot.ends]
        known.update(names)
        end = sum(snapshot.sequences.get(name, 0) for name in names)
        if count != end or (last or 0) > end:
            yield Mismatch(
                None, None, f"{table} has {count} rows, the last at {last or 0}; its sequence counts {end}"
            )
    for name in sorted(snapshot.sequences.keys() - known, key=str):
        yield Mismatch(None, None, f"there is a sequence {name}, which counts nothing")


def _event_ids(transaction: Transaction) -> Iterator[Mismatch]:
    for event_id, shard, position in transaction.rows(
        "SELECT event_id, MAX(shard), MAX(position) FROM events GROUP BY event_id HAVING COUNT(*) > 1"
    ):
        yield Mismatch(Position(shard, position), None, f"another event has its id {event_id}")


def _requests(transaction: Transaction) -> Iterator[Mismatch]:
    """A request is known by its caller and key; the fact that it became has both, in its actor and message."""
    last: tuple[str, str] = ("", "")
    while rows := transaction.rows(
        "SELECT r.caller, r.key, r.account, r.account_version, e.shard, e.position, e.account, "
        "e.account_version, e.envelope, h.version FROM requests r LEFT JOIN events e ON e.event_id = r.event_id "
        "LEFT JOIN heads h ON h.account = r.account "
        "WHERE (r.caller, r.key) > (?, ?) ORDER BY r.caller, r.key LIMIT ?",
        (*last, _PAGE),
    ):
        last = (rows[-1][0], rows[-1][1])
        for caller, key, account, version, shard, position, of_event, first, envelope, head in rows:
            if position is None:
                yield Mismatch(None, account, f"the request {key!r} of {caller} names an event that is not there")
                continue
            at = Position(shard, position)
            if account != of_event or head is None or not first <= version <= head:
                yield Mismatch(at, of_event, f"the request {key!r} of {caller} names other versions of an account")
            try:
                event = from_json(envelope)
                named = event["data"].get("message")
                if event["actor"] != caller or (named is not None and named["id"].partition("/")[0] != key):
                    yield Mismatch(at, of_event, f"is not what the request {key!r} of {caller} became")
            except UNREADABLE:
                yield Mismatch(at, of_event, f"the request {key!r} of {caller} names it, and it cannot be read")


def _waiting(transaction: Transaction) -> Iterator[Mismatch]:
    for event_id, account, type_, source, message_id, shard, position, of_event, of_type in transaction.rows(
        "SELECT w.event_id, w.account, w.type, w.source, w.id, e.shard, e.position, e.account, e.type "
        "FROM waiting w LEFT JOIN events e ON e.event_id = w.event_id"
    ):
        if position is None:
            yield Mismatch(None, account, f"a fact waits that is not there: {event_id}")
        elif (account, type_, event_id) != (of_event, of_type, message_event_id(source, message_id)):
            yield Mismatch(Position(shard, position), of_event, "waits under another account, type or message")


def _notices(transaction: Transaction) -> Iterator[Mismatch]:
    for notice_id, account in transaction.rows(
        "SELECT n.notice_id, n.account FROM notices n LEFT JOIN events e ON e.event_id = n.event_id "
        "WHERE e.event_id IS NULL OR e.account <> n.account OR e.position <> n.position"
    ):
        yield Mismatch(None, account, f"the notice {notice_id} names another event than it was queued for")


def _kept(transaction: Transaction, closures: Sequence[Row]) -> Iterator[Mismatch]:
    there = {("dead-letter", row[0]) for row in transaction.rows("SELECT dead_letter_id FROM dead_letters")}
    there |= {("set-aside", row[0]) for row in transaction.rows("SELECT set_aside_id FROM set_aside")}
    for kept, kept_id, *_ in closures:
        if (kept, kept_id) not in there:
            yield Mismatch(None, None, f"the {kept} {kept_id} is closed, and is not there")


def _index(transaction: Transaction) -> Iterator[Mismatch]:
    """Whether the words are those that the vault has, only its keys can tell (`makegood vault index`)."""
    count = entries_of_nothing(transaction)
    if count:
        yield Mismatch(None, None, f"words in the vault's index that the vault does not have: {count}")
