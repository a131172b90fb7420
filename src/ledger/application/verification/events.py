"""The events of a shard, a run at a time, with the inbox that names their messages."""

from __future__ import annotations

from ledger.application.verification.entries import Bad, Columns, Entry, Run, check_run
from ledger.events import (
    AgreementPublished,
    KeysLost,
    LogOriginBegun,
    MessageDiscarded,
    MessageReplayed,
    StoreRestored,
)
from ledger.store.database import Transaction

REPEATED = frozenset(
    event.stored_as
    for event in (AgreementPublished, MessageReplayed, MessageDiscarded, StoreRestored, KeysLost, LogOriginBegun)
)
"""The stored types of which other tables say something again."""


def check_range(transaction: Transaction, shard: int, first: int, last: int) -> Run:
    """Check a shard's events at the positions `first` to `last`, and that the inbox has their messages."""
    rows = transaction.rows(
        "SELECT position, envelope, account, account_version, stream, stream_version, type, event_id FROM events "
        "WHERE shard = ? AND position >= ? AND position <= ? ORDER BY position",
        (shard, first, last),
    )
    run = check_run((Entry(row[0], row[1], Columns(*row[2:])) for row in rows), first, last, REPEATED)
    ids = sorted({id_ for _, id_ in run.messages})
    taken = set(transaction.rows_in("SELECT source, id FROM inbox WHERE id IN (?*)", ids)) if ids else set()
    for message in run.messages.keys() - taken:
        position, account = run.messages[message]
        run.bad.append(Bad(position, account, "the inbox does not have its message"))
    run.messages.clear()
    return run
