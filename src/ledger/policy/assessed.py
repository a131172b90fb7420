"""An assessed claim row, with the working that an auditor can follow (design rule 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from decimal import Decimal

from ledger.events import AgreementBound, Clause, Fact, LedgerEvent, Outcome, Reason, SettleAs
from ledger.values import value


@value
class Working:
    """How a claim came about: the formula with its real numbers, what went into it, and what was done to it after.

    `facts` are the events that it rests on, each once, in an order that does not depend on when they came. For a
    declined claim the lines say which condition failed, by how much.
    """

    formula: str | None
    inputs: dict[str, str]
    lines: tuple[str, ...]
    facts: tuple[LedgerEvent, ...]


@value
class Assessed:
    """One claim row as the assessment finds it. `working` is reckoned where it is compared with what is recorded."""

    claim_id: str
    clause: Clause
    subscription_id: str | None
    charge_id: str | None
    """None for a goodwill credit, which is for no charge."""
    currency: str
    outcome: Outcome
    reason: Reason | None
    amount: Decimal
    tax: Decimal
    settle_as: SettleAs
    investigate_by: datetime | None
    """Until when an open investigation is in time; None for everything else (policy §4)."""
    binding: AgreementBound | None
    working: Callable[[], Working] = field(compare=False, repr=False)


@value
class Alarm:
    """Something that a person should look at; two alarms are the same when all of it is the same."""

    alarm: str
    about: tuple[str, ...]
    claim_id: str | None = None
    charge_id: str | None = None
    subscription_id: str | None = None


Found = Assessed | Alarm
"""What rules give."""


def named(fact: Fact) -> str:
    """A fact as an alarm names it: the source and id of its message, which the publisher knows it by."""
    return f"{fact.data.message.source} {fact.data.message.id}"


def used(*facts: LedgerEvent | None) -> tuple[LedgerEvent, ...]:
    """The facts there are, each once."""
    return tuple({fact.event_id: fact for fact in facts if fact is not None}.values())
