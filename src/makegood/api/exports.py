"""The exports: all rows of a list in one file, with the filters of the list.

A file is made whole before its first byte is sent, so that a failure is a problem document and never half a file, and
a caller who reads slowly holds no transaction.
"""

from __future__ import annotations

import base64
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from ledger.events import RefundStatus
from ledger.events.billing_account import Outcome
from makegood.access.caller import Caller
from makegood.answers.another_time import house_then
from makegood.answers.moments import Moment
from makegood.api.asked import AskedMoment, OfAccount, check_as_of
from makegood.api.filters import AskedFiltersAndPeriod, OfCreditStatus, OfOpenAge
from makegood.api.finance import ByOccurrence, OfKind, OfSettlement
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.problems import invalid, unavailable
from makegood.exports.exporting import export
from makegood.exports.history import CSV
from makegood.exports.lists import JOURNAL_FORMATS, LIST_FORMATS, Format, JournalFormat, ListFormat, What
from makegood.exports.parquet import MissingExtra
from makegood.house.opening import House

exports = APIRouter(tags=["Exports"], route_class=Guarded)

AT_ONCE_MAX = 2
"""So many exports are made at the same time; each keeps a core busy and a connection to the database."""
_TURNS = threading.BoundedSemaphore(AT_ONCE_MAX)
CHUNK = 262_144

MEDIA_TYPES: dict[Format, str] = {
    "csv": CSV,
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "hledger": "text/plain; charset=utf-8",
    "beancount": "text/plain; charset=utf-8",
}
_ROWS = "Makegood-Rows"
_DIGEST = "Repr-Digest"

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
                _ROWS: {"description": "The number of rows.", "schema": {"type": "integer"}},
                _DIGEST: {"description": "The file's SHA-256 (RFC 9530).", "schema": {"type": "string"}},
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
    account = filters.get("account")
    check_as_of(caller.sight, at.as_of, account)
    with ExitStack() as until_made:
        until_made.enter_context(taking_turns())
        folder = until_made.enter_context(tempfile.TemporaryDirectory(prefix="makegood-"))
        then = until_made.enter_context(house_then(house, caller.sight, at, account)) if at else house
        file = Path(folder, f"{what}.{format_}")
        try:
            done = export(then, caller.sight, what, format_, file, filters, at=at)
        except MissingExtra:
            raise invalid(
                "format", "this server cannot write Parquet: choose another format, or ask its operator to install it"
            ) from None
        size, content = file.stat().st_size, file.open("rb")  # the open file outlives its name
    return StreamingResponse(
        _chunks(content),
        media_type=MEDIA_TYPES[format_],
        headers={
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{what}.{format_}"',
            _ROWS: str(done["rows"]),
            _DIGEST: f"sha-256=:{base64.b64encode(bytes.fromhex(done['sha256'])).decode('ascii')}:",
        },
    )


@contextmanager
def taking_turns() -> Iterator[None]:
    """A turn at making an export. Raises Refused where as many as may are being made."""
    if not _TURNS.acquire(blocking=False):
        raise unavailable("other exports are being made; try again in a moment")
    try:
        yield
    finally:
        _TURNS.release()


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while chunk := content.read(CHUNK):
            yield chunk
