"""A store's log as it stands when it is signed, and as it lies in a folder: what is verified by tests."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.audit import (
    Checkpoint,
    Note,
    SignatureType,
    SigningKey,
    bundles_of,
    entry_bundle,
    leaf_digest,
    root_at,
    signed,
    tiles_of,
)
from ledger.store.audit import keep_checkpoint, write_leaves
from ledger.store.connecting import connect
from ledger.store.database import Database, Transaction
from ledger.store.reading.audit import StoredTree, leaves_after, origin_of, tile, tree_reader, tree_size
from ledger.values import instant_from_text

AT = instant_from_text("2026-07-01T00:00:00Z")
TYPES = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)


@dataclass(frozen=True)
class Log:
    """The keys of a store's log, and its last checkpoint."""

    keys: tuple[SigningKey, ...]
    note: Note

    @property
    def vkeys(self) -> list[str]:
        return [str(key.vkey) for key in self.keys]


def sign(store: str, keys: tuple[SigningKey, ...] = (), *, leave: int = 0) -> Log:
    """Have a store's tree grow, to all its events but the last `leave`, and sign it."""
    with closing(connect(store)) as database, database.writing() as transaction:
        return grow(transaction, keys, leave=leave)


def grow(transaction: Transaction, keys: tuple[SigningKey, ...] = (), *, leave: int = 0) -> Log:
    """The same in a transaction."""
    origin, size = origin_of(transaction, 0), tree_size(transaction, 0)
    leaves = [leaf_digest(leaf.envelope) for leaf in leaves_after(transaction, 0, size, 1 << 30)]
    grown = leaves[: len(leaves) - leave]
    write_leaves(transaction, 0, size, grown)
    _move(transaction, size + len(grown))
    keys = keys or tuple(SigningKey.new(origin, type_) for type_ in TYPES)
    tree = StoredTree(transaction, 0)
    note = signed(Checkpoint(origin, tree.size, root_at(tree, tree.size)), keys, int(AT.timestamp()))
    keep_checkpoint(transaction, origin, tree.size, str(note), AT)
    return Log(keys, note)


def _move(transaction: Transaction, position: int) -> None:
    transaction.run(
        "INSERT INTO readers (reader, position, epoch) VALUES (?, ?, 1) "
        "ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
        (tree_reader(0), position),
    )


def export(store: str, note: Note, folder: Path) -> Path:
    """The log of a store in a folder, up to a checkpoint."""
    size = Checkpoint.parse(note.text).size
    with closing(connect(store)) as database, database.reading() as transaction:
        entries = [leaf.envelope for leaf in leaves_after(transaction, 0, 0, size)]
        files = {"checkpoint": str(note).encode()}
        for each in tiles_of(size):
            assert isinstance(each.level, int)
            files[each.path] = tile(transaction, 0, each.level, each.number)[: each.width * 32]
    for each in bundles_of(size):
        files[each.path] = entry_bundle(entries[each.number * 256 : each.number * 256 + each.width])
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@contextmanager
def as_before(database: Database, table: str) -> Iterator[None]:
    """Have a table hold in the end what it held before."""
    with database.reading() as transaction:
        rows = transaction.rows(f"SELECT * FROM {table}")
    yield
    with database.writing() as transaction:
        transaction.run(f"DELETE FROM {table}")
        for row in rows:
            transaction.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
