"""Service agreements: published, listed and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    Actor,
    ColumnsOption,
    Json,
    Store,
    agreement_app,
    opened,
    opened_shards,
    show_list,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.answers.done import AgreementPublished


@agreement_app.command("publish")
def agreement_publish(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…")],
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> None:
    """Publish versions of service agreements from TOML files."""
    from ledger.agreement import AgreementRefused
    from ledger.application import agreements, due_work
    from makegood.commands.terminal.printing import print_json, say
    from makegood.house.actor import actor_of

    by = actor_of(actor)
    answer: list[AgreementPublished] = []
    with opened_shards(store) as houses:
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
                published = agreements.publish_everywhere([h.ledger for h in houses], text, actor=by, channel="cli")
            except AgreementRefused as error:
                raise Stop(f"{file}: {error}") from None
            except UnicodeDecodeError:
                raise Stop(f"{file}: not valid UTF-8; save the file as UTF-8") from None
            terms = published.agreement.terms
            answer.append({"name": terms.name, "version": terms.version, "sha256": published.agreement.sha256})
            if not json:
                said = "published" if published.new else "already published, unchanged"
                say(f"{terms.name} version {terms.version}: {said}")
        for house in houses:
            due_work.do_due_work(house.ledger, house.ledger.now())
            house.projections.catch_up()
    if json:
        print_json(answer)


@agreement_app.command("list")
def agreement_list(columns: ColumnsOption = None, store: Store = "", json: Json = False) -> None:
    """List the published versions."""
    from makegood.answers.agreements import agreements
    from makegood.commands.terminal.tables import AGREEMENTS

    show_list(
        store,
        json,
        agreements,
        AGREEMENTS,
        chosen=columns,
        first_only=True,
        title="Service agreements",
        empty="no published agreements; next: makegood agreement publish FILE",
    )


@agreement_app.command("show")
def agreement_show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    version: Annotated[int | None, typer.Option("--version", help="The version; default: the latest.")] = None,
    store: Store = "",
    json: Json = False,
) -> None:
    """Show the published text of a version."""
    from makegood.answers import agreements
    from makegood.commands.terminal.printing import print_json, print_text

    with opened(store) as house:
        found = agreements.agreement(house, name, version)
    if json:
        print_json(found)
    else:
        print_text(found["text"])
