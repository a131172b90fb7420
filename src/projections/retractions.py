"""What counts as never said, because its own source took it back (contract §1).

The row of a fact stays where it is. Where rows are shown those of retracted messages are left out, by this table; it
may know of a message before the message is known.
"""

from __future__ import annotations

from ledger.events import FactRetracted, Retraction, retracted
from ledger.store.instants import from_microseconds
from projections.first_message import MESSAGE, message_of
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
    retracts = event.data.retracts
    named = {"retracts_source": retracts.source, "retracts_id": retracts.id}
    rows.put(SAID, {"account": event.account, **named, **message_of(event)})
    gone = retracted(map(_retraction, rows.of_account(SAID, event.account)))
    for row in rows.of_account(GONE, event.account):
        if (row["source"], row["id"]) not in gone:
            rows.delete(GONE, event.account, row["source"], row["id"])
    for (source, id_), by in gone.items():
        message = {"account": event.account, "source": source, "id": id_}
        rows.put(GONE, {**message, "by_source": by.message[0], "by_id": by.message[1]})


def _retraction(row: Row) -> Retraction:
    return Retraction(
        message=(str(row["message_source"]), str(row["message_id"])),
        retracts=(str(row["retracts_source"]), str(row["retracts_id"])),
        time=from_microseconds(int(row["message_time"] or 0)),
    )


RETRACTIONS = Projection("retractions", 1, (SAID, GONE), (FactRetracted,), fold)


def never_said(state: State) -> set[tuple[str, str]]:
    """The messages that count as never said: account, and source and id in one."""
    return {(str(row["account"]), f"{row['source']} {row['id']}") for row in state["retracted_messages"]}


def still_said(fact: str) -> str:
    """What holds in SQL of a row of the table `fact`, which says by what message it came, unless that is gone."""
    return (
        f"NOT EXISTS (SELECT 1 FROM {RETRACTIONS.stored_name(GONE)} AS gone WHERE gone.account = {fact}.account "
        f"AND gone.source = {fact}.message_source AND gone.id = {fact}.message_id)"
    )
