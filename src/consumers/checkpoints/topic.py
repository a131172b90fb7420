"""The topic of checkpoints: whoever reads it has what was signed out of our hands (contract §1a)."""

from __future__ import annotations

import time
from typing import Protocol

from consumers.ahead import LOOKED_AT
from consumers.kafka.records import Outgoing, Record, RecordsAtEnd, Sender, TopicMissing
from consumers.kafka.topics import CHECKPOINTS
from ledger.audit import Checkpoint, Note, Unproven

CONFIRMED_WITHIN = 5.0
"""Seconds in which the broker must confirm a checkpoint, else it is sent again."""
CONTENT_TYPE = b"text/plain; charset=utf-8"


class CheckpointCluster(RecordsAtEnd, Protocol):
    """What has to be asked of a Kafka cluster."""

    def sender(self, purpose: str) -> Sender:
        """A new sender."""


class CheckpointTopic:
    """Checkpoints as records: the key is the log's origin, the value the signed note."""

    def __init__(self, cluster: CheckpointCluster, topic: str = CHECKPOINTS.name) -> None:
        self.name = f"the topic {topic}"
        self._topic = topic
        self._cluster = cluster
        self._sender: Sender | None = None

    def last(self, origin: str) -> Note | None:
        """Of the last records of a log the one that covers most, and of several such the one with most signatures."""
        key = origin.encode()
        try:
            records = self._cluster.last_records(self._topic, LOOKED_AT, only=lambda record: record.key == key)
        except TopicMissing:
            return None
        notes = [note for record in records if (note := _note_in(record, origin)) is not None]
        return max(notes, key=lambda note: (Checkpoint.parse(note.text).size, len(note.signatures)), default=None)

    def publish(self, note: Note) -> None:
        if self._sender is None:
            self._sender = self._cluster.sender("checkpoints")
        origin = Checkpoint.parse(note.text).origin
        record = Outgoing(self._topic, origin.encode(), str(note).encode(), (("content-type", CONTENT_TYPE),))
        self._sender.send([record], time.monotonic() + CONFIRMED_WITHIN)

    def close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()


def _note_in(record: Record, origin: str) -> Note | None:
    """The checkpoint that a record has; None where it has none of this log."""
    try:
        note = Note.parse((record.value or b"").decode())
        return note if Checkpoint.parse(note.text).origin == origin else None
    except (Unproven, ValueError):
        return None
