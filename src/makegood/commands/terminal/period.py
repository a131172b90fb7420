"""What the commands about months say to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.answers.periods import CutOff, CutOffTotal, PeriodDiffers, PeriodInFull
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import print_rows, print_sentences, say
from projections.period_figures import LateMovement
from projections.periods import Period, PeriodTotal

TOTALS = Columns(
    PeriodTotal,
    {
        "currency": "",
        "clause": "clause",
        "kind": "movement",
        "settlement": "settlement",
        "count": "count",
        "net": "net",
        "tax": "tax",
    },
    right=("count",),
    give_way=("settlement",),
)
LATE = Columns(
    LateMovement,
    {
        "account_id": "account",
        "claim_id": "claim",
        "kind": "movement",
        "net": "net",
        "tax": "tax",
        "currency": "",
        "occurred_at": "occurred at",
        "recorded_at": "recorded at",
        "occurred_in": "month",
        "booked_in": "booked in",
        "position": "position",
    },
    give_way=("position", "tax", "account_id"),
)
CUT_OFF_TOTALS = Columns(
    CutOffTotal,
    {
        "occurred_in": "month",
        "booked_in": "booked in",
        "currency": "",
        "kind": "movement",
        "count": "count",
        "net": "net",
        "tax": "tax",
    },
    right=("count",),
)
DIFFERING = Columns(PeriodDiffers, {"what": "figure", "recorded": "recorded", "recomputed": "recomputed"})


def period_in_words(row: Period) -> Mapping[str, Any]:
    """A closed month's row, with how many movements it has."""
    return {**row, "movements": sum(total["count"] for total in row["totals"])}


def show_period(answer: PeriodInFull) -> None:
    """Print a month: what it comes to, what is booked in it late, and whether that follows from the events."""
    if answer["closed_at"] is not None:
        print_sentences(
            f"{answer['period']} was closed at {answer['closed_at']} by {answer['closed_by']}, with everything known "
            f"up to position {answer['position']}, by days in {answer['time_zone']}"
        )
    else:
        print_sentences(
            f"{answer['period']} is open: as it stands at position {answer['position']}, by days in "
            f"{answer['time_zone']}"
        )
    print_rows(answer["totals"], TOTALS, title="Movements", empty="no movements in this month")
    if answer["cut_off"]:
        print_rows(answer["cut_off"], LATE, title="Booked here because their own month was closed", empty="")
    print_sentences(f"manifest: {answer['accounts']} accounts, {answer['events']} events, SHA-256 {answer['sha256']}")
    if answer["differing"]:
        print_rows(answer["differing"], DIFFERING, title="Figures that do not follow from the events", empty="")
        say("the store or the program was changed after the month was closed: tell your auditor and the operator")
    elif answer["closed_at"] is not None:
        print_sentences("the figures follow from the events")


def show_cut_off(answer: CutOff) -> None:
    """Print a cut-off report, rows and sums."""
    print_rows(
        answer["rows"],
        LATE,
        title=f"Cut-off report for {answer['period']}",
        empty=f"no movement of {answer['period']} is booked in another month, and none of another month in it",
    )
    if answer["rows"]:
        print_rows(answer["totals"], CUT_OFF_TOTALS, title="Totals", empty="")
