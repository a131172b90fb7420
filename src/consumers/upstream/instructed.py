"""Messages that only the door sends: what people instruct Makegood to do that upstream has no message for.

They go through the same inbox as upstream's. Nobody can publish one: from Kafka, from a file or as an event over HTTP
their types are unknown.
"""

from __future__ import annotations

from typing import ClassVar

from consumers.upstream.messages import MESSAGES, MessageData

SOURCE = "/makegood/http"
"""The source of a message that an instruction became. Nobody else's messages may bear it, or another that begins so:
whoever could take the identity of an instruction before it is given could keep it from being recorded.
"""

INSTRUCTED: dict[str, type[MessageData]] = {}
"""Every message of the door's own, by its CloudEvents type."""


class InstructedData(MessageData):
    """The `data` of one type of message that only the door sends."""

    registered_in: ClassVar[dict[str, type[MessageData]]] = INSTRUCTED


def is_reserved(source: str) -> bool:
    """Whether only the door may send messages from this source."""
    return source == SOURCE or source.startswith(SOURCE + "/")


def known_at_the_door() -> dict[str, type[MessageData]]:
    """All messages that an instruction may become: upstream's and the door's own."""
    return {**MESSAGES, **INSTRUCTED}
