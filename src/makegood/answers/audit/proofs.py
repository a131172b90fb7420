"""Proofs against signed checkpoints: that an event is in the log, and that one checkpoint continues another."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from ledger.audit import (
    Checkpoint,
    ConsistencyProof,
    LogProof,
    Note,
    Unproven,
    consistency_proof,
    inclusion_proof,
    leaf_digest,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from ledger.store.database import Transaction
from ledger.store.positions import EXAMPLE, Position, reached_from_text
from ledger.store.reading.audit import StoredTree, latest_checkpoint, log_called, origin_of
from ledger.store.reading.events import StoredEnvelope, event_at, find_event
from ledger.store.reading.shards import shard_end
from makegood.answers.audit.logs import Contradicted, checkpoint_in, last_checkpoint
from makegood.answers.unknown import Unknown
from makegood.house.opening import House
from makegood.house.stop import Stop
from projections.shown_values import Position as ShownPosition


class EventProven(TypedDict):
    """An event that is in the log: `makegood audit prove`."""

    position: ShownPosition
    event_id: str
    account_id: str
    type: str
    leaf_hash: Annotated[str, Field(description="The RFC 6962 hash of its envelope, in hexadecimal.")]
    index: Annotated[int, Field(description="Its place in the tree, counted from 0.")]
    origin: Annotated[str, Field(description="The log that signed the checkpoint.")]
    size: Annotated[int, Field(description="The events that the checkpoint covers.")]
    root: Annotated[str, Field(description="The root of the Merkle tree over them, SHA-256 in base64.")]
    file: str


class Continued(TypedDict):
    """A checkpoint that continues an older one: `makegood audit consistency`."""

    origin: Annotated[str, Field(description="The log that signed both.")]
    old_size: Annotated[int, Field(description="The events that the older checkpoint covers.")]
    size: Annotated[int, Field(description="The events that the later checkpoint covers.")]
    file: str


def prove(house: House, event: str, given: Note | None, file: str) -> tuple[EventProven, LogProof]:
    """That an event, by position or id, is covered by the last checkpoint of its shard's log, or by the given one.

    The proof is followed before it is given out, from the stored envelope to the checkpoint's root. The envelope goes
    with it as extra data, so that the file needs nothing beside it but the key. Raises Unknown for an event that is
    not there, Contradicted where the store does not lead to the checkpoint, ColumnChanged where an envelope is not
    stored as bytes, and Stop where none covers the event.
    """
    with house.database.reading() as transaction:
        found = _event(transaction, event)
        note, checkpoint, tree = _against(transaction, found.shard, given)
        if found.position > checkpoint.size:
            raise Stop(
                f"the event at {found.at} is not covered by the checkpoint, which ends at "
                f"{Position(found.shard, checkpoint.size)}: sign a newer one with `makegood audit checkpoint`"
            )
        index, digest = found.position - 1, leaf_digest(found.envelope)
        try:
            hashes = inclusion_proof(tree, index, checkpoint.size)
            verify_inclusion(digest, index, checkpoint.size, hashes, checkpoint.root)
        except Unproven as error:
            raise Contradicted(
                f"the event stored at {found.at} is not the one that the checkpoint covers ({error}): "
                "the store was changed or damaged"
            ) from None
    answer: EventProven = {
        "position": str(found.at),
        "event_id": found.event().event_id,
        "account_id": found.account,
        "type": found.type,
        "leaf_hash": digest.hex(),
        "index": index,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "file": file,
    }
    return answer, LogProof(index, tuple(hashes), note, found.envelope)


def prove_continued(house: House, older: Note, given: Note | None, file: str) -> tuple[Continued, ConsistencyProof]:
    """That the last checkpoint of a log, or one that is given, continues an older one: nothing that the older covers
    was changed or taken away. Raises Contradicted and Stop.
    """
    old = checkpoint_in(older)
    with house.database.reading() as transaction:
        log = log_called(transaction, old.origin)
        if log is None:
            raise Stop(f"the older checkpoint is of {old.origin}, which is not a log of this store")
        shard = log.shard
        _, before, _ = _against(transaction, shard, older)
        note, after, tree = _against(transaction, shard, given)
        if before.origin != after.origin:
            raise Stop(
                f"the checkpoint of {after.origin} does not continue one of {before.origin}, which is another log: "
                "give one of that log with --checkpoint"
            )
        if before.size > after.size:
            raise Stop(
                f"the older checkpoint covers {before.size} events, the later one {after.size}: give them the other "
                "way round"
            )
        try:
            hashes = consistency_proof(tree, before.size, after.size)
            verify_consistency(before.size, after.size, before.root, after.root, hashes)
        except Unproven as error:
            raise _contradicted(after, error) from None
    answer: Continued = {"origin": after.origin, "old_size": before.size, "size": after.size, "file": file}
    return answer, ConsistencyProof(before.size, tuple(hashes), note)


def _event(transaction: Transaction, asked: str) -> StoredEnvelope:
    try:
        reached = reached_from_text(asked)
    except ValueError:
        found = find_event(transaction, asked)
    else:
        (place, *more) = (Position(*each) for each in reached.items())
        if more:
            raise Unknown(f"give one position, such as {EXAMPLE}")
        found = event_at(transaction, place)
        last = latest_checkpoint(transaction, origin_of(transaction, place.shard))
        if found is None and last is not None and 0 < place.position <= last.size:
            raise Contradicted(
                f"the event at {place} is covered by the last checkpoint, and is not stored: the store was changed "
                "or damaged; `makegood audit verify` names everything that was"
            )
    if found is None:
        raise Unknown(
            f"no event has this position or id; a position has the form shard:position, such as {EXAMPLE}, and "
            "`makegood history ACCOUNT` lists those of an account with their ids"
        )
    return found


def _against(transaction: Transaction, shard: int, given: Note | None) -> tuple[Note, Checkpoint, StoredTree]:
    """A checkpoint and the stored tree, which has its root at its size. Raises Contradicted and Stop."""
    note = given or last_checkpoint(transaction, shard)
    checkpoint = checkpoint_in(note)
    log = log_called(transaction, checkpoint.origin)
    if log is None or log.shard != shard:
        raise Stop(f"the checkpoint is of {checkpoint.origin}, which is not a log of shard {shard} of this store")
    recorded, tree = shard_end(transaction, shard), StoredTree(transaction, shard)
    if checkpoint.size > recorded:
        raise Contradicted(
            f"the checkpoint covers {checkpoint.size} events, and shard {shard} of the store has {recorded}: "
            "events are missing"
        )
    if checkpoint.size > tree.size:
        raise Stop(
            f"the checkpoint covers {checkpoint.size} events, and the tree has grown over {tree.size}: run "
            "`makegood audit checkpoint`, which lets it grow over all"
        )
    try:
        found = root_at(tree, checkpoint.size)
    except Unproven as error:
        raise _contradicted(checkpoint, error) from None
    if found != checkpoint.root:
        raise _contradicted(checkpoint, "their tree has another root")
    return note, checkpoint, tree


def _contradicted(checkpoint: Checkpoint, reason: object) -> Contradicted:
    return Contradicted(
        f"the checkpoint of {checkpoint.origin} over {checkpoint.size} events is not of the events stored here "
        f"({reason}): one of the two was changed"
    )
