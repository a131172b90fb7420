"""Who has which role, and which API keys open the door (contract §3, `makegood access`).

What stands is a row; what was revoked is told by the history of the account `system`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.events import ApiKeyIssued, ApiKeyRevoked, Role, RoleGranted, RoleRevoked
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.values import SYSTEM_ACCOUNT
from projections.projection import Place, Projection, Rows, Table, shown_instant

NO_ACCOUNT = ""
"""Stands in a key for roles that are not for one account: columns of a key are never null."""

GRANTS = Table(
    "access_grants",
    {
        "account": "TEXT",
        "principal": "TEXT",
        "role": "TEXT",
        "of_account": "TEXT",
        "granted_at": "INSTANT",
        "granted_by": "TEXT",
    },
    key=("account", "principal", "role", "of_account"),
)
KEYS = Table(
    "access_keys",
    {
        "account": "TEXT",
        "key_id": "TEXT",
        "principal": "TEXT",
        "secret_sha256": "TEXT",
        "issued_at": "INSTANT",
        "issued_by": "TEXT",
    },
    key=("account", "key_id"),
)


def fold(rows: Rows, _: Place, event: RoleGranted | RoleRevoked | ApiKeyIssued | ApiKeyRevoked) -> None:
    """A grant and a key stand until they are revoked."""
    if isinstance(event, ApiKeyRevoked):
        rows.delete(KEYS, event.account, event.data.key_id)
    elif isinstance(event, ApiKeyIssued):
        rows.put(
            KEYS,
            {
                "account": event.account,
                "key_id": event.data.key_id,
                "principal": event.data.principal,
                "secret_sha256": event.data.secret_sha256,
                "issued_at": to_microseconds(event.recorded_at),
                "issued_by": event.actor,
            },
        )
    else:
        of_account = event.data.account_id or NO_ACCOUNT
        if isinstance(event, RoleRevoked):
            rows.delete(GRANTS, event.account, event.data.principal, event.data.role, of_account)
            return
        rows.put(
            GRANTS,
            {
                "account": event.account,
                "principal": event.data.principal,
                "role": event.data.role,
                "of_account": of_account,
                "granted_at": to_microseconds(event.recorded_at),
                "granted_by": event.actor,
            },
        )


ACCESS = Projection("access", 1, (GRANTS, KEYS), (RoleGranted, RoleRevoked, ApiKeyIssued, ApiKeyRevoked), fold)


@dataclass(frozen=True, slots=True)
class StandingKey:
    """A key that opens the door: as whom, and the digest of its secret."""

    principal: str
    secret_sha256: str


def roles_of(database: Database, principal: str) -> list[tuple[Role, str | None]]:
    """The roles of a principal, a customer's with the account."""
    rows = _rows(database, GRANTS, ("role", "of_account"), "principal", principal)
    return [(role, of_account or None) for role, of_account in sorted(rows)]


def standing_key(database: Database, key_id: str) -> StandingKey | None:
    """The key with an id, None where there is none or it was revoked."""
    rows = _rows(database, KEYS, ("principal", "secret_sha256"), "key_id", key_id)
    return StandingKey(*rows[0]) if rows else None


def grants(database: Database, principal: str | None = None) -> list[dict[str, Any]]:
    """Who has which role, by principal, role and account."""
    columns = ("principal", "role", "of_account", "granted_at", "granted_by")
    rows = _rows(database, GRANTS, columns, "principal" if principal is not None else None, principal)
    return [
        {
            "principal": principal,
            "role": role,
            "account_id": of_account or None,
            "granted_at": shown_instant(granted_at),
            "granted_by": granted_by,
        }
        for principal, role, of_account, granted_at, granted_by in sorted(rows)
    ]


def keys(database: Database, principal: str | None = None) -> list[dict[str, Any]]:
    """The keys that open the door, by principal and age; nothing of their secrets."""
    columns = ("principal", "issued_at", "key_id", "issued_by")
    rows = _rows(database, KEYS, columns, "principal" if principal is not None else None, principal)
    return [
        {
            "key_id": key_id,
            "principal": principal,
            "issued_at": shown_instant(issued_at),
            "issued_by": issued_by,
        }
        for principal, issued_at, key_id, issued_by in sorted(rows)
    ]


def _rows(
    database: Database, table: Table, columns: tuple[str, ...], by: str | None, value: str | None
) -> list[tuple[Any, ...]]:
    asked = {"account": SYSTEM_ACCOUNT, **({by: value} if by is not None else {})}
    with database.reading() as transaction:
        return transaction.rows(
            f"SELECT {', '.join(columns)} FROM {ACCESS.stored_name(table)} "
            f"WHERE {' AND '.join(f'{column} = ?' for column in asked)}",
            list(asked.values()),
        )
