"""Finds what a restored ledger has lost: on its topics, and in the rows of projections that are ahead of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consumers.ahead import (
    Carried,
    ahead_of_ledger,
    dead_letters_carried,
    events_carried,
    instructions_carried,
)
from consumers.payouts.requests import requests_carried
from consumers.restored.given_up import KINDS, GivenUp, Lost
from consumers.restored.rows import look_into_rows
from consumers.restored.topics import RestoredCluster, TopicsBeyond
from consumers.topic_lag import TopicNames
from ledger.store.database import Database, Transaction
from ledger.store.reading.generations import newest_generation
from ledger.store.reading.inbox import digests_of
from ledger.store.reading.kept_messages import refused_of
from ledger.values import BEGINNING
from projections.ahead import projections_ahead


def carried_by(names: TopicNames) -> list[Carried]:
    """What the topics that go out carry."""
    return [
        events_carried(names.events),
        instructions_carried(names.instructions),
        dead_letters_carried(names.dead_letters),
        requests_carried(names.refund_requests),
    ]


def find_given_up(
    database: Database,
    cluster: RestoredCluster | None,
    names: TopicNames | None = None,
    on_progress: Callable[[int], None] = lambda read: None,
) -> GivenUp | None:
    """What is ahead of the ledger, and what the ledger lacks of it; None where nothing is ahead.

    `on_progress` is told how many records were read. Raises BrokerUnavailable, and BrokerError for a missing topic.
    """
    names = names or TopicNames()
    topics = ahead_of_ledger(database, cluster, carried_by(names)) if cluster is not None else []
    with database.reading() as transaction:
        projections = projections_ahead(transaction)
        generation = max([newest_generation(transaction), *(each.place.generation for each in topics)]) + 1
    if not projections and not topics:
        return None
    found = GivenUp(generation, projections, topics)
    if cluster is not None:
        TopicsBeyond(database, cluster, names, found, on_progress).look()
    if projections:
        with database.reading() as transaction:
            look_into_rows(transaction, found)
    with database.reading() as transaction:
        found.lost = _not_there(transaction, found.lost)
    return found


def _not_there(transaction: Transaction, lost: Sequence[Lost]) -> list[Lost]:
    """Without what came in again since, and in the order in which it was recorded."""
    ids = sorted({each.id for each in lost if each.id is not None})
    taken, refused = digests_of(transaction, ids), refused_of(transaction, ids)
    left = [each for each in lost if (each.source, each.id) not in taken and each.id not in refused]
    return sorted(left, key=lambda each: (KINDS.index(each.kind), each.recorded_at or each.time or BEGINNING))
