"""What auditors ask: whether the ledger holds what it says, shown from its events alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.commands.app import (
    MISMATCH,
    OK,
    AccountOption,
    Json,
    Store,
    audit_app,
    known_at_in,
    known_at_option,
    settings_from,
)

if TYPE_CHECKING:
    from makegood.house.opening import House


def _month(text: str) -> Any:
    from ledger.values import month_from_text

    try:
        return month_from_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def audited(store: str) -> Iterator[House]:
    """The house on a store as an auditor opens it: also where projections say what the ledger does not."""
    from makegood.house.opening import open_house

    with open_house(settings_from(store), restored=True) as house:
        yield house


@audit_app.command("reperform")
def audit_reperform(
    period: Annotated[
        Any,
        typer.Option(
            "--period", parser=_month, metavar="MONTH", help="Only decisions recorded in this month, such as 2026-01."
        ),
    ] = None,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> int:
    """Perform each recorded decision again, from the facts known at its position; exit 2 where one differs."""
    from makegood.answers.audit.reperformance import reperformed
    from makegood.commands.terminal.audit import show_reperformance
    from makegood.commands.terminal.printing import print_json, progress_bar

    with audited(store) as house, progress_bar("performing again", None, "accounts") as show:
        answer = reperformed(house, month=period, account=account, progress=show)
    (print_json if json else show_reperformance)(answer)
    return MISMATCH if answer["differing"] else OK


@audit_app.command("diff")
def audit_diff(
    account: Annotated[str, typer.Option("--account", metavar="ACCOUNT", help="The account.")],
    from_: Annotated[
        Any,
        typer.Option(
            "--from",
            parser=known_at_option,
            metavar="INSTANT|POSITION|CHECKPOINT",
            help="The first moment: events recorded by then are left out.",
        ),
    ],
    to: Annotated[
        Any,
        typer.Option(
            "--to",
            parser=known_at_option,
            metavar="INSTANT|POSITION|CHECKPOINT",
            help="The second moment: events recorded by then are listed.",
        ),
    ],
    store: Store = "",
    json: Json = False,
) -> None:
    """The difference between two moments of an account: its events in between, in words, and what they changed."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.audit.difference import difference
    from makegood.answers.filters import FilterRefused
    from makegood.commands.terminal.audit import show_difference
    from makegood.commands.terminal.printing import print_json

    with audited(store) as house:
        try:
            begin, end = known_at_in(house, from_), known_at_in(house, to)
            answer = difference(house, EVERYTHING, account, begin, end)
        except FilterRefused as error:
            raise typer.BadParameter(str(error), param_hint=f"--{error.word}") from None
    (print_json if json else show_difference)(answer)
