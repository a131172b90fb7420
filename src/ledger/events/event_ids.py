"""An event's id follows from what it stands for, so that nothing can be recorded twice."""

from __future__ import annotations

from hashlib import sha256

from ledger.events.envelope import Fact, FactData


def fact_event_id(data: FactData) -> str:
    """A fact's event id follows from its message: recording a message twice would give one id twice."""
    return message_event_id(data.message.source, data.message.id)


def message_event_id(source: str, message_id: str) -> str:
    """The event id of the fact that a message becomes."""
    return event_id_of(Fact.__name__, source, message_id)


def event_id_of(*parts: str) -> str:
    """The id that stands for these parts: 32 hexadecimal digits of their SHA-256."""
    return sha256("\x00".join(parts).encode()).hexdigest()[:32]
