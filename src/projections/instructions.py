"""What billing and provisioning must carry out, and what they answered (contract §1a, `makegood instructions`).

The rows say what the topic says, because both are derived by the same function. An answer may be recorded before its
instruction, so answers have rows of their own, and meet their instruction where it is shown. `answered` says of an
instruction whether one that counts is known, for the list to be found by.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from ledger.events import (
    CreditUse,
    FactRetracted,
    InstructionFact,
    InstructionRefused,
    LedgerEvent,
    PaymentCaptured,
    Settling,
    SubscriptionStatusChanged,
)
from ledger.instructions import INSTRUCTING, Kind, instructions_of
from ledger.store.database import Database, Transaction
from ledger.store.instants import to_microseconds
from ledger.store.reading.left_for_people import Left, left
from ledger.store.reading.page import Listed, Order, Page, Where
from ledger.values import instant_from_text
from projections.asking import Accounts, accounts_of, rows_listed, rows_of
from projections.first_message import MESSAGE, LeftOut, counting, message_of, order_of_fact
from projections.left_out import LeavingOut
from projections.projection import Index, Place, Projection, Row, Rows, State, Table
from projections.retractions import never_said_in
from projections.shown_values import Instant, shown_instant

HANDLED: tuple[type[LedgerEvent], ...] = (*INSTRUCTING, InstructionFact, PaymentCaptured, FactRetracted)

ISSUED = Table(
    "instructions",
    {
        "account": "TEXT",
        "instruction_id": "TEXT",
        "kind": "TEXT",
        "data": "TEXT",
        "issued_at": "INSTANT",
        "answered": "INTEGER",
    },
    key=("account", "instruction_id"),
    reads=(InstructionFact, PaymentCaptured, FactRetracted),
    indexes=(
        Index("oldest", ("answered", "issued_at", "account", "instruction_id")),
        Index("kind", ("kind", "answered", "issued_at", "account", "instruction_id")),
    ),
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
    reads=HANDLED,
)
ENDS = Table(
    "instructed_ends",
    {"account": "TEXT", "subscription_id": "TEXT", "effective_on": "TEXT"},
    key=("account", "subscription_id"),
    reads=(SubscriptionStatusChanged,),
)

LEAVING_OUT = LeavingOut.of("instructions", HANDLED, alarmed=False)

Handled = SubscriptionStatusChanged | Settling | CreditUse | InstructionFact | PaymentCaptured | FactRetracted


def fold(rows: Rows, _: Place, event: Handled) -> None:
    """An instruction has a row for ever, and so has each answer."""
    effective_on = None
    match event:
        case FactRetracted():
            LEAVING_OUT.fold(rows, event)
            for instruction_id in {row["instruction_id"] for row in rows.of_account(ANSWERS, event.account)}:
                _note_whether_answered(rows, event.account, instruction_id)
            return
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
                "answered": int(_is_answered(rows, event.account, instruction.instruction_id)),
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
    _note_whether_answered(rows, event.account, instruction_id)


def _note_whether_answered(rows: Rows, account: str, instruction_id: str) -> None:
    issued = rows.get(ISSUED, account, instruction_id)
    if issued is not None:
        rows.put(ISSUED, {**issued, "answered": int(_is_answered(rows, account, instruction_id))})


def _is_answered(rows: Rows, account: str, instruction_id: str) -> bool:
    answers = [row for row in rows.of_account(ANSWERS, account) if row["instruction_id"] == instruction_id]
    return bool(answers) and any(counting(answers, LEAVING_OUT.left_out(rows, account)))


INSTRUCTIONS = Projection("instructions", 3, (ISSUED, ANSWERS, ENDS, *LEAVING_OUT.tables), HANDLED, fold)


class Instruction(TypedDict):
    """An instruction to another system, with its answer."""

    instruction_id: str
    kind: Kind
    account_id: str
    data: Annotated[dict[str, str], Field(description="The data, as published on the topic.")]
    issued_at: Instant
    status: Literal["open", "carried_out", "refused"]
    answered_at: Instant | None


class AgedInstruction(Instruction):
    """An instruction with its age."""

    age_seconds: Annotated[int | None, Field(description="Null once it is answered.")]


ORDER: Order = {"answered": int, "issued_at": int, "account": str, "instruction_id": str}


def listed(
    database: Database,
    now: datetime,
    *,
    accounts: Accounts = None,
    kind: str | None = None,
    still_open: bool = False,
    page: Page | None = None,
) -> Listed[AgedInstruction]:
    """What billing and provisioning were told to do, what waits longest for its answer first.

    `still_open` leaves out what was answered.
    """
    where = Where().among("account", accounts).equal(kind=kind)
    if still_open:
        where.that("answered = 0")
    with database.reading() as transaction:
        found = rows_listed(transaction, INSTRUCTIONS, ISSUED, where, page, ORDER)
        of = accounts_of(found)
        answers, left_out = rows_of(transaction, INSTRUCTIONS, ANSWERS, of), never_said_in(transaction, of)
    told = shown({ISSUED.name: found, ANSWERS.name: answers}, left_out)
    aged: list[AgedInstruction] = [{**each, "age_seconds": open_seconds(each, now)} for each in told]
    return found.told(aged)


def instructions_left(transaction: Transaction) -> Left:
    """How many instructions have no answer, and since when."""
    issued = INSTRUCTIONS.stored_name(ISSUED)
    return left(transaction, f"SELECT COUNT(*), MIN(issued_at) FROM {issued} WHERE answered = 0")


def shown(state: State, left_out: LeftOut = frozenset()) -> list[Instruction]:
    """The instructions as they are shown: those without an answer first, the oldest first among each.

    `left_out` are answers that count for nothing.
    """
    answers = defaultdict(list)
    for answer in counting(state[ANSWERS.name], left_out):
        answers[answer["account"], answer["instruction_id"]].append(answer)
    rows = sorted(state[ISSUED.name], key=lambda row: tuple(row[column] for column in ORDER))
    return [_shown(row, _holding(answers[ISSUED.key_of(row)])) for row in rows]


def _holding(answers: list[Row]) -> Row | None:
    """Of several answers the last one by its message holds: whoever refused may have carried it out after all."""
    return max(answers, key=order_of_fact, default=None)


def _shown(row: Row, answer: Row | None) -> Instruction:
    return {
        "instruction_id": row["instruction_id"],
        "kind": row["kind"],
        "account_id": row["account"],
        "data": from_json(row["data"]),
        "issued_at": shown_instant(row["issued_at"]),
        "status": answer["status"] if answer is not None else "open",
        "answered_at": shown_instant(answer["answered_at"]) if answer is not None else None,
    }


def open_seconds(instruction: Instruction, now: datetime) -> int | None:
    """How long an instruction has waited for an answer, 0 where a sandbox's clock stands before; None for one that
    has it."""
    if instruction["status"] != "open":
        return None
    issued = instant_from_text(instruction["issued_at"])
    return max(0, to_microseconds(now) - to_microseconds(issued)) // 1_000_000
