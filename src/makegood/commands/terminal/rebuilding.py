"""`makegood rebuild`: rebuild projections from the store or compare them with it, and print the result."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.part import collect_rarely
from ledger.store.positions import Reached
from makegood.answers.done import Compared, Differing, Rebuilt
from makegood.commands.terminal.layout import Columns
from makegood.commands.terminal.printing import people, print_rows, progress_bar, say
from makegood.commands.terminal.visible_text import Text
from makegood.house.opening import House
from makegood.house.stop import Stop
from projections.catalog import CATALOG
from projections.comparing import Difference, compare_with_store
from projections.projection import Projection
from projections.rebuild import Rebuild


def projections_named(name: str | None) -> Sequence[Projection]:
    """The projection of this name, or all of them without one. Raises Stop."""
    found = [projection for projection in CATALOG if name is None or projection.name == name]
    if not found:
        raise Stop(f"unknown projection {name!r}; the projections are {', '.join(p.name for p in CATALOG)}")
    return found


def rebuild(
    house: House,
    projections: Sequence[Projection],
    *,
    anew: bool,
    restored: bool = False,
    processes: int | None = None,
) -> Rebuilt:
    """Rebuild projections and let them catch up; the answer for programs. Raises Stop where it is interrupted."""
    collect_rarely()
    rebuilding = Rebuild(house.database, projections, restored=restored, processes=processes)
    done = rebuilding.begin(anew=anew)
    if done:
        say(f"resuming an interrupted rebuild after {done} events; --anew starts over")
    try:
        with progress_bar("rebuilding", None, "events", done) as show:
            rebuilding.build(show)
        with progress_bar("comparing", None, "accounts") as show:
            rebuilt = rebuilding.put_in_place(show)
    except KeyboardInterrupt:
        raise Stop("interrupted; the old rows stay in use, and the same command resumes the rebuild") from None
    house.projections.catch_up()
    return {
        "projections": [
            {"projection": name, "positions": _places(positions), "filled": name in rebuilt.filled}
            for name, positions in rebuilt.positions.items()
        ],
        "alike": rebuilt.alike,
        "differing": [_differing(each) for each in rebuilt.differences],
    }


def compare(house: House, projections: Sequence[Projection]) -> Compared:
    """Compare projections with the store; the answer for programs."""
    with progress_bar("comparing", None, "accounts") as show:
        found = compare_with_store(house.database, projections, show)
    return {
        "projections": [
            {"projection": name, "positions": _places(positions), "behind": found.behind[name]}
            for name, positions in found.positions.items()
        ],
        "alike": found.alike,
        "differing": [_differing(each) for each in found.differences],
    }


def _places(positions: Reached) -> list[str]:
    return [f"{shard}:{position}" for shard, position in positions.items()]


def _differing(found: Difference) -> Differing:
    return {
        "account_id": found.account,
        "projection": found.projection,
        "rows": dict(found.rows),
        "found": found.found,
        "expected": found.expected,
    }


def show_rebuilt(answer: Rebuilt) -> None:
    """Print which projections were rebuilt, and which accounts' rows differed."""
    for place, names in _together(answer):
        say(f"rebuilt up to {place}: {', '.join(names)}")
    filled = [projection["projection"] for projection in answer["projections"] if projection["filled"]]
    if filled:
        say(f"filled for the first time, with nothing to compare: {', '.join(filled)}")
    _show_differing(answer, "repaired: their rows differed from the ledger")


def show_compared(answer: Compared) -> None:
    """Print which accounts' rows differ from the ledger."""
    for place, names in _together(answer):
        say(f"compared at {place}: {', '.join(names)}")
    for projection in answer["projections"]:
        if projection["behind"]:
            say(f"{projection['projection']} is {projection['behind']} events behind")
    _show_differing(answer, "with rows that differ from the ledger; `makegood rebuild` repairs them")


def _together(answer: Rebuilt | Compared) -> list[tuple[str, list[str]]]:
    """The projections by where they stand: mostly all at one place."""
    at: dict[str, list[str]] = {}
    for projection in answer["projections"]:
        place = ", ".join(projection["positions"]) or "the beginning (no events yet)"
        at.setdefault(place, []).append(projection["projection"])
    return list(at.items())


def _show_differing(answer: Rebuilt | Compared, what: str) -> None:
    console = people()
    console.print(Text(f"{answer['alike']} accounts match"))
    rows = [
        {"account_id": each["account_id"], "projection": each["projection"], "table": table, "rows": rows}
        for each in answer["differing"]
        for table, rows in each["rows"].items()
    ]
    if rows:
        accounts = len({row["account_id"] for row in rows})
        console.print(Text(f"{accounts} {'account' if accounts == 1 else 'accounts'} {what}"), soft_wrap=True)
        headings = {"account_id": "account", "projection": "projection", "table": "table", "rows": "rows"}
        print_rows(rows, Columns.made_of(headings, right=("rows",)), title="", empty="")
