"""One account: what is open and what happened, newest first; as it stands or stood; its history as a journal; and its
events one by one with what each changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, get_args
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.store.positions import KnownAt
from ledger.store.reading.page import Page
from makegood.access.permissions import Action
from makegood.answers import account as answering
from makegood.answers import history as historical
from makegood.answers.account import Account
from makegood.answers.customer import contact
from makegood.answers.moments import as_of_from_text, known_at_from_text
from makegood.answers.open_matters import open_matters
from makegood.exports.history import CSV, history_csv
from makegood.pages.lists import FIRST_DAY, LAST_DAY, FilterField, Slice, asked_list, choice, shown_list, slice_of
from makegood.pages.route import PageRoute
from makegood.pages.shell import Frame, Room, page
from makegood.pages.visitor import TurnedAway, Visitor, house_of, not_there, own_room, visits
from projections import audit_trail

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ACCOUNT = "/console/accounts/{account}"

EVENTS = 25
"""The events of one page of a timeline."""
SHOWN_AT_ONCE = 10
"""So many open matters of each kind are shown; the others stand in the lists of their kind."""

_TABLES = {
    "claims": "claim_id",
    "refunds": "refund_id",
    "credits": "credit_id",
    "charges": "charge_id",
    "payments": "payment_id",
}
"""The tables of an account that grow, each with the id of its rows."""

_ACTS: tuple[tuple[str, str, Action], ...] = (
    ("Register an outage", "outage", "outage.report"),
    ("Open a dispute", "dispute", "dispute.open"),
    ("Open a complaint", "complaint/new", "complaint.open"),
    ("Cancel a subscription", "cancellation", "subscription.cancel"),
    ("Withdraw a cancellation", "withdrawal", "subscription.withdraw_cancellation"),
)
"""What can be done for the customer: in words, at which page below the account's, and by whom."""

_WHILE: Mapping[str, Set[str]] = {"cancellation": {"active", "suspended"}, "withdrawal": {"cancelling"}}
"""What can be done only as long as a subscription stands so."""

_HISTORY = (
    choice("kind", "Kind", get_args(audit_trail.Kind)),
    FilterField("type", "Type"),
    FilterField("claim", "Claim"),
    FilterField("by", "Actor"),
    choice("clock", "Days are those", ("occurrence",), {"occurrence": "on which it became true"}),
    FIRST_DAY,
    LAST_DAY,
)


@router.get(ACCOUNT)
def account(request: Request, visitor: Annotated[Visitor, visits("account.read")], account: str) -> Response:
    """An account as it stands, or as it was by both clocks."""
    asked = {name: request.query_params.get(name, "").strip() for name in ("as_of", "known_at")}
    wrong: dict[str, str] = {}
    as_of: date | None = None
    known_at: KnownAt | None = None
    try:
        as_of = as_of_from_text(asked["as_of"]) if asked["as_of"] else None
    except ValueError as error:
        wrong["as_of"] = str(error)
    try:
        known_at = known_at_from_text(asked["known_at"]) if asked["known_at"] else None
    except ValueError as error:
        wrong["known_at"] = str(error)
    found = answering.account(house_of(request), visitor.caller.sight, account, as_of, known_at).answer
    return page(
        account_frame(visitor, found["time_zone"]),
        "console/account.html",
        title=f"Account {account}",
        status=422 if wrong else 200,
        account=found,
        tabs=_tabs(visitor, account),
        asked=asked,
        wrong=wrong,
        **_state(request, found),
    )


@router.get(ACCOUNT + "/timeline")
def timeline(request: Request, visitor: Annotated[Visitor, visits("history.read")], account: str) -> Response:
    """What is open of the account, and what happened in it, newest first."""
    house, sight = house_of(request), visitor.caller.sight
    found = answering.account(house, sight, account)
    last = found.version or 0
    asked = request.query_params.get("before", str(last + 1))
    if not asked.isdecimal() or not 1 < (before := int(asked)) <= last + 1:
        raise TurnedAway(not_there(visitor.frame))
    first = max(1, before - EVENTS)
    entries = historical.history(house, sight, account, page=Page(before - first, (first - 1,)))
    address = address_of(account) + "/timeline"
    stand = {row["status"] for row in found.answer["subscriptions"]}
    acts = [
        (label, f"{address_of(account)}/{name}")
        for label, name, action in _ACTS
        if visitor.may(action) and (name not in _WHILE or stand & _WHILE[name])
    ]
    return page(
        account_frame(visitor, found.answer["time_zone"]),
        "console/timeline.html",
        title=f"Account {account}",
        tabs=_tabs(visitor, account),
        account=found.answer,
        contact=contact(house, sight, account),
        open=open_matters(house, sight, found.answer) if before == last + 1 else None,
        entries=entries[::-1],
        newest=address if before <= last else None,
        older=f"{address}?before={first}" if first > 1 else None,
        acts=acts,
        shown_at_once=SHOWN_AT_ONCE,
    )


@router.get(ACCOUNT + "/history")
def history(request: Request, visitor: Annotated[Visitor, visits("history.read")], account: str) -> Response:
    """All facts and decisions in order, each in a sentence with why, by whom, and what was owed after it."""
    house, sight = house_of(request), visitor.caller.sight
    asked = asked_list(request, _HISTORY, audit_trail.ORDER)
    rows = historical.history(
        house,
        sight,
        account,
        page=asked.page,
        claim=asked.one_of("claim"),
        kind=asked.one_of("kind"),
        type_=asked.one_of("type"),
        actor=asked.one_of("by"),
        from_=asked.filters.from_,
        to=asked.filters.to,
        by_occurrence=asked.one_of("clock") is not None,
    )
    if request.query_params.get("format") == "csv":
        return Response(history_csv(rows), media_type=CSV, headers={"Cache-Control": "no-store"})
    return page(
        account_frame(visitor, answering.time_zone(house, sight, account)),
        "console/history.html",
        title=f"History of {account}",
        tabs=_tabs(visitor, account),
        asked=asked,
        shown=shown_list(request, asked, rows),
        account_id=account,
    )


@router.get(ACCOUNT + "/replay")
def replay(request: Request, visitor: Annotated[Visitor, visits("history.read")], account: str) -> Response:
    """The account after one of its events, with what that event changed."""
    house, sight = house_of(request), visitor.caller.sight
    with house.database.reading() as transaction:
        last = audit_trail.version_folded(transaction, account) or 0
    asked = request.query_params.get("after", "1")
    if not asked.isdecimal() or not 1 <= (number := int(asked)) <= last:
        raise TurnedAway(not_there(visitor.frame))
    step = answering.replayed(house, sight, account, number)[-1]
    known_at = known_at_from_text(step["position"])
    found = answering.account(house, sight, account, known_at=known_at).answer
    entry = historical.history(house, sight, account, page=Page(1, (number - 1,)))[0]
    return page(
        account_frame(visitor, found["time_zone"]),
        "console/replay.html",
        title=f"Account {account} after event {number}",
        tabs=_tabs(visitor, account),
        account=found,
        step=step,
        entry=entry,
        number=number,
        last=last,
        address=address_of(account) + "/replay",
        asked={"as_of": "", "known_at": step["position"]},
        wrong={},
        **_state(request, found, frozenset(str(key) for change in step["changed"] for key in change["key"].values())),
    )


def _state(request: Request, account: Account, changed: Set[str] = frozenset()) -> dict[str, Any]:
    """Slices of the tables of an account; in each table those rows come first that were changed."""

    def shown(table: str, id_: str) -> Slice[Mapping[str, Any]]:
        rows: Sequence[Mapping[str, Any]] = account.get(table, [])  # type: ignore[assignment]
        return slice_of(request, table, sorted(rows, key=lambda row: row[id_] not in changed))

    return {
        "slices": {table: shown(table, id_) for table, id_ in _TABLES.items()},
        "changed": changed - {account["account_id"]},
        "shown_at_once": SHOWN_AT_ONCE,
    }


def account_frame(visitor: Visitor, zone: str | None) -> Frame:
    """The frame in the account's own zone, where it has one, in the room in which they look at accounts."""
    return replace(visitor.frame, room=room_of(visitor), zone=zone or visitor.frame.zone)


def room_of(visitor: Visitor) -> Room:
    """The room in which somebody looks at accounts."""
    return own_room(visitor.caller.roles)


def first_page_of(visitor: Visitor, account: str) -> str:
    """Where somebody begins with an account: support with what is open and what happened."""
    return address_of(account) + ("/timeline" if room_of(visitor) == "support" else "")


def _tabs(visitor: Visitor, account: str) -> list[tuple[str, str]]:
    address = address_of(account)
    stands = ("As it stands", address)
    if not visitor.may("history.read"):
        return [stands]
    journal = [("History", f"{address}/history"), ("Replay", f"{address}/replay")]
    return [("Timeline", f"{address}/timeline"), stands, *journal]


def address_of(account: str) -> str:
    """The address of an account as it stands; what else there is of it is below."""
    return ACCOUNT.replace("{account}", quote(account, safe=""))
