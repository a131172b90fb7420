"""From whom an act comes, and the messages that it becomes: they go through upstream's inbox (decision 0021).

A message is known by its source, which is the door's alone, and by an id made of the caller and their key: whatever
is sent again under one key is one message. It is read by the same strict reader as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from pydantic_core import to_json

from consumers.upstream import MessageData, known_at_the_door, read_act
from consumers.upstream.door_messages import SOURCE
from ledger.application.statement import Refusal, Statement
from ledger.values import MADE_ID_PREFIX, instant_to_text

SOURCE_BESIDE = f"{SOURCE}/beside"
"""The source of the message that goes in beside a request's own, such as the link to a complaint."""

CALLER_LENGTH_MAX = 62
"""A longer caller enters an id as the first 63 hexadecimal digits of its SHA-256; its length tells the two apart."""

PREVIEWED = ":preview"
"""In place of a key in the id of a message that is not recorded; no caller can send such a key."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, under which key, and where it came in. Only a preview may have no key."""

    principal: str
    channel: str
    key: str | None
    previewed: bool = False
    traceparent: str | None = None

    @property
    def message_id(self) -> str:
        """The id of the message; keys hold no slash, so that no two callers and keys share one."""
        caller = self.principal
        if len(caller) > CALLER_LENGTH_MAX:
            caller = sha256(caller.encode()).hexdigest()[: CALLER_LENGTH_MAX + 1]
        return f"{PREVIEWED if self.previewed else self.key}/{caller}"

    def made(self, kind: str) -> str:
        """The id of something that the caller gave none: the same whenever the request is sent again.

        A preview without a key has a placeholder.
        """
        if self.key is None:
            return f"{MADE_ID_PREFIX}{kind}-preview"
        digest = sha256("\x00".join((kind, self.principal, self.key)).encode()).hexdigest()
        return f"{MADE_ID_PREFIX}{kind}-{digest[:20]}"


def statements(account: str, said: Sequence[MessageData], origin: Origin, at: datetime) -> list[Statement | Refusal]:
    """What an act says at an instant as messages that the ledger takes, or refused; the first is the act's own."""
    return [
        read_act(
            _cloud_event(account, each, origin, at, SOURCE_BESIDE if number else SOURCE),
            actor=origin.principal,
            channel=origin.channel,
            origin=f"http:{origin.principal}",
            known=known_at_the_door(),
        )
        for number, each in enumerate(said)
    ]


def _cloud_event(account: str, said: MessageData, origin: Origin, at: datetime, source: str) -> bytes:
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": origin.message_id,
        "source": source,
        "type": said.message_type,
        "subject": account,
        "time": instant_to_text(at),
        "data": said.stated(),
    }
    if origin.traceparent is not None:
        event["traceparent"] = origin.traceparent
    return to_json(event)
