"""Publishing a file of messages to upstream's topic, as an ordinary producer would."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping

from consumers.kafka.records import BrokerError, Outgoing, Undelivered
from consumers.kafka.sending import KafkaSender
from consumers.kafka.topics import UPSTREAM

STRUCTURED = (("content-type", b"application/cloudevents+json"),)
PATIENCE = 60.0
"""Seconds without any progress after which it is given up."""

Progress = Callable[[int], None]
"""Told how many messages are published."""
ReaderAt = Callable[[], Mapping[int, int]]
"""How far the reader is: by partition, the offset of the next message that it will take."""


def publish(
    lines: Iterable[bytes],
    sender: KafkaSender,
    *,
    topic: str = UPSTREAM.name,
    reader_at: ReaderAt | None = None,
    unread_bytes_max: int | None = None,
    progress: Progress = lambda _: None,
) -> int:
    """Publish one structured message a line, in order; how many there were. Raises Undelivered or BrokerError.

    With `reader_at` and `unread_bytes_max` no more than so many bytes are ever unread in a partition: the in-process
    broker drops what is too much for it. What is on its way to a partition yet unknown counts for every one.
    """
    flow = _Flow(sender, reader_at, unread_bytes_max)
    count = 0
    for line in lines:
        value = line.rstrip(b"\r\n")
        if not value.strip():
            continue
        flow.wait_for_room(len(value))
        try:
            flow.hand_over(Outgoing(topic, key_of(value), value, STRUCTURED))
        except Undelivered:
            raise
        except BrokerError as error:
            raise BrokerError(f"message {count + 1:,} cannot be published: {error}") from error
        count += 1
        if count % 100 == 0:
            progress(count)
    sender.confirm(time.monotonic() + PATIENCE)
    progress(count)
    return count


def key_of(value: bytes) -> bytes | None:
    """The account that a message is about, where it can be told: so that an account's messages stay in order."""
    try:
        event = json.loads(value)
    except ValueError:
        return None
    subject = event.get("subject") if isinstance(event, dict) else None
    return subject.encode(errors="replace") if isinstance(subject, str) else None


class _Flow:
    """Keeps count of what is on its way and what lies unread in each partition."""

    def __init__(self, sender: KafkaSender, reader_at: ReaderAt | None, unread_bytes_max: int | None) -> None:
        self._sender = sender
        self._reader_at = reader_at
        self._most = unread_bytes_max
        self._on_its_way = 0
        self._unread: dict[int, deque[tuple[int, int]]] = defaultdict(deque)
        self._bytes: dict[int, int] = defaultdict(int)

    def hand_over(self, record: Outgoing) -> None:
        size = len(record.value)
        self._on_its_way += size

        def delivered(partition: int, offset: int) -> None:
            self._on_its_way -= size
            if self._most is not None:
                self._unread[partition].append((offset, size))
                self._bytes[partition] += size

        self._sender.hand_over(record, time.monotonic() + PATIENCE, delivered)

    def wait_for_room(self, size: int) -> None:
        if self._most is None or self._reader_at is None:
            return
        last = -1
        deadline = time.monotonic() + PATIENCE
        while (held := self._on_its_way + max(self._bytes.values(), default=0) + size) > self._most:
            if held != last:
                last, deadline = held, time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                raise BrokerError("no consumer reads the topic; start `makegood run intake`, then publish again")
            self._sender.serve(0.01)
            for partition, position in self._reader_at().items():
                unread = self._unread[partition]
                while unread and unread[0][0] < position:
                    self._bytes[partition] -= unread.popleft()[1]
