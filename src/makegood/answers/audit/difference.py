"""What came between two moments of an account: `makegood audit diff` (contract §3c).

It is told from the stored events alone. An account's events are recorded in their order, so that those known at a
moment are its first ones, and those between two moments follow one another without a hole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field
from typing_extensions import TypedDict

from ledger.store.positions import KnownAt
from ledger.store.reading.events import StoredEnvelope, recorded_by
from makegood.access.sight import Sight
from makegood.answers.account import Account, account
from makegood.answers.filters import FilterRefused
from makegood.answers.moments import known_at_to_text
from makegood.house.one_state import one_state
from makegood.house.opening import House
from projections import account_state, audit_trail
from projections.shown_values import Instant, Position, Reached

Part = Literal[
    "account",
    "balances",
    "subscriptions",
    "charges",
    "payments",
    "invoices",
    "claims",
    "refunds",
    "credits",
    "complaints",
    "goodwill",
    "alarms",
    "instructions",
]
PARTS: tuple[Part, ...] = get_args(Part)
"""What an account consists of: what is said of it itself, and its lists."""

_KNOWN_BY: dict[Part, tuple[str, ...]] = {
    "balances": ("currency",),
    "subscriptions": ("subscription_id",),
    "charges": ("charge_id",),
    "payments": ("payment_id",),
    "invoices": ("invoice_id", "currency"),
    "claims": ("claim_id",),
    "refunds": ("refund_id", "currency"),
    "credits": ("credit_id", "currency"),
    "complaints": ("complaint_id",),
    "goodwill": ("credit_id",),
    "alarms": ("alarm", "claim_id", "charge_id", "subscription_id", "about"),
    "instructions": ("instruction_id",),
}
"""The fields by which a row of a list is the same row later."""
_OF_THE_ACCOUNT = ("time_zone", "currency", "registered_at", "set_aside")


class AccountAt(TypedDict):
    """The account as it was known at one of the two moments."""

    known_at: Annotated[Instant | Reached, Field(description="The moment, as it was asked for.")]
    position: Annotated[
        Position | None, Field(description="Its last event that was recorded by then; null for none.")
    ]
    version: Annotated[int, Field(description="The number of its events recorded by then.")]
    account: Account


class RowDiffers(TypedDict):
    """A row of the account that is not what it was."""

    part: Part
    id: Annotated[str, Field(examples=["refund/unused/cyc-0006-2026-04-02/1"])]
    before: Annotated[dict[str, Any] | None, Field(description="Null if it did not exist.")]
    after: Annotated[dict[str, Any] | None, Field(description="Null if it exists no longer.")]


class AccountDifference(TypedDict):
    """The events of an account between two moments, its state at both, and the rows that differ."""

    account_id: Annotated[str, Field(examples=["acct-0006"])]
    before: AccountAt
    after: AccountAt
    events: Annotated[
        list[audit_trail.Entry], Field(description="Those recorded after the first moment and by the second.")
    ]
    differing: list[RowDiffers]


def difference(house: House, sight: Sight, account_id: str, from_: KnownAt, to: KnownAt) -> AccountDifference:
    """What came between two moments of an account. Raises UnknownAccount, and FilterRefused where the first moment is
    after the second."""
    with one_state(house) as still:
        recorded = account_state.recorded(still.database, sight.check(account_id))
        known_before, known_after = recorded_by(recorded, from_), recorded_by(recorded, to)
        if len(known_before) > len(known_after):
            raise FilterRefused("to", "the second moment is before the first: exchange them")
        before, after = (
            _account_at(still, sight, account_id, known_at, known)
            for known_at, known in ((from_, known_before), (to, known_after))
        )
    return {
        "account_id": account_id,
        "before": before,
        "after": after,
        "events": [audit_trail.entry(stored) for stored in known_after[len(known_before) :]],
        "differing": list(_differing(before["account"], after["account"])),
    }


def _account_at(
    house: House, sight: Sight, account_id: str, known_at: KnownAt, known: Sequence[StoredEnvelope]
) -> AccountAt:
    return {
        "known_at": known_at_to_text(known_at),
        "position": str(known[-1].at) if known else None,
        "version": len(known),
        "account": account(house, sight, account_id, known_at=known_at).answer,
    }


def _differing(before: Account, after: Account) -> Iterator[RowDiffers]:
    for part in PARTS:
        was, is_ = rows_of(part, before), rows_of(part, after)
        for id_, number in {**was, **is_}:
            row, later = was.get((id_, number)), is_.get((id_, number))
            if row != later:
                yield {"part": part, "id": id_, "before": row, "after": later}


def rows_of(part: Part, account: Account) -> Mapping[tuple[str, int], dict[str, Any]]:
    """The rows of a part of an account, by the id under which they differ, and which of several with it each is."""
    fields: Mapping[str, Any] = account
    if part == "account":
        return {(account["account_id"], 1): {name: fields[name] for name in _OF_THE_ACCOUNT}}
    found: dict[tuple[str, int], dict[str, Any]] = {}
    times: Counter[str] = Counter()
    for row in fields[part]:
        id_ = " ".join(_said(row[name]) for name in _KNOWN_BY[part] if row[name])
        times[id_] += 1
        found[id_, times[id_]] = row
    return found


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
