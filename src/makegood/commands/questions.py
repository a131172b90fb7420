"""The commands for finance, support and auditors: lists over all accounts, and views of one account."""

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
    clause: Annotated[str | None, typer.Option("--clause", help="Only this clause of the policy.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Only this outcome: granted, declined, withdrawn or pending.")
    ] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Claims: granted with an amount, declined with a reason, pending or withdrawn."""
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
            "settlement": "settlement",
        },
        title="Claims",
        empty="no claims; record messages with `makegood ingest FILE` or `makegood run`",
        right=("amount", "tax"),
    )


@app.command()
def refunds(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Refunds: due, failed and paid out."""
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
        empty="no refunds; see the decisions with `makegood claims`",
        right=("net", "tax", "total"),
    )


@app.command()
def credits(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Credits: granted, used and left."""
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
        empty="no credits; see the decisions with `makegood claims`",
        right=("net", "tax", "total", "used", "left"),
    )


@app.command()
def disputes(
    account: AccountOption = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only overdue investigations.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Disputed charges: under investigation with a deadline, confirmed or rejected."""
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
            "investigate_by": "deadline",
            "overdue": "overdue",
            "complaint_ids": "complaints",
        },
        title="Disputes",
        empty="no overdue investigations" if overdue else "no disputes",
    )


@app.command()
def complaints(
    account: AccountOption = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only open complaints.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Customers' complaints, the longest open first."""
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
            "category": "category",
            "channel": "channel",
            "status": "status",
            "age": "open for",
            "opened_at": "opened at",
            "resolved_at": "resolved at",
            "resolution_code": "resolution",
            "links": "links",
        },
        title="Complaints",
        empty="no open complaints" if still_open else "no complaints",
    )


@app.command()
def instructions(
    account: AccountOption = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind, such as invoice.reduced.")] = None,
    still_open: Annotated[bool, typer.Option("--open", help="Only instructions without an answer.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Instructions to billing and provisioning, the longest open first."""
    from ledger.instructions import KINDS
    from makegood.commands.terminal.account import instructions_in_words
    from projections import queries

    if kind is not None and kind not in KINDS:
        raise Stop(f"unknown kind of instruction {kind!r}; the kinds are {', '.join(KINDS)}")

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
            "event": "action",
            "status": "status",
            "age": "open for",
            "issued_at": "issued at",
            "answered_at": "answered at",
        },
        title="Instructions",
        empty="no open instructions"
        if still_open
        else "no instructions; cancellations and claims on unpaid invoices lead to them: see `makegood claims`",
    )


@app.command()
def complaint(
    complaint_id: Annotated[str, typer.Argument(metavar="ID", help="The complaint's id.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """One complaint with its history, notes and links."""
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
    still_open: Annotated[bool, typer.Option("--open", help="Only undecided proposals.")] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Goodwill credits: proposed, approved and rejected, with the people who did it."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.goodwill(house.database, account=account, still_open=still_open),
        {
            "account_id": "account",
            "credit_id": "credit",
            "complaint_id": "complaint",
            "status": "status",
            "outcome": "claim",
            "amount": "amount",
            "currency": "",
            "proposed_by": "proposed by",
            "decided_by": "decided by",
            "proposed_at": "proposed at",
        },
        title="List goodwill credits",
        empty="no goodwill credits waiting for approval"
        if still_open
        else "no goodwill credits; see the complaints with `makegood complaints`",
        right=("amount",),
    )


@app.command()
def alarms(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Active alarms, for a person to check."""
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
            "category": "messages",
            "since": "since",
        },
        title="Alarms",
        empty="no alarms",
    )


@app.command()
def waiting(account: AccountOption = None, store: Store = "", json: Json = False) -> None:
    """Facts that wait for another fact, with its name and their age."""
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
        title="Waiting facts",
        empty="no waiting facts",
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

    --as-of assesses the account anew from the facts that were true by an instant, or by the end of a date in the
    account's time zone. --known-at shows the account as recorded by an instant or position. Both together assess it
    anew from the facts that were recorded by the one and true by the other.
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
                f"incomplete: {aside} messages of this account are set aside, and its payouts are on hold; see "
                f"makegood aside list --account {account_id}"
            )


@app.command()
def history(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")], store: Store = "", json: Json = False
) -> None:
    """An account's audit trail: all facts and decisions, with actor, cause and both times."""
    from projections import queries

    show_list(
        store,
        json,
        lambda house: queries.history(house.database, account_id),
        {
            "position": "position",
            "kind": "kind",
            "type": "event",
            "occurred_at": "occurred at",
            "recorded_at": "recorded at",
            "actor": "by",
            "channel": "channel",
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
    """An account's state after each of its events."""
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
    claim_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a claim, refund or credit.")],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Explain a claim: clause, agreement, formula with its numbers, facts, and all recorded steps."""
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
