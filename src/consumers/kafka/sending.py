"""An idempotent producer, by confluent_kafka: what it says was sent is there, in order and once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumers.kafka.client import Refused, client_error, settings_of
from consumers.kafka.records import BrokerUnavailable, Outgoing, Undelivered

GIVES_UP_AFTER = 60.0
Delivered = Callable[[int, int], None]
"""Told of every record that was delivered: its partition and offset."""


class KafkaSender:
    """One producer with acks=all; not to be used from two threads.

    An idempotent producer that has once given up on a record may have to be replaced: `send` does so by itself. The
    client gives up on a record by itself after `gives_up_after` seconds.
    """

    def __init__(self, settings: dict[str, Any], name: str, gives_up_after: float = GIVES_UP_AFTER) -> None:
        self._settings = settings
        self._name = name
        self._gives_up_after = gives_up_after
        self._producer: Producer | None = None
        self._failure: KafkaError | None = None
        self._refused = Refused()

    def send(self, records: Iterable[Outgoing], deadline: float) -> None:
        try:
            for record in records:
                if time.monotonic() > deadline:
                    raise Undelivered("the time for sending was over before all records were sent")  # noqa: TRY301
                self.hand_over(record, deadline)
            self.confirm(deadline)
        except BaseException:
            self.close()
            raise

    def hand_over(self, record: Outgoing, deadline: float, delivered: Delivered | None = None) -> None:
        """Give one record to the client, which sends it in the background; waits where its queue is full."""
        producer = self._opened()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failure = self._failure or error
            elif delivered is not None:
                delivered(message.partition() or 0, message.offset() or 0)

        chosen: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        while True:
            self._raise_failure()
            try:
                producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    on_delivery=on_delivery,
                    **chosen,
                )
            except BufferError:
                if time.monotonic() > deadline:
                    self._raise_refusal()
                    raise Undelivered("Kafka accepts no more records, and did not confirm those it has") from None
                producer.poll(0.1)
            except KafkaException as error:
                raise client_error(error.args[0]) from error
            else:
                producer.poll(0)
                return

    def confirm(self, deadline: float) -> None:
        """Wait until all that was handed over is delivered. Raises Undelivered."""
        left = self._opened().flush(max(0.0, deadline - time.monotonic()))
        self._raise_failure()
        if left:
            self._raise_refusal()
            raise Undelivered(f"Kafka did not confirm {left:,} records in time")
        self._refused.forget()

    def serve(self, timeout: float) -> None:
        """Let the client report deliveries for a while."""
        self._opened().poll(timeout)
        self._raise_failure()

    def close(self) -> None:
        producer, self._producer, self._failure = self._producer, None, None
        self._refused = Refused()
        if producer is not None:
            producer.purge()
            producer.flush(1.0)

    def _opened(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **settings_of(self._settings, self._name, self._refused),
                    "enable.idempotence": True,
                    "acks": "all",
                    # Nothing waits for company: whoever sends a batch hands it over whole and then flushes.
                    "linger.ms": 5,
                    "queue.buffering.max.messages": 20_000,
                    "queue.buffering.max.kbytes": 32 * 1024,
                    "message.timeout.ms": int(self._gives_up_after * 1000),
                    "compression.type": "lz4",
                }
            )
        return self._producer

    def _raise_refusal(self) -> None:
        """Why nothing was confirmed, where a broker refused us."""
        if self._refused.by is not None:
            raise client_error(self._refused.by)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            error = client_error(self._refused.instead_of(self._failure))
            raise Undelivered(str(error)) if isinstance(error, BrokerUnavailable) else error
