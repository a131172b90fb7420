"""The report of `make bench`: Markdown to read and JSON to compare, each figure with its spread."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPORT = Path(".bench")
"""Where reports go, seen from the project's folder."""
LIBRARIES = ("confluent-kafka", "eventsourcing", "psycopg", "pydantic")
PERCENTILE_FROM = 20
"""With so many values the 95th percentile is told as well."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of one thing, in one run: a value a round."""

    name: str
    unit: str
    values: Sequence[float]
    cpu: Sequence[float] = ()
    """CPU milliseconds of our own processes for each of what is counted, a value a round; none where nothing is."""
    beside: str | None = None
    """The figure of the same section that it is to be compared with."""
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def percentile(self) -> float | None:
        """The 95th percentile, where there are enough values to tell one."""
        return percentile(self.values) if len(self.values) >= PERCENTILE_FROM else None


def percentile(values: Sequence[float]) -> float:
    """The 95th percentile of two values or more."""
    return statistics.quantiles(values, n=20, method="inclusive")[18]


@dataclass(slots=True)
class Section:
    """Figures that were measured side by side."""

    title: str
    about: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float], unit: str, **more: Any) -> Figure:
        """Keep a figure, and show it at once (see Figure)."""
        figure = Figure(name, unit, list(values), **more)
        self.figures.append(figure)
        print(f"  {figure.name:<76} {_number(figure.median):>10} {figure.unit}{self._told(figure)}", flush=True)
        return figure

    def _told(self, figure: Figure) -> str:
        told = []
        if len(figure.values) > 1:
            told.append(
                f"{_number(min(figure.values))} to {_number(max(figure.values))}, {len(figure.values)} rounds"
            )
        if figure.percentile is not None:
            told.append(f"p95 {_number(figure.percentile)}")
        if figure.cpu:
            told.append(f"CPU {statistics.median(figure.cpu):.3f} ms each")
        if (times := self.times(figure)) is not None:
            told.append(f"{_number(times)} times {figure.beside}")
        return "".join(f"   ({'; '.join(told)})" if told else "") + (f"   {figure.note}" if figure.note else "")

    def times(self, figure: Figure) -> float | None:
        """How many times the one that it is compared with a figure is, by the medians."""
        other = next((each for each in self.figures if each.name == figure.beside), None)
        return figure.median / other.median if other is not None and other.median else None


@dataclass(slots=True)
class Report:
    """All sections of one run, and the machine that it ran on."""

    about: dict[str, str]
    sections: list[Section] = field(default_factory=list)

    @classmethod
    def begin(cls, **more: str) -> Report:
        """A report about this machine."""
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
        ).stdout.strip()
        about = {
            "measured": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": commit or "unknown",
            "machine": f"{os.cpu_count()} processors ({platform.machine()}), {_memory()}, Linux {platform.release()}",
            "Python": platform.python_version(),
            "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
            **more,
        }
        for name, value in about.items():
            print(f"{name:<12}{value}")
        return cls(about)

    def section(self, title: str, about: str = "") -> Section:
        """Begin a section."""
        print(f"\n{title}" + (f"\n  {about}" if about else ""), flush=True)
        self.sections.append(Section(title, about))
        return self.sections[-1]

    def write(self, folder: Path, name: str = "bench") -> None:
        """Write `bench.md` and `bench.json`, or others of a name, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.to_markdown())
        (folder / f"{name}.json").write_text(json.dumps(self.to_json(), indent=1) + "\n")

    def to_json(self) -> dict[str, Any]:
        """The report with every value."""
        return {
            "about": self.about,
            "sections": [
                {
                    "title": section.title,
                    "about": section.about,
                    "figures": [
                        {
                            "name": each.name,
                            "unit": each.unit,
                            "median": each.median,
                            "values": list(each.values),
                            "cpu_ms": list(each.cpu),
                            "beside": each.beside,
                            "note": each.note,
                        }
                        for each in section.figures
                    ],
                }
                for section in self.sections
            ],
        }

    def to_markdown(self) -> str:
        """The report to read: medians with their spread."""
        lines = ["# What was measured", "", *_table(("", ""), self.about.items())]
        for section in self.sections:
            lines += ["", f"## {section.title}", ""]
            lines += [section.about, ""] if section.about else []
            lines += _table(_COLUMNS, (_cells(section, figure) for figure in section.figures))
        return "\n".join(lines) + "\n"


_COLUMNS = ("", "median", "min to max", "p95", "rounds", "unit", "CPU ms each", "times", "of", "")


def _cells(section: Section, figure: Figure) -> Sequence[str]:
    spread = f"{_number(min(figure.values))} to {_number(max(figure.values))}" if len(figure.values) > 1 else ""
    times = section.times(figure)
    return (
        figure.name,
        _number(figure.median),
        spread,
        _number(figure.percentile) if figure.percentile is not None else "",
        str(len(figure.values)),
        figure.unit,
        f"{statistics.median(figure.cpu):.3f}" if figure.cpu else "",
        _number(times) if times is not None else "",
        figure.beside or "",
        figure.note,
    )


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Any) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'|'.join('---' for _ in head)}|",
        *(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
    ]


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.0f} GiB"


# --- two reports ----------------------------------------------------------------------------------------------------


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Two reports side by side, as Markdown: what both measured, and whether the difference is beyond the spread."""
    found = {(section["title"], each["name"]): each for section in before["sections"] for each in section["figures"]}
    lines = ["# Two reports compared", "", *_table(("", "before", "after"), _both(before["about"], after["about"]))]
    for section in after["sections"]:
        rows = [
            _change(found[section["title"], each["name"]], each)
            for each in section["figures"]
            if (section["title"], each["name"]) in found
        ]
        if rows:
            lines += ["", f"## {section['title']}", ""]
            lines += _table(("", "unit", "before", "after", "after ÷ before", "CPU after ÷ before", ""), rows)
    return "\n".join(lines) + "\n"


def _both(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Sequence[str]]:
    for name in {**before, **after}:
        yield name, before.get(name, "–"), after.get(name, "–")


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[str]:
    apart = min(after["values"]) > max(before["values"]) or max(after["values"]) < min(before["values"])
    several = min(len(before["values"]), len(after["values"])) > 1
    cpu = before["cpu_ms"] and after["cpu_ms"]
    return (
        after["name"],
        after["unit"],
        _number(before["median"]),
        _number(after["median"]),
        f"{after['median'] / before['median']:.2f}" if before["median"] else "–",
        f"{statistics.median(after['cpu_ms']) / statistics.median(before['cpu_ms']):.2f}" if cpu else "",
        "" if not several else "beyond the spread" if apart else "within the spread",
    )
