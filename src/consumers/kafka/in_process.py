"""The client library's own broker: real Kafka over loopback, for a demo and quick tests."""

from __future__ import annotations

from confluent_kafka import Producer

from consumers.kafka.cluster import Cluster

UNREAD_BYTES_MAX = 2 * 1024 * 1024
"""How much may lie unread in a partition: it keeps about 5 MB, and drops what is older without a word."""


class InProcessBroker:
    """A broker that lives as long as this object is open; what it holds is gone with it."""

    def __init__(self) -> None:
        # The broker belongs to the client that was told to start it.
        self._owner: Producer | None = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        broker = next(iter(self._owner.list_topics(timeout=10).brokers.values()))
        self.bootstrap = f"{broker.host}:{broker.port}"

    def __enter__(self) -> InProcessBroker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cluster(self, group: str = "makegood") -> Cluster:
        """The broker as the parts know a cluster. Hand the same one to all: it gives topics their identity.

        It gives the partitions of a member that leaves to others only when the session has run out, so that is kept
        short; but a first member waits 3 s for others to join, and its session must outlast that.
        """
        return Cluster(
            self.bootstrap, group=group, member_settings={"session.timeout.ms": 4000, "heartbeat.interval.ms": 500}
        )

    def close(self) -> None:
        """End it. Close its readers and senders first."""
        self._owner = None
