"""The store, its clock and settings, and the agreements in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    Json,
    Kafka,
    Store,
    agreement_app,
    app,
    instant,
    opened,
    settings_from,
)
from makegood.stop import Stop

if TYPE_CHECKING:
    from makegood.house import House


@app.command()
def init(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="A store to try things out, whose clock can be set.")
    ] = False,
    store: Store = "",
) -> None:
    """Create the store and the vault's key database."""
    from makegood.answers import say
    from makegood.house import open_house

    with open_house(settings_from(store), create=True, sandbox=sandbox) as house:
        kind = "sandbox" if sandbox else "store"
        say(f"created a {kind} at {_place(house)}; next: makegood agreement publish FILE")


def _place(house: House) -> str:
    from ledger.store.database import redacted

    return redacted(house.settings.store)


@app.command()
def advance(to: Annotated[str, typer.Argument(metavar="INSTANT")], store: Store = "", json: Json = False) -> None:
    """Set a sandbox's clock, and do all work that falls due by then."""
    from ledger.application import due_work
    from ledger.values import instant_to_text
    from makegood.answers import print_json, progress_bar, say

    with opened(store) as house:
        until = instant(to)
        with progress_bar("assessing", None, "accounts") as show:
            assessed = due_work.advance(house.ledger, until, lambda done, of: show(done))
        house.projections.catch_up()
        if json:
            print_json({"now": instant_to_text(until), "assessed": assessed})
        else:
            say(f"the sandbox's clock stands at {instant_to_text(until)}; {assessed} accounts were assessed")


@app.command()
def config(store: Store = "", kafka: Kafka = "", json: Json = False) -> None:
    """Show the settings in force, without their secrets."""
    from ledger.store.database import redacted
    from makegood.answers import print_json, print_rows

    settings = settings_from(store, kafka)
    rows = [
        {"name": f"MAKEGOOD_{name.upper()}", "value": redacted(str(value))}
        for name, value in settings.model_dump().items()
    ]
    if json:
        print_json({row["name"]: row["value"] for row in rows})
    else:
        print_rows(rows, {"name": "setting", "value": "value"}, title="Settings", empty="")


@agreement_app.command("publish")
def agreement_publish(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…")], store: Store = "", json: Json = False
) -> None:
    """Publish versions of service agreements from TOML files."""
    from ledger.agreement import AgreementRefused
    from ledger.application import agreements, due_work
    from makegood.answers import print_json, say

    answer = []
    with opened(store) as house:
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
                published = agreements.publish(house.ledger, text, actor="/makegood/cli", channel="cli")
            except AgreementRefused as error:
                raise Stop(f"{file}: {error}") from None
            except UnicodeDecodeError:
                raise Stop(f"{file}: an agreement is written in UTF-8") from None
            terms = published.agreement.terms
            answer.append({"name": terms.name, "version": terms.version, "sha256": published.agreement.sha256})
            if not json:
                said = "published" if published.new else "published already, unchanged"
                say(f"{terms.name} version {terms.version}: {said}")
        due_work.do_due_work(house.ledger, house.ledger.now())
        house.projections.catch_up()
    if json:
        print_json(answer)


@agreement_app.command("list")
def agreement_list(store: Store = "", json: Json = False) -> None:
    """List the published versions."""
    from makegood import answering
    from makegood.answers import print_json, print_rows

    with opened(store) as house:
        rows = answering.agreements(house)
    if json:
        print_json(rows)
    else:
        print_rows(
            rows,
            {"name": "agreement", "version": "version", "valid_from": "valid from", "sha256": "SHA-256"},
            title="Service agreements",
            empty="no agreement is published yet; next: makegood agreement publish FILE",
        )


@agreement_app.command("show")
def agreement_show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    version: Annotated[int | None, typer.Option("--version", help="The newest unless given.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Show the text that a version was published as."""
    from makegood import answering
    from makegood.answers import print_json

    with opened(store) as house:
        found = answering.agreement(house, name, version)
    if json:
        print_json(found)
    else:
        sys.stdout.write(found["text"])
