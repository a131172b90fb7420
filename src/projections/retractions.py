"""What counts as never said, because its own source took it back (contract §1).

The row of a fact stays where it is. Where rows are shown those of retracted messages are left out, by this table; it
may know of a message before the message is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.events import FactRetracted, Retraction, retracted
from ledger.store.database import Transaction
from ledger.store.instants import from_microseconds
from projections.asking import rows_of
from projections.first_message import MESSAGE, LeftOut, message_of
from projections.projection import Place, Projection, Row, Rows, State, Table

SAID = Table(
    "retractions",
    {
        "account": "TEXT",
        "retracts_source": "TEXT",
        "retracts_id": "TEXT",
        **MESSAGE,
    },
    key=("account", "message_source", "message_id"),
    reads=(FactRetracted,),
)
GONE = Table(
    "retracted_messages",
    {
        "account": "TEXT",
        "source": "TEXT",
        "id": "TEXT",
        "by_source": "TEXT",
        "by_id": "TEXT",
    },
    key=("account", "source", "id"),
    reads=(FactRetracted,),
)


def fold(rows: Rows, _: Place, event: FactRetracted) -> None:
    """Every retraction has its row. Which messages they leave out is looked at anew, because one of them may fall."""
    rows.put(SAID, said(event))
    gone = retracted(map(retraction, rows.of_account(SAID, event.account)))
    for row in rows.of_account(GONE, event.account):
        if (row["source"], row["id"]) not in gone:
            rows.delete(GONE, event.account, row["source"], row["id"])
    for (source, id_), by in gone.items():
        message = {"account": event.account, "source": source, "id": id_}
        rows.put(GONE, {**message, "by_source": by.message[0], "by_id": by.message[1]})


def said(event: FactRetracted) -> Row:
    """The row of a retraction."""
    retracts = event.data.retracts
    named = {"retracts_source": retracts.source, "retracts_id": retracts.id}
    return {"account": event.account, **named, **message_of(event)}


def retraction(row: Row) -> Retraction:
    """The retraction whose row it is."""
    return Retraction(
        message=(row["message_source"], row["message_id"]),
        retracts=(row["retracts_source"], row["retracts_id"]),
        time=from_microseconds(row["message_time"]),
    )


RETRACTIONS = Projection("retractions", 1, (SAID, GONE), (FactRetracted,), fold)


def never_said(state: State) -> set[tuple[str, str]]:
    """The messages that count as never said: account, and source and id in one."""
    return {(row["account"], f"{row['source']} {row['id']}") for row in state["retracted_messages"]}


def never_said_in(transaction: Transaction, accounts: Iterable[str]) -> LeftOut:
    """The messages of some accounts that count as never said."""
    return never_said({GONE.name: rows_of(transaction, RETRACTIONS, GONE, accounts)})
