"""An account as of an instant: assessed anew, in memory, from the facts that had become true by then alone.

Decisions are not picked by when their cause happened: that would mix the two clocks, and an amount would stand
without the fact that made it so (contract §3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain

from ledger.agreement import read_agreement
from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.events import (
    AccountRegistered,
    AgreementPublished,
    Fact,
    FactRetracted,
    LedgerEvent,
    RefundSubmitted,
    message_key,
    retracted,
)
from ledger.policy.facts import AccountFacts
from ledger.store.reading.events import StoredEnvelope
from ledger.store.writing import Head
from ledger.values import midnight

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AssessedAnew:
    """What was asked for as an instant; the facts that had become true by then, each with what follows from it."""

    as_of: datetime
    events: list[LedgerEvent]
    first_at: datetime | None
    """When the first fact that was not retracted became true, by then or later; None where there is none."""


def assess_as_of(
    account: str, recorded: Iterable[StoredEnvelope], published: Iterable[StoredEnvelope], as_of: date
) -> AssessedAnew:
    """Decide anew about an account, with an instant as `now`, from the facts that were true by it. Nothing is stored.

    `recorded` are the account's events, `published` those by which agreements were published. Facts are taken in the
    order in which they were recorded, and publications among them: a subscription stays bound to the version it was
    bound to (contract §2). A version counts also where it was published after the instant, and what was retracted was
    never so, at no instant, whenever it was taken back. A date is the end of that date in the account's zone.
    """
    told = sorted(chain(recorded, published), key=lambda stored: (stored.shard, stored.position))
    events = [stored.event() for stored in told]
    facts = [event for event in events if isinstance(event, Fact)]
    instant = as_of if isinstance(as_of, datetime) else _end_of(as_of, account, facts)
    catalogue = Catalogue()
    anew = Account(Head(account), catalogue)
    for event in events:
        match event:
            case AgreementPublished():
                catalogue.add(read_agreement(event.data.text))
                if event.data.name in anew.agreements_awaited():
                    anew.assess_anew(instant)
            case Fact() if event.occurred_at <= instant or isinstance(event, FactRetracted):
                anew.retell(event, instant)
            case RefundSubmitted() if event.occurred_at <= instant:
                anew.resubmit(event, instant)
    return AssessedAnew(instant, anew.collect(), min((fact.occurred_at for fact in _said(facts)), default=None))


def _said(facts: Iterable[Fact]) -> list[Fact]:
    """The facts that were not retracted; a retraction is about others, and is none of them."""
    told = list(facts)
    gone = retracted(fact.retraction for fact in told if isinstance(fact, FactRetracted))
    return [fact for fact in told if not isinstance(fact, FactRetracted) and message_key(fact) not in gone]


def _end_of(day: date, account: str, facts: Iterable[Fact]) -> datetime:
    """The last instant of a date in the account's zone, whenever that became true; in UTC while none is known."""
    known = AccountFacts(account)
    for fact in facts:
        if isinstance(fact, AccountRegistered | FactRetracted):
            known.learn(fact)
    return midnight(day + timedelta(days=1), known.time_zone or "UTC") - _MICROSECOND
