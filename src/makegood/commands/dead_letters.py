"""Kept messages: dead letters and messages set aside. List, show, replay and discard."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    OK,
    REFUSED,
    AccountOption,
    Actor,
    ColumnsOption,
    Json,
    Store,
    aside_app,
    letters_app,
    opened,
    show_list,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from ledger.events import KeptAs
    from ledger.store.reading.kept_messages import KeptMessage, Wanted
    from makegood.answers.done import DeadLetterDiscarded, DeadLetterReplayed, Replayed, SetAsideReplayed
    from makegood.answers.kept_messages import DeadLetter
    from makegood.house.opening import House

Source = Annotated[str | None, typer.Option("--source", help="Only messages from this source.")]
Field = Annotated[str | None, typer.Option("--field", help="Only messages refused because of this field.")]
Everything = Annotated[bool, typer.Option("--all", help="Include replayed and discarded messages.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Ids, or numbers from the list.")]
Body = Annotated[
    Path | None, typer.Option("--body", help="The repaired message to replay instead, in either content mode.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="The reason, as free text; kept in the vault.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the outcome without recording anything.")]
Every = Annotated[bool, typer.Option("--every", help="All open messages that match the filters.")]


@letters_app.command("list")
def dead_letters_list(
    account: AccountOption = None,
    source: Source = None,
    field: Field = None,
    everything: Everything = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """List open dead letters: refused messages, neither replayed nor discarded."""
    from makegood.answers.kept_messages import dead_letters
    from makegood.commands.terminal.tables import DEAD_LETTERS

    def found(house: House) -> Sequence[DeadLetter]:
        _check_field(house, field)
        return dead_letters(house, {"account": account, "source": source, "field": field}, closed=everything)

    show_list(
        store,
        json,
        found,
        DEAD_LETTERS if everything else DEAD_LETTERS.without("status"),
        account=account,
        chosen=columns,
        in_turn=True,
        title="Dead letters",
        empty="no open dead letters",
    )


@letters_app.command("show")
def dead_letters_show(
    dead_letter: Annotated[
        str, typer.Argument(metavar="ID", help="The dead letter's id, or its number in the list.")
    ],
    store: Store = "",
    json: Json = False,
) -> None:
    """Show one dead letter with its body, from the vault."""
    _show("dead-letter", dead_letter, store, json)


@letters_app.command("replay")
def dead_letters_replay(
    ids: Ids = None,
    every: Every = False,
    account: AccountOption = None,
    source: Source = None,
    field: Field = None,
    body: Body = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> int:
    """Submit refused messages again, unchanged or repaired. Safe to repeat."""
    wanted: Wanted = {"account": account, "source": source, "field": field}
    return _replay("dead-letter", ids or [], every, wanted, body, reason, dry_run, actor, store, json)


@letters_app.command("discard")
def dead_letters_discard(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids, or numbers from the list.")],
    reason: Annotated[str, typer.Option("--reason", help="The reason, as free text; kept in the vault.")],
    dry_run: DryRun = False,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Close refused messages for good, without replaying them. Their bodies stay in the vault."""
    from ledger.application.kept_messages import Closing, Kept, discard
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.actor import actor_of

    answer: list[DeadLetterDiscarded] = []
    with opened(store) as house:
        chosen = _chosen(house, "dead-letter", ids, False, {})
        for letter in chosen:
            if not dry_run:
                of = Kept("dead-letter", letter.kept_id, letter.origin)
                discard(house.ledger, Closing(of, actor_of(actor), "cli", reason))
            answer.append({"dead_letter_id": letter.kept_id, "outcome": "discarded"})
            if not json:
                say(f"{letter.kept_id}: {'would be ' if dry_run else ''}discarded")
        house.projections.catch_up()
    if json:
        print_json(answer)


@aside_app.command("list")
def aside_list(
    account: AccountOption = None,
    source: Source = None,
    everything: Everything = False,
    columns: ColumnsOption = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """List the messages set aside after repeated failures. The payouts of their accounts are on hold."""
    from makegood.answers.kept_messages import set_aside
    from makegood.commands.terminal.tables import SET_ASIDE

    show_list(
        store,
        json,
        lambda house: set_aside(house, {"account": account, "source": source}, closed=everything),
        SET_ASIDE if everything else SET_ASIDE.without("status"),
        account=account,
        chosen=columns,
        in_turn=True,
        title="Messages set aside",
        empty="no messages set aside",
    )


@aside_app.command("show")
def aside_show(
    message: Annotated[str, typer.Argument(metavar="ID", help="The message's id, or its number in the list.")],
    store: Store = "",
    json: Json = False,
) -> None:
    """Show one message set aside, with its body, from the vault."""
    _show("set-aside", message, store, json)


@aside_app.command("replay")
def aside_replay(
    ids: Ids = None,
    every: Every = False,
    account: AccountOption = None,
    source: Source = None,
    body: Body = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> int:
    """Submit messages set aside again, once the cause is fixed. Safe to repeat."""
    wanted: Wanted = {"account": account, "source": source}
    return _replay("set-aside", ids or [], every, wanted, body, reason, dry_run, actor, store, json)


# --- both kinds ---------------------------------------------------------------------------------------------------

_NAME: dict[KeptAs, str] = {"dead-letter": "dead letter", "set-aside": "message set aside"}
_COMMAND: dict[KeptAs, str] = {"dead-letter": "dead-letters", "set-aside": "aside"}


def _check_field(house: House, field: str | None) -> None:
    from makegood.answers.unknown import check_field

    if field is not None:
        with house.database.reading() as transaction:
            check_field(transaction, field)


def _chosen(house: House, kept: KeptAs, ids: list[str], every: bool, wanted: Wanted) -> list[KeptMessage]:
    """The kept messages that were named, or the open ones that filters leave. Raises Stop."""
    from ledger.store.reading.kept_messages import kept_messages

    if bool(ids) == every:
        raise Stop(f"give ids from `makegood {_COMMAND[kept]} list`, or --every for all open messages")
    with house.database.reading() as transaction:
        found = kept_messages(transaction, kept, wanted, closed=not every)
    if every:
        return found
    by_id = {message.kept_id: message for message in found} | {str(message.position): message for message in found}
    missing = [id_ for id_ in ids if id_ not in by_id]
    if missing:
        raise Stop(f"{_NAME[kept]} {missing[0]} not found; see `makegood {_COMMAND[kept]} list --all`")
    return [by_id[id_] for id_ in ids]


def _show(kept: KeptAs, id_or_number: str, store: str, json: bool) -> None:
    from makegood.answers.kept_messages import with_body
    from makegood.commands.terminal import account as reading
    from makegood.commands.terminal.printing import print_json

    with opened(store) as house:
        [message] = _chosen(house, kept, [id_or_number], False, {})
        found = with_body(house, kept, message)
    if json:
        print_json(found)
    else:
        reading.show_kept(found)


def _replay(
    kept: KeptAs,
    ids: list[str],
    every: bool,
    wanted: Wanted,
    body: Path | None,
    reason: str | None,
    dry_run: bool,
    actor: str,
    store: str,
    json: bool,
) -> int:
    from consumers.replaying import NothingKept, replay
    from ledger.application.kept_messages import AlreadyClosed, Closing, Kept
    from makegood.commands.terminal.printing import print_json, progress_bar, say
    from makegood.house.actor import actor_of

    if body is not None and len(ids) != 1:
        raise Stop("--body replaces one message: give exactly one id")
    repaired = body.read_bytes().removeprefix(BOM_UTF8) if body is not None else None
    answer: list[DeadLetterReplayed | SetAsideReplayed] = []
    said: list[tuple[str, Replayed]] = []
    with opened(store, wanted.get("account")) as house, progress_bar("replaying", None, "messages") as show:
        _check_field(house, wanted.get("field"))
        for message in _chosen(house, kept, ids, every, wanted):
            closing = Closing(
                Kept(kept, message.kept_id, message.origin),
                actor_of(actor),
                "cli",
                reason,
                repaired=repaired is not None,
            )
            try:
                became = replay(house.ledger, closing, repaired=repaired, dry_run=dry_run)
                outcome: Replayed = {"outcome": became.outcome, "field": became.field, "reason": became.reason}
            except AlreadyClosed as closed:
                outcome = {"outcome": "closed", "field": None, "reason": str(closed)}
            except NothingKept as nothing:
                outcome = {"outcome": "refused", "field": None, "reason": str(nothing)}
            answer.append(
                {"dead_letter_id": message.kept_id, **outcome}
                if kept == "dead-letter"
                else {"set_aside_id": message.kept_id, **outcome}
            )
            said.append((message.kept_id, outcome))
            show(len(answer))
        house.projections.catch_up()
    if json:
        print_json(answer)
    else:
        for kept_id, line in said:
            why = f" ({line['field']}: {line['reason']})" if line["field"] else f" ({line['reason']})"
            say(f"{kept_id}: {_SAID[kept][line['outcome']]}{why if line['reason'] else ''}")
        if not answer:
            say("no open messages")
        elif dry_run:
            say("dry run: nothing was recorded")
    return REFUSED if any(line["outcome"] == "refused" for line in answer) else OK


_CLOSED = {"accepted": "recorded", "duplicate": "recorded before, now closed", "closed": "already closed"}
_SAID: dict[KeptAs, dict[str, str]] = {
    "dead-letter": {**_CLOSED, "refused": "refused again, still open"},
    "set-aside": {**_CLOSED, "refused": "refused; see `makegood dead-letters list`"},
}
