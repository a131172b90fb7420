"""Running makegood."""

from __future__ import annotations

from typing import Annotated

import typer

from makegood.commands.app import (
    MISMATCH,
    OK,
    Http,
    Json,
    Kafka,
    Store,
    app,
    opened,
    settings_from,
)
from makegood.stop import Stop


@app.command("run")
def run_parts(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PART…]", help="intake, relay, projector, timers, notices, api"),
    ] = None,
    store: Store = "",
    kafka: Kafka = "",
    http: Http = "",
) -> None:
    """Run all long-running parts in one process, or those named, until SIGTERM."""
    from makegood.running import run_until_stopped

    run_until_stopped(settings_from(store, kafka, http), parts or [])


@app.command()
def status(
    max_age: Annotated[
        int | None,
        typer.Option("--max-age", min=0, help="Exit 2 where something lies unprocessed for more than these seconds."),
    ] = None,
    as_metrics: Annotated[bool, typer.Option("--metrics", help="Answer in OpenMetrics text.")] = False,
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> int:
    """How everything stands: how far each part is behind and since when, and what is left for people."""
    from makegood import status as standing
    from makegood.answers import print_json
    from makegood.logs import configure_logs
    from makegood.metrics import open_metrics

    configure_logs("error")  # the client for Kafka tells of every attempt to connect
    if as_metrics and json:
        raise Stop("--metrics and --json are two answers; leave one of them out")
    found = standing.look(settings_from(store, kafka), max_age)
    if as_metrics:
        print("\n".join(open_metrics(standing.samples(found))))
    elif json:
        print_json(standing.answer(found))
    else:
        standing.show_status(found)
    return found.code()


@app.command()
def rebuild(
    projection: Annotated[str | None, typer.Argument(metavar="[PROJECTION]", help="All unless one is named.")] = None,
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Write nothing: say whether rows are what the ledger says.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Do not go on with a rebuild that was cut short.")] = False,
    store: Store = "",
    json: Json = False,
) -> int:
    """Build projections anew from the ledger while the old rows go on answering, then exchange what differs."""
    from makegood import rebuilding
    from makegood.answers import print_json

    if compare_only and anew:
        raise Stop("--compare-only builds nothing that --anew could drop; leave one of them out")
    chosen = rebuilding.projections_named(projection)
    with opened(store) as house:
        if compare_only:
            answer, show = rebuilding.compare(house, chosen), rebuilding.show_compared
        else:
            answer, show = rebuilding.rebuild(house, chosen, anew=anew), rebuilding.show_rebuilt
    (print_json if json else show)(answer)
    return MISMATCH if compare_only and answer["differing"] else OK


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay until interrupted.")] = True,
) -> None:
    """A sandbox with a sample provider's months: published, recorded, projected and summed up."""
    from makegood.demo import show_demo

    show_demo(serve=serve)
