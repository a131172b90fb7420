"""Questions of finance and auditors, about all accounts and about one."""

from __future__ import annotations

from typing import Annotated

import typer

from makegood.commands.app import (
    AccountOption,
    AsOf,
    Json,
    KnownAt,
    Store,
    app,
    opened,
    show_list,
)
from makegood.house.stop import Stop


@app.command()
def claims(
    account: AccountOption = None,
    clause: Annotated[str | None, typer.Option("--clause", help="Only claims under this clause.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="granted, declined, withdrawn or pending.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """What customers are owed, and what was declined and why."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import CLAIMS

    show_list(
        store,
        json,
        lambda house: owed.claims(house, EVERYTHING, account=account, clause=clause, outcome=outcome),
        CLAIMS,
        title="Claims",
        empty="no claims; messages come in with `makegood ingest FILE` or `makegood run`",
    )


@app.command()
def refunds(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Refunds that are due, and those paid out."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import REFUNDS

    show_list(
        store,
        json,
        lambda house: owed.refunds(house, EVERYTHING, account=account),
        REFUNDS,
        title="Refunds",
        empty="no refunds; see what was decided with `makegood claims`",
    )


@app.command()
def credits(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Credits granted, and what is left of them."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import CREDITS

    show_list(
        store,
        json,
        lambda house: owed.credits(house, EVERYTHING, account=account),
        CREDITS,
        title="Credits",
        empty="no credits; see what was decided with `makegood claims`",
    )


@app.command()
def disputes(
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only investigations open longer than agreed.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation and until when, confirmed or rejected."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import DISPUTES

    show_list(
        store,
        json,
        lambda house: owed.disputes(house, EVERYTHING, account=account, overdue=overdue),
        DISPUTES,
        title="Disputes",
        empty="no investigation is overdue" if overdue else "no charge is disputed",
    )


@app.command()
def complaints(
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only those that are not resolved.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Customers' complaints, those first that have been open longest."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.complaint import complaint_in_words
    from makegood.commands.terminal.tables import COMPLAINTS

    show_list(
        store,
        json,
        lambda house: owed.complaints(house, EVERYTHING, account=account, still_open=still_open),
        COMPLAINTS,
        in_words=complaint_in_words,
        title="Complaints",
        empty="no complaint is open" if still_open else "no customer has complained",
    )


@app.command()
def instructions(
    account: AccountOption = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only of this kind, such as invoice.reduced.")] = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only those that were not answered.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """What billing and provisioning were told to do, those first that wait longest for an answer."""
    from ledger.instructions import KINDS
    from makegood.access.sight import EVERYTHING
    from makegood.answers.instructions import instructions as told
    from makegood.commands.terminal.account import instruction_in_words
    from makegood.commands.terminal.tables import INSTRUCTIONS

    if kind is not None and kind not in KINDS:
        raise Stop(f"there is no kind of instruction {kind!r}; the kinds are {', '.join(KINDS)}")
    show_list(
        store,
        json,
        lambda house: told(house, EVERYTHING, account=account, kind=kind, still_open=still_open),
        INSTRUCTIONS,
        in_words=instruction_in_words,
        title="Instructions",
        empty="every instruction was answered"
        if still_open
        else "no instructions; a cancellation or a claim on an unpaid invoice makes one: see `makegood claims`",
    )


@app.command()
def complaint(
    complaint_id: Annotated[str, typer.Argument(metavar="ID", help="A complaint.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One complaint with its whole history, and what people wrote, out of the vault."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.complaint import UnknownComplaint
    from makegood.answers.complaint import complaint as told
    from makegood.commands.terminal.complaint import show_complaint
    from makegood.commands.terminal.printing import print_json
    from projections.asking import AmbiguousId

    with opened(store) as house:
        try:
            found = told(house, EVERYTHING, complaint_id, account)
        except (UnknownComplaint, AmbiguousId) as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_complaint(found)


@app.command()
def goodwill(
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has decided about.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Goodwill credits: proposed by whom, for which complaint, and approved or rejected by whom."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import GOODWILL

    show_list(
        store,
        json,
        lambda house: owed.goodwill(house, EVERYTHING, account=account, still_open=still_open),
        GOODWILL,
        title="Goodwill credits",
        empty="no goodwill credit waits for approval"
        if still_open
        else "no goodwill credit was proposed; see what customers complain about with `makegood complaints`",
    )


@app.command()
def alarms(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """What a person should look at."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.tables import ALARMS

    show_list(
        store,
        json,
        lambda house: owed.alarms(house, EVERYTHING, account=account),
        ALARMS,
        title="Alarms",
        empty="no alarms",
    )


@app.command()
def waiting(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Facts that wait for another, with what they wait for and their age."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.ages import age
    from makegood.answers.waiting import waiting as told
    from makegood.commands.terminal.tables import WAITING

    show_list(
        store,
        json,
        lambda house: told(house, EVERYTHING, account=account),
        WAITING,
        in_words=lambda row: {**row, "age": age(row["age_seconds"])},
        title="Facts that wait",
        empty="nothing waits",
    )


@app.command()
def account(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One account: balances, subscriptions, charges, payments, claims, refunds and credits.

    As of another time it is assessed anew, from the facts that had become true by then; a date means its end in the
    account's zone. As known at another time it is read as it was recorded by then. Both together: assessed anew from
    the facts that had been recorded by the one and become true by the other.
    """
    from makegood.access.sight import EVERYTHING
    from makegood.answers import account as answering
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json, say

    with opened(store) as house:
        found = answering.account(house, EVERYTHING, account_id, as_of, known_at).answer
    if json:
        print_json(found)
    else:
        reading.show_account(found)
        aside = found["set_aside"]
        if aside:
            say(
                f"{aside} of its messages are set aside, so this may not be all, and its payouts wait: "
                f"makegood aside list --account {account_id}"
            )


@app.command()
def history(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")], store: Store = "", json: Json = False
) -> None:
    """An account's audit trail: every fact and every decision, with actor, cause and both times."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.account import history as told
    from makegood.commands.terminal.tables import HISTORY

    show_list(
        store,
        json,
        lambda house: told(house, EVERYTHING, account_id),
        HISTORY,
        title=f"History of {account_id}",
        empty="",
    )


@app.command()
def replay(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    to: Annotated[int | None, typer.Option("--to", metavar="K", help="Only the first K events.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """An account's state after each of its events, one after the other."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.account import replayed
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json

    with opened(store) as house:
        steps = replayed(house, EVERYTHING, account_id, to)
    if json:
        print_json(steps)
    else:
        reading.show_replay(account_id, steps)


@app.command()
def explain(
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="A claim, refund or credit.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Why a claim is what it is: clause, agreement, formula with its numbers, facts, and every recorded step."""
    from makegood.access.sight import EVERYTHING
    from makegood.answers.explanation import Unexplained
    from makegood.answers.explanation import explain as explained
    from makegood.commands.terminal.explanation import show_explanation
    from makegood.commands.terminal.printing import print_json

    with opened(store) as house:
        try:
            found = explained(house, EVERYTHING, claim_id, account)
        except Unexplained as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_explanation(found)
