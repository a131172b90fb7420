"""What a person should look at: a row for every alarm that stands (contract §3, `makegood alarms`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import AlarmCleared, AlarmData, AlarmRaised
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Page, Where
from projections.asking import Accounts, order_of, rows_listed, state_in
from projections.first_message import LeftOut
from projections.projection import Place, Projection, Row, Rows, State, Table
from projections.retractions import GONE, RETRACTIONS, never_said
from projections.shown_values import Instant, shown_instant

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
        rows.delete(ROWS, event.account, identity(data))
        return
    rows.put(
        ROWS,
        {
            "account": event.account,
            "identity": identity(data),
            "alarm": data.alarm,
            "about": to_json(data.about).decode(),
            "claim_id": data.claim_id,
            "charge_id": data.charge_id,
            "subscription_id": data.subscription_id,
            "since": to_microseconds(event.recorded_at),
        },
    )


def identity(data: AlarmData) -> str:
    """Two alarms are the same when all that they say is the same."""
    return to_json([data.alarm, data.charge_id, data.claim_id, data.subscription_id, *data.about]).decode()


ALARMS = Projection("alarms", 1, (ROWS,), (AlarmRaised, AlarmCleared), fold)


class Alarm(TypedDict):
    """An alarm for a person to check."""

    alarm: Annotated[str, Field(examples=["charged_after_end"])]
    account_id: str
    claim_id: str | None
    charge_id: str | None
    subscription_id: str | None
    about: Annotated[list[str], Field(description="Source and id of the messages concerned.")]
    since: Instant


ORDER = order_of(ROWS)


def listed(database: Database, *, accounts: Accounts = None, page: Page | None = None) -> Listed[Alarm]:
    """The alarms that stand: by account, then by name and what they are about."""
    with database.reading() as transaction:
        found = rows_listed(transaction, ALARMS, ROWS, Where().among("account", accounts), page)
    return found.told(shown({ROWS.name: found}))


def alarms_left(transaction: Transaction) -> Left:
    """How many alarms stand, and since when."""
    return left(transaction, f"SELECT COUNT(*), MIN(since) FROM {ALARMS.stored_name(ROWS)}")


def shown(state: State) -> list[Alarm]:
    """The alarms as they are shown: by account, then by name and what they are about."""
    return [_shown(row) for row in sorted(state[ROWS.name], key=ROWS.key_of)]


def _shown(row: Row) -> Alarm:
    return {
        "alarm": row["alarm"],
        "account_id": row["account"],
        "claim_id": row["claim_id"],
        "charge_id": row["charge_id"],
        "subscription_id": row["subscription_id"],
        "about": from_json(row["about"]),
        "since": shown_instant(row["since"]),
    }


LAW_BROKEN = "law_broken"
"""The alarm about an account whose books break a law: its payouts are stopped (policy §7)."""


def stopped(rows: Iterable[Row]) -> set[str]:
    """The accounts whose payouts are stopped, by the alarms that stand."""
    return {row["account"] for row in rows if row["alarm"] == LAW_BROKEN}


LEAVING_OUT = ("contradiction", "decided_by_proposer")
"""Alarms about a fact that another contradicts, or about somebody's verdict on their own proposal. They name the fact
that stands, then the one that counts for nothing."""


def left_out(state: State) -> set[tuple[str, str]]:
    """The facts that the assessment does without: account, and source and id in one. Alarms or retractions say so."""
    return never_said(state) | {
        (row["account"], from_json(row["about"])[1]) for row in state[ROWS.name] if row["alarm"] in LEAVING_OUT
    }


def left_out_in(transaction: Transaction, accounts: Collection[str]) -> LeftOut:
    """The facts of some accounts that the assessment does without."""
    return left_out(state_in(transaction, LEFT_OUT_BY, accounts))


LEFT_OUT_BY = ((RETRACTIONS, GONE), (ALARMS, ROWS))
"""The tables by which `left_out` goes."""
