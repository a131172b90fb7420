"""Months: closed for good, shown with their figures worked out anew, and their cut-off reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from makegood.commands.app import (
    MISMATCH,
    OK,
    Actor,
    ColumnsOption,
    Json,
    Store,
    app,
    month_option,
    opened,
    period_app,
    show_list,
)
from makegood.house.stop import Stop

Period = Annotated[Any, typer.Argument(metavar="MONTH", parser=month_option, help="The month, such as 2026-01.")]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", help="Write the manifest, a row for each account, in JSON Lines."),
]


@app.command()
def periods(columns: ColumnsOption = None, store: Store = "", json: Json = False) -> None:
    """Closed months, as they were closed."""
    from makegood.answers.periods import periods as told
    from makegood.commands.terminal.period import period_in_words
    from makegood.commands.terminal.tables import PERIODS

    show_list(
        store,
        json,
        told,
        PERIODS,
        in_words=period_in_words,
        chosen=columns,
        title="Closed months",
        empty="no closed months; next: makegood period close MONTH --as NAME",
    )


@period_app.command("close")
def period_close(month: Period, actor: Actor = "", store: Store = "", json: Json = False) -> None:
    """Close a month for good, with everything known of it now; later facts are booked in the open month."""
    from ledger.application.acts import By
    from ledger.application.periods import PeriodRefused
    from makegood.answers.periods import close
    from makegood.commands.terminal.period import show_period
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.house.actor import actor_of

    by = By(actor_of(actor), "cli")
    with opened(store, whole=True) as house:
        try:
            with progress_bar("calculating", None, "accounts") as show:
                _, answer = close(house, month, by, show)
        except PeriodRefused as refused:
            raise Stop(str(refused)) from None
        for each in house.every:
            each.projections.catch_up()
    (print_json if json else show_period)(answer)


@period_app.command("show")
def period_show(month: Period, manifest: ManifestFile = None, store: Store = "", json: Json = False) -> int:
    """A month with its figures recomputed from the events; exit 2 where a closed month's differ."""
    from makegood.answers.periods import period
    from makegood.commands.terminal.period import show_period
    from makegood.commands.terminal.printing import print_json, progress_bar

    with (
        opened(store, whole=True) as house,
        _written(manifest) as on_row,
        progress_bar("recomputing", None, "accounts") as show,
    ):
        answer = period(house, month, show, on_row)
    (print_json if json else show_period)(answer)
    return MISMATCH if answer["differing"] else OK


@period_app.command("cut-off")
def period_cut_off(month: Period, store: Store = "", json: Json = False) -> None:
    """The cut-off report: movements of this month booked in a later one, and those of earlier months booked in it."""
    from makegood.answers.periods import cut_off
    from makegood.commands.terminal.period import show_cut_off
    from makegood.commands.terminal.printing import print_json, progress_bar

    with opened(store, whole=True) as house, progress_bar("calculating", None, "accounts") as show:
        answer = cut_off(house, month, show)
    (print_json if json else show_cut_off)(answer)


@contextmanager
def _written(file: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Writes lines to a file, which is there only once it is whole. Raises Stop."""
    if file is None:
        yield lambda line: None
        return
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            yield stream.write
        os.replace(partial, file)
    except OSError as error:
        raise Stop(f"{file} cannot be written ({error.strerror}): give another path") from None
    finally:
        partial.unlink(missing_ok=True)
