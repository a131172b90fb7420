"""How commands answer: one JSON document for programs, tables and progress for people.

Answers go to standard output; messages and progress go to standard error.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from makegood.commands.terminal.layout import Columns, Layout
from makegood.commands.terminal.layout import shown as shown
from makegood.house.control_characters import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from makegood.answers.refusals import RefusedMessage

WIDTH_OF_A_PIPE = 200
"""Columns of what is not shown on a terminal, where lines are folded at all."""
LINES_AT_ONCE = 500
"""So many lines of a table are written together."""


def people(*, stderr: bool = False) -> Console:
    """Where people read; colours and line widths only on a terminal."""
    from rich.console import Console  # only here: tables and JSON do without

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        width=None if stream.isatty() else WIDTH_OF_A_PIPE,
    )


def say(text: str) -> None:
    """A message beside the answer."""
    sys.stdout.flush()
    sys.stderr.write(f"{visible(text)}\n")


def say_refused(refused: Iterable[RefusedMessage]) -> None:
    """The line, field and reason of each message of a file that is refused."""
    for row in refused:
        at = f", {row['field']}" if row["field"] else ""
        say(f"line {row['line']}{at}: {row['reason']}")


def print_json(document: Any) -> None:
    """The answer for programs."""
    sys.stdout.write(visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n")


def print_text(text: str) -> None:
    """A text as it was given, for files; on a terminal its control characters are visible."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def print_sentences(*sentences: str) -> None:
    """The answer for people where it is no table."""
    for sentence in sentences:
        sys.stdout.write(f"{visible(sentence)}\n")


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Columns, *, title: str, empty: str, choosable: bool = False
) -> None:
    """The answer for people: a table, or what to do where there is nothing to show.

    Where the terminal is too narrow for a table whose columns are `choosable`, it says how to choose.
    """
    if not rows:
        sys.stdout.write(f"{visible(empty)}\n")
        return
    watched = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if watched else None
    layout = Layout(rows, columns, width)
    lines = iter((*filter(None, (visible(title),)), *layout.heading()))
    sys.stdout.writelines(f"{_bold(line) if watched else line}\n" for line in lines)
    lines = layout.lines()
    while part := list(islice(lines, LINES_AT_ONCE)):
        sys.stdout.write("\n".join(part) + "\n")
    sys.stdout.write("\n")
    if layout.left_out:
        choose = "choose with --columns, or " if choosable else ""
        say(f"not shown at a width of {width}: {', '.join(layout.left_out)}; {choose}see all with --json")


def _bold(line: str) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return line if plain else f"\x1b[1m{line}\x1b[0m"


@contextmanager
def progress_bar(what: str, total: int | None, unit: str = "", done: int = 0) -> Iterator[Any]:
    """A progress bar on standard error while work goes on, with rate and time left; nothing without a terminal.

    What it yields is told how much is done, and of how much where that changes. `done` was done before.
    """
    if not sys.stderr.isatty():
        yield lambda done, of=None: None
        return
    with _bar(unit) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda done, of=None: bar.update(task, completed=done, **({"total": of} if of is not None else {}))


def _bar(unit: str) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    from makegood.commands.terminal.visible_text import Text

    class Rate(ProgressColumn):
        """How much is done in a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        Rate(),
        TimeRemainingColumn(),
        console=people(stderr=True),
        transient=True,
    )
