"""What is held about a customer in words, over HTTP: exported, and erased for good."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from ledger.application.erasure import NothingKnown
from makegood.access.caller import Caller
from makegood.acts import subjects as acts
from makegood.acts.refused import NO_SUCH_ACCOUNT
from makegood.acts.subjects import EraseSubject
from makegood.answers.personal_data import PersonalData, personal_data
from makegood.answers.subjects import SubjectErased
from makegood.api.act_request import Key, keyed
from makegood.api.guard import Guarded, TheHouse, allowed
from makegood.api.paths import AccountId
from makegood.api.problems import not_found
from makegood.api.questions import answers

router = APIRouter(tags=["Personal data"], route_class=Guarded)


@router.get(
    "/accounts/{account_id}/personal-data",
    summary="Export everything held about a customer",
    responses=answers(PersonalData),
)
def exported(
    house: TheHouse, caller: Annotated[Caller, allowed("subject.export")], account_id: AccountId
) -> Response:
    """The customer, the account, every event with the words that belong to it, messages refused or set aside, and
    e-mails: for the customer who asks what is held about them. Customers get what they may see of it themselves."""
    try:
        return JSONResponse(personal_data(house, account_id, caller.sight))
    except NothingKnown:
        raise not_found(NO_SUCH_ACCOUNT) from None


@router.post(
    "/accounts/{account_id}/erase", summary="Erase an account's personal data", responses=answers(SubjectErased)
)
def erase(
    request: Request,
    house: TheHouse,
    caller: Annotated[Caller, allowed("subject.erase")],
    account_id: AccountId,
    asked: EraseSubject,
    key: Key = None,
    preview: Annotated[
        bool, Query(description="Only count what would be destroyed, without recording anything. No key is needed.")
    ] = False,
) -> Response:
    """Destroys the keys and everything that the vault has of the account. Facts and amounts stay; messages that come
    later are recorded without words. The basis is kept in the vault."""
    if preview:
        return JSONResponse(acts.would_erase(house, account_id))
    answer = acts.erase_subject(keyed(request, house, caller, key), account_id, asked)
    return JSONResponse(answer)
