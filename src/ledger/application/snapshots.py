"""Snapshots: a long account's memory on paper, so that it need not be made again of all its events.

A snapshot is a cache and nothing else. It is made of the account's events alone, which are replayed one by one and
whose chain is followed to the head; never of an earlier snapshot, and never of what a process has in memory. It is
used only where all of this holds, and otherwise the account is opened by replaying its events, as ever:

* this very program made it: every file of the ledger, and the libraries that its memory depends on;
* it is of an event that the account has: the next one is chained to it, and so on to the account's head;
* the store's own key says that the store made it, of this account and this event, byte by byte.

Whoever can write into the ledger's database can so delete a snapshot, and not change what is decided by it. The facts
in it are their envelopes, which are read as ever, when they are first looked at. `makegood audit verify`, `reperform`
and `check` know of no snapshots.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from itertools import accumulate, pairwise, repeat, starmap
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import to_json

from ledger.agreement import Agreement
from ledger.application.account import Account, Memory
from ledger.application.catalogue import Catalogue
from ledger.application.columnar import NotWritable, from_columns, to_columns
from ledger.audit import leaf_hash
from ledger.events import LedgerEvent, from_stored
from ledger.events.envelope import STORED_TYPES
from ledger.store.column_types import as_bytes
from ledger.store.database import Database, StoreError, Transaction
from ledger.store.writing import Head, read_heads
from ledger.vault import Damaged, Gone, Vault

LONG_FROM = 200
"""So many events make an account a long one, which is to have a snapshot: to replay fewer takes 5 ms at most."""
REPLAYED_MAX = 50
"""Where more events than so many were replayed after it, a long account is to have a newer one."""
REPLAYED_SHARE = 50
"""Of a very long account it may be one event in so many: a snapshot takes as long to make as the account is long."""
WANTED_MAX = 10_000
"""So many accounts are remembered that are to have one; the others are noticed again when they are opened next."""

_AGREEMENT = "agreement"
_LIBRARIES = ("eventsourcing", "pydantic", "pydantic_core", "tzdata")
_COLUMNS = {
    "account": "TEXT",
    "version": "BIGINT",
    "leaf_hash": "TEXT",
    "program": "TEXT",
    "mac": "TEXT",
    "form": "BYTES",
    "numbers": "BYTES",
    "envelopes": "BYTES",
}


Resumed = tuple[Memory, list[LedgerEvent]]
"""What an account was in memory when its snapshot was made, and its events after that."""


class Snapshots:
    """Opens accounts by their snapshots, notices which are to have one, and makes it when it is told to."""

    def __init__(self, vault: Vault, catalogue: Catalogue) -> None:
        self._vault = vault
        self._catalogue = catalogue
        self._program = this_program()  # now, because the files of a program may be exchanged while it runs
        self._wanted: dict[str, None] = {}

    # --- using them ----------------------------------------------------------------------------------------------

    def open(self, transaction: Transaction, heads: Mapping[str, Head]) -> dict[str, Resumed]:
        """Of accounts by their heads, those that have a snapshot to be used: its memory, and the events after it."""
        long = [account for account, head in heads.items() if head.version >= LONG_FROM]
        if not long:
            return {}
        found = {}
        for row in transaction.rows_in(f"SELECT {', '.join(_COLUMNS)} FROM snapshots WHERE account IN (?*)", long):
            snapshot = _snapshot(row)
            resumed = self._resumed(transaction, heads[row[0]], snapshot) if snapshot is not None else None
            if resumed is not None:
                found[row[0]] = resumed
        return found

    def _resumed(self, transaction: Transaction, head: Head, snapshot: Snapshot) -> Resumed | None:
        if snapshot.program != self._program or snapshot.version > head.version:
            return None
        if not self._is_ours(snapshot):
            return None
        later = _stored(transaction, head.account, after=snapshot.version) if snapshot.version < head.version else []
        events = [from_stored(type_, envelope) for type_, envelope in later]
        if not _are_chained(snapshot.leaf_hash, events, [envelope for _, envelope in later], head):
            return None
        return snapshot.memory(self._catalogue), events

    def _is_ours(self, snapshot: Snapshot) -> bool:
        """Whether the store's own key says that it made a snapshot. Where the vault has nothing to say, because its
        keys are away or lost, the account is opened by its events, for which no key is needed."""
        try:
            return self._vault.is_snapshot_mac(snapshot.mac, snapshot.content())
        except (Damaged, Gone, StoreError):
            return False

    def note(self, head: Head, replayed: int) -> None:
        """Note that so many events were replayed to open an account."""
        many = head.version >= LONG_FROM and replayed > max(REPLAYED_MAX, head.version // REPLAYED_SHARE)
        if many and len(self._wanted) < WANTED_MAX:
            self._wanted[head.account] = None

    # --- making them ---------------------------------------------------------------------------------------------

    def next_wanted(self) -> str | None:
        """An account that is to have a snapshot, the one that was noted last; it is then forgotten."""
        try:
            return self._wanted.popitem()[0]
        except KeyError:
            return None

    def make(self, database: Database, account: str) -> int:
        """Make an account's snapshot of its events, in place of the one before; how many events that were.

        Raises NotWritable where the events are not chained up to the account's head, or where its memory has
        something that a snapshot cannot hold.
        """
        with database.reading() as transaction:
            self._catalogue.refresh(transaction)
            head = read_heads(transaction, [account])[account]
            rows = _stored(transaction, account, after=0)
        snapshot = self.of_events(head, rows)
        with database.writing() as transaction:
            transaction.upsert("snapshots", _COLUMNS, ("account",), [snapshot.row()])
        return head.version

    def of_events(self, head: Head, rows: Sequence[tuple[str, bytes]]) -> Snapshot:
        """The snapshot of an account's events: the stored type and the envelope of each, from the first up to a head.

        Raises NotWritable.
        """
        events = [from_stored(type_, envelope) for type_, envelope in rows]
        envelopes = [envelope for _, envelope in rows]
        if head.leaf_hash is None or not _are_chained(None, events, envelopes, head):
            raise NotWritable("its events are not chained up to its head: run `makegood audit verify`")
        account = Account(head, self._catalogue)
        account.replay(events, {})
        lender = _Lender(dict(zip((event.event_id for event in events), envelopes, strict=True)))
        form, numbers = to_columns(account.memory, lender)
        snapshot = Snapshot(
            head.account, head.version, head.leaf_hash, self._program, "", form, numbers, b"".join(lender.envelopes)
        )
        snapshot.mac = self._vault.snapshot_mac(snapshot.content())
        return snapshot


def _stored(transaction: Transaction, account: str, after: int) -> list[tuple[str, bytes]]:
    """The stored type and the envelope of each of an account's events after one of its versions, in their order."""
    rows = transaction.rows(
        "SELECT type, envelope FROM events WHERE account = ? AND account_version > ? ORDER BY account_version",
        (account, after),
    )
    return [(type_, as_bytes(envelope, f"an envelope of {account}")) for type_, envelope in rows]


def _are_chained(leaf: str | None, events: Iterable[LedgerEvent], envelopes: Iterable[bytes], head: Head) -> bool:
    """Whether events follow one the other from a leaf hash up to an account's head."""
    for event, envelope in zip(events, envelopes, strict=True):
        if event.previous != leaf:
            return False
        leaf = leaf_hash(envelope)
    return leaf == head.leaf_hash


@cache
def this_program() -> str:
    """What makes an account's memory out of its events: a digest of all files of the ledger, and of the versions of
    Python and of the libraries that it depends on; time zones are one of them."""
    digest = sha256()
    for name, content in sorted(_files(resources.files("ledger"), "")):
        digest.update(to_json([name, len(content)]) + content)
    digest.update(to_json([list(sys.version_info[:3]), {name: version(name) for name in _LIBRARIES}]))
    return digest.hexdigest()


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, f"{path}{each.name}/")
        elif each.name.endswith((".py", ".csv")):
            yield f"{path}{each.name}", each.read_bytes()


# --- one snapshot ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Snapshot:
    """One row: of which account, up to which event, made by which program; `mac` says that the store made it.

    `form` and `numbers` are the memory (`ledger/application/columnar.py`), `envelopes` those of the events in it.
    """

    account: str
    version: int
    leaf_hash: str
    program: str
    mac: str
    form: bytes
    numbers: bytes
    envelopes: bytes

    def content(self) -> bytes:
        """All that the store says it made."""
        parts = (self.form, self.numbers, self.envelopes)
        said = [self.account, self.version, self.leaf_hash, self.program, *map(len, parts)]
        return b"".join((to_json(said), b"\n", *parts))

    def row(self) -> tuple[Any, ...]:
        """The row, in the order of the columns."""
        return tuple(getattr(self, name) for name in _COLUMNS)

    def memory(self, catalogue: Catalogue) -> Memory:
        """What the account was in memory; its events are read when they are first looked at."""
        begin = 0

        def lend(kind: str, names: Sequence[Any]) -> Iterable[object]:
            nonlocal begin
            if kind == _AGREEMENT:
                return [catalogue.version(name, number).terms for name, number in names]
            ends = list(accumulate(names, initial=begin))
            begin = ends[-1]
            envelopes = map(self.envelopes.__getitem__, starmap(slice, pairwise(ends)))
            return _unread(STORED_TYPES[kind], envelopes, len(names))

        return cast("Memory", from_columns(self.form, self.numbers, lend))


def _snapshot(row: Sequence[Any]) -> Snapshot | None:
    """The snapshot of a row; None where its columns are not of the kinds that they are written in."""
    columns: list[Any] = [bytes(each) if isinstance(each, memoryview) else each for each in row]
    kinds = [_IN_PYTHON[kind] for kind in _COLUMNS.values()]
    return Snapshot(*columns) if [type(each) for each in columns] == kinds else None


_IN_PYTHON = {"TEXT": str, "BIGINT": int, "BYTES": bytes}


class _Lender:
    """What a snapshot does not write into its form: agreements, which the catalogue has, and events, which go beside
    it as they are stored."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        self._stored = stored
        self.envelopes: list[bytes] = []

    def kind(self, item: object) -> str | None:
        if isinstance(item, LedgerEvent):
            return item.stored_as
        return _AGREEMENT if isinstance(item, Agreement) else None

    def name(self, item: object) -> object:
        if isinstance(item, Agreement):
            return [item.name, item.version]
        assert isinstance(item, LedgerEvent)
        self.envelopes.append(self._stored[item.event_id])
        return len(self.envelopes[-1])


# --- events that are read when they are first looked at -------------------------------------------------------------

_set = object.__setattr__
_fields = BaseModel.__dict__["__dict__"]
_envelope = BaseModel.__dict__["__pydantic_private__"]
"""Where pydantic keeps private attributes. Events have none, and one that is not read has its envelope there."""


def _unread(kind: type[LedgerEvent], envelopes: Iterable[bytes], count: int) -> list[LedgerEvent]:
    """Events of a kind by their envelopes."""
    of = _unread_class(kind)
    made = list(map(of.__new__, repeat(of, count)))
    deque(map(_envelope.__set__, made, envelopes), maxlen=0)
    return made


@cache
def _unread_class(kind: type[LedgerEvent]) -> type[LedgerEvent]:
    """A kind of events whose objects are read by the first who asks for anything of them, and are of the kind itself
    from then on. Until then they are told from others by nothing but `type`."""

    def read(event: Any) -> Any:
        there = from_stored(kind.stored_as, _envelope.__get__(event))
        _fields.__set__(event, there.__dict__)
        _set(event, "__pydantic_fields_set__", there.__pydantic_fields_set__)
        _set(event, "__pydantic_extra__", None)
        _set(event, "__pydantic_private__", None)
        _set(event, "__class__", kind)
        return event

    def attribute(event: Any, name: str) -> Any:
        # `isinstance` asks for the class of what it does not find to be of another, and need not know more.
        return type(event) if name == "__class__" else getattr(read(event), name)

    metaclass: Any = type(kind)
    unread: type[LedgerEvent] = metaclass(
        kind.__name__,
        (kind,),
        {
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__getattribute__": attribute,
            # What Python looks for in the class, and not in the object.
            "__eq__": lambda event, other: read(event) == other,
            "__hash__": lambda event: hash(read(event)),
            "__copy__": lambda event: read(event).__copy__(),
            "__deepcopy__": lambda event, memo=None: read(event).__deepcopy__(memo),
        },
    )
    return unread
