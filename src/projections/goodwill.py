"""Goodwill credits: proposed for which complaint, by whom, and who decided (contract §3, `makegood goodwill`).

Facts come in any order, so each has a row of its own, and what became of a credit is told where it is shown. Which
facts count for nothing the assessment says, by its alarms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ledger.events import GoodwillApproved, GoodwillProposed, GoodwillRejected
from projections.first_message import MESSAGE, LeftOut, counting, first, message_of
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

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
    appends=True,
    indexes=("complaint_id",),
)
STATUS = {GoodwillProposed: "proposed", GoodwillApproved: "approved", GoodwillRejected: "rejected"}


def fold(rows: Rows, _: Place, event: GoodwillProposed | GoodwillApproved | GoodwillRejected) -> None:
    """Every fact of a goodwill credit has its row."""
    proposal = event.data if isinstance(event, GoodwillProposed) else None
    rows.put(
        FACTS,
        {
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
        },
    )


GOODWILL = Projection("goodwill", 1, (FACTS,), (GoodwillProposed, GoodwillApproved, GoodwillRejected), fold)


def listed(state: State, left_out: LeftOut) -> list[dict[str, Any]]:
    """The goodwill credits that were proposed, by account and id; what a claim came to is that of `claims`."""
    outcomes = {(row["account"], row["claim_id"]): row["outcome"] for row in state["claims"]}
    return [_shown(proposal, verdict, outcomes) for proposal, verdict in _standing(state, left_out)]


def credits_by_complaint(state: State, left_out: LeftOut) -> dict[tuple[Any, Any], list[str]]:
    """The goodwill credits that were proposed for a complaint, by account and complaint."""
    found: dict[tuple[Any, Any], list[str]] = defaultdict(list)
    for proposal, _ in _standing(state, left_out):
        found[proposal["account"], proposal["complaint_id"]].append(str(proposal["credit_id"]))
    return found


def _standing(state: State, left_out: LeftOut) -> Iterator[tuple[Row, Row | None]]:
    """The proposal of each credit that stands, with the verdict that holds: of each the first that counts."""
    facts: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in counting(state["goodwill"], left_out):
        facts[row["account"], row["credit_id"]].append(row)
    for key in sorted(facts):
        proposal = first(row for row in facts[key] if row["status"] == "proposed")
        if proposal is not None:
            yield proposal, first(row for row in facts[key] if row["status"] != "proposed")


def _shown(proposal: Row, verdict: Row | None, outcomes: dict[tuple[Any, Any], Any]) -> dict[str, Any]:
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
