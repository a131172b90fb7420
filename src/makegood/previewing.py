"""How `makegood preview` answers: which claims would change, from what to what, and by which formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ledger.application.preview import ClaimChange, Preview
from makegood.answers import people, refusals, say
from makegood.explaining import change_in_a_word, state, state_in_words


def answer(found: Preview) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "read": found.read,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "refused": refusals(found.refused),
        "changes": [_change(change) for change in found.changes],
    }


def _change(change: ClaimChange) -> dict[str, Any]:
    return {
        "account_id": change.account,
        "claim_id": change.last.claim_id,
        "clause": change.last.clause,
        "subscription_id": change.last.subscription_id,
        "charge_id": change.last.charge_id,
        "currency": change.last.currency,
        "change": change_in_a_word(change.before, change.after),
        "before": state(change.before),
        "after": state(change.after),
        "formula": change.last.formula,
        "working": list(change.last.working),
    }


def show_preview(found: Mapping[str, Any]) -> None:
    """The answer for people."""
    console = people()
    for row in found["refused"]:
        at = f", {row['field']}" if row["field"] else ""
        say(f"line {row['line']}{at}: {row['reason']}")
    for change in found["changes"]:
        before, after = (state_in_words(change[name], change["currency"]) for name in ("before", "after"))
        console.print(
            Text.assemble(
                (f"{change['claim_id']} of account {change['account_id']}: {change['change']}", "bold"),
                f"\n  from       {before}\n  to         {after}",
            ),
            soft_wrap=True,
        )
        for number, line in enumerate(filter(None, (change["formula"], *change["working"]))):
            console.print(Text(f"  {'' if number else 'working':<10} {line}"), soft_wrap=True)
    say(
        f"{found['read']} messages read: {found['accepted']} would be recorded, {found['duplicates']} are "
        f"duplicates, {len(found['refused'])} would be refused; {len(found['changes'])} claims would change. "
        "Nothing was recorded."
    )
