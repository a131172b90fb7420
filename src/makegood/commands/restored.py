"""After the store was restored from a backup: what is ahead of it, and a new generation of its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import Actor, Json, Kafka, Store, app, opened_as_it_is, settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.restored import GivenUp
    from ledger.application.acts import By
    from makegood.answers.restored import RestoredFound
    from makegood.house.opening import House


@app.command()
def restored(
    reason: Annotated[
        str | None, typer.Option("--reason", help="The reason for the restoration; kept in the vault.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; write nothing.")] = False,
    actor: Actor = "",
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> None:
    """Go on after the store was restored from a backup: list what it lacks, and rebuild what is ahead of it."""
    from ledger.application.acts import By
    from makegood.answers import restored as answers
    from makegood.commands.terminal.printing import print_json
    from makegood.commands.terminal.restored import show_restored
    from makegood.house.actor import actor_of
    from makegood.house.logs import configure_logs
    from makegood.house.opening import apply_erasures

    configure_logs("error")  # the client for Kafka tells of every attempt to connect
    settings = settings_from(store, kafka)
    by = By(actor_of(actor), "cli")
    with opened_as_it_is(settings, restored=True) as house:
        found = _find(house)
        if found is None:
            answer = answers.nothing_ahead(dry_run=dry_run)
        elif dry_run:
            with house.database.reading() as transaction:
                kept = found.kept(transaction)
            answer = answers.answer(found, kept, _names(house, found), dry_run=True)
        else:
            answer = _go_on(house, found, reason, by)
        if not dry_run and (erased := apply_erasures(house)):
            answer["erased_again"] = erased
            house.projections.catch_up()
    (print_json if json else show_restored)(answer)


def _find(house: House) -> GivenUp | None:
    """What is ahead. Raises Stop where the broker cannot be asked."""
    from consumers.kafka.records import BrokerError
    from consumers.kafka.security import WrongSecurity
    from consumers.restored import find_given_up
    from makegood.commands.terminal.printing import progress_bar
    from makegood.house.broker import cluster_for, topic_names
    from makegood.house.stop import Stop

    try:
        cluster = cluster_for(house) if house.settings.kafka else None
        with progress_bar("reading what is ahead", None, "records") as show:
            return find_given_up(house.database, cluster, topic_names(), show)
    except (BrokerError, WrongSecurity) as error:
        raise Stop(f"what is on the topics must be known first, and nothing was changed: {error}") from None


def _go_on(house: House, found: GivenUp, reason: str | None, by: By) -> RestoredFound:
    """Begin the new generation, and rebuild the projections that may have applied what is given up.

    A run that is cut short between the two leaves projections that are ahead still: the next one rebuilds them.
    """
    from ledger.application.restoring import begin_generation
    from makegood.answers.restored import answer
    from makegood.commands.terminal.rebuilding import rebuild
    from projections.catalog import CATALOG

    names = _names(house, found)
    kept: Mapping[str, int] = begin_generation(house.ledger, found.restored(), reason, by)
    if names:
        rebuild(house, [projection for projection in CATALOG if projection.name in names], anew=True, restored=True)
    house.projections.catch_up()
    return answer(found, kept, names, dry_run=False)


def _names(house: House, found: GivenUp) -> list[str]:
    with house.database.reading() as transaction:
        return [projection.name for projection in found.to_rebuild(transaction)]
