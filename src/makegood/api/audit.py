"""The questions that auditors ask (contract §3c)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from makegood.access.caller import Caller
from makegood.answers.audit.difference import AccountDifference, difference
from makegood.api.asked import KnownAtMoment
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.paths import AccountId
from makegood.api.questions import answers

audit = APIRouter(tags=["Audit"], route_class=Guarded)

MayAudit = Annotated[Caller, allowed("audit.read")]


@audit.get(
    "/accounts/{account_id}/diff",
    summary="Get the difference between two moments of an account",
    responses=answers(AccountDifference),
)
def diff(
    house: TheHouse,
    caller: MayAudit,
    account_id: AccountId,
    from_: Annotated[
        KnownAtMoment, Query(alias="from", description="The first moment: events recorded by then are left out.")
    ],
    to: Annotated[KnownAtMoment, Query(description="The second moment: events recorded by then are listed.")],
) -> Response:
    """The events recorded after the first moment and by the second, each in a sentence, the account as it was known
    at both, and the rows that differ."""
    return JSONResponse(difference(house, caller.sight, account_id, from_, to))
