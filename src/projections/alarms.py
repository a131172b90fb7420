"""What a person should look at: a row for every alarm that stands (contract §3, `makegood alarms`)."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

from ledger.events import AlarmCleared, AlarmData, AlarmRaised
from ledger.store.instants import to_microseconds
from projections import retractions
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

ROWS = Table(
    "alarms",
    {
        "account": "TEXT",
        "identity": "TEXT",
        "alarm": "TEXT",
        "about": "TEXT",
        "claim_id": "TEXT",
        "charge_id": "TEXT",
        "subscription_id": "TEXT",
        "since": "INSTANT",
    },
    key=("account", "identity"),
)


def fold(rows: Rows, _: Place, event: AlarmRaised | AlarmCleared) -> None:
    """An alarm stands from when it was raised until its cause is gone."""
    data = event.data
    if isinstance(event, AlarmCleared):
        rows.delete(ROWS, event.account, _identity(data))
        return
    rows.put(
        ROWS,
        {
            "account": event.account,
            "identity": _identity(data),
            "alarm": data.alarm,
            "about": to_json(data.about).decode(),
            "claim_id": data.claim_id,
            "charge_id": data.charge_id,
            "subscription_id": data.subscription_id,
            "since": to_microseconds(event.recorded_at),
        },
    )


def _identity(data: AlarmData) -> str:
    """Two alarms are the same when all that they say is the same."""
    return to_json([data.alarm, data.charge_id, data.claim_id, data.subscription_id, *data.about]).decode()


ALARMS = Projection("alarms", 1, (ROWS,), (AlarmRaised, AlarmCleared), fold)


def listed(state: State) -> list[dict[str, Any]]:
    """The alarms as they are shown: by account, then by name and what they are about."""
    return [_shown(row) for row in sorted(state["alarms"], key=ROWS.key_of)]


def _shown(row: Row) -> dict[str, Any]:
    return {
        "alarm": row["alarm"],
        "account_id": row["account"],
        "claim_id": row["claim_id"],
        "charge_id": row["charge_id"],
        "subscription_id": row["subscription_id"],
        "about": from_json(str(row["about"])),
        "since": shown_instant(row["since"]),
    }


def identity_of(shown: dict[str, Any]) -> str:
    """By what an alarm that is shown stands in its account's order."""
    names = ("alarm", "charge_id", "claim_id", "subscription_id")
    return to_json([*(shown[name] for name in names), *shown["about"]]).decode()


def left_out(state: State) -> set[tuple[str, str]]:
    """The facts that the assessment does without: account, and source and id in one.

    They contradict another fact, or are the verdict of somebody about their own proposal: such an alarm names the
    fact that stands, then the one left out. Or they were retracted.
    """
    return retractions.never_said(state) | {
        (str(row["account"]), from_json(str(row["about"]))[1])
        for row in state["alarms"]
        if row["alarm"] in ("contradiction", "decided_by_proposer")
    }
