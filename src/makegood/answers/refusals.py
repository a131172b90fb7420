"""Refused messages, as every answer tells them."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from ledger.application.statement import Refusal


class RefusedMessage(TypedDict):
    """A refused message: which line of a file it was, if of one, and what is wrong with which field."""

    line: int | None
    id: str | None
    reason: str
    field: str | None


def refusals(refused: Sequence[Refusal]) -> list[RefusedMessage]:
    """Refused messages as `ingest` answers them, in the order of their lines."""
    return [
        {"line": r.line, "id": r.message_id, "reason": r.reason, "field": r.field}
        for r in sorted(refused, key=lambda r: r.line or 0)
    ]
