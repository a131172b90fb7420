"""The audit trail's section of `make bench`: what the Merkle tree costs beside the intake whose events it covers."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

from consumers.checkpoints.part import Checkpoints
from consumers.checkpoints.signing import Rhythm, checkpoint_now, grow_to_end, sign
from consumers.part import run_parts
from ledger.audit import SignatureType, SigningKey
from ledger.store.positions import SYSTEM_SHARD
from ledger.store.reading.audit import tree_size
from ledger.store.reading.shards import shard_end
from makegood.house.clock import system_clock
from makegood.house.opening import House

ROUNDS = 3
MARK = 20
"""Percent of intake's time that appending may take."""

Report = Callable[[str, list[float], str], None]
Timed = Callable[[Callable[[], object]], float]
Ingest = Callable[[House], object]
Opened = Callable[[], AbstractContextManager[House]]


def measure_appending(name: str, opened: Opened, ingest: Ingest, timed: Timed, report: Report) -> None:
    """Intake alone, the tree over what it recorded, and intake with the part beside it, each from an empty store."""
    alone, tree, signing = [], [], []
    events = 0
    for _ in range(ROUNDS):
        with opened() as house:
            alone.append(timed(lambda: ingest(house)))
            tree.append(timed(lambda: grow_to_end(house.database, SYSTEM_SHARD)))
            signing.append(timed(lambda: _sign(house)))
            with house.database.reading() as transaction:
                events = shard_end(transaction, SYSTEM_SHARD)
    with opened() as house:
        beside = timed(lambda: _with_the_part(house, ingest))
    report(f"{name}: events appended to the tree", [events / seconds for seconds in tree], "events/s")
    shares = [100 * tree_seconds / seconds for tree_seconds, seconds in zip(tree, alone, strict=True)]
    report(f"{name}: appending, of intake's time (mark: {MARK})", shares, "%")
    longer = 100 * (beside / statistics.median(alone) - 1)
    report(f"{name}: intake until all is in the tree too, longer by", [longer], "%")
    report(f"{name}: a checkpoint signed by both keys and kept", [seconds * 1e3 for seconds in signing], "ms")


def _keys(origin: str) -> Sequence[SigningKey]:
    types = (SignatureType.ED25519, SignatureType.MLDSA44_COSIGNATURE)
    return [SigningKey(origin, type_, bytes(32)) for type_ in types]


def _sign(house: House) -> None:
    epoch = grow_to_end(house.database, SYSTEM_SHARD)
    with house.database.reading() as transaction:
        checkpoint = checkpoint_now(transaction, SYSTEM_SHARD)
    sign(house.database, SYSTEM_SHARD, epoch, checkpoint, _keys(checkpoint.origin), system_clock())


def _with_the_part(house: House, ingest: Ingest) -> None:
    """Intake with the part at work in the same process, until the tree has all events."""
    stop = threading.Event()
    part = Checkpoints(house.database, _keys, clock=system_clock, rhythm=Rhythm(after=timedelta(seconds=1)))

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
        return tree_size(transaction, SYSTEM_SHARD) == shard_end(transaction, SYSTEM_SHARD)
