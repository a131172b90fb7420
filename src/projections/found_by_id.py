"""The accounts that have a subscription, claim, refund or credit of an id; ids are unique within their account."""

from __future__ import annotations

from typing import Literal

from ledger.store.database import Transaction
from projections.accounts import ACCOUNTS, SUBSCRIBED
from projections.claims import CLAIMS
from projections.claims import ROWS as CLAIM_ROWS
from projections.credits import CREDITS
from projections.credits import ROWS as CREDIT_ROWS
from projections.refunds import REFUNDS
from projections.refunds import ROWS as REFUND_ROWS

IdKind = Literal["subscription", "claim", "refund", "credit"]

_WHERE = {
    "subscription": (ACCOUNTS.stored_name(SUBSCRIBED), "subscription_id"),
    "claim": (CLAIMS.stored_name(CLAIM_ROWS), "claim_id"),
    "refund": (REFUNDS.stored_name(REFUND_ROWS), "refund_id"),
    "credit": (CREDITS.stored_name(CREDIT_ROWS), "credit_id"),
}


def accounts_with(
    transaction: Transaction, kind: IdKind, id_: str, *, from_account: str, limit: int, goodwill: bool
) -> list[str]:
    """So many of them, in order of code points, the first of them `from_account` or later.

    Without `goodwill` claims are left out that are goodwill not granted.
    """
    table, column = _WHERE[kind]
    granted = "" if goodwill or kind != "claim" else " AND (clause <> 'complaint' OR outcome = 'granted')"
    rows = transaction.rows(
        f'SELECT DISTINCT account COLLATE "C" FROM {table} WHERE {column} = ? AND account COLLATE "C" >= ?{granted} '
        f"ORDER BY 1 LIMIT {limit}",
        (id_, from_account),
    )
    return [account for (account,) in rows]
