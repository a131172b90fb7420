"""Status, and rebuilding projections."""

from __future__ import annotations

from typing import Annotated

import typer

from makegood.commands.app import (
    FAILED,
    MISMATCH,
    OK,
    AccountOption,
    Actor,
    Json,
    Kafka,
    Store,
    app,
    opened,
    settings_from,
)
from makegood.house.stop import Stop


@app.command()
def status(
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age", min=0, help="Exit 2 where anything is unprocessed for more than this many seconds."
        ),
    ] = None,
    as_metrics: Annotated[bool, typer.Option("--metrics", help="Print metrics in OpenMetrics format.")] = False,
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> int:
    """The status: the lag of each part, and the open work for people."""
    from makegood.answers import status as standing
    from makegood.answers.metrics import exposed
    from makegood.commands.terminal.printing import print_json, print_text
    from makegood.commands.terminal.status import show_shards, show_status
    from makegood.house.logs import configure_logs

    if as_metrics and json:
        raise Stop("--metrics and --json exclude each other; leave one out")
    settings = settings_from(store, kafka)
    if settings.kafka:
        configure_logs("error")  # the client for Kafka tells of every attempt to connect
    shards = standing.look_at_shards(settings, max_age)
    found = standing.together(list(shards.values()))
    of_each = {str(shard): standing.answer(each) for shard, each in shards.items()} if len(shards) > 1 else {}
    if as_metrics:
        print_text(exposed(standing.samples(found))[0].decode())
    elif json:
        print_json({**standing.answer(found), **({"shards": of_each} if of_each else {})})
    elif of_each:
        show_shards(shards)
    else:
        show_status(found)
    return found.code()


@app.command()
def doctor(store: Store = "", kafka: Kafka = "", json: Json = False) -> int:
    """Check settings, store, vault, broker, topics, mail server, disk and clock; changes nothing."""
    from makegood.answers.doctor import examine
    from makegood.commands.terminal.printing import print_json
    from makegood.commands.terminal.status import show_examined
    from makegood.house.logs import configure_logs

    configure_logs("error")  # the client for Kafka tells of every attempt to connect
    found = examine(lambda: settings_from(store, kafka))
    (print_json if json else show_examined)(found)
    return OK if found["verdict"] == "well" else FAILED


@app.command()
def rebuild(
    projection: Annotated[
        str | None, typer.Argument(metavar="[PROJECTION]", help="One projection; default: all.")
    ] = None,
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Only compare the rows with the ledger; write nothing.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Start over instead of resuming an interrupted rebuild.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="So many processes fold the events; default: one for each core."),
    ] = None,
    store: Store = "",
    json: Json = False,
) -> int:
    """Rebuild projections from the ledger. The old rows stay in use until the differences are replaced."""
    from makegood.commands.terminal import rebuilding
    from makegood.commands.terminal.printing import print_json

    if compare_only and processes is not None:
        raise Stop("--compare-only and --processes exclude each other; leave one out")
    if compare_only and anew:
        raise Stop("--compare-only and --anew exclude each other; leave one out")
    chosen = rebuilding.projections_named(projection)
    with opened(store) as house:
        if compare_only:
            compared = rebuilding.compare(house, chosen)
            (print_json if json else rebuilding.show_compared)(compared)
            return MISMATCH if compared["differing"] else OK
        rebuilt = rebuilding.rebuild(house, chosen, anew=anew, processes=processes)
    (print_json if json else rebuilding.show_rebuilt)(rebuilt)
    return OK


@app.command()
def check(
    account: AccountOption = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Raise and clear no alarm; write nothing.")
    ] = False,
    actor: Actor = "",
    store: Store = "",
    json: Json = False,
) -> int:
    """Check that every account's books keep their laws; a broken one is an alarm and stops the account's payouts."""
    from ledger.application.acts import By
    from makegood.answers.check import check as checked
    from makegood.commands.terminal.checking import show_checked
    from makegood.commands.terminal.printing import print_json, progress_bar
    from makegood.house.actor import actor_of

    with opened(store, of=account) as house, progress_bar("checking", None, "accounts") as show:
        by = By(actor_of(actor), "cli") if not report_only else None
        found = checked(house, account=account, by=by, progress=show)
    (print_json if json else show_checked)(found)
    return OK if found["ok"] else MISMATCH
