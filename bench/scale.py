"""What 1, 10 and 100 million subscribers need, reckoned from what one was measured to cost: `make scale`.

    python -m bench.scale [--measured FILE] [--subscribers N [--cores N]]

Takes the figures in docs/scale.json, or those of a report of `make bench SECTIONS=subscribers`, which it then keeps
there, and writes the tables in docs/scale.md anew. With a number of subscribers and cores it only plays their month.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from bench.subscribers import SECTION

DOCS = Path(__file__).resolve().parents[1] / "docs"
SIZES = (1_000_000, 10_000_000, 100_000_000)
OF_A_SHARD = 10_000_000
"""So many subscribers are one shard's, at most."""
DAY, MONTH = 24 * 60, 30 * 24 * 60
"""In minutes."""
BILLED = DAY
"""Minutes in which upstream tells of everyone's cycle, from the first of the month."""
PAID = 5 * DAY
"""Minutes in which the payments come, from then on."""
OUTAGE, LASTS, TOLD = 12 * 60, 4 * 60, 15
"""When in the month everyone's service fails, for how long, and how long upstream takes to tell it; in minutes."""
CORES = (2, 4, 8, 16, 32, 64, 128)
READ = 200_000_000
"""Bytes a second that a disk gives and takes when a backup is made or restored. An assumption."""
YEARS = 3
"""For how many years events are counted."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one subscriber costs. Seconds of a core are ours and PostgreSQL's together."""

    month: float
    """Seconds of a core that a month's messages take, until they are projected, relayed and in the tree."""
    report: float
    """Those of an outage's report, and of its end with the credit."""
    end: float
    messages: float
    """Those of a month."""
    events: float
    stored: float
    """Bytes that the database is larger after a month."""
    logged: float
    """Bytes of the database's log, in a month."""
    published: float
    """Bytes on Kafka, in a month, before compression."""
    rebuilt: float
    """Seconds of a core for an event that is projected anew."""

    @classmethod
    def of(cls, figures: Mapping[str, float]) -> Costs:
        """From the medians of `bench/subscribers.py`, which are in microseconds and bytes."""

        def seconds(name: str) -> float:
            return (figures[f"{name}: ours"] + figures[f"{name}: PostgreSQL's"]) / 1e6

        following = sum(
            seconds(name) for name in ("projected, an event", "relayed, an event", "into the Merkle tree, an event")
        )
        month = "a subscriber's month"
        of_outage = following * figures["an outage's report and end: events"] / 2
        return cls(
            month=seconds(month) + figures[f"{month}: events"] * following,
            report=seconds("an outage's report") + of_outage,
            end=seconds("an outage's end, and its credit") + of_outage,
            messages=figures[f"{month}: messages"],
            events=figures[f"{month}: events"],
            stored=figures[f"{month}: in the ledger's tables"] + figures[f"{month}: in the projections'"],
            logged=figures[f"{month}: in the database's log"],
            published=figures[f"{month}: events"] * figures["an envelope"],
            rebuilt=seconds("rebuilt, an event"),
        )

    @property
    def message(self) -> float:
        """Seconds of a core that a message takes, on the average of a month."""
        return self.month / self.messages


# --- a month, minute by minute -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wave:
    """Messages that come evenly within some minutes."""

    begins: int
    lasts: int
    messages: float
    seconds: float
    """Of a core, for each message."""


def waves(costs: Costs, subscribers: int, *, outage: bool = True) -> list[Wave]:
    """What comes in a month: everyone's cycle, their payments, what happens to some, and an outage of everyone's."""
    others = costs.messages - 2
    found = [
        Wave(0, BILLED, subscribers, costs.message),
        Wave(BILLED, PAID, subscribers, costs.message),
        Wave(0, MONTH, subscribers * others, costs.message),
    ]
    if outage:
        found.append(Wave(OUTAGE, TOLD, subscribers, costs.report))
        found.append(Wave(OUTAGE + LASTS, TOLD, subscribers, costs.end))
    return found


@dataclass(frozen=True, slots=True)
class Played:
    """How a month went. A message waits until all before it are decided, projected, relayed and in the tree."""

    used: float
    """The share of the cores' time that was used."""
    waited: float
    """Minutes that a message waited at most."""
    busy: int
    """The minutes in which messages came that waited for longer than one."""
    left: float
    """Seconds of a core that were left to do at the end of the month."""


def play(coming: Sequence[Wave], cores: int) -> Played:
    """Have a month's waves come, first come, first served, by so many cores."""
    comes = [0.0] * MONTH
    for wave in coming:
        for minute in range(wave.begins, wave.begins + wave.lasts):
            comes[minute] += wave.messages / wave.lasts * wave.seconds
    served = 60.0 * cores
    backlog = done = longest = 0.0
    busy = 0
    for each in comes:
        backlog += each
        worked = min(backlog, served)
        backlog -= worked
        done += worked
        longest = max(longest, backlog / served)
        busy += backlog > served
    return Played(done / (MONTH * served), longest, busy, backlog)


# --- the tables of docs/scale.md -----------------------------------------------------------------------------------


def tables(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tables, by the names that stand in the document."""
    costs = Costs.of(medians(said))
    measured = [(each["name"], f"{_rounded(each['median'])} {each['unit']}".strip()) for each in said["figures"]]
    return {
        "measured": _table(("", ""), [*said["about"].items(), *measured]),
        "needs": _table(("", *(f"{size:,}" for size in SIZES)), _needs(costs)),
        "outage": _table(("cores a shard", *(f"{size:,}" for size in SIZES)), _outages(costs)),
    }


def medians(said: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are kept, by their names."""
    return {each["name"]: each["median"] for each in said["figures"]}


def _needs(costs: Costs) -> Iterator[list[str]]:
    def row(name: str, of: Callable[[int], str]) -> list[str]:
        return [name, *(of(size) for size in SIZES)]

    yield row("shards", lambda n: f"{shards(n)}")
    yield row("messages a second, on average", lambda n: _rounded(n * costs.messages / (MONTH * 60)))
    yield row("messages a second while everyone is billed", lambda n: _rounded(n / (BILLED * 60)))
    yield row("cores in all, on average", lambda n: _rounded(n * costs.month / (MONTH * 60)))
    yield row("cores in all while everyone is billed", lambda n: _rounded(n * costs.message / (BILLED * 60)))
    yield row("the database grows, in a year", lambda n: _bytes(12 * n * costs.stored))
    yield row("the database's log, in a day of billing", lambda n: _bytes(n * costs.logged / costs.messages))
    yield row("Kafka, in a year, before compression", lambda n: _bytes(12 * n * costs.published))
    kept = 12 * YEARS
    yield row(f"events after {YEARS} years", lambda n: f"{n * costs.events * kept:,.0f}")
    yield row(
        f"a backup of a shard after {YEARS} years, at {READ // 1_000_000} MB/s",
        lambda n: _hours(n / shards(n) * costs.stored * kept / READ),
    )
    yield row(
        f"projecting a shard anew after {YEARS} years, with 16 cores",
        lambda n: _hours(n / shards(n) * costs.events * kept * costs.rebuilt / 16),
    )


def _outages(costs: Costs) -> Iterator[list[str]]:
    for cores in CORES:
        cells = []
        for size in SIZES:
            played = play(waves(costs, ceil(size / shards(size))), cores)
            cells.append("not by the end of the month" if played.left else f"{_minutes(played.waited)}")
        yield [str(cores), *cells]


def shards(subscribers: int) -> int:
    """How many shards so many subscribers are divided into."""
    return ceil(subscribers / OF_A_SHARD)


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> list[str]:
    marks = ["---", *["--:"] * (len(head) - 1)]
    return [f"| {' | '.join(head)} |", f"|{'|'.join(marks)}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _rounded(value: float) -> str:
    """With three digits that say something."""
    if value >= 1_000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def _bytes(value: float) -> str:
    for unit in ("MB", "GB"):
        if value < (limit := 1e9 if unit == "MB" else 1e12):
            return f"{_rounded(value / limit * 1e3)} {unit}"
    return f"{_rounded(value / 1e12)} TB"


def _hours(seconds: float) -> str:
    return _minutes(seconds / 60)


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def written(document: str, found: Mapping[str, Sequence[str]]) -> str:
    """A document with the tables between their marks. Raises ValueError where one has no place."""
    for name, lines in found.items():
        begins, ends = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begins not in document or ends not in document:
            raise ValueError(f"the document has no place for the table {name}")
        table = "\n".join([begins, "", *lines, "", ends])
        document = re.sub(f"{re.escape(begins)}.*{re.escape(ends)}", lambda _: table, document, flags=re.DOTALL)  # noqa: B023
    return document


def kept(report: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a report of `make bench`. Raises ValueError where it has no such section."""
    section = next((each for each in report["sections"] if each["title"] == SECTION), None)
    if section is None:
        raise ValueError("the report lacks what is needed: measure it with `make bench SECTIONS=subscribers`")
    about = {name: report["about"][name] for name in ("measured", "commit", "machine", "PostgreSQL")}
    return {
        "about": about | {"subscribers": section["about"].partition(" ")[0]},
        "figures": [{key: figure[key] for key in ("name", "median", "unit")} for figure in section["figures"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", type=Path, help="a report of `make bench SECTIONS=subscribers`, bench.json")
    parser.add_argument("--subscribers", type=int, help="play a month of so many, and write nothing")
    parser.add_argument("--cores", type=int, default=16, help="by so many cores, for each shard")
    asked = parser.parse_args()
    figures, document = DOCS / "scale.json", DOCS / "scale.md"
    if asked.measured is not None:
        figures.write_text(json.dumps(kept(json.loads(asked.measured.read_text())), indent=1) + "\n")
    said = json.loads(figures.read_text())
    if asked.subscribers is None:
        document.write_text(written(document.read_text(), tables(said)))
        print(f"written: {document}")
        return
    costs, of_shards = Costs.of(medians(said)), shards(asked.subscribers)
    for name, outage in (("a month", False), ("a month with an outage of everyone's", True)):
        played = play(waves(costs, ceil(asked.subscribers / of_shards), outage=outage), asked.cores)
        print(
            f"{name}: {of_shards} shard{'s' if of_shards > 1 else ''} with {asked.cores} cores each, "
            f"{played.used:.1%} of their time used; "
            f"the longest wait is {_minutes(played.waited)}, and for {_minutes(played.busy)} some waited"
            + (f"; {_hours(played.left / asked.cores)} of work are left" if played.left else "")
        )


if __name__ == "__main__":
    main()
