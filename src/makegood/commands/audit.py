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
