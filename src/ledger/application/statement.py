"""What comes in: a message as the ledger takes it, or a message that was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ledger.events import Fact, Message
from ledger.values import value


@value
class Statement:
    """One well-formed upstream message.

    `data` are the fields of `fact.Data` but for `message` and `sealed`; `private` is the personal data and free text
    (JSON values), which goes into the vault; `content` is the canonical JSON of type, subject, time and data by
    which a repetition is told from a conflict (contract §1).
    """

    account: str
    message: Message
    fact: type[Fact]
    data: Mapping[str, object]
    private: Mapping[str, object] | None
    content: bytes
    occurred_at: datetime
    actor: str
    channel: str
    origin: str
    body: Callable[[], bytes] = field(compare=False, repr=False)
    correlation_id: str | None = None
    traceparent: str | None = None
    line: int | None = None
    first_stands: bool = False
    """Of messages with its identity the first one holds, and the others are duplicates whatever they say: so is what
    a payment processor says of a refund by several ways."""

    def refused(self, field: str, reason: str) -> Refusal:
        """The refusal of this message, by what the ledger knows and the message does not show by itself."""
        return Refusal(
            origin=self.origin,
            reason=reason,
            field=field,
            body=self.body(),
            message_id=self.message.id,
            source=self.message.source,
            account=self.account,
            channel=self.channel,
            line=self.line,
        )


@value
class Refusal:
    """One message that showed by itself, or by what the ledger knows, that it cannot be taken.

    `origin` says where it was seen (`kafka:<cluster>/<topic>/<partition>/<offset>`, `file:<name>:<line>`);
    `message_id` and `source` are given only where they are identifiers. `reason` and `field` never quote a value.
    """

    origin: str
    reason: str
    field: str | None
    body: bytes
    message_id: str | None = None
    source: str | None = None
    account: str | None = None
    channel: str = "file"
    line: int | None = None


Became = Literal["accepted", "duplicate", "set aside"] | Refusal
"""The outcome of one message."""


@dataclass(slots=True)
class Taken:
    """What became of a batch of messages."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: list[Refusal] = field(default_factory=list)
    set_aside: int = 0
    each: list[Became] = field(default_factory=list)
    """The same of every message, in the order in which they came."""

    def add(self, other: Taken) -> None:
        """Count what became of more messages."""
        self.read += other.read
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.refused += other.refused
        self.set_aside += other.set_aside
        self.each += other.each
