"""Changes that a seed makes: to any column or byte of what is verified, and to rows and trees as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from ledger.audit import Checkpoint, SigningKey, leaf_hash, signed
from ledger.store.database import Database, Transaction
from ledger.store.reading.audit import tree_reader
from ledger.store.schema import TABLES
from projections.catalog import CATALOG
from tests.parts.signed_log import AT, TYPES, grow
from tests.tampers.stage import Stage

Values = dict[str, Any]


class Change(NamedTuple):
    """What was changed."""

    what: str


COLUMNS: dict[str, Sequence[str]] = {
    "events": (
        "position",
        "account",
        "account_version",
        "stream",
        "stream_version",
        "type",
        "event_id",
        "envelope",
        "envelope",
        "envelope",
    ),
    "heads": ("account", "shard", "version", "leaf_hash"),
    "inbox": ("id", "source"),
    "requests": ("caller", "key", "account", "event_id", "account_version"),
    "agreements": ("name", "version", "sha256", "text"),
    "catalogue": ("name", "versions"),
    "sequences": ("name", "position"),
    "audit_tiles": ("level", "number", "hashes", "hashes"),
    "audit_checkpoints": ("origin", "size"),
    "audit_cosignatures": ("origin", "size", "name", "key_id"),
}
"""The columns that say again what the events say, or what was signed of them. The others follow from no event."""


def _columns(table: str) -> list[str]:
    """The columns of one of the store's own tables."""
    [body] = [
        found[1] for ddl in TABLES if (found := re.match(rf"(?s)CREATE TABLE IF NOT EXISTS {table} \((.*)\)", ddl))
    ]
    parts = re.split(r",(?![^(]*\))", body)
    return [part.split()[0] for part in parts if part.split()[0] not in ("PRIMARY", "UNIQUE")]


PROJECTED = {
    projection.stored_name(table): list(table.columns) for projection in CATALOG for table in projection.tables
}
TYPES_PROJECTED = {
    projection.stored_name(table): table.columns for projection in CATALOG for table in projection.tables
}
KEPT: dict[str, list[str]] = {
    **{table: _columns(table) for table in (*COLUMNS, "readers", "store")},
    **PROJECTED,
}
"""The columns of every table that is changed."""


class Tables:
    """The tables of a stage's store, as they are honestly."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.dialect = database.dialect
        with database.reading() as transaction:
            self.honest = {table: self._read(transaction, table) for table in KEPT}
        self.projected = [table for table in PROJECTED if self.honest[table]]

    @staticmethod
    def _read(transaction: Transaction, table: str) -> list[Values]:
        columns = KEPT[table]
        return [
            dict(zip(columns, row, strict=True))
            for row in transaction.rows(f"SELECT {', '.join(columns)} FROM {table}")
        ]

    def rows(self, table: str) -> list[Values]:
        """A copy of a table's honest rows."""
        return [dict(row) for row in self.honest[table]]

    def put(self, tables: dict[str, list[Values]]) -> None:
        """Have tables hold other rows. Raises Conflict where a key comes twice."""
        with self._database.writing() as transaction:
            for table, rows in tables.items():
                transaction.run(f"DELETE FROM {table}")
                transaction.insert(table, KEPT[table], [[row[name] for name in KEPT[table]] for row in rows])

    def put_back(self, tables: Sequence[str]) -> None:
        """Have tables hold again what they honestly hold."""
        self.put({table: self.honest[table] for table in tables})


Changed = tuple[str, dict[str, list[Values]]]
"""What was changed in words, and the rows of each table that was."""


def other(random: Random, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool) or value is None:
        return "changed" if value is None else not value
    if isinstance(value, int):
        return value + random.choice((-1, 1, 1000))
    if isinstance(value, (bytes, memoryview)):
        return other_bytes(random, bytes(value))
    text = str(value)
    match random.randrange(3):
        case 0 if text:
            at = random.randrange(len(text))
            return f"{text[:at]}{random.choice([c for c in 'abc01' if c != text[at]])}{text[at + 1 :]}"
        case 1 if text:
            return text[:-1]
    return f"{text}x"


def other_bytes(random: Random, value: bytes) -> bytes:
    """Other bytes: a bit is flipped, the end is cut off, or there is more."""
    kind = random.randrange(5) if value else 4
    if kind < 3:
        at = random.randrange(len(value))
        return value[:at] + bytes((value[at] ^ (1 << random.randrange(8)),)) + value[at + 1 :]
    return value[:-1] if kind == 3 else value + b"0"


# --- one column, one row ------------------------------------------------------------------------------------------


def column(random: Random, tables: Tables) -> Changed:
    table = random.choice(("events", "events", *COLUMNS))
    return _column(random, tables, table, COLUMNS[table])


def projected_column(random: Random, tables: Tables) -> Changed:
    table = random.choice(tables.projected)
    return _column(random, tables, table, KEPT[table])


def _column(random: Random, tables: Tables, table: str, columns: Sequence[str]) -> Changed:
    rows = tables.rows(table)
    name, row = random.choice(columns), random.choice(rows)
    before = row[name]
    row[name] = other(random, before)
    if before is None:
        holds_text = TYPES_PROJECTED.get(table, {}).get(name, "") == "TEXT"
        row[name] = "x" if holds_text or not (table in TYPES_PROJECTED or _holds_numbers(rows, name)) else 1
    return f"{table}.{name}", {table: rows}


def _holds_numbers(rows: list[Values], name: str) -> bool:
    return any(isinstance(each[name], int) for each in rows)


def retyped(random: Random, tables: Tables) -> Changed:
    """SQLite keeps a value of any type in a column of any type; of PostgreSQL it is another value."""
    if tables.dialect != "sqlite":
        return column(random, tables)
    table = random.choice((*COLUMNS, *tables.projected))
    name = random.choice(COLUMNS.get(table) or KEPT[table])
    rows = tables.rows(table)
    row = random.choice(rows)
    row[name] = random.choice(of_other_types(row[name]))
    return f"{table}.{name} is {type(row[name]).__name__}", {table: rows}


def of_other_types(value: Any) -> list[Any]:
    """A value as other types have it, and others that none of ours is read from."""
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace"), len(value), 2**62]
    if isinstance(value, str):
        return [value.encode(), b"\xff\x00"]
    return [f"x{value}", b"\xff\x00", 1.5]


def row_gone(random: Random, tables: Tables) -> Changed:
    choices = (
        "events",
        "heads",
        "inbox",
        "agreements",
        "catalogue",
        "sequences",
        "audit_tiles",
        *tables.projected[:8],
    )
    table = random.choice(choices)
    rows = tables.rows(table)
    if table == "sequences":
        rows = [row for row in rows if row["position"]]
        return f"{table}: a row is gone", {table: rows[1:]}
    rows.pop(random.randrange(len(rows)))
    return f"{table}: a row is gone", {table: rows}


def row_put_in(random: Random, tables: Tables) -> Changed:
    table = random.choice(("events", "heads", "inbox", "agreements", "audit_tiles", *tables.projected))
    rows = tables.rows(table)
    new = dict(random.choice(rows))
    for name, value in new.items():
        if table == "events" or name not in ("envelope", "hashes"):
            new[name] = other(random, value) if isinstance(value, str) else value
    if table == "events":
        new["position"], new["account_version"] = len(rows) + 1, new["account_version"] + 100
        new["stream_version"] += 100
    if table == "audit_tiles":
        new["number"] += 40
    return f"{table}: a row is put in", {table: [*rows, new]}


# --- events -------------------------------------------------------------------------------------------------------


def swapped(random: Random, tables: Tables) -> Changed:
    rows = sorted(tables.rows("events"), key=lambda row: row["position"])
    one, two = random.sample(rows, 2)
    one["position"], two["position"] = two["position"], one["position"]
    return "two events have changed places", {"events": rows}


def truncated(random: Random, tables: Tables) -> Changed:
    """The last events are gone, and what counts them says so."""
    rows = sorted(tables.rows("events"), key=lambda row: row["position"])
    left = rows[: -random.randint(1, 30)]
    return "the last events are gone", {"events": left, **_settled(tables, left)}


def shifted(random: Random, tables: Tables) -> Changed:
    """An event is put in between, and all that come later have moved."""
    rows = sorted(tables.rows("events"), key=lambda row: row["position"])
    at = random.randrange(1, len(rows))
    new = dict(
        rows[at], event_id=f"{random.randrange(16**32):032x}", stream=f"{rows[at]['stream']}/x", stream_version=1
    )
    new["account_version"] += 1000
    rows.insert(at, new)
    for position, row in enumerate(rows, 1):
        row["position"] = position
    return "an event is put in between", {"events": rows, **_settled(tables, rows)}


def chained_again(random: Random, tables: Tables) -> Changed:
    """An event is edited, and its account's later events are chained to it honestly."""
    rows = sorted(tables.rows("events"), key=lambda row: row["position"])
    account = random.choice(rows)["account"]
    own = [row for row in rows if row["account"] == account]
    edited = random.randrange(len(own))
    previous = None
    for number, row in enumerate(own):
        said = json.loads(bytes(row["envelope"]))
        if number == edited:
            _edit(random, said)
        said["previous"] = previous
        row["envelope"] = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        previous = leaf_hash(row["envelope"])
    return "an event is edited and chained again", {"events": rows, **_settled(tables, rows)}


def _edit(random: Random, said: Values) -> None:
    data = said["data"]
    words = [name for name, value in data.items() if isinstance(value, str)]
    if words and random.random() < 0.7:
        name = random.choice(words)
        data[name] = other(random, data[name])
    else:
        said["actor"] = other(random, said["actor"])


def _settled(tables: Tables, events: list[Values]) -> dict[str, list[Values]]:
    """Heads and sequences as they follow from other events."""
    last = {row["account"]: row for row in events}
    counted: dict[str, int] = {}
    for row in events:
        counted[row["account"]] = counted.get(row["account"], 0) + 1
    heads = [
        {
            **head,
            "version": counted[head["account"]],
            "leaf_hash": leaf_hash(bytes(last[head["account"]]["envelope"])),
        }
        for head in tables.rows("heads")
        if head["account"] in last
    ]
    sequences = [
        {**row, "position": len(events)} if row["name"] == "shard:0" else row for row in tables.rows("sequences")
    ]
    return {"heads": heads, "sequences": sequences}


# --- texts, trees and keys ----------------------------------------------------------------------------------------


def agreement_swapped(random: Random, tables: Tables) -> Changed:
    rows = tables.rows("agreements")
    row = random.choice(rows)
    row["text"] = row["text"].replace("=", " =", 1) if random.random() < 0.5 else f"# {row['text']}"
    if random.random() < 0.5:
        from hashlib import sha256

        row["sha256"] = sha256(row["text"].encode()).hexdigest()
    return "an agreement's text is another one", {"agreements": rows}


def other_key(random: Random, tables: Tables) -> Changed:
    rows = tables.rows("audit_checkpoints")
    row = random.choice(rows)
    checkpoint = Checkpoint.parse(row["note"].rpartition("\n\n")[0] + "\n")
    if random.random() < 0.3:
        checkpoint = Checkpoint(checkpoint.origin, checkpoint.size, bytes(32))
    key = SigningKey.new(checkpoint.origin, random.choice(TYPES))
    row["note"] = str(signed(checkpoint, [key], int(AT.timestamp())))
    return "a checkpoint is signed by another key", {"audit_checkpoints": rows}


def other_store(random: Random, tables: Tables) -> Changed:
    rows = tables.rows("store")
    [row] = [row for row in rows if row["name"] == "id"]
    row["value"] = other(random, row["value"])
    return "the store has another id", {"store": rows}


CHANGES: Sequence[tuple[int, Callable[[Random, Tables], Changed]]] = (
    (10, column),
    (6, projected_column),
    (4, retyped),
    (4, row_gone),
    (3, row_put_in),
    (2, swapped),
    (2, truncated),
    (2, shifted),
    (3, chained_again),
    (1, agreement_swapped),
    (1, other_key),
    (1, other_store),
)
BY_EDITING_EVENTS = {"swapped", "truncated", "shifted", "chained_again"}


def make_tree_anew(stage: Stage, keys: tuple[SigningKey, ...]) -> None:
    """Have the store's tree be that of its events as they are now, signed anew."""
    with stage.house.database.writing() as transaction:
        for table in ("audit_tiles", "audit_checkpoints", "audit_cosignatures"):
            transaction.run(f"DELETE FROM {table}")
        transaction.run("DELETE FROM readers WHERE reader = ?", (tree_reader(0),))
        grow(transaction, keys)


TREE = ("audit_tiles", "audit_checkpoints", "audit_cosignatures", "readers")
