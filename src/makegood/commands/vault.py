"""The vault: whether its key database is the store's, and keys that are lost for good."""

from __future__ import annotations

from typing import Annotated

import typer

from makegood.commands.app import MISMATCH, Actor, Json, Store, opened_as_it_is, settings_from, vault_app

SHOWN_MAX = 20
"""So many accounts are named on a terminal; `--json` names all."""


@vault_app.callback(invoke_without_command=True)
def vault(context: typer.Context, store: Store = "", json: Json = False) -> None:
    """The vault's key database: its status, and losses of keys."""
    if context.invoked_subcommand is None:
        _show(store, json)


@vault_app.command("status")
def vault_status(store: Store = "", json: Json = False) -> None:
    """Check that the key database is this store's and as new as the store, and list losses that were accepted."""
    _show(store, json)


@vault_app.command("accept-loss")
def vault_accept_loss(
    reason: Annotated[
        str, typer.Option("--reason", help="The reason, such as how the keys were lost; kept in the vault.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is lost without recording anything.")] = False,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Accept that keys are lost for good, so that the store goes on without them.

    Restore the newest backup of the key database first: what its keys cannot decrypt is lost for good.
    """
    from ledger.application.acts import By
    from ledger.application.indexing import fill_if_not_whole
    from ledger.application.lost_keys import accept_loss, unreadable
    from ledger.store.positions import FIRST_SHARD
    from makegood.answers.vault import found_lost, in_words
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.actor import actor_of
    from makegood.house.opening import create_missing_vault, needs_migration, open_with_keys
    from makegood.house.shard_map import settings_of

    by = By(actor_of(actor), "cli")
    settings = settings_from(store)
    with open_with_keys(settings_of(settings, int(settings.shard or FIRST_SHARD))) as (house, keys):
        if dry_run:
            found = unreadable(house.ledger, keys)
            outcome = "would be accepted"
        else:
            create_missing_vault(house)
            found, recorded = accept_loss(house.ledger, keys, reason, by)
            outcome = "accepted" if recorded else "nothing is lost"
            if recorded and found.store_key:
                fill_if_not_whole(house.ledger)
        older = needs_migration(house)
        if not older and not dry_run:
            house.projections.catch_up()
    answer = found_lost(found, outcome)
    if json:
        print_json(answer)
        return
    say(f"{in_words(answer)}{'' if outcome == 'nothing is lost' else f'; {outcome}'}")
    if answer["accounts"]:
        named = answer["accounts"][:SHOWN_MAX]
        more = len(answer["accounts"]) - len(named)
        say(f"accounts: {', '.join(named)}{f' and {more} more (see --json)' if more else ''}")
    if older and not dry_run:
        say("next: makegood migrate")


@vault_app.command("index")
def vault_index(
    repair: Annotated[
        bool, typer.Option("--repair", help="Add what the index lacks, and delete what no entry of the vault says.")
    ] = False,
    store: Store = "",
    json: Json = False,
) -> None:
    """Check that customers are found by what the vault says of them, and by nothing else.

    The index holds keyed hashes of e-mail addresses, names and telephone numbers, for `makegood find`.
    """
    from ledger.application.indexing import check_index, fill_index
    from makegood.answers.vault import index_checked
    from makegood.commands.terminal.printing import print_json, progress_bar, say

    with (
        opened_as_it_is(settings_from(store)) as house,
        progress_bar("comparing", None, "entries") as show,
    ):
        found = (fill_index if repair else check_index)(house.ledger, show)
    answer = index_checked(found, repaired=repair)
    if json:
        print_json(answer)
    else:
        say(
            f"{answer['entries']:,} entries of the vault: {answer['missing']:,} words missing in the index, "
            f"{answer['unfounded']:,} that no entry says{', repaired' if repair and not answer['ok'] else ''}"
        )
        if not answer["ok"] and not repair:
            say("next: makegood vault index --repair")
    if not answer["ok"] and not repair:
        raise typer.Exit(MISMATCH)


def _show(store: str, json: bool) -> None:
    from makegood.answers.vault import in_words
    from makegood.answers.vault import vault as standing
    from makegood.commands.terminal.printing import print_json, print_sentences

    with opened_as_it_is(settings_from(store)) as house:
        found = standing(house)
    if json:
        print_json(found)
        return
    print_sentences(
        f"the key database at {found['address']} is this store's, and as new as the store: {found['keys']} keys, "
        f"vault {found['vault_id']}",
        *(
            f"{loss['accepted_at']}: {in_words(loss)}; accepted by {loss['accepted_by']}: {loss['reason']}"
            for loss in found["losses"]
        ),
    )
