"""Folds the refunds out of the ledger's topic into a state store of Quix Streams, as src/projections/refunds.py does
into tables.

    python refunds.py BROKER TOPIC END FOLDER

The topic has one partition, END is the offset behind its last event, and FOLDER, which is empty, takes the state.
What it took is written as a line of JSON. It runs in an environment of its own, with nothing of Makegood's.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from orjson import loads
from quixstreams import Application, State
from rocksdict import AccessType, Options, Rdict

COMMIT_SECONDS = 30.0
LEAST_DONE_FIRST = ("open", "failed", "rejected", "gone_out")
SHOWN_AS = {"open": "due", "gone_out": "succeeded", "failed": "failed", "rejected": "rejected"}

Refund = dict[str, Any]
"""What is known of one: `settled` by its claim's settlement, `stands` by events that say how it stands, `arrived`."""


def main() -> None:
    broker, topic, end, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    application = Application(
        broker_address=broker,
        consumer_group=f"bench-{folder.name}",
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        commit_interval=COMMIT_SECONDS,
        state_dir=folder,
        loglevel="ERROR",
        on_message_processed=lambda topic, partition, offset: run.processed(offset),
    )
    run = Run(application, end)
    events = application.dataframe(application.topic(topic, key_deserializer="str", value_deserializer="bytes"))
    # Only what is folded is decoded; of everything else the header with its type is looked at.
    events = events.filter(lambda value, key, timestamp, headers: type_in(headers) in FOLDS, metadata=True)
    events.update(fold, stateful=True, metadata=True)
    told = run.fold()
    rows, sums = rows_in(folder)
    print(json.dumps({**told, "rows": rows, "sums": sums}))


class Run:
    """One application that folds the topic from its beginning to its end."""

    def __init__(self, application: Application, end: int) -> None:
        self.application = application
        self.end = end
        self.middle = end // 2
        self.messages = 0
        self.halfway = 0.0

    def processed(self, offset: int) -> None:
        """An event was folded, or left out; after the last one the application stops, which commits."""
        self.messages += 1
        if self.messages == self.middle:
            self.halfway = time.perf_counter()
        if offset >= self.end - 1:
            self.application.stop()

    def fold(self) -> dict[str, float]:
        """Until the store, its changelog and the offset are committed up to the end."""
        cpu, began = cpu_seconds(), time.perf_counter()
        self.application.run()
        done, used = time.perf_counter(), cpu_seconds() - cpu
        return {
            "seconds": done - began,
            "second_half_seconds": done - self.halfway,
            "cpu": used,
            "messages": self.messages,
        }


def cpu_seconds() -> float:
    """What this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rows_in(folder: Path) -> tuple[int, dict[str, str]]:
    """How many refunds the store on the disk has, and by currency and status how many and how much."""
    [store] = {path.parent for path in folder.rglob("CURRENT")}
    opened = Rdict(str(store), options=Options(raw_mode=True), access_type=AccessType.read_only())
    counts: Counter[str] = Counter()
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for value in opened.values():
        refund = loads(value)
        if (standing := standing_of(refund)) is not None:
            kind = f"{standing['currency']} {standing['status']}"
            counts[kind] += 1
            totals[kind] += Decimal(standing["total"])
    opened.close()
    return counts.total(), {kind: f"{counts[kind]} of {totals[kind]}" for kind in counts}


# --- the fold ------------------------------------------------------------------------------------------------------


def type_in(headers: list[tuple[str, bytes]] | None) -> bytes | None:
    """The stored type of the event that a record carries."""
    for name, value in headers or ():
        if name == "type":
            return value
    return None


def fold(value: bytes, key: str, timestamp: int, headers: list[tuple[str, bytes]], state: State) -> None:
    """Fold an event of an account, whose state it is given."""
    FOLDS[type_in(headers)](state, loads(value))


def settle(state: State, event: dict[str, Any]) -> None:
    """The settlement of claims says which refunds there are."""
    data = event["data"]
    for claim in data["claims"]:
        after = refunds(claim["after"])
        for gone in refunds(claim["before"]).keys() - after.keys():
            keep(state, gone, {**get(state, gone), "settled": None})
        for id_, part in after.items():
            before = get(state, id_)
            settled = before["settled"]
            standing = {
                "claim_id": claim["claim_id"],
                "credit_id": None,
                "charge_id": claim["charge_id"],
                "invoice_id": data["invoice_id"],
                "net": part["net"],
                "tax": part["tax"],
                "total": added(part["net"], part["tax"]),
                "currency": data["currency"],
                "status": SHOWN_AS[part["status"]],
                "due_at": settled["due_at"] if settled else event["recorded_at"],
            }
            keep(state, id_, {**before, "settled": standing})


def stand(state: State, event: dict[str, Any]) -> None:
    """An event says how a refund stands, until it is owed no more."""
    data = event["data"]
    before = get(state, data["refund_id"])
    if data["after"] is None:
        keep(state, data["refund_id"], {**before, "stands": None})
        return
    standing = standing_of(before)
    stands = {
        **{name: data[name] for name in STANDING},
        "total": added(data["net"], data["tax"]),
        "status": data["after"],
        "due_at": standing["due_at"] if standing else event["recorded_at"],
    }
    keep(state, data["refund_id"], {**before, "stands": stands})


STANDING = (
    *("claim_id", "credit_id", "charge_id", "net", "tax", "currency", "attempt", "approved_by", "approved_at"),
    *("submitted_at", "settled_at", "processor_reference", "returns", "held_by"),
)


def arrive(state: State, event: dict[str, Any]) -> None:
    """The payment processor said that a refund arrived; it may be due only later."""
    data = event["data"]
    arrived = {"succeeded_at": data["succeeded_at"], "processor_reference": data["processor_reference"]}
    keep(state, data["refund_id"], {**get(state, data["refund_id"]), "arrived": arrived})


FOLDS = {b"settlement-changed.v1": settle, b"refund-status-changed.v1": stand, b"refund-succeeded.v2": arrive}


def get(state: State, refund_id: str) -> Refund:
    return state.get(refund_id) or {"settled": None, "stands": None, "arrived": None}


def keep(state: State, refund_id: str, refund: Refund) -> None:
    if any(refund.values()):
        state.set(refund_id, refund)
    else:
        state.delete(refund_id)


def standing_of(refund: Refund) -> dict[str, Any] | None:
    """None where there is no refund: its claim is settled otherwise, or it is not due yet."""
    return refund["stands"] or refund["settled"]


def refunds(settled: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """A claim's refunds by their ids, each with all that is settled under its id, as settled_parts.py has them."""
    found: dict[str, dict[str, str]] = {}
    for part in settled:
        if part["into"] == "refund":
            of_id = found.get(part["id"])
            found[part["id"]] = part if of_id is None else together(of_id, part)
    return found


def together(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    status = min(one["status"], other["status"], key=LEAST_DONE_FIRST.index)
    return {**one, "net": added(one["net"], other["net"]), "tax": added(one["tax"], other["tax"]), "status": status}


def added(one: str, other: str) -> str:
    """The sum of two amounts."""
    return str(Decimal(one) + Decimal(other))


if __name__ == "__main__":
    main()
