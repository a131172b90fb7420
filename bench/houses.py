"""Stores to measure on: one of our own for each, with the sample's agreement."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import Consumer, TopicPartition

from bench.messages import SAMPLE
from consumers.kafka.cluster import Cluster
from consumers.kafka.topics import Topic
from consumers.part import Part, run_parts
from consumers.relay import Relay
from consumers.upstream import read_structured
from ledger.application import agreements, record
from ledger.application.ledger import Ledger
from makegood.house.opening import House, open_house
from makegood.house.settings import Settings

T = TypeVar("T")


@contextmanager
def house_at(url: str, *, sandbox: bool = False) -> Iterator[House]:
    """A new store under the sample's agreement."""
    with open_house(Settings(store=url), create=True, sandbox=sandbox) as house:
        text = (SAMPLE / "agreements" / "standard.toml").read_text(encoding="utf-8")
        agreements.publish(house.ledger, text, actor="/makegood/bench", channel="cli")
        yield house


def take(ledger: Ledger, lines: Sequence[bytes]) -> None:
    """Take messages in one transaction. Raises RuntimeError where one is refused."""
    taken = record.take(ledger, [read_structured(line, origin="bench", channel="file") for line in lines])
    if taken.accepted != len(lines):
        raise RuntimeError("what was measured is not what it says: messages of the bench were refused")


def take_all(ledger: Ledger, lines: Sequence[bytes], at_once: int) -> None:
    """Take messages, so many in a transaction. Raises RuntimeError where one is refused."""
    for part in in_parts(lines, at_once):
        take(ledger, part)


def in_parts(items: Sequence[T], at_once: int) -> Iterator[Sequence[T]]:
    """So many of them at a time."""
    return (items[first : first + at_once] for first in range(0, len(items), at_once))


def read_raw(bootstrap: str, topic: Topic, count: int) -> None:
    """Read so many records of a topic, and do nothing with them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-raw", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
    seen = 0
    while seen < count:
        seen += len(consumer.consume(1_000, 0.5))
    consumer.close()


def relay(house: House, cluster: Cluster, end: int) -> None:
    """Have a house's events relayed to Kafka, up to a position."""

    def relayed() -> bool:
        with house.database.reading() as transaction:
            rows = transaction.rows("SELECT MAX(position) FROM readers WHERE reader LIKE 'relay/%'")
        return int(rows[0][0] or 0) >= end

    run_until([Relay(house.database, cluster)], relayed)


def run_until(parts: list[Part], reached: Callable[[], bool]) -> None:
    """Run parts until something is reached, which is looked for every 20 ms."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set() and not reached():
            time.sleep(0.02)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run_parts(parts, stop, lambda: None)
    watcher.join()
