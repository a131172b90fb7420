"""The terminal view of a complaint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.answers.ages import age
from makegood.answers.complaint_in_full import ComplaintInFull, ComplaintStepInFull
from makegood.commands.terminal.printing import people, shown
from makegood.commands.terminal.visible_text import Text
from projections.complaints import Complaint


def show_complaint(found: ComplaintInFull) -> None:
    """Print a complaint: its subject, its status and its history."""
    console = people()

    def line(label: str, text: str) -> None:
        console.print(Text.of((f"  {label:<13}", "bold"), text), soft_wrap=True)

    console.print(
        Text(f"Complaint {found['complaint_id']} of account {found['account_id']}: {_stands(found)}", "bold")
    )
    line("category", f"{shown(found['category'])}, channel {shown(found['channel'])}")
    if found["subscription_id"] is not None:
        line("subscription", found["subscription_id"])
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


def complaint_in_words(row: Complaint) -> Mapping[str, Any]:
    """A complaint as a table shows it: how long it has been open, and what it has to do with."""
    return {
        **row,
        "age": age(row["age_seconds"]) if row["age_seconds"] is not None else None,
        "links": [f"{link['kind']} {link['linked_id']}" for link in row["links"]],
    }


def _stands(found: ComplaintInFull) -> str:
    if found["age_seconds"] is not None:
        return f"open for {age(found['age_seconds'])}"
    code = f", {found['resolution_code']}" if found["resolution_code"] is not None else ""
    return f"resolved at {shown(found['resolved_at'])}{code}"


def _step_in_words(step: ComplaintStepInFull) -> str:
    what = f" to {step['kind']} {step['linked_id']}" if step["step"] == "linked" else ""
    words = f" “{shown(step['words'])}”" if step["words"] else ""
    return f"{shown(step['at'])} {step['step']}{what} (by {step['actor']}, channel {step['channel']}){words}"
