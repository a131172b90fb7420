"""The terminal views of finance's questions: sums with their totals, and how to see the rows behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ledger.store.reading.page import Listed
from makegood.access.sight import EVERYTHING
from makegood.answers.finance import (
    MovementsFound,
    MovementSumsFound,
    OwedFound,
    RollforwardFound,
    complaint_ages,
    dispute_ages,
)
from makegood.commands.app import opened
from makegood.commands.filter_options import as_options
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import print_json, print_rows, say
from makegood.commands.terminal.tables import (
    AGES,
    AMOUNTS_OWED,
    MOVEMENT_SUMS,
    MOVEMENTS,
    OWED_SUMS,
    ROLLFORWARD,
    ROLLFORWARD_TOTALS,
)
from projections.changes import Change
from projections.owed import AmountOwed

NOTHING_OWED = "nothing is owed; see the movements with `makegood movements`"
NOTHING_MOVED = "no movements; see the claims with `makegood claims`"


def show_owed(found: OwedFound, groups: Sequence[str]) -> None:
    """Print what is owed, in sums, and how to see the rows of the first."""
    print_rows(found["rows"], _grouped(OWED_SUMS, groups), title=_title(found), empty=NOTHING_OWED)
    if found["rows"]:
        say(f"the amounts behind a sum: makegood owed --items {as_options(found['rows'][0]['filter'])}")


def show_owed_items(rows: Listed[AmountOwed]) -> None:
    """Print the amounts owed one by one."""
    print_rows(rows, AMOUNTS_OWED, title="Amounts owed", empty=NOTHING_OWED)
    explained = next((row for row in rows if row["claim_id"] is not None), None)
    if explained is not None:
        say(f"how one came about: makegood explain {explained['claim_id']} --account {explained['account_id']}")


def show_movements(found: MovementsFound) -> None:
    """Print movements one by one, with their totals by currency and kind."""
    print_rows(found["rows"], MOVEMENTS, title="Movements", empty=NOTHING_MOVED)
    if found["rows"]:
        print_rows(found["totals"], MOVEMENT_SUMS, title="Totals", empty="")


def show_movement_sums(found: MovementSumsFound, groups: Sequence[str]) -> None:
    """Print movements in sums, and how to see the rows of the first."""
    print_rows(found["rows"], _grouped(MOVEMENT_SUMS, groups), title="Movements", empty=NOTHING_MOVED)
    if found["rows"]:
        print_rows(found["totals"], MOVEMENT_SUMS, title="Totals", empty="")
        say(f"the movements behind a sum: makegood movements {as_options(found['rows'][0]['filter'])}")


def show_rollforward(found: RollforwardFound) -> None:
    """Print the balances of a period, a line for each kind of movement between opening and closing."""
    print_rows(list(_lines(found)), ROLLFORWARD, title="Rollforward", empty=NOTHING_MOVED)
    if found["rows"]:
        print_rows(found["totals"], ROLLFORWARD_TOTALS, title="Owed in all, less overpaid", empty="")


def _lines(found: RollforwardFound) -> Iterator[dict[str, Any]]:
    for row in found["rows"]:
        named = row["counted_as"].replace("_", " ")
        moved = [(each["kind"].replace("_", " "), each["count"], each["total"]) for each in row["movements"]]
        for line, count, amount in (("opening", None, row["opening"]), *moved, ("closing", None, row["closing"])):
            yield {"of": named, "line": line, "count": count, "amount": amount, "currency": row["currency"]}
            named = ""


def show_ages(store: str, json: bool, what: Literal["disputes", "complaints"], account: str | None) -> None:
    """Print how many disputes or complaints are open by age, and how to see the oldest."""
    with opened(store, account, whole=True) as house:
        ages = dispute_ages if what == "disputes" else complaint_ages
        found = ages(house, EVERYTHING, account=account)
    if json:
        print_json(found)
        return
    print_rows(found["rows"], AGES, title=f"Open {what}, by days", empty=f"no open {what}")
    if found["rows"]:
        say(f"the oldest: makegood {what} {as_options(found['rows'][-1]['filter'])}")


def change_in_words(change: Change) -> Mapping[str, Any]:
    """A change with what differs, before and after."""
    return {**change, "changed": "; ".join(_differences(change))}


def _differences(change: Change) -> list[str]:
    before, after = (_fields(change[side]) for side in ("before", "after"))
    if before is None or after is None:
        return [f"new: {_amount(after)}"] if after is not None else [f"gone: {_amount(before or {})}"]
    return [
        f"{name} {_said(before.get(name))} → {_said(after.get(name))}"
        for name in after
        if before.get(name) != after[name] and name != "position" and not isinstance(after[name], list | dict)
    ]


def _fields(row: Any) -> dict[str, Any] | None:
    return dict(row) if row is not None else None


def _amount(row: Mapping[str, Any]) -> str:
    stands = row.get("status") or row.get("outcome") or "granted"
    return f"{stands}, {row.get('total', row.get('amount'))} {row['currency']}"


def _said(value: Any) -> str:
    return "–" if value is None else str(value)


def _grouped(columns: Columns, groups: Sequence[str]) -> Columns:
    """A table's columns with those of its groups before the amounts."""
    first = {name: heading for name, heading in columns.headings.items() if name in ("currency", "kind")}
    headings = {**{name: name for name in groups}, **first, **columns.headings}
    return Columns(columns.of, headings, columns.right, totals=columns.totals, give_way=columns.give_way)


def _title(found: OwedFound) -> str:
    moments = [("as of", found["as_of"]), ("known at", found["known_at"])]
    said = [f"{what} {moment}" for what, moment in moments if moment is not None]
    return ", ".join(["Amounts owed", *said])
