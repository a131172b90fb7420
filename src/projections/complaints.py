"""Complaints: open from when a customer complained until support resolves them, and again when reopened (policy §8).

Facts come in any order, so each has a row of its own, and what became of a complaint is told where it is shown: by
the last of those that open or resolve it, in the order of their messages. `complaint_standings` keeps that much of
each complaint that was opened, for the list to be found by. Links lead both ways: a complaint names what it has to do
with, and `linked_in` finds the complaints of a dispute, an outage or a goodwill credit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.events import (
    AlarmCleared,
    AlarmRaised,
    ComplaintFact,
    ComplaintLinked,
    ComplaintNoted,
    ComplaintOpened,
    ComplaintOpenedV1,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
    FactRetracted,
    LinkedKind,
)
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.page import Listed, Order, Page, Where, check_at_most
from ledger.values import instant_from_text
from projections import goodwill
from projections.age_classes import AgeClass, Aged, age_in_sql, aged, of_age
from projections.alarms import LEFT_OUT_BY, left_out
from projections.asking import Accounts, accounts_of, rows_listed, state_in, the_only
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of_fact
from projections.left_out import LeavingOut
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.shown_values import Instant, shown_instant

Handled = ComplaintFact | FactRetracted | AlarmRaised | AlarmCleared
HANDLED = (ComplaintFact, FactRetracted, AlarmRaised, AlarmCleared)

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
    reads=HANDLED,
)
STANDINGS = Table(
    "complaint_standings",
    {"account": "TEXT", "complaint_id": "TEXT", "resolved": "INTEGER", "opened_at": "INSTANT"},
    key=("account", "complaint_id"),
    reads=HANDLED,
    indexes=(
        Index("oldest", ("resolved", "opened_at", "account", "complaint_id")),
        Index("complaint_id", ("complaint_id",)),
    ),
    finding=True,
)
LEAVING_OUT = LeavingOut.of("complaints", HANDLED, alarmed=True)

Step = Literal["opened", "resolved", "reopened", "noted", "linked"]
STEP: dict[type[ComplaintFact], Step] = {
    ComplaintOpened: "opened",
    ComplaintOpenedV1: "opened",
    ComplaintResolved: "resolved",
    ComplaintResolvedV1: "resolved",
    ComplaintReopened: "reopened",
    ComplaintNoted: "noted",
    ComplaintLinked: "linked",
}


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """Every fact is a step of its complaint, which may stand otherwise when one counts or no longer does."""
    if isinstance(event, ComplaintFact):
        rows.put(STEPS, _step(event))
        _stand(rows, event.account, event.data.complaint_id)
    elif LEAVING_OUT.fold(rows, event):
        for complaint_id in {row["complaint_id"] for row in rows.of_account(STEPS, event.account)}:
            _stand(rows, event.account, complaint_id)


def _step(event: ComplaintFact) -> Row:
    opened = event.data if isinstance(event, ComplaintOpened) else None
    linked = event.data if isinstance(event, ComplaintLinked) else None
    return {
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
    }


def _stand(rows: Rows, account: str, complaint_id: str) -> None:
    """Keep how a complaint stands; one of which only a later step is known waits for it."""
    of_it = [row for row in rows.of_account(STEPS, account) if row["complaint_id"] == complaint_id]
    steps = sorted(counting(of_it, LEAVING_OUT.left_out(rows, account)), key=order_of_fact)
    if any(row["step"] == "opened" for row in steps):
        opened, resolved = _opened(steps), _resolved(steps) is not None
        standing = {"resolved": int(resolved), "opened_at": opened["message_time"]}
        rows.put(STANDINGS, {"account": account, "complaint_id": complaint_id, **standing})
    elif rows.get(STANDINGS, account, complaint_id) is not None:
        rows.delete(STANDINGS, account, complaint_id)


def _opened(steps: Iterable[Row]) -> Row:
    return next(row for row in steps if row["step"] == "opened")


def _resolved(steps: Iterable[Row]) -> Row | None:
    """The step that resolved a complaint, unless it was opened again after it."""
    last = [row for row in steps if row["step"] in ("opened", "resolved", "reopened")][-1]
    return last if last["step"] == "resolved" else None


COMPLAINTS = Projection("complaints", 3, (STEPS, STANDINGS, *LEAVING_OUT.tables), HANDLED, fold)


class ComplaintStep(TypedDict):
    """A step in the history of a complaint."""

    step: Step
    at: Instant
    event_id: str


class Link(TypedDict):
    """An outage, a dispute or a goodwill credit linked to a complaint."""

    kind: LinkedKind
    linked_id: str


class ComplaintHead(TypedDict):
    """A complaint, but for its steps."""

    complaint_id: str
    account_id: str
    subscription_id: str | None
    category: Annotated[str | None, Field(description="Null if it is free text, except in a complaint in full.")]
    channel: Annotated[str | None, Field(description="Null if it is free text, except in a complaint in full.")]
    status: Literal["open", "resolved"]
    opened_at: Instant
    resolved_at: Instant | None
    resolution_code: Annotated[str | None, Field(description="Null if the resolution is free text.")]
    links: list[Link]
    notes: Annotated[int, Field(description="The number of notes.")]


class ComplaintOfAccount(ComplaintHead):
    """A customer's complaint."""

    steps: list[ComplaintStep]


class Complaint(ComplaintOfAccount):
    """A customer's complaint with its age."""

    age_seconds: Annotated[int | None, Field(description="Null once it is resolved.")]


ORDER: Order = {"resolved": int, "opened_at": int, "account": str, "complaint_id": str}


def listed(
    database: Database,
    now: datetime,
    *,
    accounts: Accounts = None,
    still_open: bool = False,
    age: AgeClass | None = None,
    page: Page | None = None,
) -> Listed[Complaint]:
    """The complaints, those first that have been open longest; `still_open` leaves out the resolved ones, `age` all
    but the open ones of that class."""
    where = of_age(Where().among("account", accounts), "opened_at", age, now)
    if still_open or age is not None:
        where.that("resolved = 0")
    with database.reading() as transaction:
        return _listed(transaction, now, where, page)


def by_age(database: Database, now: datetime, *, accounts: Accounts = None, at_most: int | None = None) -> list[Aged]:
    """The open complaints in classes of age. None is overdue: the policy sets no term for them.

    Raises TooManyRows for more than `at_most`.
    """
    where = Where().among("account", accounts).that("resolved = 0")
    standings = COMPLAINTS.stored_name(STANDINGS)
    with database.reading() as transaction:
        check_at_most(transaction, standings, where, at_most)
        return aged(
            transaction.rows(
                f"SELECT age, COUNT(*), 0 FROM (SELECT {age_in_sql('opened_at', now)} AS age FROM {standings}{where}"
                ") AS complaints GROUP BY age",
                where.values,
            )
        )


def find(
    databases: Iterable[Database], now: datetime, complaint_id: str, account: str | None = None
) -> Complaint | None:
    """The complaint with this id in some databases, if it was opened. Raises AmbiguousId where several accounts have
    one."""
    where = Where().equal(account=account, complaint_id=complaint_id)
    found: list[Complaint] = []
    for database in databases:
        with database.reading() as transaction:
            found += _listed(transaction, now, where)
    return the_only(sorted(found, key=lambda each: each["account_id"]), complaint_id)


def _listed(transaction: Transaction, now: datetime, where: Where, page: Page | None = None) -> Listed[Complaint]:
    found = rows_listed(transaction, COMPLAINTS, STANDINGS, where, page, ORDER)
    by_id = {(each["account_id"], each["complaint_id"]): each for each in _of(transaction, accounts_of(found))}
    complaints = (by_id[row["account"], row["complaint_id"]] for row in found)
    aged: list[Complaint] = [{**each, "age_seconds": open_seconds(each, now)} for each in complaints]
    return found.told(aged)


def _of(transaction: Transaction, accounts: Collection[str]) -> list[ComplaintOfAccount]:
    state = state_in(transaction, TOLD_BY, accounts)
    return shown(state, left_out(state))


TOLD_BY = ((COMPLAINTS, STEPS), (goodwill.GOODWILL, goodwill.FACTS), *LEFT_OUT_BY)
"""The tables that complaints are told by."""


Linked = dict[tuple[str, str, str], list[str]]
"""The ids of the complaints that have to do with something, by account, kind and id of it."""


def linked_in(transaction: Transaction, accounts: Collection[str]) -> Linked:
    """What the complaints of some accounts have to do with."""
    return linked(_of(transaction, accounts))


def linked_by(state: State) -> Linked:
    """What complaints have to do with, by the rows of `TOLD_BY`."""
    return linked(shown(state, left_out(state)))


def linked(complaints: Iterable[ComplaintHead]) -> Linked:
    """What some complaints have to do with."""
    found: Linked = defaultdict(list)
    for complaint in complaints:
        for link in complaint["links"]:
            found[complaint["account_id"], link["kind"], link["linked_id"]].append(complaint["complaint_id"])
    return found


def about(database: Database, account: str, things: Iterable[tuple[LinkedKind, str]]) -> list[str]:
    """The ids of an account's complaints that have to do with any of these, each a kind and an id."""
    with database.reading() as transaction:
        found = linked_in(transaction, [account])
    return sorted({id_ for kind, linked_id in things for id_ in found.get((account, kind, linked_id), ())})


def shown(state: State, left_out: LeftOut) -> list[ComplaintOfAccount]:
    """The complaints that were opened, by account and id."""
    steps: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in counting(state[STEPS.name], left_out):
        steps[row["account"], row["complaint_id"]].append(row)
    credits = goodwill.credits_by_complaint(state, left_out)
    return [
        _shown(sorted(steps[key], key=order_of_fact), credits.get(key, []))
        for key in sorted(steps)
        if any(row["step"] == "opened" for row in steps[key])
    ]


def _shown(steps: list[Row], credits: list[str]) -> ComplaintOfAccount:
    opened, resolved = _opened(steps), _resolved(steps)
    links: list[tuple[LinkedKind, str]] = [(r["kind"], r["linked_id"]) for r in steps if r["step"] == "linked"]
    links += [("goodwill", credit_id) for credit_id in credits]
    return {
        "complaint_id": opened["complaint_id"],
        "account_id": opened["account"],
        "subscription_id": opened["subscription_id"],
        "category": opened["category"],
        "channel": opened["channel"],
        "status": "resolved" if resolved is not None else "open",
        "opened_at": shown_instant(opened["message_time"]),
        "resolved_at": shown_instant(resolved["message_time"]) if resolved is not None else None,
        "resolution_code": resolved["resolution_code"] if resolved is not None else None,
        "links": [{"kind": kind, "linked_id": linked_id} for kind, linked_id in dict.fromkeys(links)],
        "notes": sum(row["step"] == "noted" for row in steps),
        "steps": [
            {"step": row["step"], "at": shown_instant(row["message_time"]), "event_id": row["event_id"]}
            for row in steps
        ],
    }


def open_seconds(complaint: ComplaintHead, now: datetime) -> int | None:
    """How long an open complaint has been open, from when it was first opened; None for one that is resolved."""
    if complaint["status"] != "open":
        return None
    began = instant_from_text(complaint["opened_at"])
    return (to_microseconds(now) - to_microseconds(began)) // 1_000_000
