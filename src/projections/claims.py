"""What was claimed, and what became of it: a row for every claim that stands (contract §3, `makegood claims`)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ledger.events import ClaimAssessed, SettledPart
from ledger.store.instants import to_microseconds
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

ROWS = Table(
    "claims",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "clause": "TEXT",
        "subscription_id": "TEXT",
        "charge_id": "TEXT",
        "outcome": "TEXT",
        "amount": "TEXT",
        "tax": "TEXT",
        "currency": "TEXT",
        "reason": "TEXT",
        "settlement": "TEXT",
        "overpaid": "TEXT",
        "investigate_by": "INSTANT",
        "agreement": "TEXT",
        "agreement_version": "INTEGER",
        "position": "TEXT",
    },
    key=("account", "claim_id"),
    indexes=("claim_id",),
)


def fold(rows: Rows, place: Place, event: ClaimAssessed) -> None:
    """A claim row is as it was last recorded, or gone."""
    data, after = event.data, event.data.after
    if after is None:
        rows.delete(ROWS, event.account, data.claim_id)
        return
    rows.put(
        ROWS,
        {
            "account": event.account,
            "claim_id": data.claim_id,
            "clause": data.clause,
            "subscription_id": data.subscription_id,
            "charge_id": data.charge_id,
            "outcome": after.outcome,
            "amount": str(after.amount),
            "tax": str(after.tax),
            "currency": data.currency,
            "reason": after.reason,
            "settlement": _settlement(after.settled),
            "overpaid": _overpaid(after.settled),
            "investigate_by": to_microseconds(data.investigate_by) if data.investigate_by is not None else None,
            "agreement": data.terms.agreement if data.terms is not None else None,
            "agreement_version": data.terms.version if data.terms is not None else None,
            "position": f"{place.shard}:{place.position}",
        },
    )


def _settlement(parts: Iterable[SettledPart]) -> str | None:
    """How a claim is settled, in a word; what is overpaid is no way of settling it."""
    ways = {part.into for part in parts} - {"overpaid"}
    return None if not ways else ways.pop() if len(ways) == 1 else "mixed"


def _overpaid(parts: Iterable[SettledPart]) -> str | None:
    """What went out and is no longer owed. Its part is negative, so that all parts add up to the claim."""
    overpaid = [-(part.net + part.tax) for part in parts if part.into == "overpaid"]
    return str(sum(overpaid, Decimal(0))) if overpaid else None


CLAIMS = Projection("claims", 1, (ROWS,), (ClaimAssessed,), fold)


def listed(state: State) -> list[dict[str, Any]]:
    """The claims as they are shown: by account, then claim. A row that fell away keeps only what was overpaid."""
    standing = [row for row in state["claims"] if row["outcome"] is not None]
    return [_shown(row) for row in sorted(standing, key=ROWS.key_of)]


def _shown(row: Row) -> dict[str, Any]:
    return {
        "claim_id": row["claim_id"],
        "clause": row["clause"],
        "account_id": row["account"],
        "subscription_id": row["subscription_id"],
        "charge_id": row["charge_id"],
        "outcome": row["outcome"],
        "amount": row["amount"],
        "tax": row["tax"],
        "currency": row["currency"],
        "reason": row["reason"],
        "settlement": row["settlement"],
        "overpaid": row["overpaid"],
        "investigate_by": shown_instant(row["investigate_by"]),
        "agreement": row["agreement"],
        "agreement_version": row["agreement_version"],
        "position": row["position"],
    }
