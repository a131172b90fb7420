"""Answers that are more than one query of the read side, given alike by the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from ledger.application.as_of import assess_as_of
from ledger.application.catalogue import Catalogue
from ledger.application.kept import Kept
from ledger.events import AgreementPublished, KeptAs
from ledger.store.notices import OPEN, NoticeStatus, QueuedNotice, notices_in
from ledger.store.reading import KnownAt, events_of_types, recorded_by
from ledger.values import SYSTEM_ACCOUNT, instant_to_text
from ledger.vault import Erased
from makegood.house import House
from makegood.moments import known_at_to_text
from projections import queries

ID_OF: Mapping[KeptAs, str] = {"dead-letter": "dead_letter_id", "set-aside": "set_aside_id"}
"""By which field each kind of kept message names its id."""


class Unknown(LookupError):
    """There is nothing of the name that was asked for; the message says where to look."""


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
                f"nothing had been recorded of account {account_id} by {then['known_at']}; the first was recorded at "
                f"{instant_to_text(first.event().recorded_at)}, at position {first.shard}:{first.position}"
            )
    if as_of is None:
        return {**queries.account_recorded(known, account_id), **then}
    with house.database.reading() as transaction:
        published = events_of_types(transaction, SYSTEM_ACCOUNT, [AgreementPublished.stored_as])
    anew = assess_as_of(account_id, known, recorded_by(published, known_at), as_of)
    then["as_of"] = instant_to_text(anew.as_of)
    if known and not anew.events:
        then["nothing_yet"] = (
            f"nothing had become true of account {account_id} by {then['as_of']}; "
            f"the first that did is of {instant_to_text(anew.first_at)}"
            if anew.first_at is not None
            else f"account {account_id} has no facts that could be assessed"
        )
    return {**queries.account_assessed(anew.events, account_id), **then}


def agreements(house: House) -> list[dict[str, Any]]:
    """The published versions of all agreements, by name and version."""
    return [
        {
            "name": a.terms.name,
            "version": a.terms.version,
            "valid_from": a.terms.valid_from.isoformat(),
            "sha256": a.sha256,
        }
        for a in _catalogue(house).all()
    ]


def agreement(house: House, name: str, version: int | None = None) -> dict[str, Any]:
    """The text that a version was published as; the newest version's unless one is named. Raises Unknown."""
    versions = {a.terms.version: a for a in _catalogue(house).all() if a.terms.name == name}
    if not versions:
        raise Unknown(f"no agreement {name} is published; see `makegood agreement list`")
    chosen = versions.get(version if version is not None else max(versions))
    if chosen is None:
        raise Unknown(f"agreement {name} has no version {version}; it has {', '.join(map(str, sorted(versions)))}")
    return {"name": name, "version": chosen.terms.version, "sha256": chosen.sha256, "text": chosen.text}


def _catalogue(house: House) -> Catalogue:
    """A catalogue of one's own: that of the ledger belongs to whoever records."""
    catalogue = Catalogue()
    with house.database.reading() as transaction:
        catalogue.refresh(transaction)
    return catalogue


def with_body(house: House, kept: KeptAs, row: Mapping[str, Any]) -> dict[str, Any]:
    """A kept message with what it said, None where that was erased."""
    try:
        body = Kept(kept, row[ID_OF[kept]], row["origin"]).body(house.ledger)
    except Erased:
        body = None
    return {**row, "body": body.decode(errors="backslashreplace") if body is not None else None}


def notices(
    house: House, account: str | None = None, statuses: Iterable[NoticeStatus] | None = None
) -> list[dict[str, Any]]:
    """The e-mails to customers that stand in one of these ways, the oldest first; those that are open unless told."""
    return [notice(house, each) for each in in_queue(house, account, statuses)]


def in_queue(
    house: House, account: str | None = None, statuses: Iterable[NoticeStatus] | None = None
) -> list[QueuedNotice]:
    """The same, as they stand in the queue."""
    with house.database.reading() as transaction:
        return notices_in(transaction, OPEN if statuses is None else statuses, account)


def notice(house: House, queued: QueuedNotice) -> dict[str, Any]:
    """How an e-mail to a customer stands, and what comes next."""
    next_at = instant_to_text(queued.next_attempt_at) if queued.next_attempt_at is not None else None
    return {
        "notice_id": queued.notice_id,
        "account_id": queued.account,
        "kind": queued.kind,
        "event_id": queued.event_id,
        "status": queued.status,
        "attempts": queued.attempts,
        "repeat": queued.repeat,
        "queued_at": instant_to_text(queued.queued_at),
        "next_attempt_at": next_at,
        "last_error": queued.last_error,
        "next": _next(queued, bool(house.settings.smtp), next_at),
    }


def _next(queued: QueuedNotice, posts: bool, next_at: str | None) -> str | None:
    """What comes next, in words; None where nothing does."""
    decide = f"makegood notices resend {queued.notice_id}, or discard"
    match queued.status:
        case "queued" if not posts:
            return "waits for a mail server: set MAKEGOOD_SMTP"
        case "queued" if queued.attempts:
            return f"tried again from {next_at}"
        case "queued":
            return "sent by `makegood run`"
        case "sending":
            return "under way"
        case "in_doubt":
            return f"ask whether it arrived, then: {decide}"
        case "failed":
            return f"mend what failed, then: {decide}"
    return None
