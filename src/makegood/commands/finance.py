"""The questions that finance asks: what is owed, what moved in a period, and what changed (contract §3b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from makegood.commands.app import (
    AccountOption,
    AskedMoment,
    AsOf,
    ColumnsOption,
    Json,
    KnownAt,
    Store,
    app,
    house_at,
    known_at_in,
    known_at_option,
    opened,
    show_list,
)
from makegood.commands.filter_options import (
    AgeOption,
    AgreementOption,
    ClauseOrNoneOption,
    CountedAsOption,
    CurrencyOption,
    FromOption,
    MinOption,
    MovementKindOption,
    PlanOption,
    SettlementOption,
    ToOption,
    filters_of,
    groups_of,
)

if TYPE_CHECKING:
    from ledger.store.reading.page import Listed
    from makegood.house.opening import House
    from projections.changes import Change


@app.command()
def owed(
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="GROUP,…", help="Sums by currency, and by clause, age, agreement or plan."),
    ] = None,
    items: Annotated[
        bool, typer.Option("--items", help="The refunds, credits and other amounts one by one, without sums.")
    ] = False,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    counted_as: CountedAsOption = None,
    age: AgeOption = None,
    min_amount: MinOption = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Amounts owed: refunds due, credits left and excess payments, less overpaid amounts.

    --known-at shows them as recorded by then. --as-of assesses every account anew from the facts that were true by
    then, which takes a while: --account limits it to one. Both together assess from the facts that were recorded by
    the one and true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import finance as answering
    from makegood.commands.terminal import finance as reading
    from makegood.commands.terminal.printing import print_json, progress_bar
    from projections.owed import GROUPINGS

    groups = groups_of(by, GROUPINGS, ("currency",))
    filters = filters_of(account, currency, clause, agreement, plan, min_amount)
    with opened(store, account, whole=True) as house, progress_bar("assessing", None, "accounts") as told:
        asked: dict[str, Any] = {
            "counted_as": counted_as,
            "age": age,
            "as_of": as_of,
            "known_at": AskedMoment(as_of, known_at).of(house).known_at,
            **filters,
        }
        if items:
            found = answering.owed_items(house, EVERYTHING, **asked, on_progress=told)
        else:
            sums = answering.owed_sums(house, EVERYTHING, groups, **asked, on_progress=told)
    if json:
        print_json(found if items else sums)
    elif items:
        reading.show_owed_items(found)
    else:
        reading.show_owed(sums, groups)


@app.command()
def movements(
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="GROUP,…",
            help="Sums by currency and kind, and by clause, settlement, agreement, plan, account, day or month.",
        ),
    ] = None,
    by_occurrence: Annotated[
        bool, typer.Option("--by-occurrence", help="By the day on which they became true, not that of recording.")
    ] = False,
    from_: FromOption = None,
    to: ToOption = None,
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
    store: Store = "",
    json: Json = False,
) -> None:
    """Movements of a period: granted, reduced, refunded, credited, applied and others, with totals by currency."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import finance as answering
    from makegood.commands.terminal import finance as reading
    from makegood.commands.terminal.printing import print_json

    groups = groups_of(by, answering.GROUPINGS, ("currency", "kind"))
    filters = filters_of(account, currency, clause, agreement, plan, min_amount, from_, to)
    asked: dict[str, Any] = {"kind": kind, "settlement": settlement, "by_occurrence": by_occurrence, **filters}
    at = AskedMoment(as_of, known_at)
    with opened(store, account, whole=True) as house, house_at(house, at.of(house), account) as then:
        if by is None:
            rows = answering.movements(then, EVERYTHING, **asked)
            totals = answering.movement_totals(then, EVERYTHING, **asked)
            found: Any = {"rows": rows, "totals": totals}
        else:
            found = answering.movement_sums(then, EVERYTHING, groups, **asked)
    if json:
        print_json(found)
    elif by is None:
        reading.show_movements(found)
    else:
        reading.show_movement_sums(found, groups)


@app.command()
def rollforward(
    by_occurrence: Annotated[
        bool, typer.Option("--by-occurrence", help="By the day on which movements became true, not of recording.")
    ] = False,
    from_: FromOption = None,
    to: ToOption = None,
    account: AccountOption = None,
    currency: CurrencyOption = None,
    clause: ClauseOrNoneOption = None,
    agreement: AgreementOption = None,
    plan: PlanOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Balances of a period: opening, movements by kind, and closing, of refunds due, credits, excess and overpaid."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import finance as answering
    from makegood.commands.terminal import finance as reading
    from makegood.commands.terminal.printing import print_json

    filters = filters_of(account, currency, clause, agreement, plan, from_=from_, to=to)
    with opened(store, account, whole=True) as house:
        found = answering.rollforward(house, EVERYTHING, by_occurrence=by_occurrence, **filters)
    if json:
        print_json(found)
    else:
        reading.show_rollforward(found)


@app.command()
def changes(
    since: Annotated[
        str, typer.Option("--since", metavar="INSTANT|POSITION|CHECKPOINT", help="The moment after which.")
    ],
    account: AccountOption = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Claims, refunds and credits that changed since an instant or a position, before and after."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import finance as answering
    from makegood.commands.terminal.finance import change_in_words
    from makegood.commands.terminal.printing import progress_bar
    from makegood.commands.terminal.tables import CHANGES

    moment = known_at_option(since)

    def query(house: House) -> Listed[Change]:
        return answering.changes(house, EVERYTHING, known_at_in(house, moment), account=account, on_progress=told)

    with progress_bar("comparing", None, "accounts") as told:
        show_list(
            store,
            json,
            query,
            CHANGES,
            in_words=change_in_words,
            account=account,
            chosen=columns,
            title=f"Changes since {since}",
            empty=f"no claim, refund or credit changed since {since}",
        )
