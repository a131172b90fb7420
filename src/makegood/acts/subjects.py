"""Erasing the personal data of an account."""

from __future__ import annotations

from pydantic import BaseModel

from ledger.application.erasure import NothingKnown
from ledger.application.requests import KeyReused
from makegood.acts.bodies import Words, like
from makegood.acts.once import Once
from makegood.acts.refused import NO_SUCH_ACCOUNT, key_reused, not_found
from makegood.answers import subjects as answering
from makegood.answers.subjects import SubjectErased
from makegood.house.opening import House


class EraseSubject(BaseModel):
    """Erase the personal data of an account for good."""

    model_config = like(basis="the customer's request of 3 May 2026, GDPR article 17")

    basis: Words


def would_erase(house: House, account: str) -> SubjectErased:
    """What erasing the account would destroy; nothing is recorded. Raises ActRefused."""
    try:
        return answering.would_erase(house, account)
    except NothingKnown:
        raise not_found(NO_SUCH_ACCOUNT) from None


def erase_subject(once: Once, account: str, asked: EraseSubject) -> SubjectErased:
    """Destroy the keys and everything that the vault has of the account. Facts and amounts stay.

    Raises ActRefused, VaultMismatch, Conflict, Unavailable.
    """
    request = once.request("POST", "erase", account, asked.basis)
    try:
        answer = answering.erase_subject(once.house, account, asked.basis, once.by, request)
    except KeyReused:
        raise key_reused() from None
    except NothingKnown:
        raise not_found(NO_SUCH_ACCOUNT) from None
    once.recorded()
    return answer
