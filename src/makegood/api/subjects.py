"""What is held about a customer in words, over HTTP: exported, and erased for good."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from ledger.application import requests
from ledger.application.acts import By
from ledger.application.erasure import NothingKnown
from ledger.application.requests import KeyReused
from makegood.access.caller import Caller
from makegood.answers import subjects as answering
from makegood.answers.personal_data import PersonalData, personal_data
from makegood.answers.subjects import SubjectErased
from makegood.api.act_request import KEY, Key, check_key
from makegood.api.acts.bodies import Words, like
from makegood.api.guard import CHANNEL, Guarded, TheHouse, allowed
from makegood.api.paths import AccountId
from makegood.api.problems import NO_SUCH_ACCOUNT, invalid, not_found
from makegood.api.questions import answers

router = APIRouter(tags=["Personal data"], route_class=Guarded)


class EraseSubject(BaseModel):
    """Erase the personal data of an account for good."""

    model_config = like(basis="the customer's request of 3 May 2026, GDPR article 17")

    basis: Words


@router.get(
    "/accounts/{account_id}/personal-data",
    summary="Export everything held about a customer",
    responses=answers(PersonalData),
)
def exported(house: TheHouse, _: Annotated[Caller, allowed("subject.export")], account_id: AccountId) -> Response:
    """The customer, the account, every event with the words that belong to it, messages refused or set aside, and
    e-mails: for the customer who asks what is held about them."""
    try:
        return JSONResponse(personal_data(house, account_id))
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
    try:
        if preview:
            return JSONResponse(answering.would_erase(house, account_id))
        check_key(key)
        assert key is not None
        said = "\n".join(("POST", "erase", account_id, asked.basis)).encode()
        sent = requests.Request(caller.principal, key, requests.digest_of(house.ledger, said))
        answer = answering.erase_subject(house, account_id, asked.basis, By(caller.principal, CHANNEL), sent)
    except KeyReused:
        raise invalid(KEY, "this key was used for another request: choose a new key for every request") from None
    except NothingKnown:
        raise not_found(NO_SUCH_ACCOUNT) from None
    request.app.state.recorded()
    return JSONResponse(answer)
