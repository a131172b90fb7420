"""The messages that acts of people become: they go through upstream's inbox (decision 0021).

A message is known by its source, which is the door's alone, and by its id. It is read by the same strict reader as
any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic_core import to_json

from consumers.upstream import MessageData, known_at_the_door, read_act
from ledger.application.statement import Refusal, Statement
from ledger.values import instant_to_text


@dataclass(frozen=True, slots=True)
class Sent:
    """From whom an act comes, by which way, and what its message is known by."""

    source: str
    message_id: str
    actor: str
    channel: str
    origin: str
    traceparent: str | None = None


def statement(account: str, said: MessageData, sent: Sent, at: datetime) -> Statement | Refusal:
    """What an act says at an instant as a message that the ledger takes, or refused."""
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": sent.message_id,
        "source": sent.source,
        "type": said.message_type,
        "subject": account,
        "time": instant_to_text(at),
        "data": said.stated(),
    }
    if sent.traceparent is not None:
        event["traceparent"] = sent.traceparent
    return read_act(
        to_json(event), actor=sent.actor, channel=sent.channel, origin=sent.origin, known=known_at_the_door()
    )
