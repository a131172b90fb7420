"""Complaints: open from when a customer complained until support resolves them, and again when reopened (policy §8).

Facts come in any order, so each has a row of its own, and what became of a complaint is told where it is shown: by
the last of those that open or resolve it, in the order of their messages. Links lead both ways: a complaint names
what it has to do with, and `linked` finds the complaints of a dispute, an outage or a goodwill credit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ledger.events import (
    ComplaintFact,
    ComplaintLinked,
    ComplaintNoted,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
)
from ledger.store.instants import to_microseconds
from projections import goodwill
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

STEPS = Table(
    "complaints",
    {
        "account": "TEXT",
        "complaint_id": "TEXT",
        "event_id": "TEXT",
        "step": "TEXT",
        "subscription_id": "TEXT",
        "channel": "TEXT",
        "category": "TEXT",
        "resolution_code": "TEXT",
        "kind": "TEXT",
        "linked_id": "TEXT",
        **MESSAGE,
    },
    key=("account", "complaint_id", "event_id"),
    appends=True,
    indexes=("complaint_id",),
)
STEP = {
    ComplaintOpened: "opened",
    ComplaintResolved: "resolved",
    ComplaintResolvedV1: "resolved",
    ComplaintReopened: "reopened",
    ComplaintNoted: "noted",
    ComplaintLinked: "linked",
}


def fold(rows: Rows, _: Place, event: ComplaintFact) -> None:
    """Every fact of a complaint is a step of it."""
    opened = event.data if isinstance(event, ComplaintOpened) else None
    linked = event.data if isinstance(event, ComplaintLinked) else None
    rows.put(
        STEPS,
        {
            "account": event.account,
            "complaint_id": event.data.complaint_id,
            "event_id": event.event_id,
            "step": STEP[type(event)],
            "subscription_id": opened.subscription_id if opened is not None else None,
            "channel": opened.channel if opened is not None else None,
            "category": opened.category if opened is not None else None,
            "resolution_code": event.data.resolution_code if isinstance(event, ComplaintResolved) else None,
            "kind": linked.kind if linked is not None else None,
            "linked_id": linked.linked_id if linked is not None else None,
            **message_of(event),
        },
    )


COMPLAINTS = Projection("complaints", 2, (STEPS,), (ComplaintFact,), fold)


def listed(state: State, left_out: LeftOut) -> list[dict[str, Any]]:
    """The complaints that were opened, by account and id; those of which only a later step is known wait for it."""
    steps: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in counting(state["complaints"], left_out):
        steps[row["account"], row["complaint_id"]].append(row)
    credits = goodwill.credits_by_complaint(state, left_out)
    return [
        _shown(sorted(steps[key], key=order_of), credits.get((key[0], key[1]), []))
        for key in sorted(steps)
        if any(row["step"] == "opened" for row in steps[key])
    ]


def _shown(steps: list[Row], credits: list[str]) -> dict[str, Any]:
    opened = next(row for row in steps if row["step"] == "opened")
    last = [row for row in steps if row["step"] in ("opened", "resolved", "reopened")][-1]
    resolved = last["step"] == "resolved"
    links = [(row["kind"], row["linked_id"]) for row in steps if row["step"] == "linked"]
    links += [("goodwill", credit_id) for credit_id in credits]
    return {
        "complaint_id": opened["complaint_id"],
        "account_id": opened["account"],
        "subscription_id": opened["subscription_id"],
        "category": opened["category"],
        "channel": opened["channel"],
        "status": "resolved" if resolved else "open",
        "opened_at": shown_instant(opened["message_time"]),
        "resolved_at": shown_instant(last["message_time"]) if resolved else None,
        "resolution_code": last["resolution_code"] if resolved else None,
        "links": [{"kind": kind, "linked_id": linked_id} for kind, linked_id in dict.fromkeys(links)],
        "notes": sum(row["step"] == "noted" for row in steps),
        "steps": [
            {"step": row["step"], "at": shown_instant(row["message_time"]), "event_id": row["event_id"]}
            for row in steps
        ],
    }


def linked(complaints: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str], list[str]]:
    """The ids of the complaints that have to do with something, by account, kind and id of it."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for complaint in complaints:
        for link in complaint["links"]:
            found[complaint["account_id"], link["kind"], link["linked_id"]].append(complaint["complaint_id"])
    return found


def open_seconds(complaint: dict[str, Any], now: datetime) -> int | None:
    """How long an open complaint has been open, from when it was first opened; None for one that is resolved."""
    if complaint["status"] != "open":
        return None
    began = datetime.fromisoformat(complaint["opened_at"])
    return (to_microseconds(now) - to_microseconds(began)) // 1_000_000
