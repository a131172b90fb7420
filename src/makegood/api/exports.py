"""The exports: all rows of a list in one file, with the filters of the list."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from ledger.events import RefundStatus
from ledger.events.billing_account import Outcome
from makegood.access.caller import Caller
from makegood.answers.moments import Moment
from makegood.api.asked import AskedMoment, OfAccount, check_as_of
from makegood.api.filters import AskedFiltersAndPeriod, OfCreditStatus, OfOpenAge
from makegood.api.finance import ByOccurrence, OfKind, OfSettlement
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.problems import invalid, unavailable
from makegood.exports.downloading import DIGEST, MEDIA_TYPES, ROWS, ExportsBusy, download
from makegood.exports.lists import JOURNAL_FORMATS, LIST_FORMATS, Format, JournalFormat, ListFormat, What
from makegood.exports.parquet import MissingExtra
from makegood.house.opening import House

exports = APIRouter(tags=["Exports"], route_class=Guarded)

InFormat = Annotated[ListFormat, Query(alias="format", description="The format of the file.")]
InJournalFormat = Annotated[JournalFormat, Query(alias="format", description="The program that reads the journal.")]
MayExport = Annotated[Caller, allowed("export.read")]


def _a_file(*formats: Format) -> dict[int | str, dict[str, Any]]:
    """What a route answers that sends a file in one of these formats."""
    media_types = dict.fromkeys(MEDIA_TYPES[each].partition(";")[0] for each in formats)
    return {
        200: {
            "description": "The file",
            "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in media_types},
            "headers": {
                ROWS: {"description": "The number of rows.", "schema": {"type": "integer"}},
                DIGEST: {"description": "The file's SHA-256 (RFC 9530).", "schema": {"type": "string"}},
            },
        }
    }


_A_LIST, _A_JOURNAL = _a_file(*LIST_FORMATS), _a_file(*JOURNAL_FORMATS)


@exports.get("/exports/claims", summary="Export claims", response_class=Response, responses=_A_LIST)
def claims(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    outcome: Annotated[Outcome | None, Query(description="Only this outcome.")] = None,
) -> Response:
    """All claims granted, declined, pending or withdrawn."""
    return _exported(house, caller, at, "claims", format_, **filters.asked(), outcome=outcome)


@exports.get("/exports/refunds", summary="Export refunds", response_class=Response, responses=_A_LIST)
def refunds(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    status: Annotated[RefundStatus | None, Query(description="Only this status.")] = None,
) -> Response:
    """All refunds due, failed and paid out."""
    return _exported(house, caller, at, "refunds", format_, **filters.asked(), status=status)


@exports.get("/exports/credits", summary="Export credits", response_class=Response, responses=_A_LIST)
def credits(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    status: OfCreditStatus = None,
) -> Response:
    """All credits, with the amounts used and left."""
    return _exported(house, caller, at, "credits", format_, **filters.asked(), status=status)


@exports.get("/exports/disputes", summary="Export disputes", response_class=Response, responses=_A_LIST)
def disputes(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    at: AskedMoment,
    account: OfAccount = None,
    overdue: Annotated[bool, Query(description="Only overdue investigations.")] = False,
    age: OfOpenAge = None,
) -> Response:
    """All disputed charges."""
    return _exported(house, caller, at, "disputes", format_, account=account, overdue=overdue, age=age)


@exports.get("/exports/complaints", summary="Export complaints", response_class=Response, responses=_A_LIST)
def complaints(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    at: AskedMoment,
    account: OfAccount = None,
    still_open: Annotated[bool, Query(alias="open", description="Only open complaints.")] = False,
    age: OfOpenAge = None,
) -> Response:
    """All complaints, the longest open first."""
    return _exported(house, caller, at, "complaints", format_, account=account, still_open=still_open, age=age)


@exports.get("/exports/movements", summary="Export movements", response_class=Response, responses=_A_LIST)
def movements(
    house: TheHouse,
    caller: MayExport,
    format_: InFormat,
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    kind: OfKind = None,
    settlement: OfSettlement = None,
    by_occurrence: ByOccurrence = False,
) -> Response:
    """All movements of a period, in the order of their instants."""
    more = {"kind": kind, "settlement": settlement, "by_occurrence": by_occurrence}
    return _exported(house, caller, at, "movements", format_, **filters.asked(), **more)


@exports.get("/exports/journal", summary="Export the journal", response_class=Response, responses=_A_JOURNAL)
def journal(
    house: TheHouse,
    caller: MayExport,
    format_: InJournalFormat,
    filters: AskedFiltersAndPeriod,
    at: AskedMoment,
    by_occurrence: ByOccurrence = False,
) -> Response:
    """The movements of a period in a double-entry journal for hledger or beancount."""
    return _exported(house, caller, at, "journal", format_, **filters.asked(), by_occurrence=by_occurrence)


def _exported(house: House, caller: Caller, at: Moment, what: What, format_: Format, **filters: Any) -> Response:
    check_as_of(caller.sight, at.as_of, filters.get("account"))
    try:
        file = download(house, caller.sight, what, format_, filters, at)
    except ExportsBusy:
        raise unavailable("other exports are being made; try again in a moment") from None
    except MissingExtra:
        raise invalid(
            "format", "this server cannot write Parquet: choose another format, or ask its operator to install it"
        ) from None
    return StreamingResponse(file.chunks(), media_type=file.media_type, headers=dict(file.headers))
