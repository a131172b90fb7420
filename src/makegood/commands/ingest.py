"""Messages: ingest, preview and publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makegood.commands.app import (
    OK,
    REFUSED,
    File,
    Json,
    Kafka,
    Store,
    app,
    lines_of,
    opened,
    opened_shards,
    settings_from,
)
from makegood.house.stop import Stop

if TYPE_CHECKING:
    from makegood.answers.done import Ingested


@app.command()
def ingest(
    file: File,
    store: Store = "",
    json: Json = False,
) -> int:
    """Record a file's messages. Refused messages are kept as dead letters; all others are recorded."""
    from consumers import files
    from makegood.answers.refusals import refusals
    from makegood.commands.terminal.printing import print_json, progress_bar, say, say_refused

    with opened_shards(store) as houses:
        first, *others = [house.ledger for house in houses]
        with lines_of(file) as lines, progress_bar("ingesting", _size(file), "bytes") as show:
            taken = files.ingest(first, lines, Path(file).name, show, others=others)
        for house in houses:
            house.projections.catch_up()
    refused = refusals(taken.refused)
    if json:
        answer: Ingested = {
            "read": taken.read,
            "accepted": taken.accepted,
            "duplicates": taken.duplicates,
            "refused": refused,
            "set_aside": taken.set_aside,
        }
        print_json(answer)
    else:
        say_refused(refused)
        say(
            f"{taken.read} messages read: {taken.accepted} recorded, {taken.duplicates} duplicates, "
            f"{len(refused)} refused" + ("; see `makegood dead-letters list`" if refused else "")
        )
        if taken.set_aside:
            say(f"{taken.set_aside} failed and were set aside; see `makegood aside list`")
    return REFUSED if refused or taken.set_aside else OK


@app.command()
def preview(
    file: File,
    store: Store = "",
    json: Json = False,
) -> int:
    """Preview the changes of claims that a file's messages would cause. Records nothing."""
    from consumers import files
    from ledger.application.preview import preview as previewed
    from makegood.answers.preview import answer
    from makegood.commands.terminal.preview import show_preview
    from makegood.commands.terminal.printing import print_json

    with opened(store) as house, lines_of(file) as lines:
        messages = (item for item, _ in files.messages_in(lines, Path(file).name))
        found = answer(previewed(house.ledger, messages))
    if json:
        print_json(found)
    else:
        show_preview(found)
    return REFUSED if found["refused"] else OK


def _size(file: str) -> int | None:
    """How much there is to read; None where that is not known before it is read."""
    packed = file.endswith(".gz")
    return Path(file).stat().st_size if file != "-" and not packed and Path(file).is_file() else None


@app.command()
def publish(
    file: File,
    kafka: Kafka = "",
    topic: Annotated[str, typer.Option("--topic")] = "provisioning.events",
) -> None:
    """Publish a file's messages to Kafka, as an ordinary producer."""
    from contextlib import closing

    from consumers.kafka.publish import publish as publish_lines
    from consumers.kafka.records import BrokerError
    from consumers.kafka.security import WrongSecurity
    from makegood.commands.terminal.printing import progress_bar, say
    from makegood.house.broker import any_cluster

    settings = settings_from(kafka=kafka)
    if not settings.kafka:
        raise Stop("no broker is configured: give --kafka HOST:PORT or set MAKEGOOD_KAFKA")
    try:
        with (
            closing(any_cluster(settings).sender("publish")) as sender,
            lines_of(file) as lines,
            progress_bar("publishing", None, "messages") as show,
        ):
            count = publish_lines(lines, sender, topic=topic, progress=show)
    except (BrokerError, WrongSecurity) as error:
        raise Stop(str(error)) from None
    say(f"{count} messages published to {topic} at {settings.kafka}")
