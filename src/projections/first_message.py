"""Which of several facts under one business id holds: the first by its message (policy §1).

Rows of facts keep what that is told by, in three columns, because facts are recorded in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from ledger.events import Fact
from ledger.store.instants import to_microseconds
from projections.projection import ColumnType, Row, Value

MESSAGE: dict[str, ColumnType] = {"message_time": "INSTANT", "message_id": "TEXT", "message_source": "TEXT"}
"""The columns of a fact's message."""

LeftOut = Set[tuple[str, str]]
"""Facts that count for nothing: account, and source and id of the message in one."""


def message_of(fact: Fact) -> dict[str, Value]:
    """What a fact's row says of its message."""
    message = fact.data.message
    return {
        "message_time": to_microseconds(message.time),
        "message_id": message.id,
        "message_source": message.source,
    }


def order_of_fact(row: Row) -> tuple[int, str, str]:
    """By what facts are taken: time, then id, then source."""
    return row["message_time"], row["message_id"], row["message_source"]


def counting(rows: Iterable[Row], left_out: LeftOut) -> Iterator[Row]:
    """The rows of facts that are not left out."""
    for row in rows:
        if (row["account"], f"{row['message_source']} {row['message_id']}") not in left_out:
            yield row


def first(rows: Iterable[Row]) -> Row | None:
    """The row whose message comes first, if there is any."""
    return min(rows, key=order_of_fact, default=None)
