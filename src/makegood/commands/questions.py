"""Questions of finance and auditors, about all accounts and about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from makegood.house.opening import House


@app.command()
def claims(
    account: AccountOption = None,
    clause: Annotated[str | None, typer.Option("--clause", help="Only claims under this clause.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="granted, declined, withdrawn or pending.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """What customers are owed, and what was declined and why."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.claims(house.database, account=account, clause=clause, outcome=outcome),
        {
            "account_id": "account",
            "claim_id": "claim",
            "outcome": "outcome",
            "amount": "net",
            "tax": "tax",
            "currency": "",
            "reason": "reason",
            "settlement": "settled as",
        },
        title="Claims",
        empty="no claims; messages come in with `makegood ingest FILE` or `makegood run`",
        right=("amount", "tax"),
    )


@app.command()
def refunds(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Refunds that are due, and those paid out."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.refunds(house.database, account=account),
        {
            "account_id": "account",
            "refund_id": "refund",
            "status": "status",
            "net": "net",
            "tax": "tax",
            "total": "total",
            "currency": "",
            "due_at": "due since",
            "settled_at": "settled at",
        },
        title="Refunds",
        empty="no refunds; see what was decided with `makegood claims`",
        right=("net", "tax", "total"),
    )


@app.command()
def credits(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Credits granted, and what is left of them."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.credits(house.database, account=account),
        {
            "account_id": "account",
            "credit_id": "credit",
            "net": "net",
            "tax": "tax",
            "total": "total",
            "used": "used",
            "left": "left",
            "currency": "",
            "granted_at": "granted at",
        },
        title="Credits",
        empty="no credits; see what was decided with `makegood claims`",
        right=("net", "tax", "total", "used", "left"),
    )


@app.command()
def disputes(
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only investigations open longer than agreed.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation and until when, confirmed or rejected."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.disputes(house.database, house.ledger.now(), account=account, overdue=overdue),
        {
            "account_id": "account",
            "dispute_id": "dispute",
            "charge_id": "charge",
            "status": "status",
            "outcome": "claim",
            "reason": "reason",
            "investigate_by": "in time until",
            "overdue": "overdue",
            "complaint_ids": "complaints",
        },
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
    from makegood.answers.ages import age
    from projections import queries

    def with_age(house: House) -> list[dict[str, Any]]:
        rows = queries.complaints(house.database, house.ledger.now(), account=account, still_open=still_open)
        if json:
            return rows
        return [
            {
                **row,
                "age": age(row["age_seconds"]) if row["status"] == "open" else None,
                "links": [f"{link['kind']} {link['linked_id']}" for link in row["links"]],
            }
            for row in rows
        ]

    show_list(
        store,
        json,
        with_age,
        {
            "account_id": "account",
            "complaint_id": "complaint",
            "category": "about",
            "channel": "through",
            "status": "status",
            "age": "open for",
            "opened_at": "opened at",
            "resolved_at": "resolved at",
            "resolution_code": "with",
            "links": "has to do with",
        },
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
    from makegood.commands.terminal.account import instructions_in_words
    from projections import queries

    if kind is not None and kind not in KINDS:
        raise Stop(f"there is no kind of instruction {kind!r}; the kinds are {', '.join(KINDS)}")

    def query(house: House) -> list[dict[str, Any]]:
        rows = queries.instructions(
            house.database, house.ledger.now(), account=account, kind=kind, still_open=still_open
        )
        return rows if json else instructions_in_words(rows)

    show_list(
        store,
        json,
        query,
        {
            "account_id": "account",
            "instruction_id": "instruction",
            "kind": "kind",
            "what": "what is to be done",
            "status": "status",
            "age": "open for",
            "issued_at": "issued at",
            "answered_at": "answered at",
        },
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
    from makegood.answers.complaint import UnknownComplaint
    from makegood.answers.complaint import complaint as told
    from makegood.commands.terminal.complaint import show_complaint
    from makegood.commands.terminal.printing import print_json
    from projections.queries import AmbiguousId

    with opened(store) as house:
        try:
            found = told(house, complaint_id, account)
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
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.goodwill(house.database, account=account, still_open=still_open),
        {
            "account_id": "account",
            "credit_id": "credit",
            "complaint_id": "for complaint",
            "status": "status",
            "outcome": "claim",
            "amount": "amount",
            "currency": "",
            "proposed_by": "proposed by",
            "decided_by": "decided by",
            "proposed_at": "proposed at",
        },
        title="Goodwill credits",
        empty="no goodwill credit waits for approval"
        if still_open
        else "no goodwill credit was proposed; see what customers complain about with `makegood complaints`",
        right=("amount",),
    )


@app.command()
def alarms(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """What a person should look at."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.alarms(house.database, account=account),
        {
            "account_id": "account",
            "alarm": "alarm",
            "claim_id": "claim",
            "charge_id": "charge",
            "about": "about messages",
            "since": "since",
        },
        title="Alarms",
        empty="no alarms",
    )


@app.command()
def waiting(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Facts that wait for another, with what they wait for and their age."""
    from makegood.answers.ages import age
    from projections import queries

    def with_age(house: House) -> list[dict[str, Any]]:
        rows = queries.waiting(house.database, house.ledger.now(), account=account)
        return rows if json else [{**row, "age": age(row["age_seconds"])} for row in rows]

    show_list(
        store,
        json,
        with_age,
        {
            "account_id": "account",
            "type": "fact",
            "source": "source",
            "id": "message",
            "waits_for": "waits for",
            "age": "for",
        },
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
    from makegood.answers import account as answering
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json, say

    with opened(store) as house:
        found = answering.account(house, account_id, as_of, known_at).answer
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
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.history(house.database, account_id),
        {
            "position": "position",
            "kind": "kind",
            "type": "what",
            "occurred_at": "occurred at",
            "recorded_at": "recorded at",
            "actor": "by",
            "channel": "through",
            "claim_id": "claim",
        },
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
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json
    from projections import queries

    with opened(store) as house:
        steps = list(queries.replay(house.database, account_id, to=to))
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
    from makegood.answers.explanation import Unexplained
    from makegood.answers.explanation import explain as explained
    from makegood.commands.terminal.explanation import show_explanation
    from makegood.commands.terminal.printing import print_json

    with opened(store) as house:
        try:
            found = explained(house, claim_id, account)
        except Unexplained as error:
            raise Stop(str(error)) from None
    if json:
        print_json(found)
    else:
        show_explanation(found)
