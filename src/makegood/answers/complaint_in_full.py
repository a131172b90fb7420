"""One complaint with its whole history, for support: every step with who took it, and the words out of the vault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import Field

from ledger.events import (
    ComplaintFact,
    ComplaintLinked,
    ComplaintOpened,
    ComplaintReopened,
    ComplaintResolved,
    ComplaintResolvedV1,
    LedgerEvent,
    LinkedKind,
)
from ledger.store.reading.events import find_event
from ledger.values import is_code
from ledger.vault import Damaged, Erased, Lost
from makegood.access.sight import Sight
from makegood.answers.unknown import Unknown
from makegood.answers.words import sealed_content
from makegood.house.opening import House
from projections import complaints, linked_goodwill
from projections.complaints import ComplaintHead, ComplaintStep
from projections.linked_goodwill import GoodwillLinked


class UnknownComplaint(Unknown):
    """No complaint of that name was opened."""


class ComplaintStepInFull(ComplaintStep):
    """A step with its actor and notes."""

    actor: NotRequired[Annotated[str, Field(description="Not shown to customers, like channel, kind and linked_id.")]]
    channel: NotRequired[str]
    resolution_code: str | None
    kind: NotRequired[LinkedKind | None]
    linked_id: NotRequired[str | None]
    words: Annotated[str | None, Field(description="The text written; null if there is none or it was erased.")]


class ComplaintInFull(ComplaintHead):
    """A complaint with its history."""

    steps: list[ComplaintStepInFull]
    age_seconds: Annotated[int | None, Field(description="Null once it is resolved.")]
    goodwill: NotRequired[Annotated[list[GoodwillLinked], Field(description="Not shown to customers.")]]


def complaint(house: House, sight: Sight, complaint_id: str, account: str | None = None) -> ComplaintInFull:
    """A complaint with its steps, links and credits, the words included. Raises UnknownComplaint or AmbiguousId.

    It is for whoever may read what people wrote: this opens the vault. Customers read what they wrote themselves and
    what they were answered, and no notes.
    """
    if account is not None:
        sight.check(account)
    asked = [house.of(account)] if account is not None else house.every
    found = complaints.find((each.database for each in asked), house.now(), complaint_id, account)
    if found is None or not (sight.words if sight.accounts is None else found["account_id"] in sight.accounts):
        where = f"account {account} has no complaint" if account is not None else "no account has a complaint"
        raise UnknownComplaint(f"{where} {complaint_id}; see `makegood complaints`")
    house = house.of(found["account_id"])
    credits = linked_goodwill.listed(house.database, accounts=[found["account_id"]])
    with house.database.reading() as transaction:
        events = {step["event_id"]: find_event(transaction, step["event_id"]) for step in found["steps"]}
    steps = [
        _step(house, step, envelope.event())
        for step in found["steps"]
        if (envelope := events[step["event_id"]]) is not None
    ]
    head: ComplaintHead = found
    opened = next(e for step in found["steps"] if step["step"] == "opened" and (e := events[step["event_id"]]))
    said = _said(house, opened.event())
    told: ComplaintInFull = {
        **sight.complaint(head),
        "category": found["category"] if found["category"] is not None else said.get("category"),
        "channel": found["channel"] if found["channel"] is not None else said.get("channel"),
        "steps": steps,
        "age_seconds": found["age_seconds"],
        "goodwill": [credit for credit in credits if complaint_id in credit["complaint_ids"]],
    }
    if sight.accounts is not None:
        told["steps"] = [
            {**step, "words": _for_the_customer(house, event.event())}
            for step in steps
            if (event := events[step["event_id"]]) is not None
        ]
    return sight.row(ComplaintInFull, told)


def _for_the_customer(house: House, event: LedgerEvent) -> str | None:
    """What the customer wrote with a step, or was answered; a resolution that is a code is no words."""
    said = _said(house, event) if isinstance(event, ComplaintOpened | ComplaintReopened) else {}
    if isinstance(event, ComplaintResolved | ComplaintResolvedV1):
        said = {name: text for name, text in _said(house, event).items() if name == "answer" or not is_code(text)}
    return "\n".join(text for name, text in said.items() if name not in _OF_THE_HEAD) or None


def _step(house: House, step: ComplaintStep, event: LedgerEvent) -> ComplaintStepInFull:
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
    return "\n".join(text for name, text in _said(house, event).items() if name not in _OF_THE_HEAD) or None


_OF_THE_HEAD = ("category", "channel")
"""What is told of the complaint and not of a step."""


def _said(house: House, event: LedgerEvent) -> Mapping[str, str]:
    """What the vault has of a step, by field; nothing where it was erased."""
    if not isinstance(event, ComplaintFact) or event.data.sealed is None:
        return {}
    try:
        return sealed_content(house, event.account, event.data.sealed)
    except Erased:
        return {}
    except (Damaged, Lost) as error:
        return {"words": f"({error})"}
