"""What people decide about money that goes out: refunds, credits, and what went out too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from makegood.commands.app import (
    AccountOption,
    ColumnsOption,
    Json,
    Store,
    credit_app,
    opened,
    overpaid_app,
    refund_app,
    show_list,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from consumers.upstream import MessageData
    from consumers.upstream.door_messages import OverpaidRecoveryOrderedV1, OverpaidWrittenOffV1
    from makegood.acts.deciding import Deciding
    from makegood.answers.done import OverpaidDecided
    from makegood.house.opening import House
    from projections.refunds import Refund

    M = TypeVar("M", bound=MessageData)

Person = Annotated[
    str,
    typer.Option(
        "--as",
        "--actor",
        metavar="NAME",
        help="The person who decides; your user name is recorded in any case.",
    ),
]
RefundId = Annotated[str, typer.Argument(metavar="ID", help="The refund's id, from `makegood refunds`.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason, as free text; kept in the vault.")]


# --- refunds ------------------------------------------------------------------------------------------------------


@refund_app.command("approve")
def refund_approve(
    refund_id: RefundId,
    person: Person,
    seen: Annotated[
        str,
        typer.Option("--seen", metavar="HASH", help="The refund's field `proposal`, from `makegood refunds --json`."),
    ],
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Approve a refund as you saw it. If its amount changed since, the approval is refused."""
    _decide(refund_id, account, person, store, json, lambda by: by.approve(refund_id, seen))


@refund_app.command("reject")
def refund_reject(
    refund_id: RefundId,
    person: Person,
    reason: Reason,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Reject a refund. It is due again when its amount changes."""
    _decide(refund_id, account, person, store, json, lambda by: by.reject(refund_id, reason))


@refund_app.command("retry")
def refund_retry(
    refund_id: RefundId, person: Person, account: AccountOption = None, store: Store = "", json: Json = False
) -> None:
    """Submit a failed refund again."""
    _decide(refund_id, account, person, store, json, lambda by: by.retry(refund_id))


@refund_app.command("to-credit")
def refund_to_credit(
    refund_id: RefundId, person: Person, account: AccountOption = None, store: Store = "", json: Json = False
) -> None:
    """Turn a failed refund into a credit for the account's next charges."""
    from makegood.answers.done import RefundTurned
    from makegood.commands.terminal.printing import print_json, say
    from projections import credits

    with opened(store, account) as house:
        before = _refund(house, refund_id, account)
        _record(house, before["account_id"], person, lambda by: by.turn_into_credit(refund_id))
        of_account = credits.listed(house.database, accounts=[before["account_id"]])
    [credit_id] = [each["credit_id"] for each in of_account if each["claim_id"] == before["claim_id"]][-1:]
    turned: RefundTurned = {**before, "turned_into": credit_id}
    if json:
        print_json(turned)
    else:
        say(f"{refund_id}: {before['total']} {before['currency']} turned into the credit {credit_id}")


def _decide(
    refund_id: str,
    account: str | None,
    person: str,
    store: str,
    json: bool,
    decision: Callable[[Deciding], MessageData],
) -> None:
    with opened(store, account) as house:
        of_account = _refund(house, refund_id, account)["account_id"]
        _record(house, of_account, person, decision)
        _show(_refund(house, refund_id, of_account), json)


def _refund(house: House, refund_id: str, account: str | None) -> Refund:
    """A refund by its id. Raises Stop where there is none, or where several accounts have it."""
    from projections import refunds
    from projections.asking import AmbiguousId

    try:
        found = refunds.find(house.database, refund_id, account)
    except AmbiguousId as ambiguous:
        raise Stop(str(ambiguous)) from None
    if found is None:
        of = f" of account {account}" if account is not None else ""
        raise Stop(f"refund {refund_id}{of} not found; see `makegood refunds`")
    return found


def _record(house: House, account: str, person: str, decision: Callable[[Deciding], M]) -> M:
    from makegood.acts.commands import Typed, decide
    from makegood.house.actor import actor_of

    if not person:
        raise Stop("give the name of the person who decides with --as")
    said = decide(house.ledger, account, Typed(person, actor_of(person)), decision)
    house.projections.catch_up()
    return said


def _show(refund: Refund, json: bool) -> None:
    from makegood.commands.terminal.printing import print_json, say

    if json:
        print_json(refund)
        return
    waits = f"; it waits for {refund['waits_for']}" if refund.get("waits_for") is not None else ""
    say(f"{refund['refund_id']}: {refund['status']}, {refund['total']} {refund['currency']}{waits}")


# --- credits ------------------------------------------------------------------------------------------------------


@credit_app.command("refund")
def credit_refund(
    credit_id: Annotated[str, typer.Argument(metavar="ID", help="The credit's id, from `makegood credits`.")],
    person: Person,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Refund the rest of a credit, once the account's last subscription has ended. Another person approves it."""
    from projections import credits
    from projections.asking import AmbiguousId

    with opened(store, account) as house:
        try:
            credit = credits.find(house.database, credit_id, account)
        except AmbiguousId as ambiguous:
            raise Stop(str(ambiguous)) from None
        if credit is None:
            raise Stop(f"credit {credit_id} not found; see `makegood credits`")
        said = _record(house, credit["account_id"], person, lambda by: by.refund_credit(credit_id))
        _show(_refund(house, said.refund_id, credit["account_id"]), json)


# --- what went out too much ---------------------------------------------------------------------------------------


@overpaid_app.callback(invoke_without_command=True)
def overpaid(
    context: typer.Context,
    account: AccountOption = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Overpaid claims: what went out too much, and for what. A person writes it off or has it recovered."""
    if context.invoked_subcommand is not None:
        return
    from makegood.access.sight import EVERYTHING
    from makegood.answers import owed
    from makegood.commands.terminal.overpaid import overpaid_in_words
    from makegood.commands.terminal.tables import OVERPAID

    show_list(
        store,
        json,
        lambda house: owed.overpaid(house, EVERYTHING, account=account),
        OVERPAID,
        in_words=overpaid_in_words,
        account=account,
        chosen=columns,
        title="Overpaid claims",
        empty="no overpaid claims",
    )


def _claim(text: str) -> str:
    """A claim's id; the settled part `overpaid/CLAIM` names it too."""
    return text.removeprefix("overpaid/")


ClaimId = Annotated[
    str, typer.Argument(metavar="ID", parser=_claim, help="The claim's id, from `makegood overpaid`.")
]


@overpaid_app.command("write-off")
def overpaid_write_off(
    claim_id: ClaimId,
    person: Person,
    reason: Reason,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Write an overpaid amount off."""
    _decide_overpaid(claim_id, account, person, store, json, "written_off", lambda by: by.write_off(claim_id, reason))


@overpaid_app.command("recover")
def overpaid_recover(
    claim_id: ClaimId,
    person: Person,
    reason: Reason,
    account: AccountOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Have an overpaid amount recovered from the account's next credits."""
    _decide_overpaid(
        claim_id, account, person, store, json, "recovery_ordered", lambda by: by.recover(claim_id, reason)
    )


def _decide_overpaid(
    claim_id: str,
    account: str | None,
    person: str,
    store: str,
    json: bool,
    outcome: Literal["written_off", "recovery_ordered"],
    decision: Callable[[Deciding], OverpaidWrittenOffV1 | OverpaidRecoveryOrderedV1],
) -> None:
    with opened(store, account) as house:
        of_account = _overpaid_account(house, claim_id, account)
        said = _record(house, of_account, person, decision)
    answer: OverpaidDecided = {
        "account_id": of_account,
        "claim_id": claim_id,
        "amount": str(said.amount),
        "currency": said.currency,
        "outcome": outcome,
    }
    _show_overpaid(answer, json)


def _overpaid_account(house: House, claim_id: str, account: str | None) -> str:
    """The account of an overpaid claim. Raises Stop where there is none, or where several accounts have it."""
    from projections import overpaid
    from projections.asking import AmbiguousId

    try:
        found = overpaid.find(house.database, claim_id, account)
    except AmbiguousId as ambiguous:
        raise Stop(str(ambiguous)) from None
    if found is None:
        raise Stop(f"nothing is overpaid for claim {claim_id}; see `makegood overpaid`")
    return found["account_id"]


def _show_overpaid(answer: OverpaidDecided, json: bool) -> None:
    from makegood.commands.terminal.printing import print_json, say

    if json:
        print_json(answer)
        return
    done = "written off" if answer["outcome"] == "written_off" else "to be recovered from the next credits"
    say(f"{answer['claim_id']}: {answer['amount']} {answer['currency']} {done}")
