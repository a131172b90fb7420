"""What is held about a customer in words: what erasing it destroys, or destroyed (contract §3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ledger.application.acts import By
from ledger.application.erasure import InWords, erase, held_in_words, recorded, still_set_aside
from ledger.application.requests import Request
from ledger.store.reading.erasures import erased_at
from ledger.values import instant_to_text
from makegood.house.opening import House
from projections.shown_values import Instant


class SubjectErased(TypedDict):
    """The data that erasing an account destroys, or destroyed: `makegood subject erase`."""

    account_id: str
    outcome: Literal["erased", "erased before", "would be erased"]
    erased_at: Instant | None
    entries: Annotated[
        int, Field(description="Entries of the vault, with those of kept messages and of words about discrepancies.")
    ]
    dead_letters: Annotated[int, Field(description="Dead letters whose bodies are among them.")]
    set_aside: Annotated[int, Field(description="Messages set aside whose bodies are among them.")]
    still_set_aside: Annotated[
        int,
        Field(description="Messages of the account that are set aside and open: erased, they are never recorded."),
    ]
    notices: Annotated[int, Field(description="E-mails that were not sent yet, and are discarded.")]


class SubjectExported(TypedDict):
    """The files that hold a customer's data, and how much is in them: `makegood subject export`."""

    account_id: str
    events: int
    other_words: int
    emails: int
    files: list[str]


def would_erase(house: House, account: str) -> SubjectErased:
    """What erasing an account would destroy, or destroyed where that was done. Raises NothingKnown."""
    with house.database.reading() as transaction:
        at = erased_at(transaction, account)
        held = recorded(transaction, account) if at is not None else held_in_words(transaction, account)
        open_ = still_set_aside(transaction, account)
    outcome: Literal["erased before", "would be erased"] = "would be erased" if at is None else "erased before"
    return _answer(account, outcome, instant_to_text(at) if at is not None else None, held, open_)


def erase_subject(house: House, account: str, basis: str, by: By, request: Request | None = None) -> SubjectErased:
    """Erase an account. Raises NothingKnown, KeyReused, VaultMismatch, Conflict, and Unavailable."""
    done = erase(house.ledger, account, basis, by, request)
    if done.now:
        house.seen_by(by.actor, by.channel).looked("erasure", account, done.destroyed.entries)
    with house.database.reading() as transaction:
        open_ = still_set_aside(transaction, account)
    outcome: Literal["erased", "erased before"] = "erased" if done.now else "erased before"
    return _answer(account, outcome, instant_to_text(done.at), done.destroyed, open_)


def _answer(
    account: str,
    outcome: Literal["erased", "erased before", "would be erased"],
    at: str | None,
    held: InWords,
    open_: int,
) -> SubjectErased:
    return {
        "account_id": account,
        "outcome": outcome,
        "erased_at": at,
        "entries": held.entries,
        "dead_letters": held.dead_letters,
        "set_aside": held.set_aside,
        "still_set_aside": open_,
        "notices": held.notices,
    }
