"""The ledger settles as the second reading of the policy does (§7, §8), whatever order the messages come in.

Accounts decide in memory, and the projections fold what they decided: parts, invoices and credits are compared as the
ledger remembers them, balances as `makegood account` shows them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from ledger.agreement import read_agreement
from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.events import ActivationDue, LedgerEvent, SettledPart, SettlementChanged
from ledger.policy.facts import EVERYTHING
from ledger.store.writing import Head
from projections.queries import account_assessed
from tests.oracle import histories
from tests.oracle import settlement as oracle
from tests.policy.case import read
from tests.search import sample

SEEDS = sorted({*range(sample(30)), 157, 366, 477, 610, 993, 1035})
"""Those beyond 150 differed once: in which credit is the oldest, and where a payment names an application to come."""
AGREEMENTS = [read_agreement(text) for text in histories.agreement_texts(money=True).values()]
TERMS = histories.agreements(money=True)
Message = dict[str, Any]


class Life:
    """One account that hears messages one by one, and the events that it recorded."""

    def __init__(self, account_id: str, now: datetime) -> None:
        catalogue = Catalogue()
        for agreement in AGREEMENTS:
            catalogue.add(agreement)
        self.account = Account(Head(account_id), catalogue)
        self.now = now
        self.events: list[LedgerEvent] = []

    def hear(self, messages: Iterable[Message]) -> Life:
        seen = set()
        for message in messages:
            if (message["source"], message["id"]) not in seen:
                seen.add((message["source"], message["id"]))
                self.account.record(read(message), None, self.now)
                self.events += self.account.collect()
        return self

    def until(self, later: datetime) -> Life:
        self.account.assess_anew(later)
        self.events += self.account.collect()
        return self

    # --- what is found -------------------------------------------------------------------------------------------

    def parts(self) -> dict[str, list[oracle.Part]]:
        found: dict[str, list[oracle.Part]] = {}
        for (claim_id, _), settled in self.account.billing.settlements.claims.items():
            found.setdefault(claim_id, []).extend(
                (part.into, _named(part, claim_id), Fraction(part.net), Fraction(part.tax), part.status == "gone_out")
                for part in settled.parts
            )
        return {claim_id: sorted(parts) for claim_id, parts in found.items()}

    def invoices(self) -> dict[str, dict[str, Fraction]]:
        rows = {
            invoice_id: {
                "charged": Fraction(standing.charged),
                "paid": Fraction(standing.paid_in_money) + Fraction(standing.paid_from_balance),
                "money": Fraction(standing.paid_in_money),
                "balance": Fraction(standing.paid_from_balance),
                "excess_used": Fraction(standing.excess_used),
                "reduced": Fraction(standing.reduced),
                "asks_for": Fraction(standing.asks_for),
                "excess": Fraction(standing.excess),
            }
            for (invoice_id, _), standing in self.account.billing.settlements.invoices.items()
        }
        return {invoice_id: row for invoice_id, row in rows.items() if any(row.values())}

    def excess_credits(self) -> dict[str, tuple[Fraction, Fraction]]:
        return {
            invoice_id: (Fraction(standing.excess_credit), Fraction(standing.excess_used))
            for (invoice_id, _), standing in self.account.billing.settlements.invoices.items()
            if standing.excess_credit is not None
        }

    def balance(self) -> dict[str, Fraction]:
        currency = self.account.facts.currency
        balances = account_assessed(self.events, self.account.head.account)["balances"]
        shown = next((balance for balance in balances if balance["currency"] == currency), {})
        return {name: Fraction(amount) for name, amount in shown.items() if name != "currency"}

    def activated(self) -> set[str]:
        return {event.data.subscription_id for event in self.events if isinstance(event, ActivationDue)}


def _named(part: SettledPart, claim_id: str) -> str:
    """The second reading names a reduction by its claim, the ledger by its invoice."""
    return f"{part.into}/{claim_id}" if part.into == "invoice_reduction" else part.id


def told(seed: int) -> tuple[Sequence[Message], datetime, datetime]:
    """A history about money in some order, and the two instants at which it is looked at."""
    messages = histories.history(seed, money=True)
    if seed % 3:
        random.Random(seed).shuffle(messages)
    now = histories.moment(seed, messages)
    return messages, now, histories.afterwards(seed, now)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_claim_and_invoice_is_settled_as_by_the_second_reading(seed: int) -> None:
    messages, now, later = told(seed)
    account_id = messages[0]["subject"]
    life = Life(account_id, now).hear(messages).until(later)
    expected = oracle.settle(list(messages), TERMS, now, later)[account_id]
    assert life.parts() == {claim_id: sorted(parts) for claim_id, parts in expected.claims.items()}
    assert life.invoices() == {id_: row for id_, row in expected.invoices.items() if any(row.values())}
    assert life.excess_credits() == expected.excess_credits
    assert life.activated() == expected.ever_activated
    assert life.balance() == expected.balance


@pytest.mark.parametrize("seed", SEEDS)
def test_settling_what_a_message_touches_leaves_nothing_for_settling_everything(seed: int) -> None:
    """The narrowed path has the plain one for its oracle."""
    messages, now, _ = told(seed)
    life = Life(messages[0]["subject"], now)
    for message in messages:
        life.hear([message])
        left = list(life.account.billing.settlements.differences(EVERYTHING, (), now))
        assert left == []


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_an_account_read_back_from_its_events_decides_as_the_one_that_decided_them(seed: int) -> None:
    messages, now, later = told(seed)
    half = len(messages) // 2
    life = Life(messages[0]["subject"], now).hear(messages[:half])
    again = Life(messages[0]["subject"], now)
    again.account.replay(life.events, {})
    for each in (life, again):
        each.events = []
        each.hear(messages[half:]).until(later)
    assert [event.data for event in again.events] == [event.data for event in life.events]


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_every_recorded_settlement_begins_where_the_one_before_ended(seed: int) -> None:
    """An auditor follows a claim and an invoice from event to event without a gap."""
    messages, now, later = told(seed)
    life = Life(messages[0]["subject"], now).hear(messages).until(later)
    claims: dict[tuple[str, str], Any] = {}
    invoices: dict[tuple[str | None, str], Any] = {}
    for event in life.events:
        if isinstance(event, SettlementChanged):
            data = event.data
            assert data.before == invoices.get((data.invoice_id, data.currency))
            invoices[data.invoice_id, data.currency] = data.after
            for claim in data.claims:
                assert claim.before == claims.get((claim.claim_id, data.currency), ())
                claims[claim.claim_id, data.currency] = claim.after
            assert data.reasons
