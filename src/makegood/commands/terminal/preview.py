"""The terminal view of a preview."""

from __future__ import annotations

from makegood.answers.preview import Previewed
from makegood.commands.terminal.explanation import state_in_words
from makegood.commands.terminal.printing import people, say, say_refused
from makegood.commands.terminal.visible_text import Text

REASONS = 10
"""How many reasons are shown for why no claim would change."""


def show_preview(found: Previewed) -> None:
    """Print a preview."""
    console = people()
    say_refused(found["refused"])
    for change in found["changes"]:
        before, after = (state_in_words(row, change["currency"]) for row in (change["before"], change["after"]))
        console.print(
            Text.of(
                (f"{change['claim_id']} of account {change['account_id']}: {change['change']}", "bold"),
                f"\n  from       {before}\n  to         {after}",
            ),
            soft_wrap=True,
        )
        for number, line in enumerate(filter(None, (change["formula"], *change["working"]))):
            console.print(Text(f"  {'' if number else 'working':<10} {line}"), soft_wrap=True)
    because = found["unchanged_because"]
    for reason in because[:REASONS]:
        console.print(Text(f"no change: {reason}"), soft_wrap=True)
    if len(because) > REASONS:
        console.print(Text(f"and {len(because) - REASONS} more; see all with --json"), soft_wrap=True)
    say(
        f"{found['read']} messages read: {found['accepted']} would be recorded, {found['duplicates']} are "
        f"duplicates, {len(found['refused'])} would be refused; {len(found['changes'])} claims would change. "
        "Nothing was recorded."
    )
