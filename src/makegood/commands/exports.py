"""The exports: all rows of a list in one file, with the filters of the command that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.commands.app import (
    AccountOption,
    AskedMoment,
    AsOf,
    FormatOption,
    JournalFormatOption,
    Json,
    KnownAt,
    OutcomeOption,
    RefundStatusOption,
    Store,
    export_app,
    house_at,
    opened,
)
from makegood.commands.filter_options import (
    AgeOption,
    AgreementOption,
    ClauseOrNoneOption,
    CreditStatusOption,
    CurrencyOption,
    FromOption,
    MinOption,
    MovementKindOption,
    PlanOption,
    SettlementOption,
    UntilOption,
    filters_of,
)

if TYPE_CHECKING:
    from makegood.exports.lists import What


To = Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write.")]
ByOccurrence = Annotated[
    bool, typer.Option("--by-occurrence", help="By the day on which they became true, not that of recording.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


@export_app.command()
def claims(
    format_: FormatOption,
    to: To,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    until: UntilOption = None,
    outcome: OutcomeOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Claims: granted with an amount, declined with a reason, pending or withdrawn."""
    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, until)
    at = AskedMoment(as_of, known_at)
    _export("claims", format_, to, force, store, json, at, **filters, outcome=outcome)


@export_app.command()
def refunds(
    format_: FormatOption,
    to: To,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    until: UntilOption = None,
    status: RefundStatusOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Refunds: due, failed and paid out."""
    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, until)
    at = AskedMoment(as_of, known_at)
    _export("refunds", format_, to, force, store, json, at, **filters, status=status)


@export_app.command()
def credits(
    format_: FormatOption,
    to: To,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    min_amount: MinOption = None,
    from_: FromOption = None,
    until: UntilOption = None,
    status: CreditStatusOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Credits: granted, used and left."""
    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, until)
    at = AskedMoment(as_of, known_at)
    _export("credits", format_, to, force, store, json, at, **filters, status=status)


@export_app.command()
def disputes(
    format_: FormatOption,
    to: To,
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only overdue investigations.")] = False,
    age: AgeOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation with a deadline, confirmed or rejected."""
    at = AskedMoment(as_of, known_at)
    _export("disputes", format_, to, force, store, json, at, account=account, overdue=overdue, age=age)


@export_app.command()
def complaints(
    format_: FormatOption,
    to: To,
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only open complaints.")] = False,
    age: AgeOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Customers' complaints, the longest open first."""
    at = AskedMoment(as_of, known_at)
    _export("complaints", format_, to, force, store, json, at, account=account, still_open=still_open, age=age)


@export_app.command()
def movements(
    format_: FormatOption,
    to: To,
    by_occurrence: ByOccurrence = False,
    from_: FromOption = None,
    until: UntilOption = None,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    kind: MovementKindOption = None,
    settlement: SettlementOption = None,
    min_amount: MinOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Movements of a period, one by one: granted, reduced, refunded, credited, applied and others."""
    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, until)
    more: dict[str, Any] = {"kind": kind, "settlement": settlement, "by_occurrence": by_occurrence}
    at = AskedMoment(as_of, known_at)
    _export("movements", format_, to, force, store, json, at, **filters, **more)


@export_app.command()
def journal(
    format_: JournalFormatOption,
    to: To,
    by_occurrence: ByOccurrence = False,
    from_: FromOption = None,
    until: UntilOption = None,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    force: Force = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """The movements of a period in a double-entry journal for hledger or beancount."""
    filters = filters_of(account, currency, clause, agreement, plan, None, from_, until)
    at = AskedMoment(as_of, known_at)
    _export("journal", format_, to, force, store, json, at, **filters, by_occurrence=by_occurrence)


def _export(
    what: What, format_: Any, file_to: Path, force: bool, store: str, json: bool, at: AskedMoment, **filters: Any
) -> None:
    """Write the file, and say what is in it."""
    from makegood.access.sight import EVERYTHING
    from makegood.commands.terminal.export import show_export
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.exports.exporting import export
    from makegood.house.whole_file import whole_file

    account = filters.get("account")
    with opened(store, account, whole=True) as house, whole_file(file_to, force=force) as file:
        moment = at.of(house)
        with house_at(house, moment, account) as then, progress_bar(f"exporting {what}", None, "rows") as told:
            done = export(then, EVERYTHING, what, format_, file, filters, told, moment)
    if json:
        print_json(done)
    else:
        show_export(what, file_to, done)
