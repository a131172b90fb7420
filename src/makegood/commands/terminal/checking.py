"""`makegood check`: the laws that do not hold, for people."""

from __future__ import annotations

from makegood.answers.check import BrokenLaw, Checked
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import print_rows

BROKEN = Columns(
    BrokenLaw,
    {
        "account_id": "account",
        "law": "law",
        "about": "what",
        "expected": "should be",
        "found": "is",
        "currency": "",
    },
)


def show_checked(answer: Checked) -> None:
    """Print what was found."""
    accounts = f"{answer['accounts']} {'account' if answer['accounts'] == 1 else 'accounts'}"
    print_rows(
        answer["broken"],
        BROKEN,
        title=f"Laws that do not hold ({accounts} checked); the payouts of these accounts are stopped",
        empty=f"{accounts} checked: every law holds",
    )
