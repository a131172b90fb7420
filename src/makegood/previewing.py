"""How `makegood preview` answers: which claims would change, from what to what, and by which formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ledger.application.preview import ClaimChange, ClaimStanding, Preview
from ledger.events import ClaimState, clause_of
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
    row = change.after.row or change.before.row
    decided = change.decided
    return {
        "account_id": change.account,
        "claim_id": change.claim_id,
        "clause": clause_of(change.claim_id),
        "subscription_id": row.subscription_id if row is not None else None,
        "charge_id": row.charge_id if row is not None else None,
        "currency": row.currency if row is not None else None,
        "change": change_in_a_word(_row(change.before), _row(change.after)),
        "before": state(_row(change.before), change.before.settled),
        "after": state(_row(change.after), change.after.settled),
        "formula": decided.formula if decided is not None else None,
        "working": list(decided.working) if decided is not None else ["only how it is settled changes"],
    }


def _row(standing: ClaimStanding) -> ClaimState | None:
    return standing.row.state if standing.row is not None else None


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
