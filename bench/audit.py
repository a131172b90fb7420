"""The audit trail's section of `make bench`: what the Merkle tree costs beside the intake whose events it covers."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

from bench.report import Section
from bench.timing import ROUNDS, timed
from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.signing import Rhythm, checkpoint_now, grow_to_end, sign
from consumers.part import run_parts
from ledger.audit import Checkpoint, LogProof, SignatureType, SigningKey, TrustPolicy, leaf_digest, root_at, signed
from ledger.store.positions import FIRST_SHARD, Position
from ledger.store.reading.audit import StoredTree, tree_size
from ledger.store.reading.shards import shard_end
from makegood.answers.audit.logs import checkpoint_in, last_checkpoint
from makegood.answers.audit.proofs import prove, prove_continued
from makegood.house.clock import system_clock
from makegood.house.opening import House

PROOFS = 200
"""So many events are proven."""
MARK = 20
"""Percent of intake's time that appending may take."""

Ingest = Callable[[House], object]
Opened = Callable[[], AbstractContextManager[House]]


def measure_appending(section: Section, name: str, opened: Opened, ingest: Ingest) -> None:
    """Intake alone, the tree over what it recorded, and intake with the part beside it, each from an empty store."""
    alone, tree, signing = [], [], []
    events = 0
    for _ in range(ROUNDS):
        with opened() as house:
            alone.append(timed(lambda: ingest(house)))
            tree.append(timed(lambda: grow_to_end(house.database, FIRST_SHARD)))
            signing.append(timed(lambda: sign_all(house)))
            with house.database.reading() as transaction:
                events = shard_end(transaction, FIRST_SHARD)
    with opened() as house:
        beside = timed(lambda: _with_the_part(house, ingest))
        sign_all(house)
        section.add(f"{name}: events appended to the tree", [events / seconds for seconds in tree], "events/s")
        shares = [100 * tree_seconds / seconds for tree_seconds, seconds in zip(tree, alone, strict=True)]
        section.add(f"{name}: appending, of intake's time (mark: {MARK})", shares, "%")
        longer = 100 * (beside / statistics.median(alone) - 1)
        section.add(f"{name}: intake until all is in the tree too, longer by", [longer], "%")
        section.add(
            f"{name}: a checkpoint signed by both keys and kept", [seconds * 1e3 for seconds in signing], "ms"
        )
        measure_proofs(section, name, house)


def measure_proofs(section: Section, name: str, house: House) -> None:
    """Proofs of events at places spread over a signed log, made as `audit prove` does and verified; and that the last
    checkpoint continues one over half of the events. In microseconds, and bytes of the file.
    """
    with house.database.reading() as transaction:
        note, size = last_checkpoint(transaction, FIRST_SHARD), tree_size(transaction, FIRST_SHARD)
        root = root_at(StoredTree(transaction, FIRST_SHARD), size // 2)
    half = Checkpoint(checkpoint_in(note).origin, size // 2, root)
    keys = keys_of(half.origin)
    policy = TrustPolicy.of_log(*(key.vkey for key in keys))
    older = signed(half, keys, int(system_clock().timestamp()))
    made, verified, hashes, files, continued = [], [], [], [], []
    for number in range(PROOFS):
        position = str(Position(FIRST_SHARD, 1 + number * (size - 1) // (PROOFS - 1)))
        began = time.perf_counter()
        _, proof = prove(house, position, None, "")
        text = proof.to_text()
        made.append(1e6 * (time.perf_counter() - began))
        began = time.perf_counter()
        read = LogProof.from_text(text)
        read.verify(leaf_digest(read.extra or b""), policy)
        verified.append(1e6 * (time.perf_counter() - began))
        hashes.append(float(len(proof.hashes)))
        files.append(float(len(replace(proof, extra=None).to_text())))
    for _ in range(ROUNDS):
        began = time.perf_counter()
        _, continuing = prove_continued(house, older, None, "")
        continued.append(1e6 * (time.perf_counter() - began))
    section.add(f"{name}: a proof in a log of {size:,} events, made", made, "µs")
    section.add(f"{name}: its file read and verified, both signatures too", verified, "µs")
    section.add(f"{name}: its hashes, 32 bytes each", hashes, "hashes")
    section.add(f"{name}: its file, without the event's envelope", files, "bytes")
    section.add(f"{name}: a consistency proof from half of the events, made", continued, "µs")
    section.add(f"{name}: its hashes, 32 bytes each", [float(len(continuing.hashes))], "hashes")


def keys_of(origin: str) -> Sequence[SigningKey]:
    types = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
    return [SigningKey(origin, type_, bytes(32)) for type_ in types]


def sign_all(house: House) -> None:
    """Have the tree grow to the last event, and sign it."""
    epoch = grow_to_end(house.database, FIRST_SHARD)
    with house.database.reading() as transaction:
        checkpoint = checkpoint_now(transaction, FIRST_SHARD)
    sign(house.database, FIRST_SHARD, epoch, checkpoint, keys_of(checkpoint.origin), system_clock())


def _with_the_part(house: House, ingest: Ingest) -> None:
    """Intake with the part at work in the same process, until the tree has all events."""
    stop = threading.Event()
    part = Checkpoints(house.database, keys_of, clock=system_clock, rhythm=Rhythm(after=timedelta(seconds=1)))

    def work() -> None:
        ingest(house)
        while not stop.is_set() and not _all_in_tree(house):
            stop.wait(0.02)
        stop.set()

    taking = threading.Thread(target=work)
    taking.start()
    run_parts([part], stop, lambda: None)
    taking.join()


def _all_in_tree(house: House) -> bool:
    with house.database.reading() as transaction:
        return tree_size(transaction, FIRST_SHARD) == shard_end(transaction, FIRST_SHARD)
