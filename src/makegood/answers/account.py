"""Answers that are more than one query of the read side, given alike by the command line and over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from ledger.application.as_of import assess_as_of
from ledger.events import AgreementPublished
from ledger.store.positions import KnownAt
from ledger.store.reading import events_of_types, recorded_by
from ledger.values import SYSTEM_ACCOUNT, instant_to_text
from makegood.answers.moments import known_at_to_text
from makegood.house.opening import House
from projections import queries


def account(
    house: House, account_id: str, as_of: date | None = None, known_at: KnownAt | None = None
) -> queries.AccountFound:
    """An account as its rows stand, or as it was at another time (contract §3). Raises UnknownAccount.

    `as_of` has it assessed anew from the facts that had become true by then; `known_at` alone reads what had been
    recorded by then, and with `as_of` limits the facts to these. `nothing_yet` says in words why there is nothing.
    """
    then = None
    if as_of is not None or known_at is not None:
        then = _account_then(house, account_id, as_of, known_at)
    found = queries.account_in_full(house.database, account_id, then)
    as_it_stands = {"account_id": account_id, "as_of": None, "known_at": None, "nothing_yet": None}
    return replace(found, answer={**as_it_stands, **found.answer})


def _account_then(house: House, account_id: str, as_of: date | None, known_at: KnownAt | None) -> dict[str, Any]:
    recorded = queries.recorded(house.database, account_id)
    known = recorded_by(recorded, known_at)
    then: dict[str, Any] = {}
    if known_at is not None:
        then["known_at"] = known_at_to_text(known_at)
        if not known:
            first = recorded[0]
            then["nothing_yet"] = (
                f"no events of account {account_id} were recorded by {then['known_at']}; the first was recorded at "
                f"{instant_to_text(first.event().recorded_at)}, at position {first.at}"
            )
    if as_of is None:
        return {**queries.account_recorded(known, account_id), **then}
    with house.database.reading() as transaction:
        published = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
    anew = assess_as_of(account_id, known, recorded_by(published, known_at), as_of)
    then["as_of"] = instant_to_text(anew.as_of)
    if known and not anew.events:
        then["nothing_yet"] = (
            f"no facts of account {account_id} were true by {then['as_of']}; "
            f"the first became true at {instant_to_text(anew.first_at)}"
            if anew.first_at is not None
            else f"account {account_id} has no facts to assess"
        )
    return {**queries.account_assessed(anew.events, account_id), **then}
