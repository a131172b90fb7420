"""Checkpoints, the keys that sign them, and the name under which they are signed, as commands answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from consumers.checkpoints.comparing import Place, Published, contradictions, found_in, found_in_store
from consumers.checkpoints.folder import Folder
from consumers.checkpoints.rebuilding import Progress, rebuild_tree
from consumers.checkpoints.signing import KeysUnusable, checkpoint_now, grow_to_end, sign
from ledger.application.acts import By
from ledger.application.log_origins import begin_log_origin
from ledger.audit import Checkpoint, Note, SignatureType, SigningKey, Unproven, verified_log_signatures
from ledger.store.reading.audit import checkpoint_note, log_of, origin_for, origin_of
from ledger.store.reading.store import store_id
from ledger.store.writing import ReaderFenced
from makegood.house.audit_keys import add_keys, key_file, keys_of, vkeys_of
from makegood.house.clock import system_clock
from makegood.house.opening import House
from makegood.house.stop import Stop


class KeyMade(TypedDict):
    """A new pair of signing keys."""

    vkey: Annotated[str, Field(description="Verifies its Ed25519 signatures.")]
    vkeys: Annotated[list[str], Field(description="Verify the signatures of both of its keys.")]
    file: str


class CheckpointSigned(TypedDict):
    """A signed checkpoint."""

    size: Annotated[int, Field(description="The events that it covers: all up to this position.")]
    root: Annotated[str, Field(description="The root of the Merkle tree over them, SHA-256 in base64.")]
    note: Annotated[str, Field(description="The signed note, with the witnesses' cosignatures.")]
    vkey: Annotated[str, Field(description="Verifies the newest Ed25519 signature.")]
    vkeys: Annotated[list[str], Field(description="Verify all signatures of the log itself.")]
    file: Annotated[str | None, Field(description="The file written by `--to`.")]


class TreeRebuilt(TypedDict):
    """A Merkle tree that was made anew from the events."""

    size: Annotated[int, Field(description="The events that it has: all up to this position.")]
    root: Annotated[str, Field(description="Its root, SHA-256 in base64.")]
    mended: Annotated[int, Field(description="How many of its tiles were damaged, missing or too many.")]


class OriginBegun(TypedDict):
    """A new log, and the checkpoint of the one before that it follows."""

    origin: str
    number: int
    follows: Annotated[str, Field(description="The signed note.")]
    follows_size: int
    vkey: str
    vkeys: list[str]
    file: str


def new_key(house: House, shard: int) -> KeyMade:
    """Make a pair of keys for a shard's log; where there is one already, both sign from now on."""
    with house.database.reading() as transaction:
        origin = origin_of(transaction, shard)
    keys = add_keys(house.settings, origin)
    return {"vkey": _vkey(keys), "vkeys": vkeys_of(keys), "file": str(key_file(house.settings))}


def sign_now(
    house: House, shard: int, places: Iterable[Place], to: Path | None, grew: Callable[[int], None]
) -> CheckpointSigned:
    """Build a shard's tree up to now and sign it; where nothing came since the last checkpoint, that one.

    What was published at some places and in the folder `to`, which is made where it is missing, is compared first.
    `grew` is told of the tree's size while it is built. Raises Stop where what was published contradicts, and where
    there is no key.
    """
    folder = _folder_at(to) if to is not None else None
    with house.database.reading() as transaction:
        origin = origin_of(transaction, shard)
    keys = _keys(house, origin)
    found = found_in([*places, *([folder] if folder is not None else [])], origin)
    while True:
        epoch = grow_to_end(house.database, shard, grew)
        with house.database.reading() as transaction:
            told = contradictions(transaction, shard, [*found, *found_in_store(transaction, shard)])
            checkpoint = checkpoint_now(transaction, shard)
        if told:
            raise Stop("; ".join(told))
        if checkpoint.origin != origin:
            raise Stop(f"the log {origin} ended meanwhile, and nothing was signed: run the command again")
        try:
            sign(house.database, shard, epoch, checkpoint, keys, system_clock())
        except ReaderFenced:
            continue  # the tree grew meanwhile
        break
    with house.database.reading() as transaction:
        note = Note.parse(str(checkpoint_note(transaction, origin, checkpoint.size)))
    return {
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "note": str(note),
        "vkey": _vkey(keys),
        "vkeys": vkeys_of(keys),
        "file": str(folder.put(note)) if folder is not None else None,
    }


def rebuild(house: House, shard: int, places: Iterable[Place], checked: Progress, built: Progress) -> TreeRebuilt:
    """Make a shard's tree anew, where the events do not contradict the last checkpoints of the store and of places.

    Raises EventsContradict, and what asking the places raises.
    """
    with house.database.reading() as transaction:
        found = found_in_store(transaction, shard)
        origin = origin_of(transaction, shard)
    rebuilt = rebuild_tree(house.database, shard, [*found, *found_in(places, origin)], checked, built)
    return {
        "size": rebuilt.checkpoint.size,
        "root": b64encode(rebuilt.checkpoint.root).decode(),
        "mended": rebuilt.mended,
    }


def begin_origin(
    house: House, shard: int, places: Iterable[Place], checkpoint: Path | None, reason: str, by: By
) -> OriginBegun:
    """Have a shard's tree signed under a new name, which follows the last checkpoint that is known: of the store, of
    some places, or in a file.

    The new name's keys are made first; where this is cut short they are used by whoever does it again. Raises Stop
    where no checkpoint is known, and where the last one was not signed by the log's keys.
    """
    with house.database.reading() as transaction:
        before = log_of(transaction, shard)
        store = store_id(transaction)
        found = found_in_store(transaction, shard)
    found += found_in(places, before.origin)
    if checkpoint is not None:
        found.append(_published_in(checkpoint))
    if not found:
        raise Stop(
            f"no checkpoint of {before.origin} is known, so there is none to follow; if one was published, give its "
            "file with --checkpoint"
        )
    newest = max(found, key=lambda each: each.checkpoint.size)
    _check_signed(newest, _keys_in(house, before.origin))
    origin = origin_for(store, shard, before.number + 1)
    keys = _keys_in(house, origin) or add_keys(house.settings, origin)
    log = begin_log_origin(house.ledger, shard, newest.note, reason, by)
    return {
        "origin": log.origin,
        "number": log.number,
        "follows": str(newest.note),
        "follows_size": newest.checkpoint.size,
        "vkey": _vkey(keys),
        "vkeys": vkeys_of(keys),
        "file": str(key_file(house.settings)),
    }


def _folder_at(path: Path) -> Folder:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"the folder {path} cannot be made ({error.strerror}): give another with --to") from None
    return Folder(path)


def _published_in(file: Path) -> Published:
    try:
        note = Note.parse(file.read_text(encoding="utf-8"))
        return Published(str(file), Checkpoint.parse(note.text), note)
    except OSError as error:
        raise Stop(f"{file} cannot be read ({error.strerror}): give the file of a checkpoint") from None
    except (Unproven, ValueError):
        raise Stop(f"{file} is not a signed checkpoint: give the file of one") from None


def _check_signed(published: Published, keys: Sequence[SigningKey]) -> None:
    """Raise Stop where the keys of a log are there and none of them signed a checkpoint: it is nobody's to follow."""
    try:
        if keys:
            verified_log_signatures(published.note, [key.vkey for key in keys])
    except Unproven as error:
        raise Stop(
            f"the last checkpoint known is that of {published.where}, over {published.checkpoint.size} events, and "
            f"{error}: remove it there, or add the key that signed it to the key file"
        ) from None


def _keys_in(house: House, origin: str) -> Sequence[SigningKey]:
    try:
        return keys_of(house.settings, origin)
    except KeysUnusable as error:
        raise Stop(str(error)) from None


def _keys(house: House, origin: str) -> Sequence[SigningKey]:
    keys = _keys_in(house, origin)
    if not keys:
        raise Stop(
            f"there is no key of {origin} in {key_file(house.settings)}, and nothing was signed: make one with "
            "`makegood audit key new`"
        )
    return keys


def _vkey(keys: Sequence[SigningKey]) -> str:
    """The newest key that verifies plain Ed25519 signatures, which most tools read."""
    ed25519 = [key for key in keys if key.type is SignatureType.ED25519]
    return str((ed25519 or list(keys))[-1].vkey)
