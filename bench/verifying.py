"""What verifying costs, beside bare SHA-256 of the same bytes: the section `verifying` of `make bench`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from tests.parts.signed_log import export, sign

from ledger.store.database import Database
from makegood.answers.audit.verification import verified, verified_log
from makegood.evidence import verify
from makegood.house.opening import House

AT_ONCE = 10_000


def measure(house: House, name: str, folder: Path, rounds: int) -> Iterator[tuple[str, list[float], str]]:
    """Rates of verifying a store and its exported log; each with a name and its unit."""
    log = sign(house.settings.store)
    exported = export(house.settings.store, log.note, folder)
    own = verify.Policy(logs=[verify.Key.from_text(vkey) for vkey in log.vkeys])
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        envelopes = list(_envelopes(house.database))
        mebibytes = sum(map(len, envelopes)) / 2**20
        seconds = _timed(_hash, envelopes)
        found.setdefault("bare SHA-256 of the envelopes, one process", []).append(len(envelopes) / seconds)
        for processes in sorted({1, os.cpu_count() or 1}):
            began = time.perf_counter()
            answer = verified(house, processes=processes)
            assert answer["ok"], answer["bad"][:5]
            taken = time.perf_counter() - began
            found.setdefault(f"audit verify, {processes} processes", []).append(answer["events"] / taken)
        seconds = _timed(verified_log, exported)
        found.setdefault("audit verify --log", []).append(len(envelopes) / seconds)
        seconds = _timed(verify.verify_log, exported, own)
        found.setdefault("verify.py log", []).append(len(envelopes) / seconds)
    print(f"  ({name}: {len(envelopes):,} events, {mebibytes:.0f} MiB of envelopes)")
    for what, rates in found.items():
        yield what, rates, "events/s"


def _timed(work: object, *arguments: object) -> float:
    assert callable(work)
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def _hash(envelopes: Iterable[bytes]) -> None:
    for envelope in envelopes:
        sha256(envelope).digest()


def _envelopes(database: Database) -> Iterator[bytes]:
    last = 0
    while True:
        with database.reading() as transaction:
            rows = transaction.rows(
                "SELECT position, envelope FROM events WHERE shard = 0 AND position > ? ORDER BY position LIMIT ?",
                (last, AT_ONCE),
            )
        if not rows:
            return
        last = rows[-1][0]
        yield from (bytes(envelope) for _, envelope in rows)
