"""The terminal view of an outage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makegood.answers.ages import age
from projections.outages import Outage, OutageClaim


def outage_in_words(row: Outage) -> Mapping[str, Any]:
    """An outage as a table shows it: how long it lasted, and what its claims came to."""
    return {
        **row,
        "duration": age(row["duration_seconds"]),
        "claims": [f"{claim['claim_id']} {_came_to(claim)}" for claim in row["claims"]],
    }


def _came_to(claim: OutageClaim) -> str:
    if claim["outcome"] == "granted":
        return f"granted {claim['amount']} {claim['currency']}"
    return f"{claim['outcome']}{', ' + claim['reason'] if claim['reason'] else ''}"
