"""Messages that are kept: dead letters and messages set aside, and what became of each (contract §3).

They are read from the ledger's own tables; their bodies lie in the vault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.events import KeptAs
from ledger.store.database import Database
from projections.page import Page
from projections.projection import Value, shown_instant

Answer = dict[str, Any]

_DEAD_LETTERS = (
    "SELECT position, dead_letter_id, origin, reason, field, source, id, account, channel, refused_at, "
    "outcome, actor, closed_at "
    "FROM dead_letters LEFT JOIN closures ON kept = 'dead-letter' AND kept_id = dead_letter_id"
)
_SET_ASIDE = (
    "SELECT position, set_aside_id, origin, reason, source, id, account, channel, set_aside_at, "
    "outcome, actor, closed_at FROM set_aside LEFT JOIN closures ON kept = 'set-aside' AND kept_id = set_aside_id"
)


def dead_letters(
    database: Database, page: Page | None = None, /, *, closed: bool = True, **wanted: str | None
) -> list[Answer]:
    """The refused messages, the newest last; `wanted` filters by `account`, `source` or `field`."""
    return _kept(
        database,
        _DEAD_LETTERS,
        ("dead_letter_id", "origin", "reason", "field", "source", "id", "account_id", "channel", "refused_at"),
        closed,
        page,
        wanted,
    )


def set_aside(
    database: Database, page: Page | None = None, /, *, closed: bool = True, **wanted: str | None
) -> list[Answer]:
    """The messages that kept failing, the newest last; `wanted` filters by `account` or `source`."""
    return _kept(
        database,
        _SET_ASIDE,
        ("set_aside_id", "origin", "reason", "source", "id", "account_id", "channel", "set_aside_at"),
        closed,
        page,
        wanted,
    )


def at(database: Database, kept: KeptAs, position: int) -> Answer | None:
    """The kept message at a position, if there is one."""
    found = KEPT[kept](database, Page(1, (position - 1,)))
    return found[0] if found and found[0]["position"] == position else None


KEPT: dict[KeptAs, Callable[..., list[Answer]]] = {"dead-letter": dead_letters, "set-aside": set_aside}


def _kept(
    database: Database,
    sql: str,
    names: tuple[str, ...],
    closed: bool,
    page: Page | None,
    wanted: dict[str, str | None],
) -> list[Answer]:
    given: dict[str, Value] = {column: value for column, value in wanted.items() if value is not None}
    conditions, values = [f"{column} = ?" for column in given], list(given.values())
    if not closed:
        conditions.append("outcome IS NULL")
    if page is not None and page.after is not None:
        conditions.append("position > ?")
        values += page.after
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {page.limit}" if page is not None else ""
    with database.reading() as transaction:
        rows = transaction.rows(f"{sql}{where} ORDER BY position{limit}", values)
    columns = ("position", *names, "status", "closed_by", "closed_at")
    return [{name: _shown(name, value) for name, value in zip(columns, row, strict=True)} for row in rows]


def _shown(name: str, value: Value) -> Value:
    if name == "status":
        return value or "open"
    return shown_instant(value) if name.endswith("_at") else value
