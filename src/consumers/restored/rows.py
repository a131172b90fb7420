"""What the rows of projections have that a restored ledger has not.

The audit trail tells which events there were, and other projections of which messages some of them came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from consumers.restored.given_up import PAGE, GivenUp, Kind, Lost
from ledger.events import BY_PEOPLE, NoticeDiscarded, NoticeResent, NoticeSent, RefundSubmitted
from ledger.events.event_ids import message_event_id
from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds
from ledger.store.positions import event_sequence
from ledger.store.reading.shards import shards_of
from ledger.values import SYSTEM_ACCOUNT
from projections.ahead import is_event_of
from projections.audit_trail import AUDIT_TRAIL, ROWS
from projections.catalog import CATALOG
from projections.first_message import MESSAGE


def look_into_rows(transaction: Transaction, found: GivenUp) -> None:
    """What the trail has that the ledger has not, but for what the topics told of already."""
    told = {lost.event_id for lost in found.lost}
    for shard in shards_of(transaction):
        rows = list(_trail_beyond(transaction, shard))
        if not rows:
            continue
        sequence = event_sequence(shard)
        first = min(row["position"] for row in rows)
        found.keeps[sequence] = min(found.keeps.get(sequence, 2**62), first - 1)
        known = _messages_of(transaction, sorted({row["account"] for row in rows}))
        for row in rows:
            lost = _lost_row(row, known)
            if lost is not None and lost.event_id not in told:
                found.lost.append(lost)


def _trail_beyond(transaction: Transaction, shard: int) -> Iterator[Mapping[str, Any]]:
    """The trail's rows of events that the ledger does not have, back to the last one that it has."""
    last = 2**62
    while page := [
        ROWS.row(values)
        for values in transaction.rows(
            f"SELECT {', '.join(ROWS.columns)} FROM {AUDIT_TRAIL.stored_name(ROWS)} "
            "WHERE shard = ? AND position < ? ORDER BY position DESC LIMIT ?",
            (shard, last, PAGE),
        )
    ]:
        for row in page:
            if is_event_of(transaction, row):
                return
            yield row
        last = page[-1]["position"]


def _messages_of(transaction: Transaction, accounts: Sequence[str]) -> dict[str, tuple[str, str, datetime]]:
    """The messages that rows of accounts name, by the ids of the events that they became: source, id and time."""
    found = {}
    for projection in CATALOG:
        for table in projection.tables:
            if not MESSAGE.keys() <= table.columns.keys():
                continue
            for source, id_, time in transaction.rows_in(
                f"SELECT message_source, message_id, message_time FROM {projection.stored_name(table)} "
                "WHERE account IN (?*)",
                accounts,
            ):
                if source is not None:
                    found[message_event_id(source, id_)] = (source, id_, from_microseconds(time))
    return found


_OF_NOTICES = frozenset(event.stored_as for event in (NoticeResent, NoticeDiscarded))


def _lost_row(row: Mapping[str, Any], known: Mapping[str, tuple[str, str, datetime]]) -> Lost | None:
    source, id_, time = known.get(row["event_id"], (None, None, from_microseconds(row["occurred_at"])))
    kind: Kind
    if row["kind"] == "fact":
        kind = "message"
    elif row["type"] == NoticeSent.stored_as:
        kind = "e-mail"
    elif row["type"] == RefundSubmitted.stored_as:
        kind = "refund request"
    elif row["channel"] in BY_PEOPLE and (row["account"] == SYSTEM_ACCOUNT or row["type"] in _OF_NOTICES):
        kind = "act"
    else:
        return None
    recorded_at = from_microseconds(row["recorded_at"])
    return Lost(
        kind,
        id_,
        source,
        row["type"],
        row["account"],
        time,
        recorded_at,
        row["channel"],
        row["actor"],
        row["event_id"],
    )
