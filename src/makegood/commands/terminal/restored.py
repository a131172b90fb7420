"""What `makegood restored` says to people."""

from __future__ import annotations

from makegood.answers.restored import LostFound, RestoredFound
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import people, print_rows, say
from makegood.commands.terminal.visible_text import Text

LOST = Columns(
    LostFound,
    {
        "kind": "what",
        "account_id": "account",
        "type": "type",
        "id": "id",
        "attempt": "attempt",
        "amount": "amount",
        "currency": "currency",
        "source": "source",
        "time": "time",
        "channel": "channel",
        "actor": "by",
        "next": "next",
    },
    give_way=("actor", "channel", "time", "source"),
)


def show_restored(answer: RestoredFound) -> None:
    """Print what is ahead, what is missing, and what comes next."""
    console = people()
    if answer["generation"] is None:
        console.print(Text("no topic and no projection is ahead of the ledger: there is nothing to do"))
        return
    for (position, end), names in _together(answer).items():
        say(f"at {position}, where the ledger ends at {end}: {', '.join(names)}")
    begins = "would begin" if answer["dry_run"] else "begins"
    console.print(
        Text(f"generation {answer['generation']} {begins}; positions kept: {_kept(answer)}"), soft_wrap=True
    )
    if answer["rebuilt"]:
        rebuilt = "would be rebuilt" if answer["dry_run"] else "rebuilt"
        console.print(Text(f"{rebuilt}: {', '.join(answer['rebuilt'])}"), soft_wrap=True)
    print_rows(
        answer["lost"],
        LOST,
        title="Recorded after the backup, and not in the ledger",
        empty="the ledger lacks nothing that anybody has to send again",
    )
    if not answer["dry_run"]:
        say("next: `makegood run`, and send again what is not read again by itself")


def _together(answer: RestoredFound) -> dict[tuple[str, str], list[str]]:
    """What is ahead by where it stands: projections mostly stand at one place."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in answer["ahead"]:
        found.setdefault((each["position"], each["ledger_ends_at"]), []).append(each["name"])
    return found


def _kept(answer: RestoredFound) -> str:
    return ", ".join(f"{sequence} up to {position}" for sequence, position in answer["kept"].items()) or "all"
