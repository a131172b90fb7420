"""From whom an act comes, by which door, and the messages that it becomes.

A message is known by its source, which is the same for each of them, and by an id made of the caller and their key:
whatever is sent again under one key is one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from consumers.upstream import MessageData
from consumers.upstream.door_messages import SOURCE
from ledger.application.statement import Refusal, Statement
from ledger.values import MADE_ID_PREFIX
from makegood.acts.messages import Sent, statement

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

    def sent(self, source: str) -> Sent:
        """What a message of the act from one of the door's sources is known by."""
        return Sent(
            source,
            self.message_id,
            self.principal,
            self.channel,
            f"{self.channel}:{self.principal}",
            self.traceparent,
        )

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
        statement(account, each, origin.sent(SOURCE_BESIDE if number else SOURCE), at)
        for number, each in enumerate(said)
    ]
