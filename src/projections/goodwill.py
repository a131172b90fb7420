"""Goodwill credits: proposed for which complaint, by whom, and who decided (contract §3, `makegood goodwill`).

Facts come in any order, so each has a row of its own, and what became of a credit is told where it is shown. Which
facts count for nothing the assessment says, by its alarms. `goodwill_standings` keeps whether somebody decided about
a credit that was proposed, for the list to be found by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    AlarmCleared,
    AlarmRaised,
    FactRetracted,
    GoodwillApproved,
    GoodwillProposed,
    GoodwillRejected,
)
from ledger.events.billing_account import Outcome
from ledger.store.database import Transaction
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Page, Where
from projections import claims
from projections.alarms import left_out_in
from projections.asking import Accounts, accounts_of, order_of, rows_listed, rows_of
from projections.first_message import MESSAGE, LeftOut, counting, first, message_of
from projections.left_out import LeavingOut
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.shown_values import Amount, Currency, Instant, shown_instant

GoodwillFact = GoodwillProposed | GoodwillApproved | GoodwillRejected
Handled = GoodwillFact | FactRetracted | AlarmRaised | AlarmCleared
HANDLED = (GoodwillProposed, GoodwillApproved, GoodwillRejected, FactRetracted, AlarmRaised, AlarmCleared)

FACTS = Table(
    "goodwill",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        "event_id": "TEXT",
        "status": "TEXT",
        "person": "TEXT",
        "complaint_id": "TEXT",
        "subscription_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        **MESSAGE,
    },
    key=("account", "credit_id", "event_id"),
    reads=HANDLED,
)
STANDINGS = Table(
    "goodwill_standings",
    {"account": "TEXT", "credit_id": "TEXT", "decided": "INTEGER"},
    key=("account", "credit_id"),
    reads=HANDLED,
    indexes=(Index("undecided", ("account", "credit_id"), "decided = 0"),),
    finding=True,
)
LEAVING_OUT = LeavingOut.of("goodwill", HANDLED, alarmed=True)

Status = Literal["proposed", "approved", "rejected"]
STATUS: dict[type[GoodwillFact], Status] = {
    GoodwillProposed: "proposed",
    GoodwillApproved: "approved",
    GoodwillRejected: "rejected",
}


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """Every fact has its row, and its credit may stand otherwise when one counts or no longer does."""
    if isinstance(event, GoodwillFact):
        rows.put(FACTS, _fact(event))
        _stand(rows, event.account, event.data.credit_id)
    elif LEAVING_OUT.fold(rows, event):
        for credit_id in {row["credit_id"] for row in rows.of_account(FACTS, event.account)}:
            _stand(rows, event.account, credit_id)


def _fact(event: GoodwillFact) -> Row:
    proposal = event.data if isinstance(event, GoodwillProposed) else None
    return {
        "account": event.account,
        "credit_id": event.data.credit_id,
        "event_id": event.event_id,
        "status": STATUS[type(event)],
        "person": event.data.proposed_by if isinstance(event, GoodwillProposed) else event.data.decided_by,
        "complaint_id": proposal.complaint_id if proposal is not None else None,
        "subscription_id": proposal.subscription_id if proposal is not None else None,
        "amount": str(proposal.amount) if proposal is not None else None,
        "currency": proposal.currency if proposal is not None else None,
        **message_of(event),
    }


def _stand(rows: Rows, account: str, credit_id: str) -> None:
    """Keep how a credit stands; one of which only a verdict is known waits for its proposal."""
    of_it = [row for row in rows.of_account(FACTS, account) if row["credit_id"] == credit_id]
    standing = next(_standing(of_it, LEAVING_OUT.left_out(rows, account)), None)
    if standing is not None:
        _, verdict = standing
        rows.put(STANDINGS, {"account": account, "credit_id": credit_id, "decided": int(verdict is not None)})
    elif rows.get(STANDINGS, account, credit_id) is not None:
        rows.delete(STANDINGS, account, credit_id)


GOODWILL = Projection("goodwill", 2, (FACTS, STANDINGS, *LEAVING_OUT.tables), HANDLED, fold)


class Goodwill(TypedDict):
    """A goodwill credit: one person proposes it, another decides."""

    credit_id: str
    claim_id: str
    account_id: str
    subscription_id: str | None
    complaint_id: str
    status: Status
    outcome: Annotated[Outcome | None, Field(description="The outcome of its claim.")]
    amount: Amount
    currency: Currency
    proposed_by: str
    proposed_at: Instant
    decided_by: str | None
    decided_at: Instant | None


ORDER = order_of(STANDINGS)


def listed_in(
    transaction: Transaction, *, accounts: Accounts = None, still_open: bool = False, page: Page | None = None
) -> Listed[Goodwill]:
    """The goodwill credits that were proposed, by account and id; `still_open` lists those nobody decided about."""
    where = Where().among("account", accounts)
    if still_open:
        where.that("decided = 0")
    found = rows_listed(transaction, GOODWILL, STANDINGS, where, page)
    of = accounts_of(found)
    facts, owed = rows_of(transaction, GOODWILL, FACTS, of), rows_of(transaction, claims.CLAIMS, claims.ROWS, of)
    credits = shown({FACTS.name: facts, claims.ROWS.name: owed}, left_out_in(transaction, of))
    by_id = {(credit["account_id"], credit["credit_id"]): credit for credit in credits}
    return found.told(by_id[row["account"], row["credit_id"]] for row in found)


def goodwill_left(transaction: Transaction) -> Left:
    """How many goodwill credits nobody has decided about, and since when.

    Whether one is decided its claim says: a proposal may be left out, and a verdict count for nothing.
    """
    return left(
        transaction,
        "SELECT COUNT(*), MIN(since) FROM (SELECT MIN(message_time) AS since "
        f"FROM {GOODWILL.stored_name(FACTS)} AS proposed "
        f"JOIN {claims.CLAIMS.stored_name(claims.ROWS)} AS claims "
        "ON claims.account = proposed.account AND claims.claim_id = 'goodwill/' || proposed.credit_id "
        "WHERE proposed.status = 'proposed' AND claims.outcome = 'pending' "
        "GROUP BY proposed.account, proposed.credit_id) AS undecided",
    )


def shown(state: State, left_out: LeftOut) -> list[Goodwill]:
    """The goodwill credits that were proposed, by account and id; what a claim came to is that of `claims`."""
    outcomes = {(row["account"], row["claim_id"]): row["outcome"] for row in state[claims.ROWS.name]}
    return [_shown(proposal, verdict, outcomes) for proposal, verdict in _standing(state[FACTS.name], left_out)]


def credits_by_complaint(state: State, left_out: LeftOut) -> dict[tuple[str, str], list[str]]:
    """The goodwill credits that were proposed for a complaint, by account and complaint."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for proposal, _ in _standing(state[FACTS.name], left_out):
        found[proposal["account"], proposal["complaint_id"]].append(proposal["credit_id"])
    return found


def _standing(facts: Iterable[Row], left_out: LeftOut) -> Iterator[tuple[Row, Row | None]]:
    """The proposal of each credit that stands, with the verdict that holds: of each the first that counts."""
    akin: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in counting(facts, left_out):
        akin[row["account"], row["credit_id"]].append(row)
    for key in sorted(akin):
        proposal = first(row for row in akin[key] if row["status"] == "proposed")
        if proposal is not None:
            yield proposal, first(row for row in akin[key] if row["status"] != "proposed")


def _shown(proposal: Row, verdict: Row | None, outcomes: Mapping[tuple[str, str], Outcome]) -> Goodwill:
    claim_id = f"goodwill/{proposal['credit_id']}"
    return {
        "credit_id": proposal["credit_id"],
        "claim_id": claim_id,
        "account_id": proposal["account"],
        "subscription_id": proposal["subscription_id"],
        "complaint_id": proposal["complaint_id"],
        "status": verdict["status"] if verdict is not None else "proposed",
        "outcome": outcomes.get((proposal["account"], claim_id)),
        "amount": proposal["amount"],
        "currency": proposal["currency"],
        "proposed_by": proposal["person"],
        "proposed_at": shown_instant(proposal["message_time"]),
        "decided_by": verdict["person"] if verdict is not None else None,
        "decided_at": shown_instant(verdict["message_time"]) if verdict is not None else None,
    }
