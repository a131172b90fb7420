"""One complaint with its whole history, for support: every step with who took it, and the words out of the vault."""

from __future__ import annotations

from typing import Any

from ledger.events import ComplaintFact, ComplaintLinked, ComplaintResolved, LedgerEvent
from ledger.store.reading import find_event
from ledger.vault import Damaged, Erased
from makegood.answers.unknown import Unknown
from makegood.answers.words import sealed_content
from makegood.house.opening import House
from projections import queries


class UnknownComplaint(Unknown):
    """No complaint of that name was opened."""


def complaint(house: House, complaint_id: str, account: str | None = None) -> dict[str, Any]:
    """A complaint with its steps, links and credits, the words included. Raises UnknownComplaint or AmbiguousId.

    Whoever may see the words is for the caller to say: this opens the vault.
    """
    found = queries.find_complaint(house.database, house.ledger.now(), complaint_id, account)
    if found is None:
        where = f"account {account} has no complaint" if account is not None else "no account has a complaint"
        raise UnknownComplaint(f"{where} {complaint_id}; see `makegood complaints`")
    credits = queries.goodwill(house.database, found["account_id"])
    with house.database.reading() as transaction:
        events = {step["event_id"]: find_event(transaction, step["event_id"]) for step in found["steps"]}
    steps = [
        _step(house, step, envelope.event())
        for step in found["steps"]
        if (envelope := events[step["event_id"]]) is not None
    ]
    return {
        **found,
        "steps": steps,
        "goodwill": [credit for credit in credits if complaint_id in credit["complaint_ids"]],
    }


def _step(house: House, step: dict[str, Any], event: LedgerEvent) -> dict[str, Any]:
    linked = event.data if isinstance(event, ComplaintLinked) else None
    return {
        **step,
        "actor": event.actor,
        "channel": event.channel,
        "resolution_code": event.data.resolution_code if isinstance(event, ComplaintResolved) else None,
        "kind": linked.kind if linked is not None else None,
        "linked_id": linked.linked_id if linked is not None else None,
        "words": _words(house, event) if isinstance(event, ComplaintFact) else None,
    }


def _words(house: House, event: ComplaintFact) -> str | None:
    """What somebody wrote with a step; None where they wrote nothing, or where it was erased."""
    if event.data.sealed is None:
        return None
    try:
        said = sealed_content(house, event.data.sealed)
    except Erased:
        return None
    except Damaged as damaged:
        return f"({damaged})"
    return "\n".join(str(words) for words in said.values())
