"""Where every event stands, when it was true and when it was known, of what kind, and which claim it is about.

It is an index for finding events, and no second copy of them (design, "The house"): what an event says is read from
the store, at its position.
"""

from __future__ import annotations

from ledger.events import STORED_TYPES, Decision, LedgerEvent
from ledger.store.instants import to_microseconds
from projections.projection import Place, Projection, Rows, Table

ROWS = Table(
    "audit_trail",
    {
        "account": "TEXT",
        "account_version": "BIGINT",
        "shard": "INTEGER",
        "position": "BIGINT",
        "type": "TEXT",
        "kind": "TEXT",
        "event_id": "TEXT",
        "occurred_at": "INSTANT",
        "recorded_at": "INSTANT",
        "claim_id": "TEXT",
        "actor": "TEXT",
        "channel": "TEXT",
    },
    key=("account", "account_version"),
    appends=True,
    indexes=("claim_id",),
)

KINDS = {type_: "decision" if issubclass(event, Decision) else "fact" for type_, event in STORED_TYPES.items()}
"""Whether a stored type was said by upstream or concluded by the ledger."""

NAMING_A_CLAIM = frozenset(
    type_
    for type_, event in STORED_TYPES.items()
    if "claim_id" in getattr(event.model_fields["data"].annotation, "model_fields", {})
)


def fold(rows: Rows, place: Place, event: LedgerEvent) -> None:
    """Every event has its row."""
    rows.put(
        ROWS,
        {
            "account": event.account,
            "account_version": place.account_version,
            "shard": place.shard,
            "position": place.position,
            "type": event.type,
            "kind": KINDS[event.type],
            "event_id": event.event_id,
            "occurred_at": to_microseconds(event.occurred_at),
            "recorded_at": to_microseconds(event.recorded_at),
            "claim_id": event.data.claim_id if event.type in NAMING_A_CLAIM else None,
            "actor": event.actor,
            "channel": event.channel,
        },
    )


AUDIT_TRAIL = Projection("audit_trail", 1, (ROWS,), (LedgerEvent,), fold)
