"""What changed since an instant or a position: claims, refunds and credits, before and after (contract §3b).

The accounts with events since then are folded anew, up to then and up to now, and what is shown of them is compared:
so that a change has the fields of the list, whatever these are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.positions import KnownAt
from ledger.store.reading.events import StoredEnvelope, accounts_between, read_accounts, recorded_by
from ledger.store.reading.page import Key, Listed, Order, Page, in_memory
from ledger.store.reading.shards import shard_ends
from projections.account_state import AccountState, ClaimOfAccount, account_recorded
from projections.asking import Accounts
from projections.audit_trail import AUDIT_TRAIL
from projections.audit_trail import ROWS as EVENTS
from projections.credits import Credit
from projections.follower import Progress
from projections.refunds import Refund
from projections.shown_values import Position

ChangedKind = Literal["claim", "refund", "credit"]
AT_ONCE = 50
"""The events of so many accounts are in memory together."""


class Change(TypedDict):
    """A claim, refund or credit that is not what it was."""

    account_id: str
    kind: ChangedKind
    id: str
    before: Annotated[ClaimOfAccount | Refund | Credit | None, Field(description="Null if it did not exist.")]
    after: Annotated[ClaimOfAccount | Refund | Credit | None, Field(description="Null if it exists no longer.")]
    position: Annotated[Position, Field(description="The account's last event.")]


ORDER: Order = {"account": str, "kind": str, "id": str}


def listed(
    database: Database,
    since: KnownAt,
    *,
    accounts: Accounts = None,
    page: Page | None = None,
    on_progress: Progress = lambda done, of: None,
) -> Listed[Change]:
    """What changed after an instant or a position, by account and id."""
    changed = _accounts_changed(database, since, accounts)
    after = page.after if page is not None else None
    found: list[Change] = []
    for change in _changes(database, since, [a for a in changed if after is None or a >= str(after[0])], on_progress):
        if after is None or _key(change) > after:
            found.append(change)
        if page is not None and len(found) > page.limit:
            break
    return in_memory(found, _key, page)


def _key(change: Change) -> Key:
    return change["account_id"], change["kind"], change["id"]


def _accounts_changed(database: Database, since: KnownAt, accounts: Accounts) -> list[str]:
    """The accounts with an event since then, by the code points of their ids."""
    with database.reading() as transaction:
        if isinstance(since, datetime):
            changed = _recorded_after(transaction, since)
        else:
            changed = accounts_between(transaction, since, shard_ends(transaction))
    return sorted(changed if accounts is None else changed & {*accounts})


def _recorded_after(transaction: Transaction, since: datetime) -> set[str]:
    rows = transaction.rows(
        f"SELECT DISTINCT account FROM {AUDIT_TRAIL.stored_name(EVENTS)} WHERE recorded_at > ?",
        (to_microseconds(since),),
    )
    return {row[0] for row in rows}


def _changes(database: Database, since: KnownAt, accounts: list[str], on_progress: Progress) -> Iterator[Change]:
    for start in range(0, len(accounts), AT_ONCE):
        some = accounts[start : start + AT_ONCE]
        with database.reading() as transaction:
            recorded = read_accounts(transaction, some)
        for account in some:
            yield from _changes_of(account, recorded.pop(account, []), since)
        on_progress(min(start + AT_ONCE, len(accounts)), len(accounts))


def _changes_of(account: str, recorded: list[StoredEnvelope], since: KnownAt) -> Iterator[Change]:
    before = _shown(account_recorded(recorded_by(recorded, since), account))
    after = _shown(account_recorded(recorded, account))
    for kind, id_ in sorted(before.keys() | after.keys()):
        was, is_ = before.get((kind, id_)), after.get((kind, id_))
        if _said(was) != _said(is_):
            place = str(recorded[-1].at)
            yield {"account_id": account, "kind": kind, "id": id_, "before": was, "after": is_, "position": place}


def _shown(state: AccountState) -> dict[tuple[ChangedKind, str], ClaimOfAccount | Refund | Credit]:
    found: dict[tuple[ChangedKind, str], ClaimOfAccount | Refund | Credit] = {}
    found |= {("claim", claim["claim_id"]): claim for claim in state["claims"]}
    found |= {("refund", refund["refund_id"]): refund for refund in state["refunds"]}
    found |= {("credit", credit["credit_id"]): credit for credit in state["credits"]}
    return found


def _said(row: ClaimOfAccount | Refund | Credit | None) -> dict[str, object] | None:
    """What a row says. That a claim was assessed again, with the same result, is no change of it."""
    return {name: value for name, value in row.items() if name != "position"} if row is not None else None
