"""The questions that finance asks: what is owed, what moved in a period, and what changed (contract §3b)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from ledger.store.reading.page import Order, Page
from makegood.access.caller import Caller
from makegood.answers import finance as answering
from makegood.api.asked import AsOfThen, KnownAtMoment, KnownThen, OfAccount, check_as_of
from makegood.api.filters import AskedFilters, AskedFiltersAndPeriod, OfAge, pattern_of, words_in
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.paging import answer_page, pages
from makegood.api.questions import answers
from projections import changes as changes_
from projections import owed
from projections.movement_kinds import MovementKind, Owed, Settlement

finance = APIRouter(tags=["Finance"], route_class=Guarded)

CountedAs = Annotated[Owed | None, Query(description="Only amounts that are counted so.")]
OfKind = Annotated[MovementKind | None, Query(description="Only this kind.")]
OfSettlement = Annotated[Settlement | None, Query(description="Only this way of settling.")]
ByOccurrence = Annotated[
    bool,
    Query(description="Take the period in which movements became true, not that in which they were recorded."),
]
OwedBy = Annotated[
    str,
    Query(
        pattern=pattern_of(("currency", *owed.GROUPINGS)),
        description="The groups of the sums, with commas between them; currencies always are.",
    ),
]
MovedBy = Annotated[
    str | None,
    Query(
        pattern=pattern_of(("currency", "kind", *answering.GROUPINGS)),
        description="The groups of the sums, with commas between them; currencies and kinds always are.",
    ),
]
MOVEMENTS_ORDER: Order = {"at": int, "shard": int, "position": int, "number": int}


@finance.get("/owed", summary="Get the amounts owed, in sums", responses=answers(answering.OwedFound))
def owed_sums(
    house: TheHouse,
    caller: Annotated[Caller, allowed("owed.read")],
    filters: AskedFilters,
    by: OwedBy = "currency",
    counted_as: CountedAs = None,
    age: OfAge = None,
    as_of: AsOfThen = None,
    known_at: KnownThen = None,
) -> Response:
    """Refunds due, credits left and excess payments, less overpaid amounts, by currency and the given groups.

    An assessment of all accounts anew takes long, so `as_of` is for one account; the command line does it for all.
    """
    check_as_of(caller.sight, as_of, filters.account)
    groups = words_in(by, owed.GROUPINGS)
    found = answering.owed_sums(
        house, caller.sight, groups, counted_as=counted_as, age=age, as_of=as_of, known_at=known_at, **filters.asked()
    )
    return JSONResponse(found)


@finance.get("/owed/items", summary="List the amounts owed", responses=answers(list[owed.AmountOwed]))
def owed_items(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("owed.read")],
    page: Annotated[Page, pages(owed.ORDER)],
    filters: AskedFilters,
    counted_as: CountedAs = None,
    age: OfAge = None,
    as_of: AsOfThen = None,
    known_at: KnownThen = None,
) -> Response:
    """The refunds, credits, excess payments and overpaid amounts behind the sums, by account and id."""
    check_as_of(caller.sight, as_of, filters.account)
    found = answering.owed_items(
        house,
        caller.sight,
        counted_as=counted_as,
        age=age,
        as_of=as_of,
        known_at=known_at,
        page=page,
        **filters.asked(),
    )
    return answer_page(request, found)


@finance.get(
    "/movements",
    summary="List movements, or get them in sums",
    responses=answers(answering.MovementsFound | answering.MovementSumsFound),
)
def movements(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("movement.read")],
    page: Annotated[Page, pages(MOVEMENTS_ORDER)],
    filters: AskedFiltersAndPeriod,
    by: MovedBy = None,
    kind: OfKind = None,
    settlement: OfSettlement = None,
    by_occurrence: ByOccurrence = False,
    totals: Annotated[
        bool, Query(description="With the totals of all rows; without them a page of many movements takes less time.")
    ] = True,
) -> Response:
    """The differences that events made to claims, refunds, credits and invoices, in pages, with the totals of all.

    With `by` they are sums by currency, kind and the given groups; days and months require a period.
    """
    asked: dict[str, Any] = {"kind": kind, "settlement": settlement, "by_occurrence": by_occurrence}
    asked |= filters.asked()
    if by is not None:
        groups = words_in(by, answering.GROUPINGS)
        return JSONResponse(answering.movement_sums(house, caller.sight, groups, **asked))
    rows = answering.movements(house, caller.sight, **asked, page=page)
    found: answering.MovementsFound = {"rows": rows}
    if totals:
        found["totals"] = answering.movement_totals(house, caller.sight, **asked)
    return answer_page(request, rows, found)


@finance.get(
    "/rollforward",
    summary="Get the balances of a period",
    responses=answers(answering.RollforwardFound),
)
def rollforward(
    house: TheHouse,
    caller: Annotated[Caller, allowed("movement.read")],
    filters: AskedFiltersAndPeriod,
    by_occurrence: ByOccurrence = False,
) -> Response:
    """Opening balances, movements by kind and closing balances of what is owed, by currency; `min` is refused."""
    return JSONResponse(answering.rollforward(house, caller.sight, by_occurrence=by_occurrence, **filters.asked()))


@finance.get("/changes", summary="List changed claims, refunds and credits", responses=answers(list[changes_.Change]))
def changes(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("change.read")],
    page: Annotated[Page, pages(changes_.ORDER)],
    since: Annotated[KnownAtMoment, Query(description="The instant or position after which they changed.")],
    account: OfAccount = None,
) -> Response:
    """The claims, refunds and credits that are not what they were, before and after, by account and id."""
    return answer_page(request, answering.changes(house, caller.sight, since, account=account, page=page))


@finance.get("/disputes/ages", summary="Count open disputes by age", responses=answers(answering.AgesFound))
def dispute_ages(
    house: TheHouse, caller: Annotated[Caller, allowed("owed.read")], account: OfAccount = None
) -> Response:
    """The open disputes in classes of age, with the number of overdue investigations."""
    return JSONResponse(answering.dispute_ages(house, caller.sight, account=account))


@finance.get("/complaints/ages", summary="Count open complaints by age", responses=answers(answering.AgesFound))
def complaint_ages(
    house: TheHouse, caller: Annotated[Caller, allowed("owed.read")], account: OfAccount = None
) -> Response:
    """The open complaints in classes of age."""
    return JSONResponse(answering.complaint_ages(house, caller.sight, account=account))
