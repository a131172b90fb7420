"""The store, its clock and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    Json,
    Kafka,
    Store,
    app,
    instant,
    opened_shards,
    settings_from,
)

if TYPE_CHECKING:
    from makegood.house.opening import House


def _number_of_shards(number: int) -> int:
    from ledger.store.positions import check_number_of_shards

    try:
        check_number_of_shards(number)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; without the option it is one") from None
    return number


@app.command()
def init(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Create a sandbox: a store for trials, whose clock can be set.")
    ] = False,
    shards: Annotated[
        int,
        typer.Option(
            "--shards",
            metavar="N",
            callback=_number_of_shards,
            help="The number of shards, each a database of its own, which cannot be changed later.",
        ),
    ] = 1,
    store: Store = "",
) -> None:
    """Create the store and the vault's key database."""
    from makegood.commands.terminal.printing import say
    from makegood.house import logs
    from makegood.house.opening import open_house
    from makegood.house.shard_map import create_shards, too_few_connections

    settings = settings_from(store)
    create_shards(settings, shards, sandbox=sandbox)
    with open_house(settings) as house:
        kind = ("sandbox" if sandbox else "store") + (f" of {shards} shards" if shards > 1 else "")
        say(f"created a {kind} at {_place(house)}; next: makegood agreement publish FILE")
        if (too_few := too_few_connections(house)) is not None:
            logs.say(f"makegood: {too_few}")


@app.command()
def migrate(store: Store = "") -> None:
    """Bring a store of an older version up to date, and create the tables that `rebuild` needs."""
    from makegood.commands.terminal.printing import say
    from makegood.house.opening import apply_erasures, check_vault
    from makegood.house.shard_map import open_shards
    from projections.catalog import CATALOG
    from projections.rebuild import Rebuild

    with open_shards(settings_from(store), migrate=True) as houses:
        for house in houses:
            check_vault(house)
            apply_erasures(house)
            house.projections.catch_up()  # also where an earlier call was cut short
            Rebuild(house.database, CATALOG).prepare()
            say(f"the store at {_place(house)} is up to date")


def _place(house: House) -> str:
    from ledger.store.database import redacted

    return redacted(house.settings.store)


@app.command()
def advance(to: Annotated[str, typer.Argument(metavar="INSTANT")], store: Store = "", json: Json = False) -> None:
    """Set a sandbox's clock forward and do all work that falls due by then."""
    from ledger.application import due_work
    from ledger.values import instant_to_text
    from makegood.commands.terminal.printing import print_json, progress_bar, say

    with opened_shards(store) as houses:
        until, assessed = instant(to), 0
        with progress_bar("assessing", None, "accounts") as show:
            for house in houses:
                before = assessed
                assessed += due_work.advance(house.ledger, until, lambda done, of: show(before + done))  # noqa: B023
                house.projections.catch_up()
        if json:
            print_json({"now": instant_to_text(until), "assessed": assessed})
        else:
            say(f"the sandbox's clock stands at {instant_to_text(until)}; {assessed} accounts were assessed")


@app.command()
def config(store: Store = "", kafka: Kafka = "", json: Json = False) -> None:
    """Show the settings in force, without their secrets."""
    from ledger.store.database import redacted
    from makegood.commands.terminal.layout import Columns
    from makegood.commands.terminal.printing import print_json, print_rows

    settings = settings_from(store, kafka)
    rows = [
        {"name": f"MAKEGOOD_{name.upper()}", "value": redacted(str(value))}
        for name, value in settings.model_dump().items()
    ]
    if json:
        print_json({row["name"]: row["value"] for row in rows})
    else:
        print_rows(rows, Columns.made_of({"name": "setting", "value": "value"}), title="Settings", empty="")
