"""The commands that need the whole program: run, demo and contract export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from makegood.commands.app import (
    Http,
    Json,
    Kafka,
    Store,
    app,
    contract_app,
    settings_from,
)


@app.command("run")
def run_parts(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART…]",
            help="Parts to run, default all: intake, relay, projector, timers, notices, payouts, checkpoints, api.",
        ),
    ] = None,
    store: Store = "",
    kafka: Kafka = "",
    http: Http = "",
) -> None:
    """Run all long-running parts in one process, or the given ones, until SIGTERM."""
    from makegood.program.running import run_until_stopped

    run_until_stopped(settings_from(store, kafka, http), parts or [])


@app.command()
def demo(
    serve: Annotated[
        bool | None,
        typer.Option(
            "--serve/--no-serve",
            help="Serve the pages until interrupted; by default where the output is a terminal.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a demo: a sandbox with the data of a sample provider, a summary, and pages to look at."""
    from makegood.program.demo import show_demo

    show_demo(serve=sys.stdout.isatty() if serve is None else serve)


@contract_app.command("export")
def contract_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The output folder; it is created if missing.")],
    json: Json = False,
) -> None:
    """Write the JSON Schemas, the AsyncAPI and the OpenAPI document. Needs neither store nor broker."""
    from makegood.commands.terminal.printing import print_json, say
    from makegood.program.exporting import export

    answer = export(folder)
    if json:
        print_json(answer)
        return
    written = [file["path"] for file in answer if file["status"] == "written"]
    for path in written:
        say(f"written: {folder / path}")
    say(f"{len(written)} files written to {folder}, {len(answer) - len(written)} already up to date")
