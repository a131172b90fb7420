"""Finance's room: the month board, and the lists of what is owed, paid and open, with their totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from starlette.responses import Response

from ledger.events import RefundStatus
from ledger.events.billing_account import Clause, Outcome
from ledger.store.positions import KnownAt
from ledger.values import Month, month_from_text, month_of
from makegood.answers import finance, owed
from makegood.answers.moments import known_at_from_text
from makegood.answers.month_board import BoardOfCurrency, Flow, Others, month_board
from makegood.exports.downloading import ExportsBusy, download
from makegood.exports.lists import LIST_FORMATS, What
from makegood.exports.parquet import MissingExtra
from makegood.pages.amounts import amount_by_code, locale_of
from makegood.pages.charts import Bar, bars
from makegood.pages.lists import (
    ACCOUNT,
    AGREEMENT,
    CURRENCY,
    FIRST_DAY,
    LAST_DAY,
    LEAST,
    LIVE_ROWS,
    PLAN,
    ROWS,
    AskedList,
    FilterField,
    added_up,
    asked_list,
    choice,
    shown_list,
)
from makegood.pages.live import live_of
from makegood.pages.route import PageRoute
from makegood.pages.shell import Entry, file_answer, page
from makegood.pages.visitor import TurnedAway, Visitor, house_of, not_there, visits
from projections import claims as claims_
from projections import credits as credits_
from projections import moved
from projections import owed as owed_
from projections import refunds as refunds_
from projections.age_classes import AGE_CLASSES
from projections.credits import CreditStatus
from projections.movement_kinds import KINDS, OWED

router = APIRouter(include_in_schema=False, route_class=PageRoute)

MONTHS, OWED_PATH = "/console/months", "/console/owed"

ENTRIES = (
    Entry("finance", "Month", MONTHS, "owed.read"),
    Entry("finance", "Owed", OWED_PATH, "owed.read"),
    Entry("finance", "Refunds", "/console/refunds", "refund.read"),
    Entry("finance", "Credits", "/console/credits", "credit.read"),
    Entry("finance", "Claims", "/console/claims", "claim.read"),
    Entry("finance", "Movements", "/console/movements", "movement.read"),
)

FLOW_LABELS: dict[Flow, str] = {
    "granted": "Granted",
    "paid": "Paid out",
    "credited": "Credited",
    "reduced": "Taken off invoices",
}
OWED_LABELS = {
    "refunds_due": "refunds due",
    "credits_left": "credits left",
    "excess": "paid in excess",
    "overpaid": "overpaid by us",
}
AGE_LABELS = {"0-7": "0 to 7 days", "8-30": "8 to 30 days", "31-60": "31 to 60 days", "over-60": "over 60 days"}
_OF_CLAUSE = choice("clause", "Clause", get_args(Clause))
_OF_AGE = choice("age", "Age", AGE_CLASSES, AGE_LABELS)
_MONEY = (ACCOUNT, CURRENCY, _OF_CLAUSE, AGREEMENT, PLAN, LEAST)
_PERIOD = (FIRST_DAY, LAST_DAY)
_KNOWN_AT = FilterField("known_at", "Known at")
_CLAIMS = (choice("outcome", "Outcome", get_args(Outcome)), *_MONEY, *_PERIOD)
_REFUNDS = (choice("status", "Status", get_args(RefundStatus)), *_MONEY, *_PERIOD)
_CREDITS = (choice("status", "Status", get_args(CreditStatus)), *_MONEY, *_PERIOD)
_MOVEMENTS = (choice("kind", "Kind", KINDS), *_MONEY, *_PERIOD)


@router.get(MONTHS)
def present_month(request: Request, visitor: Annotated[Visitor, visits("owed.read", "finance")]) -> Response:
    """Leads to the board of the present month."""
    house = house_of(request)
    return RedirectResponse(f"{MONTHS}/{month_of(house.now(), house.settings.time_zone)}", 303)


@router.get(MONTHS + "/{month}")
def month(request: Request, visitor: Annotated[Visitor, visits("owed.read", "finance")], month: str) -> Response:
    """The board of a month."""
    house = house_of(request)
    board = month_board(house, visitor.caller.sight, asked_month(visitor, month))
    return page(
        visitor.frame,
        "console/month.html",
        title=f"Month {month}",
        board=board,
        charts={of["currency"]: _charts(of) for of in board["currencies"]},
        flow_labels=FLOW_LABELS,
        owed_labels=OWED_LABELS,
        age_labels=AGE_LABELS,
        zone=house.settings.time_zone,
    )


def asked_month(visitor: Visitor, month: str) -> Month:
    """The month in an address. Raises TurnedAway for what is none."""
    try:
        return month_from_text(month)
    except ValueError:
        raise TurnedAway(not_there(visitor.frame)) from None


def _charts(board: BoardOfCurrency) -> dict[str, Markup]:
    currency = board["currency"]
    locale = locale_of("en")

    def bar(row: Any, label: str) -> Bar:
        amounts = tuple(Decimal(row[name]) for name in OWED)
        return Bar(label, amounts, amount_by_code(row["total"], currency, locale))

    def chart(title: str, rows: Iterable[Any], label: Any, others: Others | None = None) -> Markup:
        drawn = [bar(row, label(row)) for row in rows]
        if others is not None:
            drawn.append(bar(others, f"{others['groups']} others"))
        return bars(f"{title}, {currency}", drawn, [OWED_LABELS[name] for name in OWED])

    return {
        "age": chart("Owed by age", board["by_age"], lambda row: AGE_LABELS[row["age"]]),
        "clause": chart("Owed by clause", board["by_clause"], lambda row: _name(row["clause"], "excess payment")),
        "agreement": chart(
            "Owed by agreement",
            board["by_agreement"],
            lambda row: _name(row["agreement"], "none"),
            board["other_agreements"],
        ),
        "plan": chart("Owed by plan", board["by_plan"], lambda row: _name(row["plan"], "none"), board["other_plans"]),
    }


def _name(name: str | None, nothing: str) -> str:
    return nothing if name is None else name.replace("_", " ")


# --- lists --------------------------------------------------------------------------------------------------------


@router.get(OWED_PATH)
def amounts_owed(request: Request, visitor: Annotated[Visitor, visits("owed.read", "finance")]) -> Response:
    """What is owed, item by item, with its sums."""
    house, sight = house_of(request), visitor.caller.sight
    fields = (choice("counted_as", "Counted as", OWED, OWED_LABELS), *_MONEY, _OF_AGE, _KNOWN_AT)
    asked = asked_list(request, fields, owed_.ORDER)
    narrowed: dict[str, Any] = {
        "counted_as": asked.one_of("counted_as"),
        "age": asked.one_of("age"),
        "known_at": _known_at(asked),
    }
    rows = finance.owed_items(house, sight, page=asked.page, **narrowed, **asked.filters.asked())
    asked_for = asked.filters.asked()
    added = added_up(
        request, lambda rows: finance.owed_sums(house, sight, **narrowed, at_most=rows, **asked_for)["totals"]
    )
    return page(
        visitor.frame,
        "console/owed.html",
        title="Amounts owed",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=added.sums,
        sums_at=added.at,
        owed_labels=OWED_LABELS,
        age_labels=AGE_LABELS,
    )


@router.get("/console/refunds")
def refunds(request: Request, visitor: Annotated[Visitor, visits("refund.read", "finance")]) -> Response:
    """Refunds with their status."""
    return _list(
        request, visitor, "refunds", "Refunds", _REFUNDS, refunds_.ORDER, owed.refunds, owed.refund_totals, "status"
    )


@router.get("/console/credits")
def credits(request: Request, visitor: Annotated[Visitor, visits("credit.read", "finance")]) -> Response:
    """Credits with what is left of them."""
    return _list(
        request, visitor, "credits", "Credits", _CREDITS, credits_.ORDER, owed.credits, owed.credit_totals, "status"
    )


@router.get("/console/claims")
def claims(request: Request, visitor: Annotated[Visitor, visits("claim.read", "finance")]) -> Response:
    """Claims with their outcome."""
    return _list(
        request, visitor, "claims", "Claims", _CLAIMS, claims_.ORDER, owed.claims, owed.claim_totals, "outcome"
    )


@router.get("/console/movements")
def movements(request: Request, visitor: Annotated[Visitor, visits("movement.read", "finance")]) -> Response:
    """What moved, in the order in which it was recorded, with its sums."""
    house, sight = house_of(request), visitor.caller.sight
    asked = asked_list(request, _MOVEMENTS, moved.order("recorded_at"))
    kind = asked.one_of("kind")
    asked_for = asked.filters.asked()
    rows = finance.movements(house, sight, kind=kind, page=asked.page, **asked_for)
    added = added_up(
        request, lambda rows: finance.movement_totals(house, sight, kind=kind, at_most=rows, **asked_for)
    )
    return page(
        visitor.frame,
        "console/movements.html",
        title="Movements",
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=added.sums,
        sums_at=added.at,
        export=asked.address("/console/exports/movements") if visitor.may("export.read") else None,
    )


def _known_at(asked: AskedList) -> KnownAt | None:
    """What a list is asked for by what was recorded then; what cannot be meant so is marked."""
    said = asked.one_of(_KNOWN_AT.name)
    if said is None:
        return None
    try:
        return known_at_from_text(said)
    except ValueError as error:
        asked.refuse(_KNOWN_AT.name, str(error))
        return None


def _list(
    request: Request,
    visitor: Visitor,
    name: str,
    title: str,
    fields: Sequence[FilterField],
    order: Any,
    question: Any,
    totals: Any,
    status: str,
) -> Response:
    """A list with one status as a filter of its own."""
    waits = request.query_params.get(status) in _WAITING and visitor.may("waiting.read")
    asked = asked_list(request, fields, order, LIVE_ROWS if waits else ROWS)
    chosen = {status: asked.one_of(status)}
    house, sight = house_of(request), visitor.caller.sight
    # Before the rows: what comes while they are read is told as a change.
    live: dict[str, Any] = {"live": live_of(request).mark()} if waits else {}
    rows = question(house, sight, page=asked.page, **chosen, **asked.filters.asked())
    added = added_up(request, lambda rows: totals(house, sight, at_most=rows, **chosen, **asked.filters.asked()))
    return page(
        visitor.frame,
        f"console/{name}.html",
        title=title,
        asked=asked,
        shown=shown_list(request, asked, rows),
        totals=added.sums,
        sums_at=added.at,
        export=asked.address(f"/console/exports/{name}") if visitor.may("export.read") else None,
        **live,
    )


_WAITING = {"due", "approved", "submitted", "pending"}
"""What waits for somebody: a list of these refreshes by itself."""


# --- exports ------------------------------------------------------------------------------------------------------


_STATUS_OF: dict[What, str] = {"claims": "outcome", "refunds": "status", "credits": "status", "movements": "kind"}
_FIELDS_OF: dict[What, Sequence[FilterField]] = {
    "claims": _CLAIMS,
    "refunds": _REFUNDS,
    "credits": _CREDITS,
    "movements": _MOVEMENTS,
}


@router.get("/console/exports/{what}")
def export(request: Request, visitor: Annotated[Visitor, visits("export.read", "finance")], what: str) -> Response:
    """All rows of a list in one file, with the list's filters."""
    listed = next((each for each in _FIELDS_OF if each == what), None)
    format_ = next((each for each in LIST_FORMATS if each == request.query_params.get("format")), None)
    if listed is None or format_ is None:
        raise TurnedAway(not_there(visitor.frame))
    asked = asked_list(request, _FIELDS_OF[listed], {})
    if asked.wrong:
        raise TurnedAway(
            _not_exported(visitor, 422, "One of the filters cannot be meant so: correct it in the list.")
        )
    filters = {**asked.filters.asked(), _STATUS_OF[listed]: asked.one_of(_STATUS_OF[listed])}
    try:
        file = download(house_of(request), visitor.caller.sight, listed, format_, filters)
    except ExportsBusy:
        raise TurnedAway(
            _not_exported(visitor, 503, "Other exports are being made at the moment: try again in a minute.")
        ) from None
    except MissingExtra:
        raise TurnedAway(
            _not_exported(visitor, 422, "This server cannot write Parquet: choose Excel or CSV, or ask its operator.")
        ) from None
    return file_answer(file)


def _not_exported(visitor: Visitor, status: int, why: str) -> Response:
    return page(
        visitor.frame,
        "turned_away.html",
        title="The export was not made",
        status=status,
        paragraphs=(why,),
        leads_to=(MONTHS, "To the month board"),
    )
