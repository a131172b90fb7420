"""One complaint with its whole history, for support: every step with who took it, and the words out of the vault."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ledger.events import ComplaintFact, ComplaintLinked, ComplaintResolved, LedgerEvent
from ledger.store.reading import find_event
from ledger.vault import Damaged, Erased
from makegood.answering import Unknown
from makegood.answers import age, people, shown
from makegood.explaining import sealed_content
from makegood.house import House
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


# --- for people ---------------------------------------------------------------------------------------------------


def show_complaint(found: dict[str, Any]) -> None:
    """Print a complaint as support tells it: what it is about, how it stands, and step by step how it came there."""
    console = people()

    def line(label: str, text: str) -> None:
        console.print(Text.assemble((f"  {label:<11}", "bold"), text), soft_wrap=True)

    console.print(
        Text(f"Complaint {found['complaint_id']} of account {found['account_id']}: {_stands(found)}", "bold")
    )
    line("about", f"{found['category']}, through {found['channel']}")
    if found["subscription_id"] is not None:
        line("service", found["subscription_id"])
    for number, link in enumerate(found["links"]):
        line("" if number else "links", f"{link['kind']} {link['linked_id']}")
    for number, credit in enumerate(found["goodwill"]):
        by = f" by {credit['decided_by']}" if credit["decided_by"] is not None else f", by {credit['proposed_by']}"
        line(
            "" if number else "goodwill",
            f"{credit['credit_id']}: {credit['amount']} {credit['currency']} {credit['status']}{by}",
        )
    for number, step in enumerate(found["steps"]):
        line("" if number else "steps", _step_in_words(step))


def _stands(found: dict[str, Any]) -> str:
    if found["status"] == "open":
        return f"open for {age(found['age_seconds'])}"
    code = f", {found['resolution_code']}" if found["resolution_code"] is not None else ""
    return f"resolved at {shown(found['resolved_at'])}{code}"


def _step_in_words(step: dict[str, Any]) -> str:
    what = f" to {step['kind']} {step['linked_id']}" if step["step"] == "linked" else ""
    words = f" “{step['words']}”" if step["words"] else ""
    return f"{shown(step['at'])} {step['step']}{what} (by {step['actor']}, through {step['channel']}){words}"
