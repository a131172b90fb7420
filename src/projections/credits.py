"""What a customer has to their credit: a row for every credit granted (contract §3, `makegood credits`).

Of each application to a charge there is a row, too; what was used of a credit is their sum.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from ledger.events import ClaimAssessed, CreditApplied
from ledger.store.instants import to_microseconds
from ledger.values import zero
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant
from projections.settled_parts import PART, follow_parts

ROWS = Table(
    "credits",
    {
        "account": "TEXT",
        "credit_id": "TEXT",
        **PART,
        "granted_at": "INSTANT",
    },
    key=("account", "credit_id"),
    reads=(ClaimAssessed,),
    indexes=("credit_id",),
)
APPLICATIONS = Table(
    "credit_applications",
    {
        "account": "TEXT",
        "application_id": "TEXT",
        "credit_id": "TEXT",
        "charge_id": "TEXT",
        "invoice_id": "TEXT",
        "amount": "TEXT",
        "currency": "TEXT",
        "applied_at": "INSTANT",
    },
    key=("account", "application_id"),
    appends=True,
    indexes=("credit_id",),
)


def fold(rows: Rows, _: Place, event: ClaimAssessed | CreditApplied) -> None:
    """A credit follows the part of its claim that it makes good, from the event that first granted it."""
    match event:
        case ClaimAssessed():
            follow_parts(rows, ROWS, event, "credit", "granted_at")
        case CreditApplied():
            rows.put(
                APPLICATIONS,
                {
                    "account": event.account,
                    "application_id": event.data.application_id,
                    "credit_id": event.data.credit_id,
                    "charge_id": event.data.charge_id,
                    "invoice_id": event.data.invoice_id,
                    "amount": str(event.data.amount),
                    "currency": event.data.currency,
                    "applied_at": to_microseconds(event.recorded_at),
                },
            )


CREDITS = Projection("credits", 2, (ROWS, APPLICATIONS), (ClaimAssessed, CreditApplied), fold)


def listed(state: State) -> list[dict[str, Any]]:
    """The credits as they are shown: by account, then credit."""
    applications = defaultdict(list)
    for application in state["credit_applications"]:
        applications[application["account"], application["credit_id"]].append(application)
    return [_shown(row, applications[ROWS.key_of(row)]) for row in sorted(state["credits"], key=ROWS.key_of)]


def _shown(row: Row, applications: list[Row]) -> dict[str, Any]:
    """No event refunds a credit yet: what was not used is left."""
    nothing = zero(str(row["currency"]))
    used = sum((Decimal(str(application["amount"])) for application in applications), nothing)
    return {
        "credit_id": row["credit_id"],
        "claim_id": row["claim_id"],
        "account_id": row["account"],
        "charge_id": row["charge_id"],
        "net": row["net"],
        "tax": row["tax"],
        "total": row["total"],
        "currency": row["currency"],
        "used": str(used),
        "refunded": str(nothing),
        "left": str(Decimal(str(row["total"])) - used),
        "granted_at": shown_instant(row["granted_at"]),
        "applied": [
            {
                "application_id": application["application_id"],
                "charge_id": application["charge_id"],
                "invoice_id": application["invoice_id"],
                "amount": application["amount"],
                "applied_at": shown_instant(application["applied_at"]),
            }
            for application in sorted(applications, key=lambda each: (each["applied_at"], each["application_id"]))
        ],
    }
