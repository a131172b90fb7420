"""Messages that are kept, dead letters and messages set aside, and what became of each. Bodies lie in the vault."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

from ledger.events import KeptAs
from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds, to_microseconds
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Order, Page, Where, listed

ORDER: Order = {"position": int}
"""The newest last."""

KeptStatus = Literal["open", "replayed", "discarded"]


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A kept message without its body, and what became of it. `field` is of dead letters only."""

    position: int
    kept_id: str
    origin: str
    reason: str
    field: str | None
    source: str | None
    message_id: str | None
    account: str | None
    channel: str
    kept_at: datetime
    status: KeptStatus
    closed_by: str | None
    closed_at: datetime | None


class Wanted(TypedDict, total=False):
    """By what messages are narrowed down; those set aside have no field."""

    account: str | None
    source: str | None
    field: str | None


def kept_messages(
    transaction: Transaction, kept: KeptAs, wanted: Wanted, *, closed: bool = True, page: Page | None = None
) -> Listed[KeptMessage]:
    """The messages that are kept as one kind or the other; those that are closed too, unless told otherwise."""
    where = Where().equal(**wanted)
    if not closed:
        # For a page closures are looked up one by one: PostgreSQL would read all of them for each to join the two.
        where.that("outcome IS NULL" if page is None else f"({_CLOSURE[kept]}) < 1")
    found = listed(transaction, _COLUMNS[kept], _TABLE[kept], ORDER, where, page)
    return found.told(_messages(found))


def kept_at(transaction: Transaction, kept: KeptAs, position: int) -> KeptMessage | None:
    """The kept message at a position, if there is one."""
    where = Where().that("position = ?", position)
    return next(iter(_messages(listed(transaction, _COLUMNS[kept], _TABLE[kept], ORDER, where, None))), None)


def kept_by_id(transaction: Transaction, kept: KeptAs, kept_id: str) -> KeptMessage | None:
    """The kept message of an id, if there is one."""
    where = Where().that(f"{_COLUMNS[kept][-2]} = ?", kept_id)
    return next(iter(_messages(listed(transaction, _COLUMNS[kept], _TABLE[kept], ORDER, where, None))), None)


def kept_left(transaction: Transaction, kept: KeptAs, account: str | None = None) -> Left:
    """How many kept messages are open, of all accounts or of one, and since when."""
    where = Where().equal(account=account).that("outcome IS NULL")
    since = _COLUMNS[kept][-1]
    return left(transaction, f"SELECT COUNT(*), MIN({since}) FROM {_TABLE[kept]}{where}", where.values)


def accounts_set_aside(transaction: Transaction, accounts: Collection[str]) -> set[str]:
    """Those of some accounts of which a message is set aside, neither replayed nor discarded."""
    statement = f"SELECT DISTINCT account FROM {_TABLE['set-aside']} WHERE outcome IS NULL AND account IN (?*)"
    return {row[0] for row in transaction.rows_in(statement, sorted(accounts))}


def set_aside_by(transaction: Transaction, accounts: Collection[str], instant: datetime) -> dict[str, int]:
    """How many messages of some accounts were set aside at an instant; nothing of an account that had none."""
    at = to_microseconds(instant)
    statement = (
        f"SELECT account, COUNT(*) FROM {_TABLE['set-aside']} WHERE set_aside_at <= {at} "
        f"AND (closed_at IS NULL OR closed_at > {at}) AND account IN (?*) GROUP BY account"
    )
    return {account: int(found) for account, found in transaction.rows_in(statement, sorted(accounts))}


def refused_of(transaction: Transaction, dead_letter_ids: Sequence[str]) -> set[str]:
    """Those of some ids that dead letters have."""
    statement = "SELECT dead_letter_id FROM dead_letters WHERE dead_letter_id IN (?*)"
    return {row[0] for row in transaction.rows_in(statement, dead_letter_ids)}


def fields_refused(transaction: Transaction) -> list[str]:
    """The fields because of which messages were refused, whatever became of these since."""
    rows = transaction.rows("SELECT DISTINCT field FROM dead_letters WHERE field IS NOT NULL ORDER BY field")
    return [field for (field,) in rows]


def refused_after(transaction: Transaction, position: int) -> Left:
    """How many dead letters follow a position, and since when the first of them has been there."""
    return left(transaction, "SELECT COUNT(*), MIN(refused_at) FROM dead_letters WHERE position > ?", (position,))


_TABLE: Mapping[KeptAs, str] = {
    "dead-letter": "dead_letters LEFT JOIN closures ON kept = 'dead-letter' AND kept_id = dead_letter_id",
    "set-aside": "set_aside LEFT JOIN closures ON kept = 'set-aside' AND kept_id = set_aside_id",
}
_CLOSURES_OF = "SELECT COUNT(*) FROM closures AS its WHERE its.kept = '{}' AND its.kept_id = {}"
_CLOSURE: Mapping[KeptAs, str] = {
    "dead-letter": _CLOSURES_OF.format("dead-letter", "dead_letter_id"),
    "set-aside": _CLOSURES_OF.format("set-aside", "set_aside_id"),
}
_SHARED = ("position", "origin", "reason", "source", "id", "account", "channel", "outcome", "actor", "closed_at")
_COLUMNS: Mapping[KeptAs, tuple[str, ...]] = {
    "dead-letter": (*_SHARED, "field", "dead_letter_id", "refused_at"),
    "set-aside": (*_SHARED, "set_aside_id", "set_aside_at"),
}


def _messages(rows: Iterable[Mapping[str, Any]]) -> list[KeptMessage]:
    found = []
    for row in rows:
        *_, kept_id, at = row.values()
        found.append(
            KeptMessage(
                position=row["position"],
                kept_id=kept_id,
                origin=row["origin"],
                reason=row["reason"],
                field=row.get("field"),
                source=row["source"],
                message_id=row["id"],
                account=row["account"],
                channel=row["channel"],
                kept_at=from_microseconds(at),
                status=row["outcome"] or "open",
                closed_by=row["actor"],
                closed_at=from_microseconds(row["closed_at"]) if row["closed_at"] is not None else None,
            )
        )
    return found
