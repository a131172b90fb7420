"""What billing and provisioning must carry out, and what they answered (contract §1a, `makegood instructions`).

The rows say what the topic says, because both are derived by the same function. An answer may be recorded before its
instruction, so answers have rows of their own, and meet their instruction where it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from pydantic_core import from_json, to_json

from ledger.events import (
    CreditUse,
    InstructionFact,
    InstructionRefused,
    PaymentCaptured,
    Settling,
    SubscriptionStatusChanged,
)
from ledger.instructions import INSTRUCTING, instructions_of
from ledger.store.instants import to_microseconds
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of
from projections.projection import Place, Projection, Row, Rows, State, Table, shown_instant

ISSUED = Table(
    "instructions",
    {
        "account": "TEXT",
        "instruction_id": "TEXT",
        "kind": "TEXT",
        "data": "TEXT",
        "issued_at": "INSTANT",
    },
    key=("account", "instruction_id"),
    appends=True,
)
ANSWERS = Table(
    "instruction_answers",
    {
        "account": "TEXT",
        "instruction_id": "TEXT",
        "event_id": "TEXT",
        "status": "TEXT",
        "answered_at": "INSTANT",
        **MESSAGE,
    },
    key=("account", "instruction_id", "event_id"),
    appends=True,
)
ENDS = Table(
    "instructed_ends",
    {"account": "TEXT", "subscription_id": "TEXT", "effective_on": "TEXT"},
    key=("account", "subscription_id"),
    reads=(SubscriptionStatusChanged,),
)

Handled = SubscriptionStatusChanged | Settling | CreditUse | InstructionFact | PaymentCaptured


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """An instruction has a row for ever, and so has each answer."""
    effective_on = None
    match event:
        case InstructionFact():
            _put_answer(rows, event, event.data.instruction_id)
        case PaymentCaptured() if event.data.method == "balance":
            _put_answer(rows, event, event.data.payment_id)
        case SubscriptionStatusChanged():
            effective_on = _end_before(rows, event)
    for instruction in instructions_of(event, effective_on):
        rows.put(
            ISSUED,
            {
                "account": event.account,
                "instruction_id": instruction.instruction_id,
                "kind": instruction.kind,
                "data": to_json(instruction.data).decode(),
                "issued_at": to_microseconds(instruction.issued_at),
            },
        )


def _end_before(rows: Rows, event: SubscriptionStatusChanged) -> date | None:
    """When the subscription was to end before; from now on it is when it is to end now."""
    subscription = {"account": event.account, "subscription_id": event.data.subscription_id}
    before = rows.get(ENDS, *subscription.values())
    was = date.fromisoformat(str(before["effective_on"])) if before is not None else None
    on = event.data.effective_on
    if on is None and was is not None:
        rows.delete(ENDS, *subscription.values())
    elif on is not None and on != was:
        rows.put(ENDS, {**subscription, "effective_on": on.isoformat()})
    return was


def _put_answer(rows: Rows, event: InstructionFact | PaymentCaptured, instruction_id: str) -> None:
    """A payment from balance says that the credit was applied whose application it names as its id."""
    rows.put(
        ANSWERS,
        {
            "account": event.account,
            "instruction_id": instruction_id,
            "event_id": event.event_id,
            "status": "refused" if isinstance(event, InstructionRefused) else "carried_out",
            "answered_at": to_microseconds(event.occurred_at),
            **message_of(event),
        },
    )


INSTRUCTIONS = Projection(
    "instructions",
    2,
    (ISSUED, ANSWERS, ENDS),
    (*INSTRUCTING, InstructionFact, PaymentCaptured),
    fold,
)


def listed(state: State, left_out: LeftOut = frozenset()) -> list[dict[str, Any]]:
    """The instructions as they are shown: those without an answer first, the oldest first among each.

    `left_out` are answers that count for nothing.
    """
    answers = defaultdict(list)
    for answer in counting(state["instruction_answers"], left_out):
        answers[answer["account"], answer["instruction_id"]].append(answer)
    told = [(row, _holding(answers[ISSUED.key_of(row)])) for row in state["instructions"]]
    told.sort(key=lambda pair: (pair[1] is not None, pair[0]["issued_at"], *ISSUED.key_of(pair[0])))
    return [_shown(row, answer) for row, answer in told]


def _holding(answers: list[Row]) -> Row | None:
    """Of several answers the last one by its message holds: whoever refused may have carried it out after all."""
    return max(answers, key=order_of, default=None)


def _shown(row: Row, answer: Row | None) -> dict[str, Any]:
    return {
        "instruction_id": row["instruction_id"],
        "kind": row["kind"],
        "account_id": row["account"],
        "data": from_json(str(row["data"])),
        "issued_at": shown_instant(row["issued_at"]),
        "status": answer["status"] if answer is not None else "open",
        "answered_at": shown_instant(answer["answered_at"]) if answer is not None else None,
    }


def open_seconds(instruction: dict[str, Any], now: datetime) -> int | None:
    """How long an instruction has waited for an answer, 0 where a sandbox's clock stands before; None for one that
    has it."""
    if instruction["status"] != "open":
        return None
    issued = datetime.fromisoformat(instruction["issued_at"])
    return max(0, to_microseconds(now) - to_microseconds(issued)) // 1_000_000
