"""The queue of e-mails to customers, and the decisions about them that need a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    AccountOption,
    Actor,
    ColumnsOption,
    Json,
    NoticeStatusOption,
    Store,
    notices_app,
    opened,
    settings_from,
    show_list,
)

if TYPE_CHECKING:
    from ledger.application.acts import By

Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Ids from `makegood notices`.")]


@notices_app.callback(invoke_without_command=True)
def notices(
    context: typer.Context,
    account: AccountOption = None,
    status: NoticeStatusOption = None,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """E-mails to customers that are queued, failed or in doubt, oldest first; resend and discard them."""
    if context.invoked_subcommand is not None:
        return
    from makegood.answers import notices as mails
    from makegood.commands.terminal.printing import say
    from makegood.commands.terminal.tables import NOTICES

    show_list(
        store,
        json,
        lambda house: mails.notices(house, account=account, statuses=[status] if status is not None else None),
        NOTICES,
        chosen=columns,
        account=account,
        title="E-mails to customers",
        empty="no open e-mails; `makegood run` queues and sends them, and --status sent lists those sent",
    )
    if not json and not settings_from(store).smtp:
        say("no mail server is configured: e-mails are queued and not sent; set MAKEGOOD_SMTP and MAKEGOOD_MAIL_FROM")


@notices_app.command("resend")
def notices_resend(ids: Ids, actor: Actor = "", store: Store = "", json: Json = False) -> None:
    """Send e-mails again: failed, in doubt, or not found by the customer."""
    from ledger.application.notice_delivery import resend
    from makegood.answers import notices as mails
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.clock import system_clock

    with opened(store) as house:
        changed = [resend(house.ledger, notice_id, _by(actor), system_clock()) for notice_id in ids]
        house.projections.catch_up()
        answer = [mails.notice(house, notice) for notice in changed]
    if json:
        print_json(answer)
    else:
        for notice in changed:
            say(f"{notice.notice_id}: queued again{', marked as a repeat' if notice.repeat else ''}")


@notices_app.command("discard")
def notices_discard(
    ids: Ids,
    reason: Annotated[
        str | None, typer.Option("--reason", help="The reason, as free text; kept in the vault.")
    ] = None,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Discard e-mails, so that they are not sent."""
    from ledger.application.notice_delivery import discard
    from makegood.answers import notices as mails
    from makegood.commands.terminal.printing import print_json, say

    with opened(store) as house:
        changed = [discard(house.ledger, notice_id, _by(actor), reason) for notice_id in ids]
        house.projections.catch_up()
        answer = [mails.notice(house, notice) for notice in changed]
    if json:
        print_json(answer)
    else:
        for notice in changed:
            say(f"{notice.notice_id}: discarded")


def _by(actor: str) -> By:
    from ledger.application.acts import By
    from makegood.house.actor import actor_of

    return By(actor_of(actor), "cli")
