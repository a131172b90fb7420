"""How commands answer: one JSON document for programs, tables and progress for people.

Answers go to standard output; messages and progress go to standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from makegood.answers.refusals import RefusedMessage

WIDTH_OF_A_PIPE = 200
"""Columns of a table that is not shown on a terminal: wide enough for all of a row on one line."""


def people(*, stderr: bool = False) -> Console:
    """Where people read; colours and line widths only on a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        stderr=stderr,
        highlight=False,
        soft_wrap=False,
        width=None if stream.isatty() else WIDTH_OF_A_PIPE,
    )


def say(text: str) -> None:
    """A message beside the answer."""
    people(stderr=True).print(Text(text), soft_wrap=True)


def say_refused(refused: Iterable[RefusedMessage]) -> None:
    """The line, field and reason of each message of a file that is refused."""
    for row in refused:
        at = f", {row['field']}" if row["field"] else ""
        say(f"line {row['line']}{at}: {row['reason']}")


def print_json(document: Any) -> None:
    """The answer for programs."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    title: str,
    empty: str,
    right: Sequence[str] = (),
) -> None:
    """The answer for people: a table, or what to do where there is nothing to show.

    `columns` are names of fields and their headings; those in `right` are amounts, and stand under one another.
    """
    console = people()
    if not rows:
        console.print(Text(empty), soft_wrap=True)
        return
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name, heading in columns.items():
        table.add_column(heading, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row.get(name))) for name in columns))
    console.print(table)


def shown(value: Any) -> str:
    """One value in a cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, str):
        return _FRACTION_OF_A_SECOND.sub(r"\1Z", value)
    return str(value)


_FRACTION_OF_A_SECOND = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$")
"""People read instants to the second; `--json` has them whole."""


class _Rate(ProgressColumn):
    """How much is done in a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} {self._unit}/s" if task.speed else "")


@contextmanager
def progress_bar(what: str, total: int | None, unit: str = "", done: int = 0) -> Iterator[Any]:
    """A progress bar on standard error while work goes on, with rate and time left; nothing without a terminal.

    What it yields is told how much is done, and of how much where that changes. `done` was done before.
    """
    console = people(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        _Rate(unit),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda done, of=None: bar.update(task, completed=done, **({"total": of} if of is not None else {}))
