"""Checks an account's books by its laws, from its stored events; what is found stops its payouts (policy §7)."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from ledger.aggregates.laws import Broken, Submitted, broken_laws
from ledger.application.account import Account
from ledger.application.acts import Act, By, perform
from ledger.application.catalogue import Catalogue
from ledger.application.ledger import Ledger
from ledger.events import AgreementBound, Decision, Fact, LedgerEvent, RefundSubmitted
from ledger.policy.facts import AccountFacts
from ledger.store.writing import Head


@dataclass(frozen=True, slots=True)
class Books:
    """The laws that an account's books break, and those of which an alarm stands."""

    broken: list[Broken]
    noted: Set[str]


def check_books(account_id: str, events: Sequence[LedgerEvent], catalogue: Catalogue) -> Books:
    """The laws that one account's events break."""
    facts, submitted = AccountFacts(account_id), Submitted()
    broken: list[Broken] = []
    decided_at: datetime | None = None
    for event in events:
        match event:
            case Fact():
                facts.learn(event)
            case AgreementBound():
                facts.bind(event, catalogue.version(event.data.agreement, event.data.version))
            case RefundSubmitted():
                broken += submitted.check(facts, event)
                facts.submit(event)
        if isinstance(event, Decision):
            decided_at = getattr(event.data, "now", decided_at)
    account = Account(Head(account_id), catalogue)
    account.replay(events, {})
    if decided_at is not None:
        broken += broken_laws(account.facts, account.billing, decided_at)
    return Books(broken, account.billing.laws_broken)


def note_broken(ledger: Ledger, account_id: str, laws: Set[str], by: By) -> None:
    """Raise the alarm for the laws of an account that do not hold, or clear it where there are none.

    While it stands nothing is paid out for the account.
    """

    def decide(act: Act) -> None:
        act.have_decided(account_id, lambda opened: opened.note_broken(laws, by.actor, by.channel, act.now()))

    perform(ledger, {account_id}, decide)
