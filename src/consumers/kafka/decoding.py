"""From the client's messages to records; what the client cannot decode is that record's damage, and nobody else's."""

from __future__ import annotations

from operator import methodcaller
from typing import Any

from confluent_kafka import KafkaError, Message

from consumers.kafka.records import Partition, Record

DAMAGED = frozenset(
    {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED, KafkaError.INVALID_MSG}
)
"""What the client says of a whole batch of records that it cannot take apart. It asks for the batch for ever."""

_HEADERS_UNREADABLE = (
    "the headers of this record cannot be read: their names are not UTF-8; send the message again with names that are"
)


_headers_of = methodcaller("headers")
"""The client returns a list and raises at once where a name cannot be decoded. Python notices that in every call that
is made from C; in one that it has often made itself it does not look, and the error comes up anywhere afterwards.
"""


def record_of(message: Message, partition: Partition) -> Record:
    """A record as it was read."""
    headers: Any
    try:
        # Once only: a second call, after one that failed, gives what is left of the first.
        headers = _headers_of(message) or ()
    except Exception:
        return Record(partition, message.offset() or 0, message.key(), message.value(), (), _HEADERS_UNREADABLE)
    return Record(partition, message.offset() or 0, message.key(), message.value(), headers)
