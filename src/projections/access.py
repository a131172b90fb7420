"""Who has which role, and which API keys open the door (contract §3, `makegood access`).

What stands is a row; what was revoked is told by the history of the account `system`.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import TypedDict

from ledger.events import ApiKeyIssued, ApiKeyRevoked, Role, RoleGranted, RoleRevoked
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where
from ledger.values import SYSTEM_ACCOUNT
from projections.asking import rows_listed
from projections.projection import Place, Projection, Row, Rows, Table
from projections.shown_values import Instant, shown_instant

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
    with database.reading() as transaction:
        return roles_in(transaction, principal)


def roles_in(transaction: Transaction, principal: str) -> list[tuple[Role, str | None]]:
    """The same in a state of the store that is read already."""
    rows = rows_listed(transaction, ACCESS, GRANTS, Where().equal(account=SYSTEM_ACCOUNT, principal=principal))
    return [(row["role"], row["of_account"] or None) for row in rows]


def standing_key(database: Database, key_id: str) -> StandingKey | None:
    """The key with an id, None where there is none or it was revoked."""
    rows = _rows(database, KEYS, Where().equal(account=SYSTEM_ACCOUNT, key_id=key_id))
    return StandingKey(rows[0]["principal"], rows[0]["secret_sha256"]) if rows else None


class Granted(TypedDict):
    """A role granted to a principal."""

    principal: str
    role: Role
    account_id: str | None
    granted_at: Instant
    granted_by: str


class ApiKey(TypedDict):
    """A valid API key, without its secret."""

    key_id: str
    principal: str
    issued_at: Instant
    issued_by: str


GRANTS_ORDER: Order = {"principal": str, "role": str, "of_account": str}
KEYS_ORDER: Order = {"principal": str, "issued_at": int, "key_id": str}


def grants(database: Database, principal: str | None = None, *, page: Page | None = None) -> Listed[Granted]:
    """Who has which role, by principal, role and account."""
    where = Where().equal(account=SYSTEM_ACCOUNT, principal=principal)
    with database.reading() as transaction:
        found = rows_listed(transaction, ACCESS, GRANTS, where, page, GRANTS_ORDER)
    standing: list[Granted] = [
        {
            "principal": row["principal"],
            "role": row["role"],
            "account_id": row["of_account"] or None,
            "granted_at": shown_instant(row["granted_at"]),
            "granted_by": row["granted_by"],
        }
        for row in found
    ]
    return found.told(standing)


def keys(database: Database, principal: str | None = None, *, page: Page | None = None) -> Listed[ApiKey]:
    """The keys that open the door, by principal and age; nothing of their secrets."""
    where = Where().equal(account=SYSTEM_ACCOUNT, principal=principal)
    with database.reading() as transaction:
        found = rows_listed(transaction, ACCESS, KEYS, where, page, KEYS_ORDER)
    standing: list[ApiKey] = [
        {
            "key_id": row["key_id"],
            "principal": row["principal"],
            "issued_at": shown_instant(row["issued_at"]),
            "issued_by": row["issued_by"],
        }
        for row in found
    ]
    return found.told(standing)


def _rows(database: Database, table: Table, where: Where) -> list[Row]:
    with database.reading() as transaction:
        return rows_listed(transaction, ACCESS, table, where)
