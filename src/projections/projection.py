"""The one shape of a projection: tables, and a pure fold that puts what an event says into their rows.

A fold sees rows through `Rows` and nothing else, so that it works alike on tables that a `Follower` keeps and on
plain dictionaries, in which `fold_account` follows one account step by step.

Each projection's file also says how its rows are shown: the type of an answer's row, `shown`, which makes these from
rows wherever they come from, and the questions, which have a database find the rows (projections/asking.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from operator import itemgetter
from typing import Any, Literal, Protocol

from ledger.events import STORED_TYPES, LedgerEvent

Value = str | int | None
Row = Mapping[str, Any]
"""A row by its columns. What each holds its table says, as of every row that comes out of a database."""
Values = tuple[Value, ...]
Key = tuple[Any, ...]
ColumnType = Literal["TEXT", "INTEGER", "BIGINT", "INSTANT", "AMOUNT"]
"""What a column holds. An INSTANT is a BIGINT (ledger.store.instants). An amount is TEXT at its currency's scale; one
that is added up is an AMOUNT, a BIGINT of minor units (ledger.store.amounts)."""


@dataclass(frozen=True, slots=True)
class Index:
    """Columns by which rows are looked for across accounts: those to find by, then those to order by.

    `where` limits it to the rows of which that holds.
    """

    name: str
    columns: tuple[str, ...]
    where: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table of a projection. Its key begins with the column `account`.

    `reads` names the events whose fold looks at rows that are there already: their accounts' rows are loaded first.
    `appends` says that each row is put by one event only and never changed or deleted, so that it need not be looked
    for when it is written. A `finding` table says again what others say, so that lists are found by it; no replay
    shows it.
    """

    name: str
    columns: Mapping[str, ColumnType]
    key: tuple[str, ...]
    reads: tuple[type[LedgerEvent], ...] = ()
    appends: bool = False
    indexes: tuple[Index, ...] = ()
    finding: bool = False
    key_of: Callable[[Row], Key] = field(init=False)
    """What a row is known by."""
    key_in: Callable[[Values], Key] = field(init=False)
    """The same of its values: the rows of a database need not become mappings for it."""
    values_of: Callable[[Row], Values] = field(init=False)
    """What a row says, in the order of the columns."""

    def __post_init__(self) -> None:
        if self.key[:1] != ("account",) or len(self.key) < 2 or not set(self.key) <= set(self.columns):
            raise TypeError(f"the key of table {self.name} must be its column account and at least one more column")
        if self.appends and self.reads:
            raise TypeError(f"rows of table {self.name} are put once, so that a fold has nothing to look for")
        object.__setattr__(self, "key_of", itemgetter(*self.key))
        object.__setattr__(self, "key_in", itemgetter(*map([*self.columns].index, self.key)))
        object.__setattr__(self, "values_of", itemgetter(*self.columns))

    def row(self, values: Values) -> Row:
        """A row by its values, in the order of the columns."""
        return dict(zip(self.columns, values, strict=True))


class Place(Protocol):
    """Where a stored event stands."""

    @property
    def shard(self) -> int | None:
        """The shard that counts it; none where it was only decided in memory."""

    @property
    def position(self) -> int:
        """Its position in the shard."""

    @property
    def account_version(self) -> int:
        """How many events its account has up to and with it."""

    @property
    def leaf_hash(self) -> str | None:
        """The RFC 6962 leaf hash of its envelope, in hexadecimal; none where it was only decided in memory."""


class Told(Place, Protocol):
    """An event and its place; it is decoded when it is asked for."""

    @property
    def account(self) -> str:
        """The account that it belongs to."""

    @property
    def type(self) -> str:
        """Its stored type."""

    def event(self) -> LedgerEvent:
        """The event itself."""


class Stored(Told, Protocol):
    """A stored event, as the read port or a topic hands it out."""

    @property
    def shard(self) -> int:
        """The shard that counts it."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An event that was decided in memory and is folded like a stored one; it is counted in place of a position."""

    told: LedgerEvent
    position: int

    @property
    def shard(self) -> None:
        """No event of its place was stored in any shard."""
        return None

    @property
    def account_version(self) -> int:
        """Its number among the events that were decided."""
        return self.position

    @property
    def leaf_hash(self) -> None:
        """What was not stored has no hash."""
        return None

    @property
    def account(self) -> str:
        """The account that it belongs to."""
        return self.told.account

    @property
    def type(self) -> str:
        """The type as which it would be stored."""
        return self.told.type

    def event(self) -> LedgerEvent:
        """The event itself."""
        return self.told


class Rows:
    """The rows that a fold gets, puts and deletes, with all changes until they are taken away to be written.

    A fold sees a row as a mapping by columns; it is kept as its values, which take a quarter of the memory.
    """

    def __init__(self, tables: Iterable[Table]) -> None:
        self._kept: dict[Table, dict[Key, Values]] = {table: {} for table in tables}
        self._changes: dict[Table, dict[Key, Values | None]] = {table: {} for table in self._kept}
        self._keys: dict[Table, dict[str, dict[Key, None]]] = {table: {} for table in self._kept}
        """The keys of each account in the tables that folds look at, so that they need not look at all rows."""

    def keep(self, table: Table, rows: Iterable[Values]) -> None:
        """Have rows that were written before."""
        for values in rows:
            key = table.key_in(values)
            self._kept[table][key] = values
            self._note(table, key)

    def _note(self, table: Table, key: Key) -> None:
        if table.reads:
            self._keys[table].setdefault(key[0], {})[key] = None

    def get(self, table: Table, *key: Value) -> Row | None:
        """The row with this key, if there is one."""
        _check_read(table)
        return self._standing(table, key)

    def _standing(self, table: Table, key: Key) -> Row | None:
        changes = self._changes[table]
        values = changes[key] if key in changes else self._kept[table].get(key)
        return table.row(values) if values is not None else None

    def of_account(self, table: Table, account: str) -> list[Row]:
        """All rows of an account."""
        _check_read(table)
        keys = self._keys[table].get(account, ())
        return [row for key in keys if (row := self._standing(table, key)) is not None]

    def put(self, table: Table, row: Row) -> None:
        """Have this row, whole, in place of any other with its key."""
        key = table.key_of(row)
        self._changes[table][key] = table.values_of(row)
        self._note(table, key)

    def delete(self, table: Table, *key: Value) -> None:
        """Have no row with this key."""
        self._changes[table][key] = None

    def changes(self) -> Mapping[Table, Mapping[Key, Values | None]]:
        """The values of every row put, and None for every key deleted; the last word on each key only."""
        return self._changes

    def settle(self) -> None:
        """Take the changes for written."""
        for table, changes in self._changes.items():
            kept = self._kept[table]
            for key, values in changes.items():
                if values is not None:
                    kept[key] = values
                else:
                    kept.pop(key, None)
            changes.clear()

    def all(self) -> State:
        """Every row that is kept, by the table's name."""
        return {table.name: [table.row(values) for values in kept.values()] for table, kept in self._kept.items()}


def _check_read(table: Table) -> None:
    if not table.reads:
        raise TypeError(f"a fold looks at table {table.name}, which must say so: `reads` names its events")


State = Mapping[str, Sequence[Row]]
"""Rows by the name of their table: what answers are made from, whether they were read from a database or folded."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """One answer that is kept ready: its tables and the fold that fills them.

    A changed table or fold takes the next `version`: that one has tables and positions of its own and starts from the
    first event, while rows of the old version stay as they are. `handles` may name a class that several events share.
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    handles: tuple[type[LedgerEvent], ...]
    fold: Callable[[Rows, Place, Any], None]
    suffix: str = ""
    """What tells the tables of a copy from those that are read (projections/rebuild.py)."""

    def stored_name(self, table: Table) -> str:
        """What a table of this version is called in a database."""
        return f"{table.name}_v{self.version}{self.suffix}"


def copy_of(projection: Projection) -> Projection:
    """A projection that folds alike into tables of its own, under positions of its own (projections/rebuild.py)."""
    return replace(projection, name=f"{projection.name} (rebuild)", suffix="_rebuilt")


@cache
def stored_types(events: tuple[type[LedgerEvent], ...]) -> frozenset[str]:
    """The stored types of events, or of all events that have one of these classes in common."""
    return frozenset(type_ for type_, event in STORED_TYPES.items() if issubclass(event, events))


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an account, what it changed, and how everything stands after it."""

    stored: Told
    event: LedgerEvent
    changes: Mapping[Table, Mapping[Key, Values | None]]
    rows: Mapping[Projection, Rows]

    def state(self) -> State:
        """All rows after this event; to be asked for before the next step is taken."""
        return {name: rows for kept in self.rows.values() for name, rows in kept.all().items()}


def fold_account(envelopes: Iterable[Told], projections: Sequence[Projection]) -> Iterator[Step]:
    """Fold one account's events in memory, step by step, as a follower would fold them into tables."""
    rows = {projection: Rows(projection.tables) for projection in projections}
    takes = {projection: stored_types(projection.handles) for projection in projections}
    for envelope in envelopes:
        event = envelope.event()
        changes: dict[Table, Mapping[Key, Values | None]] = {}
        for projection in projections:
            if envelope.type in takes[projection]:
                projection.fold(rows[projection], envelope, event)
                changes |= {table: dict(of) for table, of in rows[projection].changes().items() if of}
                rows[projection].settle()
        yield Step(envelope, event, changes, rows)
