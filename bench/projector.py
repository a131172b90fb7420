"""The projector: events a second from a real Kafka into PostgreSQL, beside the same topic read raw."""

from __future__ import annotations

from tests.parts.kafka import find_kafka
from tests.parts.postgres import Postgres

from bench.houses import house_at, read_raw, relay, run_until
from bench.messages import messages
from bench.report import Report
from bench.timing import ROUNDS, Rates, took
from consumers import files
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import EVENTS, TOPICS
from consumers.projector import KafkaSource, Projector
from ledger.store.reading.shards import shard_ends


def measure(report: Report, postgres: Postgres, count: int) -> None:
    """So many messages' events, relayed and projected."""
    with find_kafka() as kafka:
        section = report.section(
            f"Projecting what {count:,} messages became",
            f"All projections into PostgreSQL, joining the group included. Kafka: {kafka.origin}.",
        )
        cluster = Cluster(kafka.bootstrap, group="bench-projector")
        cluster.create_topics(TOPICS)
        with house_at(postgres.new_database()) as house:
            files.ingest(house.ledger, messages(count), "bench")
            with house.database.reading() as transaction:
                [(shard, end)] = shard_ends(transaction).items()
            relaying, raw, projecting = Rates(end), Rates(end), Rates(end)
            relaying.add(took(lambda: relay(house, cluster, end)))
            for _ in range(ROUNDS):
                raw.add(took(lambda: read_raw(kafka.bootstrap, EVENTS, end)))
            part = Projector(house.projections, KafkaSource(cluster))
            projecting.add(took(lambda: run_until([part], lambda: house.projections.position_reached(shard) >= end)))
        section.add("read raw", raw.rates, "events/s", cpu=raw.cpu)
        section.add("relayed to Kafka (acks=all)", relaying.rates, "events/s", cpu=relaying.cpu)
        section.add("projected", projecting.rates, "events/s", cpu=projecting.cpu, beside="read raw")
