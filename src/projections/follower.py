"""Keeps projections' rows up to date in a database: rows and position in one transaction (design rule 7).

A reader trusts positions. What it has seen it skips; what comes next it applies; over a jump it reads from the
store what is missing. Every projection has a position of its own in each shard, moved by compare-and-set: whoever
comes with an old one is fenced off, reads where the projection stands now, and goes on from there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ledger.events import STORED_TYPES
from ledger.store.database import Conflict, Database, Transaction
from ledger.store.positions import Reached
from ledger.store.reading.events import PositionMissing, read_shard
from ledger.store.reading.generations import AheadOfLedger
from ledger.store.reading.shards import shard_end, shard_ends
from ledger.store.reading.store import store_id
from projections.catalog import CATALOG
from projections.projection import Key, Place, Projection, Rows, Stored, Table, Values, stored_types

POSITIONS = """CREATE TABLE IF NOT EXISTS projection_positions (
    projection TEXT NOT NULL, version INTEGER NOT NULL, shard INTEGER NOT NULL, position BIGINT NOT NULL,
    PRIMARY KEY (projection, version, shard))"""

BATCH_MAX = 2_000
"""So many events share a transaction: enough that its commit costs little, few enough to wait for."""

Progress = Callable[[int, int], None]
"""Told, after each batch, how many events are folded and how many there are."""


class ReaderFenced(Conflict):
    """Another follower moved a projection's position: rows must be read again from where it stands now."""


class Follower:
    """Applies stored events, from wherever they come, to the tables of projections.

    One thread uses a follower; several followers may share a database, in one process or in many.
    """

    def __init__(self, database: Database, projections: Sequence[Projection] = CATALOG) -> None:
        self._database = database
        self._projections = tuple(sorted(projections, key=lambda projection: (projection.name, projection.version)))
        self._stands: dict[int, dict[Projection, int]] = {}

    def create(self) -> None:
        """Create the tables that are not there yet. Raises NotPermitted where that is not for whoever asks."""
        self._database.create(self._definitions())

    def lacks_tables(self) -> bool:
        """Whether one of the tables is not there, as in a store of an older version."""
        return bool(self._database.lacking(self._definitions()))

    def _definitions(self) -> list[str]:
        statements = [POSITIONS]
        for projection in self._projections:
            for table in projection.tables:
                statements += _definition(projection, table, self._text_type())
        return statements

    def _text_type(self) -> str:
        """Ids are found by their bytes: by a language's rules PostgreSQL takes twice as long to compare them."""
        return 'TEXT COLLATE "C"' if self._database.dialect == "postgresql" else "TEXT"

    def reading(self) -> AbstractContextManager[Transaction]:
        """A state of the store that is followed."""
        return self._database.reading()

    def store_id(self) -> str:
        """Which store is followed: events of another are not for it."""
        with self._database.reading() as transaction:
            return store_id(transaction)

    # --- positions -----------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Reached]:
        """How far each projection has come in each shard of the store."""
        with self._database.reading() as transaction:
            stand = positions_of(transaction, self._projections)
        return {projection.name: stand[projection] for projection in self._projections}

    def position_reached(self, shard: int) -> int:
        """The position of a shard up to which every projection has come."""
        with self._database.reading() as transaction:
            return min(self._read_positions(transaction, shard).values(), default=0)

    def _read_positions(self, transaction: Transaction, shard: int) -> dict[Projection, int]:
        stand = positions_of(transaction, self._projections)
        return {projection: positions.get(shard, 0) for projection, positions in stand.items()}

    def _standing(self, shard: int) -> dict[Projection, int]:
        """Where the projections stand as far as this follower knows; the compare-and-set finds out if it is wrong."""
        if shard not in self._stands:
            with self._database.reading() as transaction:
                self._stands[shard] = self._read_positions(transaction, shard)
        return self._stands[shard]

    # --- following -----------------------------------------------------------------------------------------------

    def apply(self, envelopes: Iterable[Stored]) -> int:
        """Bring every projection to the last of these events, in its shard; returns how many that were new.

        They may repeat what was seen and leave out what was not. Raises PositionMissing where the store lacks what
        they leave out, and what a Database raises; nothing of a batch is kept then, and it may be tried again.
        """
        by_shard: dict[int, dict[int, Stored]] = defaultdict(dict)
        for envelope in envelopes:
            by_shard[envelope.shard][envelope.position] = envelope
        return sum(self._reach(shard, max(known), known) for shard, known in by_shard.items())

    def catch_up(self, on_progress: Progress | None = None, limit: int = BATCH_MAX, to: Reached | None = None) -> int:
        """Follow the store to where it ends now, or to a position in each shard; returns how many events were new."""
        if to is not None:
            ends = to
        else:
            with self._database.reading() as transaction:
                ends = shard_ends(transaction)
        applied = 0
        for shard, end in ends.items():
            if to is None and max(self._standing(shard).values(), default=0) > end:
                self._stand_anew(shard)
            while (lowest := self._lowest(shard)) < end:
                applied += self._reach(shard, min(lowest + limit, end), {}, limit)
                if on_progress is not None:
                    on_progress(sum(self._lowest(each) for each in ends), sum(ends.values()))
        return applied

    def _stand_anew(self, shard: int) -> None:
        """Find out where the projections stand: the store was restored while it was followed, or went on meanwhile.

        Raises AheadOfLedger where one stands beyond the store's end.
        """
        with self._database.reading() as transaction:
            end = shard_end(transaction, shard)
            stands = self._stands[shard] = self._read_positions(transaction, shard)
        for projection, position in stands.items():
            if position > end:
                raise AheadOfLedger(
                    f"the projection {projection.name} stands at {shard}:{position}, "
                    f"and the ledger ends at {shard}:{end}"
                )

    def _lowest(self, shard: int) -> int:
        return min(self._standing(shard).values(), default=2**62)

    def _reach(self, shard: int, last: int, known: Mapping[int, Stored], limit: int = BATCH_MAX) -> int:
        """Bring every projection of a shard to a position, those that stand at one place together."""
        applied = 0
        while (lowest := self._lowest(shard)) < last:
            standing = self._standing(shard)
            together = [projection for projection, position in standing.items() if position == lowest]
            # They go on no further than to where others stand, and from there on together with them.
            end = min({last, lowest + limit, *standing.values()} - {lowest})
            try:
                self._advance(together, shard, lowest, self._run(shard, lowest, end, known))
            except ReaderFenced:
                self._stands.pop(shard, None)
            except BaseException:
                self._stands.pop(shard, None)  # whether it was committed is known to the database only
                raise
            else:
                standing.update(dict.fromkeys(together, end))
                applied += end - lowest
        return applied

    def _run(self, shard: int, after: int, end: int, known: Mapping[int, Stored]) -> Sequence[Stored]:
        """The events after a position up to another without a hole: those at hand, or read from the store."""
        if all(position in known for position in range(after + 1, end + 1)):
            return [known[position] for position in range(after + 1, end + 1)]
        with self._database.reading() as transaction:
            found = read_shard(transaction, shard, after, end - after)
        if len(found) < end - after:
            raise PositionMissing(
                f"an event at position {shard}:{end} is known, but the store ends at {shard}:{after + len(found)}: "
                "the event is from another store, or this store was restored from an older backup"
            )
        return found

    # --- one transaction -----------------------------------------------------------------------------------------

    def _advance(
        self, projections: Sequence[Projection], shard: int, after: int, envelopes: Sequence[Stored]
    ) -> None:
        """Fold a run of events into projections that stand before it: all rows and positions, or nothing."""
        with self._database.writing() as transaction:
            self.advance_in(transaction, projections, shard, after, envelopes)

    def advance_in(
        self,
        transaction: Transaction,
        projections: Sequence[Projection],
        shard: int,
        after: int,
        envelopes: Sequence[Stored],
    ) -> None:
        """Fold a run of events into projections that stand before it, in a transaction. Raises ReaderFenced."""
        self._move(transaction, projections, shard, after, envelopes[-1].position)
        rows = {projection: load(transaction, projection, envelopes) for projection in projections}
        fold_into(rows, envelopes)
        for projection in projections:
            for table, changes in rows[projection].changes().items():
                write(transaction, projection.stored_name(table), table, changes)

    def _move(
        self, transaction: Transaction, projections: Sequence[Projection], shard: int, after: int, to: int
    ) -> None:
        """Compare and set the positions, before any row is read: from here on others wait until the commit."""
        key = {"projection": "TEXT", "version": "INTEGER", "shard": "INTEGER"}
        if after == 0:
            rows = [(projection.name, projection.version, shard, 0) for projection in projections]
            transaction.insert("projection_positions", (*key, "position"), rows, new_only=True)
        moved = transaction.update(
            "projection_positions",
            {"position": "BIGINT"},
            {**key, "position": "BIGINT"},
            [(to, projection.name, projection.version, shard, after) for projection in projections],
        )
        if moved != len(projections):
            raise ReaderFenced(f"another follower moved a projection on from {shard}:{after}")


def load(transaction: Transaction, projection: Projection, envelopes: Sequence[Stored]) -> Rows:
    """The rows that folds of some events will look at."""
    rows = Rows(projection.tables)
    for table in projection.tables:
        reading = stored_types(table.reads)
        accounts = sorted({envelope.account for envelope in envelopes if envelope.type in reading})
        if accounts:
            columns = ", ".join(table.columns)
            rows.keep(
                table,
                transaction.rows_in(
                    f"SELECT {columns} FROM {projection.stored_name(table)} WHERE account IN (?*)", accounts
                ),
            )
    return rows


def fold_into(rows: Mapping[Projection, Rows], envelopes: Iterable[Stored]) -> None:
    """Fold events into the rows of projections.

    Each event is decoded once for all of them, and let go before the next: keeping them takes longer.
    """
    takers: dict[str, list[tuple[Callable[[Rows, Place, Any], None], Rows]]] = {}
    for envelope in envelopes:
        type_ = envelope.type
        taking = takers.get(type_)
        if taking is None:
            taking = takers[type_] = [
                (projection.fold, of) for projection, of in rows.items() if type_ in stored_types(projection.handles)
            ]
        # What a newer program wrote is decoded too, which says so: passing over it would lose it for good.
        if taking or type_ not in STORED_TYPES:
            event = envelope.event()
            for fold, of in taking:
                fold(of, envelope, event)


def positions_of(transaction: Transaction, projections: Iterable[Projection]) -> dict[Projection, Reached]:
    """How far each projection has come in each shard of the store."""
    rows = transaction.rows("SELECT projection, version, shard, position FROM projection_positions")
    stored = {(name, version, shard): int(position) for name, version, shard, position in rows}
    shards = shard_ends(transaction)
    return {
        projection: Reached({shard: stored.get((projection.name, projection.version, shard), 0) for shard in shards})
        for projection in projections
    }


def write(transaction: Transaction, name: str, table: Table, changes: Mapping[Key, Values | None]) -> None:
    """Have a table's rows be as a fold changed them."""
    rows = [values for values in changes.values() if values is not None]
    if table.appends:
        transaction.insert(name, tuple(table.columns), rows)
        return
    gone = [key for key, values in changes.items() if values is None]
    transaction.delete(name, table.key, gone)
    columns = {column: _stored_type(type_) for column, type_ in table.columns.items()}
    transaction.upsert(name, columns, table.key, rows)


def _definition(projection: Projection, table: Table, text: str) -> list[str]:
    name = projection.stored_name(table)
    columns = ", ".join(
        f"{column} {text if type_ == 'TEXT' else _stored_type(type_)}{' NOT NULL' if column in table.key else ''}"
        for column, type_ in table.columns.items()
    )
    # Rows of a copy are only ever looked for by their accounts.
    indexes = table.indexes if not projection.suffix else ()
    return [
        f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({', '.join(table.key)}))",
        *(
            f"CREATE INDEX IF NOT EXISTS {name}_{index.name} ON {name} ({', '.join(index.columns)})"
            + (f" WHERE {index.where}" if index.where is not None else "")
            for index in indexes
        ),
    ]


def _stored_type(type_: str) -> str:
    return "BIGINT" if type_ in ("INSTANT", "AMOUNT") else type_
