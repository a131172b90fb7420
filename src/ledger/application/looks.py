"""Who looked at records is recorded in the account `system`, many looks by one event (decision 0051)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ledger.aggregates import SystemRecord
from ledger.application.acts import Act, By, perform
from ledger.application.ledger import Ledger
from ledger.events import Look, RecordsLookedAt
from ledger.store.reading.events import stream_version
from ledger.values import SYSTEM_ACCOUNT, stream_name

PART = By("/makegood/looks", "looks")
"""Who records looks; each says itself whose it was."""
STREAM = stream_name("looks", "all")
LOOKS_MAX = 40
"""So many are in one event: with the longest names it is an entry of the log still, which has at most 64 KiB."""


def record_looks(ledger: Ledger, looks: Sequence[Look], within: timedelta) -> None:
    """Record looks of the time just gone by, in one transaction. Raises Conflict and Unavailable."""

    def decide(act: Act) -> None:
        record, now = SystemRecord.empty(STREAM, stream_version(act.transaction, STREAM)), act.now()
        for first in range(0, len(looks), LOOKS_MAX):
            some = tuple(looks[first : first + LOOKS_MAX])
            act.record(record, RecordsLookedAt, RecordsLookedAt.Data(begin=now - within, end=now, looks=some), PART)

    perform(ledger, {SYSTEM_ACCOUNT}, decide)
