"""Outages: what was reported of each, whether it goes on, and the claims that were decided with it (policy §3).

Facts come in any order, so each has a row of its own. Of the reports of one outage the first holds, and of its
endings on the same subscription the last. `outage_standings` keeps that much of each reported outage, for the list to
be found by; outcome and amount of a claim are those of the claim's own row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import (
    AlarmCleared,
    AlarmRaised,
    ClaimAssessed,
    ClaimAssessedV1,
    FactRetracted,
    OutageReopened,
    OutageReported,
    OutageResolved,
)
from ledger.events.billing_account import Outcome
from ledger.events.subscription import Cause, Severity
from ledger.store.database import Database
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where
from projections import claims, complaints
from projections.alarms import left_out
from projections.asking import Accounts, accounts_of, rows_listed, state_in
from projections.complaints import Linked, linked_by
from projections.first_message import MESSAGE, LeftOut, counting, first, message_of, order_of_fact
from projections.left_out import LeavingOut
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.shown_values import Amount, Currency, Instant, shown_instant

OutageFact = OutageReported | OutageResolved | OutageReopened
Assessed = ClaimAssessed | ClaimAssessedV1
Handled = OutageFact | Assessed | FactRetracted | AlarmRaised | AlarmCleared
HANDLED = (
    OutageReported,
    OutageResolved,
    OutageReopened,
    ClaimAssessed,
    ClaimAssessedV1,
    FactRetracted,
    AlarmRaised,
    AlarmCleared,
)

FACTS = Table(
    "outages",
    {
        "account": "TEXT",
        "event_id": "TEXT",
        "outage_id": "TEXT",
        "subscription_id": "TEXT",
        "said": "TEXT",
        "began_at": "INSTANT",
        "reported_at": "INSTANT",
        "resolved_at": "INSTANT",
        "severity": "TEXT",
        "cause": "TEXT",
        "channel": "TEXT",
        **MESSAGE,
    },
    key=("account", "event_id"),
    reads=HANDLED,
)
FACTS_OF = Table(
    "facts_of_outages",
    {"account": "TEXT", "outage_id": "TEXT", "event_ids": "TEXT"},
    key=("account", "outage_id"),
    reads=HANDLED,
    finding=True,
)
"""The facts of each outage by their event ids, so that a fold need not look at those of all others."""
DECIDED = Table(
    "outage_claims",
    {"account": "TEXT", "claim_id": "TEXT", "outage_ids": "TEXT"},
    key=("account", "claim_id"),
)
STANDINGS = Table(
    "outage_standings",
    {
        "account": "TEXT",
        "outage_id": "TEXT",
        "subscription_id": "TEXT",
        "began_at": "INSTANT",
        "resolved": "INTEGER",
    },
    key=("account", "outage_id"),
    reads=HANDLED,
    indexes=(
        Index("began", ("account", "began_at", "outage_id")),
        Index("resolved", ("resolved", "account", "began_at", "outage_id")),
        Index("subscription", ("subscription_id", "account", "began_at", "outage_id")),
    ),
    finding=True,
)
LEAVING_OUT = LeavingOut.of("outages", HANDLED, alarmed=True)


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """An outage may stand otherwise when a fact comes, counts or no longer does; a claim names its outages."""
    if isinstance(event, OutageFact):
        rows.put(FACTS, _fact(event))
        known = _facts_of(rows, event.account, event.data.outage_id)
        of_it = {"account": event.account, "outage_id": event.data.outage_id}
        rows.put(FACTS_OF, {**of_it, "event_ids": to_json([*known, event.event_id]).decode()})
        _stand(rows, event.account, [event.data.outage_id])
    elif isinstance(event, Assessed):
        _decide(rows, event)
    elif LEAVING_OUT.fold(rows, event):
        _stand(rows, event.account, [row["outage_id"] for row in rows.of_account(FACTS_OF, event.account)])


def _facts_of(rows: Rows, account: str, outage_id: str) -> list[str]:
    row = rows.get(FACTS_OF, account, outage_id)
    return from_json(row["event_ids"]) if row is not None else []


def _fact(event: OutageFact) -> Row:
    row = {**dict.fromkeys(FACTS.columns), **message_of(event)}
    row |= {"account": event.account, "event_id": event.event_id}
    row |= {"outage_id": event.data.outage_id, "subscription_id": event.data.subscription_id}
    match event:
        case OutageReported(data=data):
            row |= {"said": "reported", "severity": data.severity, "cause": data.cause, "channel": data.channel}
            row |= {"began_at": to_microseconds(data.began_at), "reported_at": to_microseconds(data.reported_at)}
        case OutageResolved(data=data):
            row |= {"said": "resolved", "resolved_at": to_microseconds(data.resolved_at)}
        case OutageReopened():
            row |= {"said": "reopened"}
    return row


def _stand(rows: Rows, account: str, outage_ids: Collection[str]) -> None:
    """Keep how outages stand; one of which only an ending is known waits for its report."""
    event_ids = (event_id for outage_id in outage_ids for event_id in _facts_of(rows, account, outage_id))
    facts = (row for event_id in event_ids if (row := rows.get(FACTS, account, event_id)) is not None)
    stand = standing(facts, LEAVING_OUT.left_out(rows, account))
    for outage_id in outage_ids:
        stands = stand.get((account, outage_id))
        if stands is not None:
            report, ending = stands
            row = {"account": account, "outage_id": outage_id, "subscription_id": report["subscription_id"]}
            row |= {"began_at": report["began_at"], "resolved": int(_is_resolved(ending))}
            rows.put(STANDINGS, row)
        elif rows.get(STANDINGS, account, outage_id) is not None:
            rows.delete(STANDINGS, account, outage_id)


def _decide(rows: Rows, event: Assessed) -> None:
    """Keep which outages a claim that stands was decided with; one with more than 1,000 facts names none."""
    used = (rows.get(FACTS, event.account, fact) for fact in event.data.facts)
    outage_ids = sorted({row["outage_id"] for row in used if row is not None})
    stands = event.data.after is not None and event.data.after.outcome is not None
    if stands and outage_ids:
        row = {"account": event.account, "claim_id": event.data.claim_id, "outage_ids": to_json(outage_ids).decode()}
        rows.put(DECIDED, row)
    elif event.data.clause == "service_disruption":
        rows.delete(DECIDED, event.account, event.data.claim_id)


OUTAGES = Projection("outages", 1, (FACTS, FACTS_OF, DECIDED, STANDINGS, *LEAVING_OUT.tables), HANDLED, fold)

Standing = tuple[Row, Row | None]
"""The report that holds of an outage, and what it ended by or goes on since."""


def standing(facts: Iterable[Row], left_out: LeftOut) -> dict[tuple[str, str], Standing]:
    """The outages that were reported, by account and id."""
    by_outage: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in counting(facts, left_out):
        by_outage[row["account"], row["outage_id"]].append(row)
    found = {}
    for key, said in by_outage.items():
        report = first(row for row in said if row["said"] == "reported")
        if report is not None:
            of_it = (
                row
                for row in said
                if row["said"] != "reported" and row["subscription_id"] == report["subscription_id"]
            )
            found[key] = (report, max(of_it, key=order_of_fact, default=None))
    return found


def _is_resolved(ending: Row | None) -> bool:
    return ending is not None and ending["said"] == "resolved"


class OutageClaim(TypedDict):
    """A claim that was decided with an outage."""

    claim_id: Annotated[str, Field(examples=["disruption/cyc-0006-2026-04-02"])]
    outcome: Outcome
    reason: Annotated[str | None, Field(description="Null unless the claim was declined.")]
    amount: Amount
    tax: Amount
    currency: Currency


OutageStatus = Literal["open", "resolved", "reopened"]


class Outage(TypedDict):
    """An outage of a customer's service."""

    outage_id: str
    account_id: str
    subscription_id: str
    severity: Severity
    cause: Cause
    channel: str | None
    status: OutageStatus
    began_at: Instant
    reported_at: Instant
    resolved_at: Annotated[Instant | None, Field(description="Null while it goes on.")]
    duration_seconds: Annotated[int, Field(description="Until it was resolved, or until now while it goes on.")]
    claims: Annotated[list[OutageClaim], Field(description="The claims decided with it, alone or with others.")]
    complaint_ids: Annotated[list[str], Field(description="The linked complaints.")]


ORDER: Order = {"account": str, "began_at": int, "outage_id": str}


def listed(
    database: Database,
    now: datetime,
    *,
    accounts: Accounts = None,
    subscription: str | None = None,
    still_open: bool = False,
    page: Page | None = None,
) -> Listed[Outage]:
    """The outages that were reported, by account and beginning; `still_open` leaves out the resolved ones."""
    where = Where().among("account", accounts).equal(subscription_id=subscription)
    if still_open:
        where.that("resolved = 0")
    with database.reading() as transaction:
        listed = rows_listed(transaction, OUTAGES, STANDINGS, where, page, ORDER)
        state = state_in(transaction, TOLD_BY, accounts_of(listed))
    stand = standing(state[FACTS.name], left_out(state))
    found = listed.only(lambda row: (row["account"], row["outage_id"]) in stand)
    decided, linked = _claims_by_outage(state), linked_by(state)
    outages = (
        _shown(*stand[key], now, decided.get(key, []), linked)
        for key in ((row["account"], row["outage_id"]) for row in found)
    )
    return found.told(outages)


TOLD_BY = ((OUTAGES, FACTS), (OUTAGES, DECIDED), (claims.CLAIMS, claims.ROWS), *complaints.TOLD_BY)
"""The tables that outages are told by; among complaints' are those by which facts are left out."""


def _claims_by_outage(state: State) -> Mapping[tuple[str, str], list[OutageClaim]]:
    """The claims that stand and were decided with an outage, by account and outage."""
    stand = {claims.ROWS.key_of(row): row for row in state[claims.ROWS.name]}
    found: dict[tuple[str, str], list[OutageClaim]] = defaultdict(list)
    for row in sorted(state[DECIDED.name], key=DECIDED.key_of):
        claim = stand.get(DECIDED.key_of(row))
        if claim is not None:
            for outage_id in from_json(row["outage_ids"]):
                found[row["account"], outage_id].append(_claim_shown(claim))
    return found


def _claim_shown(claim: Row) -> OutageClaim:
    return {
        "claim_id": claim["claim_id"],
        "outcome": claim["outcome"],
        "reason": claim["reason"],
        "amount": claim["amount"],
        "tax": claim["tax"],
        "currency": claim["currency"],
    }


def _shown(report: Row, ending: Row | None, now: datetime, decided: list[OutageClaim], linked: Linked) -> Outage:
    resolved_at = ending["resolved_at"] if ending is not None and _is_resolved(ending) else None
    until = resolved_at if resolved_at is not None else max(to_microseconds(now), report["began_at"])
    return {
        "outage_id": report["outage_id"],
        "account_id": report["account"],
        "subscription_id": report["subscription_id"],
        "severity": report["severity"],
        "cause": report["cause"],
        "channel": report["channel"],
        "status": "open" if ending is None else ending["said"],
        "began_at": shown_instant(report["began_at"]),
        "reported_at": shown_instant(report["reported_at"]),
        "resolved_at": shown_instant(resolved_at),
        "duration_seconds": (until - report["began_at"]) // 1_000_000,
        "claims": decided,
        "complaint_ids": linked.get((report["account"], "outage", report["outage_id"]), []),
    }
