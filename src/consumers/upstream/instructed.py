"""Messages that only the door sends: what people instruct Makegood to do that upstream has no message for.

They go through the same inbox as upstream's. Nobody can publish one: from Kafka, from a file or as an event over HTTP
their types are unknown.
"""

from __future__ import annotations

from typing import ClassVar

from consumers.upstream.messages import MESSAGES, MessageData

INSTRUCTED: dict[str, type[MessageData]] = {}
"""Every message of the door's own, by its CloudEvents type."""


class InstructedData(MessageData):
    """The `data` of one type of message that only the door sends."""

    registered_in: ClassVar[dict[str, type[MessageData]]] = INSTRUCTED


def known_at_the_door() -> dict[str, type[MessageData]]:
    """All messages that an instruction may become: upstream's and the door's own."""
    return {**MESSAGES, **INSTRUCTED}
