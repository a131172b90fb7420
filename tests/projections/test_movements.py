"""Movements: tables that an accountant can check by hand, and sums that give every balance at any instant."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.agreement import read_agreement
from ledger.application.account import Account
from ledger.application.catalogue import Catalogue
from ledger.events import LedgerEvent
from ledger.policy.payout import Owed
from ledger.store.amounts import from_minor_units
from ledger.store.writing import Head
from projections.account_state import FOLDED, account_state
from projections.movement_kinds import EFFECTS, OWED
from projections.movements import MOVEMENTS, MOVEMENTS_MADE, OWED_BEFORE, OWED_NOW
from projections.projection import Row, State, Unrecorded, fold_account
from tests.ledger.books import LONG_AFTER, WITHOUT_SHRINKING
from tests.ledger.messages import Upstream
from tests.oracle import histories
from tests.policy.case import read
from tests.search import sample

Sums = dict[tuple[str, str], Decimal]
"""What is owed, by currency and what it is counted as; nothing of what comes to nothing."""


# --- balances that add up -------------------------------------------------------------------------------------------


class Life:
    """One account that hears a random history and its provider's people, and what was recorded with each step."""

    def __init__(self, seed: int) -> None:
        catalogue = Catalogue()
        for text in histories.agreement_texts(money=True).values():
            catalogue.add(read_agreement(text))
        self.account = Account(Head("acct-1"), catalogue)
        self.now = datetime(2026, 5, 1, tzinfo=UTC)
        self.steps: list[list[LedgerEvent]] = []
        self._chance = random.Random(f"people {seed}")
        self._says = Upstream("acct-1", source="/payments/test")
        self._heard: set[tuple[str, str]] = set()
        for message in histories.history(seed, account="acct-1", money=True):
            if (message["source"], message["id"]) not in self._heard:
                self.hear(message)
                while self._chance.random() < 0.5:
                    self._decide()
        self.let_time_pass()
        self.steps.append(self.account.collect())

    def let_time_pass(self) -> None:
        """What happens in the end, when nothing comes any more."""
        self.account.assess_anew(LONG_AFTER)

    def hear(self, message: dict[str, Any]) -> None:
        assert (message["source"], message["id"]) not in self._heard, "a store records a message once"
        self._heard.add((message["source"], message["id"]))
        self.now += timedelta(minutes=1)
        self.account.record(read(message), None, self.now)
        self.steps.append(self.account.collect())

    def _decide(self) -> None:
        """One of the things that people or the payment processor may do now, if there is any."""
        can = [*self._about_refunds(), *self._about_credits(), *self._about_overpaid()]
        if can:
            self._chance.choice(can)()

    def _about_refunds(self) -> Iterator[Callable[[], None]]:
        ids = {part.id for of in self.account.billing.settlements.claims.values() for part in of.parts}
        asked = {f"refund/{credit_id}/{n}" for credit_id in self.account.billing.credits for n in range(1, 4)}
        for refund_id in sorted({id_ for id_ in ids if id_.startswith("refund/")} | asked):
            owed = self.account.refunds.owed(refund_id, self.now)
            if owed is None:
                continue
            status = self.account.refunds.status(owed)
            if status in ("due", "failed"):
                yield partial(self._judge, "refund.approved", owed)
            if status == "due":
                yield partial(self._judge, "refund.rejected", owed, reason="a mistake")
            if status == "approved":
                yield partial(self._submit, refund_id)
            if status in ("submitted", "succeeded"):
                yield partial(self._report, self._says.refund_failed, refund_id)
            if status == "submitted":
                yield partial(self._report, self._says.refund_succeeded, refund_id)
            if status == "failed":
                yield partial(self._judge, "refund.retried", owed)
                amount = {"amount": str(owed.total), "currency": owed.currency}
                if owed.credit_id is None and owed.total:
                    yield partial(self._act, "refund.turned_into_credit", refund_id=refund_id, **amount)

    def _about_credits(self) -> Iterator[Callable[[], None]]:
        for credit_id, credit in self.account.billing.credits.items():
            if credit.left > 0:
                refund_id = f"refund/{credit_id}/{self._chance.randint(1, 3)}"
                yield partial(self._act, "credit.refund_requested", refund_id=refund_id, credit_id=credit_id)

    def _about_overpaid(self) -> Iterator[Callable[[], None]]:
        for (claim_id, currency), settled in self.account.billing.settlements.claims.items():
            for part in settled.parts:
                if part.into == "overpaid" and part.net + part.tax < 0:
                    said = {"claim_id": claim_id, "amount": str(-(part.net + part.tax)), "currency": currency}
                    for kind in ("overpaid.written_off", "overpaid.recovery_ordered"):
                        yield partial(self._act, kind, **said, reason="too small")

    def _judge(self, kind: str, owed: Owed, **more: str) -> None:
        said = {"net": str(owed.net), "tax": str(owed.tax), "currency": owed.currency, "set_by": owed.set_by}
        self._act(kind, refund_id=owed.refund_id, proposal="0" * 64, **said, **more)

    def _act(self, kind: str, **said: str) -> None:
        message = self._says.instructs(kind, **said, decided_by="fin")
        self.hear(message | {"time": self.now.isoformat().replace("+00:00", "Z")})

    def _report(self, says: Callable[..., dict[str, Any]], refund_id: str) -> None:
        self.hear(says(refund_id) | {"time": self.now.isoformat().replace("+00:00", "Z")})

    def _submit(self, refund_id: str) -> None:
        self.now += timedelta(minutes=1)
        self.account.submit([refund_id], self.now)
        self.steps.append(self.account.collect())


FAILED_BEFORE_IT_WAS_APPLIED = 64079
"""The seed of a life in which billing says that a credit's application failed before the credit is applied."""
USED_OF_AN_EXCESS_AND_GIVEN_BACK = 10415
"""The seed of a life in which an excess is used, its invoice's charge retracted, and the use of it failed."""
CLAIM_IN_ANOTHER_CURRENCY = 51955
"""The seed of a life in which what was granted in one currency comes to wait in another: its charge changed."""
RECOVERY_OF_A_CREDIT_THAT_WENT = 53023
"""The seed of a life in which a credit goes of which something was kept back: its account changed its currency."""
TAX_BELOW_ZERO = 805
"""The seed of a life in which a person rejects a refund with a tax below zero: more of it was used than there is."""


def lived(seed: int) -> list[list[LedgerEvent]]:
    return Life(seed).steps


def from_other_projections(state: State) -> Sums:
    """What the account's balances say is owed, which other projections make.

    A credit that is to be refunded is a credit left in its account's balance, and a refund due in what is owed.
    """
    found: Sums = {}
    shown = account_state(state, "acct-1")
    for balance in shown["balances"]:
        for name, field in zip(OWED, ("refund_due", "credit_left", "captured_in_excess", "overpaid"), strict=True):
            found[balance["currency"], name] = Decimal(balance[field])  # type: ignore[literal-required]
    for refund in shown["refunds"]:
        if refund["credit_id"] is not None and refund["status"] in ("due", "approved", "failed"):
            found[refund["currency"], "credits_left"] -= Decimal(refund["total"])
            found[refund["currency"], "refunds_due"] += Decimal(refund["total"])
    return nonzero(found)


def from_movements(movements: list[Row]) -> Sums:
    found: Sums = defaultdict(Decimal)
    for row in movements:
        total = from_minor_units(row["net"] + row["tax"], row["currency"])
        for name, sign in EFFECTS[row["kind"]].items():
            found[row["currency"], name] += sign * total
    return nonzero(found)


def from_what_is_owed(owing: list[Row]) -> Sums:
    found: Sums = defaultdict(Decimal)
    for row in owing:
        found[row["currency"], row["counted_as"]] += from_minor_units(row["net"] + row["tax"], row["currency"])
    return nonzero(found)


def nonzero(sums: Sums) -> Sums:
    return {key: total for key, total in sums.items() if total}


@settings(max_examples=sample(40), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
@example(seed=FAILED_BEFORE_IT_WAS_APPLIED)
def test_movements_up_to_any_message_add_up_to_what_was_owed_then(seed: int) -> None:
    """Other projections say it, the sums of movements, and what is kept of what was owed, now and looking back."""
    told = lived(seed)
    ends, count = set(), 0
    for events in told:
        count += len(events)
        ends.add(count)
    expected: dict[int, Sums] = {}
    all_events = [event for events in told for event in events]
    unrecorded = [Unrecorded(event, number) for number, event in enumerate(all_events, 1)]
    state: dict[str, list[Row]] = {}
    for number, step in enumerate(fold_account(unrecorded, [*FOLDED, MOVEMENTS]), 1):
        if number in ends:
            state = {name: list(rows) for name, rows in step.state().items()}
            expected[number] = from_other_projections(state)
            assert from_what_is_owed(state[OWED_NOW.name]) == expected[number]
    for number, sums in expected.items():
        movements = [row for row in state[MOVEMENTS_MADE.name] if row["position"] <= number]
        assert from_movements(movements) == sums
        then = [row for row in state[OWED_NOW.name] if row["position"] <= number]
        then += [r for r in state[OWED_BEFORE.name] if r["position"] <= number < r["until_position"]]
        assert from_what_is_owed(then) == sums


@settings(max_examples=sample(40), deadline=None, phases=WITHOUT_SHRINKING)
@given(seed=st.integers(min_value=0, max_value=100_000))
@example(seed=TAX_BELOW_ZERO)
def test_what_was_granted_is_made_good_in_net_and_in_tax(seed: int) -> None:
    """Of each claim: granted = reduced + set off + refunds + credited − overpaid, and what is corrected (law 8)."""
    events = [event for told in lived(seed) for event in told]
    *_, last = fold_account((Unrecorded(event, n) for n, event in enumerate(events, 1)), [MOVEMENTS])
    claims: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in last.state()[MOVEMENTS_MADE.name]:
        if row["claim_id"] is not None:
            moved = claims[row["claim_id"], row["currency"]][row["kind"]]
            moved[0] += row["net"]
            moved[1] += row["tax"]
    for claim, moved in claims.items():
        for part in (0, 1):
            made_good = sum(moved[k][part] for k in ("reduced", "set_off", "corrected", "refund_due", "credited"))
            assert moved["granted"][part] == made_good - moved["overpaid"][part], claim
