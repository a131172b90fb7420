"""What was claimed, and what became of it: a row for every claim that stands (contract §3, `makegood claims`)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ledger.events import (
    SETTLING,
    ClaimAssessed,
    ClaimAssessedV1,
    ClaimDecision,
    SettledPart,
    Settling,
    claims_settled,
)
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
        "investigate_by": "INSTANT",
        "agreement": "TEXT",
        "agreement_version": "INTEGER",
        "position": "TEXT",
    },
    key=("account", "claim_id"),
    indexes=("claim_id",),
)
SETTLEMENTS = Table(
    "claim_settlements",
    {
        "account": "TEXT",
        "claim_id": "TEXT",
        "currency": "TEXT",
        "settlement": "TEXT",
        "overpaid": "TEXT",
    },
    key=("account", "claim_id", "currency"),
)


def fold(rows: Rows, place: Place, event: ClaimAssessed | Settling) -> None:
    """A claim row is as it was last recorded, or gone; how it is settled stands also where the row is gone."""
    if isinstance(event, ClaimAssessed | ClaimAssessedV1):
        _put_row(rows, place, event)
    if isinstance(event, Settling):
        for claim in claims_settled(event):
            if not claim.after:
                rows.delete(SETTLEMENTS, event.account, claim.claim_id, event.data.currency)
                continue
            rows.put(
                SETTLEMENTS,
                {
                    "account": event.account,
                    "claim_id": claim.claim_id,
                    "currency": event.data.currency,
                    "settlement": _settlement(claim.after),
                    "overpaid": _overpaid(claim.after),
                },
            )


def _put_row(rows: Rows, place: Place, event: ClaimAssessed | ClaimAssessedV1) -> None:
    data, after = event.data, event.data.after
    if after is None or after.outcome is None:
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
            "investigate_by": to_microseconds(data.investigate_by) if data.investigate_by is not None else None,
            "agreement": data.terms.agreement if data.terms is not None else None,
            "agreement_version": data.terms.version if data.terms is not None else None,
            "position": f"{place.shard}:{place.position}" if place.shard is not None else None,
        },
    )


def _settlement(parts: Iterable[SettledPart]) -> str | None:
    """How a claim is settled, in a word; what is overpaid is no way of settling it.

    What was set off is no way of its own where there is another; a claim that is set off whole is `mixed`.
    """
    settled = {part.into for part in parts} - {"overpaid", "correction"}
    ways = settled - {"offset"}
    if len(ways) == 1:
        return next(iter(ways))
    return "mixed" if settled else None


def _overpaid(parts: Iterable[SettledPart]) -> str | None:
    """What went out and is no longer owed. Its part is negative, so that all parts add up to the claim."""
    overpaid = [-(part.net + part.tax) for part in parts if part.into == "overpaid"]
    return str(sum(overpaid, Decimal(0))) if overpaid else None


CLAIMS = Projection("claims", 2, (ROWS, SETTLEMENTS), (ClaimDecision, *SETTLING), fold)


def listed(state: State) -> list[dict[str, Any]]:
    """The claims as they are shown: by account, then claim."""
    settled = {SETTLEMENTS.key_of(row): row for row in state["claim_settlements"]}
    return [
        _shown(row, settled.get((row["account"], row["claim_id"], row["currency"])))
        for row in sorted(state["claims"], key=ROWS.key_of)
    ]


def overpaid(state: State) -> list[dict[str, Any]]:
    """What went out for claims and is owed no more, those whose rows fell away included (policy §7)."""
    return [
        {
            "account_id": row["account"],
            "claim_id": row["claim_id"],
            "overpaid": row["overpaid"],
            "currency": row["currency"],
        }
        for row in sorted(state["claim_settlements"], key=SETTLEMENTS.key_of)
        if row["overpaid"] is not None
    ]


def _shown(row: Row, settled: Row | None) -> dict[str, Any]:
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
        "settlement": settled["settlement"] if settled is not None else None,
        "overpaid": settled["overpaid"] if settled is not None else None,
        "investigate_by": shown_instant(row["investigate_by"]),
        "agreement": row["agreement"],
        "agreement_version": row["agreement_version"],
        "position": row["position"],
    }
