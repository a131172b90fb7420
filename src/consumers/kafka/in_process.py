"""The client library's own broker: real Kafka over loopback, for a demo and quick tests."""

from __future__ import annotations

from confluent_kafka import Producer

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

    def close(self) -> None:
        """End it. Close its readers and senders first."""
        self._owner = None
