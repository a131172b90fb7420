"""Peers that fold the ledger's topic into state of their own, in turn with our projector."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from tests.parts import PartFailed
from tests.parts.kafka import find_kafka
from tests.parts.postgres import find_postgres

from bench.houses import house_at, read_raw, relay, run_until
from bench.messages import message_stream, paid_back
from bench.peers.installing import done
from bench.report import Report
from bench.timing import ROUNDS, Stopwatch, Took, in_turn, took
from consumers import files
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import EVENTS, TOPICS
from consumers.projector import KafkaSource, Projector
from ledger.store.database import Database
from ledger.store.reading.shards import shard_end
from makegood.house.opening import House
from projections.catalog import CATALOG
from projections.follower import Follower
from projections.projection import Projection, stored_types
from projections.refunds import REFUNDS, ROWS

AT_ONCE = 2_000
"""So many messages are taken in between looks at how many events there are."""
SHARD = 0
OURS = "Makegood, refunds alone"

KINDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "the sample's messages": message_stream,
    "accounts that are paid back": paid_back,
}
"""In the sample refunds are few, so that most of a fold is to read past what it does not keep; of the other accounts
each has two."""

ABOUT = (
    "The topic ledger.events, one partition, from its beginning until all is committed up to its end, "
    "joining the group included; and its second half by itself, the last commit included. Each keeps the "
    "refunds, and decodes only events that it folds. Makegood: its projector, into PostgreSQL with durable "
    "commits, rows and position in one transaction of up to 2,000 events, with indexes, the hash of the "
    "event that set each amount, and all results of the payment processor; refunds alone, and all its "
    "projections. The peers: into RocksDB in their own process, a value for each refund in JSON with "
    "amounts, currency, status and instants, found by its key alone; without the hash, of the results only "
    "the last success, and without older forms of the events, which a new store has none of. Exactly-once is "
    "off: ours has its position beside its rows instead, and a fold that is repeated changes nothing. Every "
    "run must end in the same refunds, in number and total by currency and status. CPU is that of our "
    "process or the peer's, RocksDB included, PostgreSQL and Kafka not."
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One that folds: `program` gives what runs it on a broker, a topic, its end and an empty folder."""

    name: str
    about: str
    program: Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Folded:
    """A run's end: what it took, of that its second half in seconds, and the refunds by currency and status."""

    took: Took
    half: float
    refunds: dict[str, str]


def measure(report: Report, peers: Sequence[Peer], events: int) -> None:
    """At least so many events of each kind of messages, relayed once, and folded in turn by peers and by ours.

    Raises PartFailed where a peer ends in other refunds than ours.
    """
    programs = {peer.name: list(peer.program()) for peer in peers}
    about = f"{ABOUT} {' '.join(peer.about for peer in peers)}"
    with find_postgres() as postgres:
        for kind, messages in KINDS.items():
            with (
                # One of its own for each: a peer folds the topic whole.
                find_kafka(controllable=True, java_options=()) as kafka,
                house_at(postgres.new_database()) as house,
                tempfile.TemporaryDirectory(prefix="peers-") as folder,
            ):
                cluster = Cluster(kafka.bootstrap, group="bench-peers")
                cluster.create_topics(TOPICS)
                end = _fill(house, cluster, kafka.bootstrap, messages(), events)
                told = f"{about} PostgreSQL: {postgres.origin}. Kafka: {kafka.origin}."
                _measure(
                    report, f"{end:,} events of {kind}", told, _Topic(house, cluster, end, Path(folder)), programs
                )


@dataclass(frozen=True, slots=True)
class _Topic:
    """What is folded: the events of a house, up to an end; peers keep their state in a folder."""

    house: House
    cluster: Cluster
    end: int
    folder: Path


def _measure(report: Report, what: str, about: str, topic: _Topic, programs: dict[str, list[str]]) -> None:
    house, cluster, end, bootstrap = topic.house, topic.cluster, topic.end, topic.cluster.bootstrap
    expected = _ours(house, cluster, end, [REFUNDS]).refunds
    refunds = sum(int(each.split()[0]) for each in expected.values())
    section = report.section(
        f"Folding {what} from Kafka",
        f"{_folded(house):,} of them say something of refunds, and {refunds:,} refunds are there in the end. {about}",
    )
    numbers = itertools.count(1)
    halves: dict[str, list[float]] = defaultdict(list)

    def by_peer(name: str) -> Callable[[], Folded]:
        return lambda: _by_peer(programs[name], bootstrap, end, topic.folder / str(next(numbers)))

    def checked(name: str, fold: Callable[[], Folded]) -> Callable[[], Took]:
        def work() -> Took:
            folded = fold()
            if folded.refunds != expected:
                raise PartFailed(f"{name} ended in {folded.refunds}, and our projection in {expected}")
            halves[name].append((end - end // 2) / folded.half)
            return folded.took

        return work

    folds: dict[str, Callable[[], Folded]] = {
        **{name: by_peer(name) for name in programs},
        "Makegood, all projections": lambda: _ours(house, cluster, end, CATALOG),
        OURS: lambda: _ours(house, cluster, end, [REFUNDS]),
    }
    works = {"read raw": lambda: took(lambda: read_raw(bootstrap, EVENTS, end))}
    works |= {name: checked(name, fold) for name, fold in folds.items()}
    in_turn(section, ROUNDS, end, "events/s", works, beside=OURS)
    section.add(_half(OURS), halves[OURS], "events/s")
    for name in folds:
        if name != OURS:
            section.add(_half(name), halves[name], "events/s", beside=_half(OURS))


def _half(name: str) -> str:
    return f"{name}, second half"


def _fill(house: House, cluster: Cluster, bootstrap: str, messages: Iterator[bytes], events: int) -> int:
    """Take messages in until there are so many events, and relay these; where they end.

    Raises PartFailed where the topic has each event not once: peers would count on.
    """
    end = 0
    while end < events:
        files.ingest(house.ledger, itertools.islice(messages, AT_ONCE), "bench")
        with house.database.reading() as transaction:
            end = shard_end(transaction, SHARD)

    relay(house, cluster, end)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-raw"})
    bounds = consumer.get_watermark_offsets(TopicPartition(EVENTS.name, 0), timeout=30)
    consumer.close()
    if bounds != (0, end):
        raise PartFailed(
            f"{EVENTS.name} has the offsets {bounds}, not 0 to {end}: the relay sent some twice, run it again"
        )
    return end


def _folded(house: House) -> int:
    """How many events the refunds are folded from."""
    with house.database.reading() as transaction:
        types = sorted(stored_types(REFUNDS.handles))
        return sum(count for (count,) in transaction.rows_in("SELECT COUNT(*) FROM events WHERE type IN (?*)", types))


def _ours(house: House, cluster: Cluster, end: int, projections: Sequence[Projection]) -> Folded:
    """Empty the tables of some projections, and have our projector fill them from the topic."""
    tables = [projection.stored_name(table) for projection in projections for table in projection.tables]
    with house.database.writing() as transaction:
        transaction.run(f"TRUNCATE projection_positions, {', '.join(tables)}")
    follower = Follower(house.database, projections)
    watch = _Watch(follower, end)
    run_until([Projector(follower, KafkaSource(cluster))], watch.reached)
    return Folded(watch.took(), watch.half(), _refunds(house.database))


class _Watch:
    """Sees how far a follower has come, and when; leaving the group afterwards is not counted."""

    def __init__(self, follower: Follower, end: int) -> None:
        self._follower = follower
        self._end = end
        self._halfway: float | None = None
        self._stopwatch = Stopwatch()
        self._took: Took | None = None

    def reached(self) -> bool:
        """Whether it is at the end."""
        position = self._follower.position_reached(SHARD)
        if self._halfway is None and position >= self._end // 2:
            self._halfway = self._stopwatch.took().seconds
        if position >= self._end:
            self._took = self._stopwatch.took()
        return self._took is not None

    def took(self) -> Took:
        """What it took to the end."""
        assert self._took is not None
        return self._took

    def half(self) -> float:
        """The seconds that the second half took."""
        assert self._halfway is not None
        return self.took().seconds - self._halfway


def _refunds(database: Database) -> dict[str, str]:
    """How many refunds our projection has, and how much, by currency and status."""
    with database.reading() as transaction:
        rows = transaction.rows(
            "SELECT currency, status, COUNT(*), SUM(CAST(total AS NUMERIC)) "
            f"FROM {REFUNDS.stored_name(ROWS)} GROUP BY currency, status"
        )
    return {f"{currency} {status}": f"{count} of {total}" for currency, status, count, total in rows}


def _by_peer(program: Sequence[str], bootstrap: str, end: int, folder: Path) -> Folded:
    folder.mkdir()
    said = done([*program, bootstrap, EVENTS.name, str(end), folder], "the peer failed")
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    if told["messages"] != end:
        raise PartFailed(f"the peer saw {told['messages']} events of {end}")
    return Folded(Took(told["seconds"], told["cpu"]), told["second_half_seconds"], told["sums"])
