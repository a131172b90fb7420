"""What auditors ask, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.answers.audit.reperformance import DecisionDiffers, Reperformance
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import print_rows, print_sentences

DIFFERING = Columns(
    DecisionDiffers,
    {
        "position": "position",
        "account_id": "account",
        "type": "event",
        "claim_id": "claim",
        "recorded": "recorded",
        "recomputed": "follows from the facts",
    },
    prose=("recorded", "recomputed"),
    give_way=("claim_id",),
)
FIELDS_SHOWN_MAX = 4


def show_reperformance(answer: Reperformance) -> None:
    """Print what differs, and how much was performed again."""
    performed = answer["decisions"] - answer["not_reperformable"]
    said = f"{performed} decisions of {answer['accounts']} accounts performed again"
    rows = [
        {**row, "recorded": _in_words(row["recorded"]), "recomputed": _in_words(row["recomputed"])}
        for row in answer["differing"]
    ]
    print_rows(rows, DIFFERING, title=f"Decisions that differ ({said})", empty=f"{said}: none differs")
    if answer["not_reperformable"]:
        print_sentences(
            f"{answer['not_reperformable']} more were made by rules that this version does not have, or rest on more "
            "than facts; they are not judged"
        )


def _in_words(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return "no such decision"
    fields = [f"{name} {value}" for name, value in list(content.items())[:FIELDS_SHOWN_MAX]]
    return ", ".join(fields) + (", …" if len(content) > FIELDS_SHOWN_MAX else "")
