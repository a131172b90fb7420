"""Reconciliation: a payment processor's file compared with what went out, and discrepancies settled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.commands.app import (
    MISMATCH,
    OK,
    REFUSED,
    Actor,
    ColumnsOption,
    Json,
    Store,
    app,
    opened,
    reconciliation_app,
    show_list,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.answers.reconciliation import DiscrepancyDone


def _day(text: str) -> Any:
    from ledger.values import date_from_text

    try:
        return date_from_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def reconcile(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The processor's CSV, or an itemized balance report of Stripe.")
    ],
    first_day: Annotated[
        Any,
        typer.Option(
            "--from", parser=_day, metavar="DATE", help="The first day to compare; by default the file's first."
        ),
    ] = None,
    last_day: Annotated[
        Any,
        typer.Option("--to", parser=_day, metavar="DATE", help="The last day, included; by default the file's last."),
    ] = None,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> int:
    """Compare a payment processor's file with what went out here; exit 2 where a discrepancy is open.

    The same file again changes nothing. Discrepancies stay listed until a person settles them with a reason, or both
    sides match in a file that is reconciled later.
    """
    from consumers.payouts.processor_file import NotReadable
    from ledger.application.acts import By
    from makegood.answers.reconciliation import is_open
    from makegood.answers.reconciliation import reconcile as compared
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.commands.terminal.reconciliation import show_reconciled
    from makegood.house.actor import actor_of

    by = By(actor_of(actor), "cli")
    with opened(store, whole=True) as house:
        for each in house.every:
            each.projections.catch_up()
        try:
            with progress_bar("reconciling", None, "rows") as show:
                found = compared(house, lambda: file.open("rb"), by, first_day, last_day, show)
        except FileNotFoundError:
            raise Stop(f"file {file} not found; check the path") from None
        except OSError as error:
            raise Stop(f"file {file} cannot be read ({error.strerror}); give a processor's file") from None
        except NotReadable as error:
            raise Stop(f"{file} cannot be reconciled: {error}") from None
        for each in house.every:
            each.projections.catch_up()
    (print_json if json else show_reconciled)(found)
    if is_open(found):
        return MISMATCH
    return REFUSED if found["unreadable"] else OK


@reconciliation_app.command("list")
def reconciliation_list(
    everything: Annotated[bool, typer.Option("--all", help="Include settled ones.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Discrepancies between processors' files and what went out, those found first in front."""
    from makegood.answers.reconciliation import discrepancies
    from makegood.commands.terminal.reconciliation import in_words, print_csv
    from makegood.commands.terminal.tables import DISCREPANCIES

    if as_csv:
        if json or columns:
            raise Stop("--csv excludes --json and --columns; leave them out")
        with opened(store, whole=True) as house:
            print_csv(discrepancies(house, settled=everything))
        return
    show_list(
        store,
        json,
        lambda house: discrepancies(house, settled=everything),
        DISCREPANCIES if everything else DISCREPANCIES.without("status"),
        in_words=in_words,
        chosen=columns,
        title="Discrepancies",
        empty="no discrepancies" if everything else "no open discrepancies",
    )


@reconciliation_app.command("settle")
def reconciliation_settle(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="IDs of discrepancies.")],
    reason: Annotated[
        str, typer.Option("--reason", help="The reason, such as what was done about it; kept in the vault.")
    ],
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Settle discrepancies for good, with a reason."""
    from ledger.application.acts import By
    from ledger.application.reconciliation import settle
    from makegood.answers.reconciliation import house_with
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.actor import actor_of

    if not reason.strip():
        raise Stop("--reason is empty: say what became of the discrepancy")
    by = By(actor_of(actor), "cli")
    answer: list[DiscrepancyDone] = []
    with opened(store, whole=True) as house:
        for discrepancy_id in ids:
            settle(house_with(house, discrepancy_id).ledger, discrepancy_id, reason, by)
            answer.append({"discrepancy_id": discrepancy_id, "outcome": "settled"})
            if not json:
                say(f"{discrepancy_id}: settled")
        for each in house.every:
            each.projections.catch_up()
    if json:
        print_json(answer)
