"""Checkpoints: the keys that sign them, signing one now, and the name under which they are signed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    OK,
    Actor,
    Json,
    Kafka,
    Store,
    audit_app,
    audit_key_app,
    audit_origin_app,
    opened_as_it_is,
    settings_from,
)
from makegood.commands.audit import audited, mismatch
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from consumers.checkpoints.comparing import Place
    from makegood.house.opening import House


@audit_key_app.command("new")
def audit_key_new(
    store: Store = "",
    json: Json = False,
) -> None:
    """Make the keys that sign checkpoints, in the key file, which only its owner may read; older ones sign on."""
    from makegood.answers.audit.checkpoints import new_key
    from makegood.commands.terminal.printing import print_json, print_sentences

    with audited(store) as house:
        answer = new_key(house, house.shard)
    if json:
        print_json(answer)
    else:
        print_sentences(
            f"new signing keys were written to {answer['file']}: keep a copy of the file where no database role can "
            "read it",
            "give auditors the keys that verify:",
            *answer["vkeys"],
        )


@audit_app.command("checkpoint")
def audit_checkpoint(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Also write the signed checkpoint into this folder.")
    ] = None,
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> None:
    """Sign a checkpoint that covers all events up to now, and print it or write it into a folder."""
    from makegood.answers.audit.checkpoints import sign_now
    from makegood.commands.terminal.printing import print_json, print_sentences, print_text, progress_bar

    with _published(store, kafka) as (house, places), progress_bar("building the tree", None, "events") as show:
        answer = sign_now(house, house.shard, places, to, show)
    if json:
        print_json(answer)
    elif answer["file"] is None:
        print_text(answer["note"])
    else:
        print_sentences(
            f"signed: {answer['size']} events, with the root {answer['root']}", f"written to {answer['file']}"
        )


@audit_app.command("rebuild-tree")
def audit_rebuild_tree(
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> int:
    """Make a damaged Merkle tree anew from the events; exit 2 where they contradict the last checkpoint published."""
    from consumers.checkpoints.rebuilding import EventsContradict
    from makegood.answers.audit.checkpoints import rebuild
    from makegood.commands.terminal.printing import print_json, print_sentences, progress_bar

    try:
        with (
            _published(store, kafka) as (house, places),
            progress_bar("hashing", None, "events") as checked,
            progress_bar("building the tree", None, "events") as built,
        ):
            answer = rebuild(house, house.shard, places, checked, built)
    except EventsContradict as error:
        return mismatch(error)
    except KeyboardInterrupt:
        raise Stop("interrupted; the same command goes on, and writes what still differs") from None
    if json:
        print_json(answer)
    else:
        print_sentences(
            f"the tree has {answer['size']} events, with the root {answer['root']}; {answer['mended']} of its tiles "
            "were damaged, missing or too many"
        )
    return OK


@audit_origin_app.command("new")
def audit_origin_new(
    reason: Annotated[str, typer.Option("--reason", help="The reason; kept in the vault.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="The last checkpoint, where it is known from elsewhere."),
    ] = None,
    actor: Actor = "",
    store: Store = "",
    kafka: Kafka = "",
    json: Json = False,
) -> None:
    """Begin a new log after a restore: checkpoints get a new name, and its first event names the last checkpoint."""
    from ledger.application.acts import By
    from makegood.answers.audit.checkpoints import begin_origin
    from makegood.commands.terminal.printing import print_json, print_sentences
    from makegood.house.actor import actor_of

    by = By(actor_of(actor), "cli")
    with _published(store, kafka) as (house, places):
        answer = begin_origin(house, house.shard, places, checkpoint, reason, by)
        house.projections.catch_up()
    if json:
        print_json(answer)
    else:
        print_sentences(
            f"checkpoints are signed as {answer['origin']} from now on, which follows the one over "
            f"{answer['follows_size']} events",
            "give auditors and witnesses the keys that verify:",
            *answer["vkeys"],
        )


@contextmanager
def _published(store: str, kafka: str) -> Iterator[tuple[House, list[Place]]]:
    """The house, and the places at which checkpoints are published. Raises Stop where one cannot be asked."""
    from consumers.checkpoints.comparing import PlaceUnusable, TreeDamaged
    from consumers.kafka.records import BrokerError
    from consumers.kafka.security import WrongSecurity
    from ledger.audit import Unproven
    from makegood.house.audit_places import places_of
    from makegood.house.logs import configure_logs

    configure_logs("error")  # the client for Kafka tells of every attempt to connect
    with opened_as_it_is(settings_from(store, kafka)) as house:
        try:
            yield house, places_of(house)
        except (PlaceUnusable, BrokerError, WrongSecurity) as error:
            raise Stop(str(error)) from error
        except Unproven as error:
            raise Stop(str(TreeDamaged(error))) from error
