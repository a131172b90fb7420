"""The topics that Makegood reads and writes, and how they are made where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name, and its settings where it has to be made; one that is there is taken as it is."""

    name: str
    partitions: int
    settings: dict[str, str] = field(default_factory=dict)
    divided: bool = False
    """Whether each shard of the store has a partition of its own, of the same number."""


UPSTREAM = Topic(
    "provisioning.events",
    partitions=4,
    # It carries names and addresses, which may not lie about: long enough for a long week-end's outage, no longer.
    settings={"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)},
)
EVENTS = Topic(
    "ledger.events",
    partitions=1,
    divided=True,
    # Never compacted: the key is the account, so compaction would leave each account its last event. The store keeps
    # everything, and readers refill from it, so the topic need not.
    settings={"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
)
DEAD_LETTERS = Topic(
    "provisioning.dead-letters",
    partitions=1,
    settings={"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
)
INSTRUCTIONS = Topic(
    "makegood.instructions",
    partitions=1,
    divided=True,
    settings={"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)},
)
REFUND_REQUESTS = Topic(
    "payments.refund-requests",
    partitions=1,  # what is said of one account stays in order whoever adds some: the key is the account
    # Kept for ever: after a crash it is looked up here what was asked for already.
    settings={"cleanup.policy": "delete", "retention.ms": "-1"},
)
CHECKPOINTS = Topic(
    "makegood.checkpoints",
    partitions=1,
    # Kept for ever and never compacted: each is evidence of what the ledger was, and they are small.
    settings={"cleanup.policy": "delete", "retention.ms": "-1"},
)

TOPICS = (UPSTREAM, EVENTS, INSTRUCTIONS, REFUND_REQUESTS, DEAD_LETTERS, CHECKPOINTS)


def topics_of(shards: int, topics: Sequence[Topic] = TOPICS) -> list[Topic]:
    """The topics of a store of so many shards: each's events and instructions have a partition of their own."""
    return [replace(each, partitions=shards) if each.divided else each for each in topics]
