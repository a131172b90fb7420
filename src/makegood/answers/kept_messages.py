"""A kept message with what it said: a dead letter, or one that was set aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.application.kept_messages import Kept
from ledger.events import KeptAs
from ledger.vault import Erased
from makegood.house.opening import House

ID_OF: Mapping[KeptAs, str] = {"dead-letter": "dead_letter_id", "set-aside": "set_aside_id"}
"""By which field each kind of kept message names its id."""


def with_body(house: House, kept: KeptAs, row: Mapping[str, Any]) -> dict[str, Any]:
    """A kept message with what it said, None where that was erased."""
    try:
        body = Kept(kept, row[ID_OF[kept]], row["origin"]).body(house.ledger)
    except Erased:
        body = None
    return {**row, "body": body.decode(errors="backslashreplace") if body is not None else None}
