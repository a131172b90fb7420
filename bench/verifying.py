"""What verifying costs, beside bare SHA-256 of the same bytes: the section `verifying` of `make bench`."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

from bench.audit import keys_of, sign_all
from bench.report import Section
from bench.timing import ROUNDS
from ledger.store.database import Database
from ledger.store.positions import FIRST_SHARD
from ledger.store.reading.audit import leaves_after, origin_of
from makegood.answers.audit.verification import verified, verified_log
from makegood.evidence import verify
from makegood.exports.tiled_log import export_log
from makegood.house.opening import House

AT_ONCE = 10_000
_BARE = "bare SHA-256 of the envelopes, one process"


def measure(section: Section, house: House, name: str, folder: Path) -> None:
    """Rates of verifying a store and its exported log.

    What is verified is never in memory whole: a million events are a gigabyte.
    """
    sign_all(house)
    export_log(house, FIRST_SHARD, folder, lambda done, of: None)
    with house.database.reading() as transaction:
        vkeys = [str(key.vkey) for key in keys_of(origin_of(transaction, FIRST_SHARD))]
    own = verify.Policy(logs=[verify.Key.from_text(vkey) for vkey in vkeys])
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        events, size, seconds = _hashed(house.database)
        found.setdefault(_BARE, []).append(events / seconds)
        for processes in sorted({1, os.cpu_count() or 1}):
            began = time.perf_counter()
            answer = verified(house, processes=processes)
            assert answer["ok"], answer["bad"][:5]
            taken = time.perf_counter() - began
            found.setdefault(f"audit verify, {processes} processes", []).append(answer["events"] / taken)
            began = time.perf_counter()
            log = verified_log(folder, processes=processes)
            assert log["ok"], log["bad"][:5]
            taken = time.perf_counter() - began
            found.setdefault(f"audit verify --log, {processes} processes", []).append(events / taken)
        began = time.perf_counter()
        said = verify.verify_log(folder, own)
        assert said.ok, said
        found.setdefault("verify.py log", []).append(events / (time.perf_counter() - began))
    section.add(f"{name}: verified", [events], "events", note=f"{size / 2**20:.0f} MiB of envelopes")
    bare = f"{name}: {_BARE}"
    for what, rates in found.items():
        section.add(f"{name}: {what}", rates, "events/s", beside=None if what == _BARE else bare)


def _hashed(database: Database) -> tuple[int, int, float]:
    """How many envelopes there are, their bytes, and the seconds that hashing took, without reading them."""
    last = size = 0
    seconds = 0.0
    while True:
        with database.reading() as transaction:
            envelopes = [leaf.envelope for leaf in leaves_after(transaction, FIRST_SHARD, last, AT_ONCE)]
        if not envelopes:
            return last, size, seconds
        began = time.perf_counter()
        for envelope in envelopes:
            sha256(envelope).digest()
        seconds += time.perf_counter() - began
        last += len(envelopes)
        size += sum(map(len, envelopes))
