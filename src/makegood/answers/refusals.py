"""Refused messages, as every answer tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.application.statement import Refusal


def refusals(refused: Sequence[Refusal]) -> list[dict[str, Any]]:
    """Refused messages as `ingest` answers them, in the order of their lines."""
    return [
        {"line": r.line, "id": r.message_id, "reason": r.reason, "field": r.field}
        for r in sorted(refused, key=lambda r: r.line or 0)
    ]
