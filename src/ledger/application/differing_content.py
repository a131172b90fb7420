"""A message whose source and id were taken before by one that said something else: what differs (contract §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.application.statement import Refusal, Statement
from ledger.events import Fact
from ledger.events.event_ids import message_event_id
from ledger.store.database import Transaction
from ledger.store.reading.events import find_event
from ledger.store.reading.vault import opened
from ledger.vault import Damaged, Gone, Vault


@dataclass(frozen=True, slots=True)
class Said:
    """What a message said, by the names that upstream gives its fields; `private` is None where it cannot be read."""

    subject: str
    type: str
    time: datetime
    data: Mapping[str, Any]
    private: Mapping[str, Any] | None

    def fields_unlike(self, other: Said) -> list[str]:
        """The fields in which two messages differ. Of two types the data has nothing in common to compare."""
        unlike = [name for name in ("subject", "type", "time") if getattr(self, name) != getattr(other, name)]
        if self.type != other.type:
            return unlike
        mine, theirs = ({k: v for k, v in said.data.items() if k not in _OURS} for said in (self, other))
        if self.private is not None and other.private is not None:
            mine |= self.private
            theirs |= other.private
        return unlike + [f"data.{name}" for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]


def said_by(statement: Statement) -> Said:
    """What a message says that has come."""
    return Said(
        statement.account, _kind(statement.fact), statement.message.time, statement.data, statement.private or {}
    )


def said_before(transaction: Transaction, vault: Vault, statement: Statement) -> Said | None:
    """What the message with the same source and id said that is recorded; None where none is."""
    found = find_event(transaction, message_event_id(statement.message.source, statement.message.id))
    fact = found.event() if found is not None else None
    if not isinstance(fact, Fact):
        return None
    data = {name: getattr(fact.data, name) for name in type(fact.data).model_fields}
    return Said(fact.account, _kind(type(fact)), fact.data.message.time, data, _private(transaction, vault, fact))


_OURS = ("message", "sealed", "resolution_code")
"""What a fact has that is no field of its message."""


def _kind(fact: type[Fact]) -> str:
    """What a message is about. One that a former version recorded may stand in an older shape of its fact."""
    return fact.stored_as.rpartition(".")[0]


def _private(transaction: Transaction, vault: Vault, fact: Fact) -> Mapping[str, Any] | None:
    if fact.data.sealed is None:
        return {}
    try:
        return opened(transaction, vault, fact.account, fact.data.sealed)
    except (Gone, Damaged):
        return None


def conflicting(statement: Statement, before: Said | None) -> Refusal:
    """The refusal of a message whose source and id were taken before by one that said something else."""
    fields = before.fields_unlike(said_by(statement)) if before is not None else []
    return statement.refused(
        "id",
        "a message with this source and id was recorded before with other content"
        + (f" in {', '.join(fields)}" if fields else "")
        + "; publish a correction under a new id",
    )
