"""Running makegood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    Kafka,
    Store,
    app,
    settings_from,
)

if TYPE_CHECKING:
    pass


@app.command("run")
def run_parts(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="[PART…]", help="intake, relay, projector, timers")
    ] = None,
    store: Store = "",
    kafka: Kafka = "",
) -> None:
    """Run all long-running parts in one process, or those named, until SIGTERM."""
    from makegood.running import run_until_stopped

    run_until_stopped(settings_from(store, kafka), parts or [])


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay until interrupted.")] = True,
) -> None:
    """A sandbox with a sample provider's months: published, recorded, projected and summed up."""
    from makegood.demo import show_demo

    show_demo(serve=serve)
